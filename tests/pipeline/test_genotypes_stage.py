"""Stage genotypes: checked, matched and placed among a reference; nothing of few patients in what may leave the site."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from bed_reader import to_bed
from numpy.typing import NDArray

from experiments.genetics.prepare import Plan, prepare_genotypes
from experiments.genetics.run_metrics import genetic_metrics
from experiments.genetics.schemas import RELATIONS, Panel, Relatives, ScoreSummary
from experiments.genetics.told import related_pairs
from features.genetics.inputs import read_inputs
from features.genetics.quality import GenotypeQuality
from features.genetics.settings import GeneticSettings
from features.schema import ColumnDescriptions, Families, Genotypes, Measurements, Patients
from pipeline.__main__ import main
from pipeline.commands.use import parameters_text
from pipeline.files import read_frame, read_json, read_table, write_table, write_text
from pipeline.settings.load import check_study
from pipeline.stages.genotypes import TABLES
from tests.workplace import small_study

Floats = NDArray[np.float64]
VARIANTS, PANEL = 1200, 60  # of each reference population
POPULATIONS = ("North", "South", "East")
FILES = {"fr": (110, 40, 0), "de": (120, 30, 3)}  # patients by population
RUN = ["stage", "genotypes", "--tables", "tables", "--source", "source", "--out", "out"]
WIDE = {"heterozygosity_sd": 6}  # nobody fails by chance
ANCESTRY = {"reference": "panel", "populations": "panel.tsv", "components": 4}


def frequencies(random: np.random.Generator) -> Floats:
    """Allele frequencies by population, shape (populations, variants), about 0.1 apart (Balding and Nichols 1995)."""
    ancestral = random.uniform(0.15, 0.85, VARIANTS)
    fst = 0.1
    first, second = (share * (1 - fst) / fst for share in (ancestral, 1 - ancestral))
    return random.beta(first, second, size=(3, VARIANTS))


def people(random: np.random.Generator, allele: Floats, counts: tuple[int, ...]) -> Floats:
    drawn = [random.binomial(2, allele[place], (n, VARIANTS)) for place, n in enumerate(counts)]
    return np.concatenate(drawn).astype(np.float64)


def write_bed(prefix: Path, copies: Floats, samples: list[str]) -> None:
    number = np.arange(VARIANTS)
    to_bed(
        prefix.with_name(prefix.name + ".bed"),
        np.ascontiguousarray(copies),
        properties={
            "fid": samples,
            "iid": samples,
            "chromosome": [str(1 + place % 20) for place in number],
            "sid": [f"v{place}" for place in number],
            "bp_position": [50_000_000 + 100_000 * int(place) for place in number // 20],
            "allele_1": ["A"] * VARIANTS,
            "allele_2": ["G"] * VARIANTS,
        },
        num_threads=1,
    )


def write_scores(folder: Path, random: np.random.Generator, allele: Floats) -> None:
    """Weights that lift the score where an allele is commoner in the north: ancestry alone makes the means differ."""
    lines = ["#pgs_id=PGS900001", "#citation=Somebody 2020", "#genome_build=GRCh37"]
    lines.append("chr_name\tchr_position\teffect_allele\tother_allele\teffect_weight")
    for place in range(0, VARIANTS, 5):
        where = f"{1 + place % 20}\t{50_000_000 + 100_000 * (place // 20)}"
        weight = abs(random.normal()) * np.sign(allele[0, place] - allele[1, place])
        lines.append(f"{where}\tA\tG\t{weight:.4f}")
    lines += [f"1\t{place}\tA\tG\t0.5" for place in range(11, 41)]  # not in the genotypes
    (folder / "scz.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of patients, one pair of siblings' worth of the same person in both, a bad sample, a panel, a score."""
    folder, random = tmp_path_factory.mktemp("cohort"), np.random.default_rng(5)
    (folder / "source").mkdir()
    allele = frequencies(random)
    rows = {name: people(random, allele, counts) for name, counts in FILES.items()}
    rows["de"][0] = rows["fr"][0]  # one person in both countries
    rows["fr"][1, random.random(VARIANTS) < 0.2] = np.nan  # a sample that failed
    rows["fr"][2:, 7] = np.where(random.random(len(rows["fr"]) - 2) < 0.5, np.nan, rows["fr"][2:, 7])
    rows["fr"][2:][np.random.default_rng(6).random(rows["fr"][2:].shape) < 0.005] = np.nan
    mapping: list[tuple[str, str]] = []
    patients: list[tuple[str, int, str]] = []
    for name, copies in rows.items():
        samples = [f"{name}{number}" for number in range(len(copies))]
        write_bed(folder / "source" / name, copies, samples)
        mapping += [(sample, f"{len(patients) + place:032x}") for place, sample in enumerate(samples)]
        patients += [
            (f"{len(patients) + place:032x}", len(patients) + place, name.upper())
            for place in range(len(samples))
        ]
    panel = [f"r{number}" for number in range(3 * PANEL)]
    write_bed(folder / "source" / "panel", people(random, allele, (PANEL,) * 3), panel)
    named = [f"{sample}\t{POPULATIONS[place // PANEL]}" for place, sample in enumerate(panel)]
    (folder / "source" / "panel.tsv").write_text("\n".join(["sample_id\tpopulation", *named]) + "\n")
    write_scores(folder / "source", random, allele)
    tables = pl.DataFrame(patients, schema=["patient_id", "position", "network"], orient="row")
    empty = Patients.create_empty()
    write_table(
        pl.concat([empty, tables], how="diagonal_relaxed"), folder / "tables" / "patients.parquet", Patients
    )
    write_table(
        pl.DataFrame(mapping, schema=["sample_id", "patient_id"], orient="row"),
        folder / "tables" / "genotypes.parquet",
        Genotypes,
    )
    write_table(Measurements.create_empty(), folder / "tables" / "measurements.parquet", Measurements)
    return folder


def run(
    source: Path, monkeypatch: Any, genetic: dict[str, Any] | None, level: str = "public", out: str = "out"
) -> Path:
    sets = (
        {}
        if genetic is None
        else {"genetic": {"files": ["fr", "de"], "scores": {"scz": "scz.txt"}, "quality": WIDE, **genetic}}
    )
    base = small_study("small", disclosure={"level": level, "smallest_cell": 11})
    base["feature_sets"] = {
        **{name: one for name, one in base["feature_sets"].items() if name != "genetic"},
        **sets,
    }
    study = check_study(base, source / "study.yaml")
    write_text(parameters_text(study), source / "params.yaml")
    monkeypatch.chdir(source)
    assert main([*RUN[:-1], out]) == 0
    return source / out


@pytest.fixture(scope="module")
def public(source: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        return run(source, patch, {"ancestry": ANCESTRY}, out="public")


def test_every_table_is_written_and_holds_to_its_schema(public: Path) -> None:
    for name, schema in TABLES.items():
        assert read_table(public / f"{name}.parquet", schema).height, name
    assert {path.stem for path in (public / "figures").iterdir()} >= {
        "scores",
        "matches",
        "components",
        "relatives",
    }


def test_patients_are_assigned_to_the_population_they_were_drawn_from(public: Path) -> None:
    scores = read_frame(public / "scores.parquet").sort("patient_id")
    drawn = [
        POPULATIONS[place] for counts in FILES.values() for place, n in enumerate(counts) for _ in range(n)
    ]
    truth = {f"{number:032x}": name for number, name in enumerate(drawn)}
    right = [
        truth[patient] == found
        for patient, found in scores.select("patient_id", "genetic_ancestry").iter_rows()
    ]
    assert np.mean(right) > 0.95


def test_normalised_scores_have_one_mean_in_every_population(public: Path) -> None:
    summary = read_table(public / "summary.parquet", ScoreSummary).filter(pl.col("network").is_null())
    means = {
        (row["form"], row["ancestry"]): row["mean"] / row["sd"] * np.sqrt(row["n"])
        for row in summary.filter(pl.col("ancestry").is_in(["North", "South"])).iter_rows(named=True)
    }
    apart = {
        form: abs(means[form, "North"] - means[form, "South"]) for form in ("raw", "mean", "mean_variance")
    }
    assert apart["raw"] > 10  # drift alone: nobody is ill of it
    assert max(apart["mean"], apart["mean_variance"]) < 4


def test_one_person_in_two_countries_is_told_and_one_family(public: Path) -> None:
    report = read_json(public / "report.json")
    assert report["relatives"]["duplicate"] == 1
    assert any("two patients' ids" in words for words in report["relative_words"])
    families = read_table(public / "families.parquet", Families)
    assert sorted(families["patient_id"]) == [f"{0:032x}", f"{sum(FILES['fr']):032x}"]
    assert families["family"].unique().to_list() == [0]


@pytest.mark.parametrize("relations", [(), RELATIONS[:1], RELATIONS[:3]])
def test_relations_that_were_not_looked_for_are_not_told_as_none(relations: tuple[str, ...]) -> None:
    samples = pl.DataFrame({"patient_id": ["a", "b", "c"]})
    empty = pl.DataFrame()
    quality = GenotypeQuality(samples, empty, Relatives.create_empty(), empty, empty, {}, relations)
    assert related_pairs(quality, 11) == dict.fromkeys(relations, 0)


def test_failed_samples_and_variants_are_left_out_and_said(public: Path) -> None:
    samples = read_table(public / "samples.parquet", TABLES["samples"])
    assert samples.filter(~pl.col("kept")).select("sample_id", "reason").rows() == [("fr1", "low call rate")]
    assert f"{1:032x}" not in set(read_frame(public / "scores.parquet")["patient_id"])
    failed = read_table(public / "variants.parquet", TABLES["variants"]).filter(~pl.col("kept"))
    assert ("fr", 7) in failed.select("file", "variant").rows()


def test_missing_genotypes_without_a_frequency_are_said(
    source: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the score nor another file states frequencies: what the settings ask for cannot be done."""
    said = [words for words in read_json(public / "report.json")["warnings"] if "frequency" in words]
    shares = {item["file"]: item for item in read_json(public / "report.json")["missing"]}
    assert [words.split(":")[0] for words in said] == [
        f"scz in {file}" for file, item in sorted(shares.items()) if item["share"] >= 0.001
    ]
    assert said
    none = run(source, monkeypatch, {"missing": {"imputation": "none"}}, out="none")
    assert not any("frequency" in words for words in read_json(none / "report.json")["warnings"])


def test_the_match_log_tells_of_every_row(public: Path) -> None:
    log = read_table(public / "match_log.parquet", TABLES["match_log"])
    rows = 30 + VARIANTS // 5
    assert dict(log["file"].value_counts().iter_rows()) == {"fr": rows, "de": rows, "panel": rows}
    assert log.filter(pl.col("verdict") == "absent").height == 3 * 30
    report = read_json(public / "report.json")
    for item in report["matches"]:
        own = log.filter(pl.col("file") == item["file"])
        assert (item["used"], item["rows"]) == (own["used"].sum(), own.height)
        assert sum(item["unused"].values()) + item["used"] == item["rows"]
    metrics = genetic_metrics(report)
    assert metrics["genetic.scz.match_rate"] == pytest.approx(1 - 30 / rows)


def test_the_predictor_is_the_declared_normalisation(public: Path) -> None:
    columns = read_table(public / "columns.parquet", ColumnDescriptions)
    assert columns.filter(pl.col("role") == "predictor")["column"].to_list() == [
        "genetic_scz_ancestry_mean_variance"
    ]
    assert set(columns["column"]) == set(read_frame(public / "scores.parquet").columns) - {"patient_id"}


def test_the_stored_panel_projects_as_the_stage_did(public: Path) -> None:
    panel = read_table(public / "panel.parquet", Panel)
    assert panel["weights"].list.len().unique().to_list() == [4]
    state = read_json(public / "normalisation.json")
    assert set(state) == {"components", "populations", "normalisations"}
    assert "r17" not in json.dumps(state)


def test_a_second_run_gives_the_same_bytes(
    public: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = run(source, monkeypatch, {"ancestry": ANCESTRY}, out="again")
    assert {path.name: path.read_bytes() for path in public.rglob("*") if path.is_file()} == {
        path.name: path.read_bytes() for path in again.rglob("*") if path.is_file()
    }


def test_under_restricted_no_small_count_leaves(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = run(source, monkeypatch, {"ancestry": ANCESTRY}, level="restricted", out="restricted")
    report = read_json(out / "report.json")
    assert report["relatives"]["duplicate"] is None  # one pair
    summary = read_table(out / "summary.parquet", ScoreSummary)
    assert (summary["n"].drop_nulls() >= 11).all()
    east = summary.filter(pl.col("ancestry") == "East")
    assert east.height
    assert east.select("n", "mean", "sd").null_count().row(0) == (east.height,) * 3
    assert "East" not in (out / "figures" / "scores.svg").read_text()
    told = (out / "report.json").read_text() + "".join(
        path.read_text() for path in (out / "figures").iterdir()
    )
    samples = read_table(out / "samples.parquet", TABLES["samples"])
    assert not any(name in told for name in samples["patient_id"])


def test_without_a_genetic_set_the_same_files_are_empty(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run(source, monkeypatch, None, out="nothing")
    assert all(read_table(out / f"{name}.parquet", schema).is_empty() for name, schema in TABLES.items())
    assert read_frame(out / "scores.parquet").columns == ["patient_id"]
    assert "no genetic feature set" in read_json(out / "report.json")["sentence"]


def test_components_of_the_fold_get_genotypes(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = run(source, monkeypatch, {"ancestry": {"in_fold": True, "components": 4}}, out="in_fold")
    scores = read_frame(out / "scores.parquet")
    pruned = read_table(out / "pruned.parquet", TABLES["pruned"])
    assert set(scores["genetic_variants"].bin.size()) == {8 + -(-pruned.height // 4)}
    assert read_json(out / "normalisation.json") == {}
    roles = dict(read_table(out / "columns.parquet", ColumnDescriptions).select("column", "role").iter_rows())
    assert roles["genetic_variants"] == "context"
    assert roles["genetic_scz"] == "predictor"


def test_samples_that_no_file_holds_are_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with pytest.raises(AssertionError):
        run(source, monkeypatch, {"files": ["panel"]}, out="nobody")
    assert "none of the 303 samples of the table genotypes stands in panel" in capsys.readouterr().err
    assert not (source / "nobody").exists()


def test_patients_in_the_reference_are_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with pytest.raises(AssertionError):
        run(source, monkeypatch, {"ancestry": {"reference": "fr", "components": 2}}, out="itself")
    said = capsys.readouterr().err
    assert "150 sample(s) of patients stand in the reference fr too" in said
    assert not (source / "itself").exists()


def test_many_small_populations_are_not_all_listed(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    rows = [f"r{number}\tpeople {number}" for number in range(40)]
    (source / "source" / "alone.tsv").write_text("\n".join(["sample_id\tpopulation", *rows]))
    with pytest.raises(AssertionError):
        run(source, monkeypatch, {"ancestry": ANCESTRY | {"populations": "alone.tsv"}}, out="alone")
    assert "and 30 others have fewer than" in capsys.readouterr().err


def test_samples_called_by_family_too_are_recognised(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    names = [f"FAM_1_fr{number}" for number in range(20)]
    copies = np.random.default_rng(3).binomial(2, 0.4, (len(names), VARIANTS)).astype(np.float64)
    write_bed(source / "source" / "pasted", copies, names)
    with pytest.raises(AssertionError):
        run(source, monkeypatch, {"files": ["pasted"]}, out="pasted")
    assert "id-paste=iid" in capsys.readouterr().err
    with pytest.raises(AssertionError):
        run(source, monkeypatch, {"files": ["de", "pasted"]}, out="one_of_two")
    assert "are called <family>_<sample> in pasted, as" in capsys.readouterr().err


def test_controls_that_nobody_has_are_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with pytest.raises(AssertionError):
        run(
            source,
            monkeypatch,
            {"quality": {"controls": {"variable": "diagnosis", "levels": ["none"]}}},
            out="refused",
        )
    assert "nobody has a category of diagnosis" in capsys.readouterr().err
    assert not (source / "refused").exists()


REAL = Path(os.environ.get("PSYSTRATA_DATA", "nowhere")) / "genotypes"


@pytest.mark.skipif(not (REAL / "cineca").is_dir(), reason="PSYSTRATA_DATA holds no folder genotypes/cineca")
def test_real_people_have_the_same_columns_from_every_format() -> None:
    frames = []
    for ending in ("bed", "pgen", "vcf.gz"):
        asked = {
            "files": [f"cineca/cineca_synthetic_subset.{ending}"],
            "scores": {"height": "cineca/scorefile.txt"},
            "ancestry": {"in_fold": True, "components": 2},
        }
        settings = GeneticSettings.from_study(asked)
        inputs = read_inputs(REAL, settings)
        samples = list(inputs.files[0].samples[::4])
        people = pl.DataFrame({"sample_id": samples}).with_columns(
            patient_id=pl.format("p{}", pl.int_range(pl.len())),
            position=pl.int_range(pl.len()),
            sex=pl.lit(None, dtype=pl.String),
            network=pl.lit(None, dtype=pl.String),
            control=pl.lit(None, dtype=pl.Boolean),
        )
        plan = Plan("cineca", "CINECA", settings, smallest_cell=11, seed=1)
        checked = prepare_genotypes(inputs, people, plan, {})
        frames.append(checked.scores)
        assert any(
            "tested in everybody" in words for words in checked.report["quality_words"]
        )  # nobody is a control
    assert frames[0]["genetic_height"].is_not_null().sum() > 550
    assert frames[1].equals(frames[0])
    assert frames[2].equals(frames[0])
