"""Writing a simulated cohort as the hospitals export it, and its truth beside it."""

import io
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.seeds import seed_for
from pipeline.files import write_bytes, write_frame, write_json, write_text
from pipeline.simulation.actigraphy import planted_rhythms, write_actigraphy
from pipeline.simulation.bad_rows import Place, Planted, days_before, plant
from pipeline.simulation.cohort import SimulatedCohort
from pipeline.simulation.drivers import driver_table
from pipeline.simulation.french import french_sheets
from pipeline.simulation.genomes import reference_people
from pipeline.simulation.genotypes import MISSING, TRAITS, score_id, scoring_file, write_plink
from pipeline.simulation.german import german_sheets
from pipeline.simulation.ratings import draw_ratings
from pipeline.simulation.sheets import Sheet, delimited

SHEETS = {"FR": french_sheets, "DE": german_sheets}
CHROMOSOME = {"DE": "chr"}  # what stands before the chromosomes' names
REFERENCE = "reference"  # panel of people whose populations are known
POOLS = "pools.csv"  # readings of one pool on every plate: the bridge file of the inflammatory set
ZIP_DATE = (2023, 1, 15, 0, 0, 0)  # fixed: the same bytes on every run


def build_sheets(cohort: SimulatedCohort) -> tuple[list[Sheet], list[Planted]]:
    """Return the source files of both countries with their bad rows, and what was planted.

    Raises:
        ValueError: the cohort holds a country whose hospitals' files are not known.
    """
    people, dials = cohort.people, cohort.world.dials
    unknown = sorted(set(people["country"]) - set(SHEETS))
    if unknown:
        raise ValueError(f"only French and German files can be written, got: {', '.join(unknown)}")
    admitted = people.filter((pl.col("consent") == "yes") & ~pl.col("withdrawn"))
    deaths = (
        cohort.events.filter(pl.col("kind") == "death")
        .join(people.with_row_index("index").select(pl.col("index").cast(pl.Int64), raw_id="patient", country="country"), left_on="patient", right_on="index")
        .filter((pl.col("time") < days_before(dials.extract_date, 30)) & pl.col("raw_id").is_in(admitted["patient"].to_list()))
    )  # fmt: skip
    sheets, planted = [], []
    for country, write in SHEETS.items():
        own = write(_frames(cohort, country))
        died = deaths.filter(pl.col("country") == country)
        place = Place(
            dials.bad_rows,
            frozenset(admitted.filter(pl.col("country") == country)["patient"]),
            dict(zip(died["raw_id"], died["time"], strict=True)),
            dials.extract_date,
        )
        draw = np.random.default_rng(seed_for(cohort.world.seed, "simulation", "bad rows", country))
        changed, found = plant(own, place, dials.broken_rows, draw)
        sheets += changed
        planted += found
    return sheets, planted


def write_sources(cohort: SimulatedCohort, folder: Path) -> list[Planted]:
    """Write every source file into a folder; returns the bad rows."""
    sheets, planted = build_sheets(cohort)
    for sheet in sheets:
        archive, _, member = sheet.path.partition("!")
        if member:
            _write_zip(folder / archive, member, delimited(sheet))
        elif sheet.path.endswith(".parquet"):
            write_frame(_typed(sheet), folder / sheet.path)
        else:
            write_bytes(delimited(sheet), folder / sheet.path)
    _write_genotypes(cohort, folder / "genotypes")
    write_actigraphy(cohort, folder)
    write_bytes(cohort.pools.write_csv().encode(), folder / POOLS)
    return planted


def write_truth(cohort: SimulatedCohort, planted: list[Planted], folder: Path) -> None:
    """Write what no stage may read.

    patients.parquet, samples.parquet, relatives.parquet, actigraphy.parquet, drivers.json, ratings.json, bad_rows.json,
    genotypes.json and dials.json.
    """
    people = cohort.people.select(raw_id="patient", consent="consent", withdrawn="withdrawn")
    write_frame(
        pl.concat([people, cohort.truth.drop("patient")], how="horizontal"), folder / "patients.parquet"
    )
    raw = cohort.people["patient"].gather(cohort.samples["patient"])
    write_frame(cohort.samples_truth.with_columns(raw_id=raw), folder / "samples.parquet")
    write_frame(cohort.relatives, folder / "relatives.parquet")
    write_json(driver_table(cohort), folder / "drivers.json")
    write_json(draw_ratings(cohort)[1], folder / "ratings.json")
    write_frame(planted_rhythms(cohort), folder / "actigraphy.parquet")
    write_json([asdict(item) | {"rows": len(item.lines)} for item in planted], folder / "bad_rows.json")
    scores: dict[str, Any] = {
        trait: scoring_file(cohort.panel, trait, cohort.world.seed)[1] for trait in TRAITS
    }
    counted = np.where(cohort.dosages == MISSING, 0, cohort.dosages).sum(axis=0, dtype=np.int64)
    counts = {"scores": scores, "first_allele_copies": {"all_countries": int(counted.sum())}}
    write_json(counts, folder / "genotypes.json")
    write_json(
        {"seed": cohort.world.seed, **cohort.world.dials.model_dump(mode="json")}, folder / "dials.json"
    )


def _frames(cohort: SimulatedCohort, country: str) -> dict[str, pl.DataFrame]:
    """Return the frames of one country's patients with raw ids, in the order of a hospital's export."""
    people = cohort.people.with_row_index("index").with_columns(pl.col("index").cast(pl.Int64))
    own = people.filter(pl.col("country") == country).rename({"patient": "raw_id"})
    names = own.select("index", "raw_id")
    visits = cohort.visits.with_columns(visit=pl.format("V{}", "number"))
    measured = cohort.measurements.join(visits, on=["patient", "number"], maintain_order="left")
    frames = {
        "visits": visits,
        "measurements": measured,
        "stays": cohort.stays,
        "events": cohort.events,
        "medications": cohort.medications,
        "genotypes": cohort.samples.select("patient", "sample_id"),
        "ratings": draw_ratings(cohort)[0],
    }
    result = {
        name: frame.join(names, left_on="patient", right_on="index", maintain_order="left")
        for name, frame in frames.items()
    }
    result["stays"] = result["stays"].with_row_index("n", offset=1).with_columns(stay_id=pl.format("S{}", pl.col("n").cast(pl.String).str.zfill(6)))  # fmt: skip
    result["genotypes"] = result["genotypes"].sort("sample_id")
    result["patients"] = own
    result["withdrawals"] = own.filter("withdrawn").select("raw_id", reason=pl.lit(""))
    return result


def _write_genotypes(cohort: SimulatedCohort, folder: Path) -> None:
    (folder / "scores").mkdir(parents=True, exist_ok=True)
    for country in sorted(set(cohort.samples["country"])):
        rows = (cohort.samples["country"] == country).to_numpy()
        write_plink(
            cohort.panel,
            cohort.dosages[rows],
            cohort.samples.filter(pl.Series(rows)),
            folder / country.lower(),
            chromosome=CHROMOSOME.get(country, ""),
        )
    _write_reference(cohort, folder)
    for trait in TRAITS:
        text, _ = scoring_file(cohort.panel, trait, cohort.world.seed)
        write_text(text, folder / "scores" / f"{score_id(trait)}_{trait}.txt")


def _write_reference(cohort: SimulatedCohort, folder: Path) -> None:
    """Write the reference panel with the rarer allele first, as PLINK writes it by itself: its files agree with no cohort's."""
    panel, people, dosages = reference_people(cohort.world)
    if people.is_empty():
        return
    turned = dosages.mean(axis=0) > 1
    first, second = panel.variants["first"].to_numpy(), panel.variants["second"].to_numpy()
    variants = panel.variants.with_columns(
        first=pl.Series(np.where(turned, second, first)), second=pl.Series(np.where(turned, first, second))
    )
    counted = np.where(turned, 2 - dosages, dosages).astype(np.int8)
    write_plink(replace(panel, variants=variants), counted, people, folder / REFERENCE)
    text = people.select("sample_id", "population").write_csv(separator="\t")
    write_text(text, folder / f"{REFERENCE}_populations.tsv")


def _write_zip(path: Path, member: str, content: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        information = zipfile.ZipInfo(member, date_time=ZIP_DATE)
        information.compress_type = zipfile.ZIP_DEFLATED
        information.create_system = 3
        archive.writestr(information, content)
    write_bytes(buffer.getvalue(), path)


def _typed(sheet: Sheet) -> pl.DataFrame:
    """Return a Parquet file's frame: dates as dates, the dose as a number."""
    empty = [pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in sheet.headers]
    return sheet.frame.select(empty).with_columns(
        pl.col("Beginn", "Ende").str.to_date("%Y-%m-%d"), pl.col("Tagesdosis_mg").cast(pl.Float64)
    )
