"""Stage: what strata are related to, test 5, and the claim of the whole chain."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.disclosure import smallest_published
from experiments.figures import save_svg
from experiments.stratification import schemas
from experiments.stratification.chain import table_of_tests
from experiments.stratification.outcome_schemas import TABLES
from experiments.stratification.relate import Related, RelatedPatients, RelateSettings, relate
from experiments.stratification.responses import FollowedOutcome
from experiments.stratification.verdict import results_of, verdict
from features.schema import Measurements, Medications, Outcomes, PredictionTimes
from pipeline.errors import BadSettings
from pipeline.files import read_frame, read_json, read_table, replaced_folder, write_json, write_table
from pipeline.settings.load import load_parameters
from pipeline.settings.stratification import Stratification
from pipeline.settings.study import Study
from pipeline.strata_inputs import Assembled, matching, read_assembled, rows_of, stratification_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("name")
    for name in ("assembled", "strata", "outcomes", "tables", "times", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)


def run(
    name: str, *, assembled: Path, strata: Path, outcomes: Path, tables: Path, times: Path, out: Path
) -> None:
    """Relate the strata of one stratification and write the claim of its whole chain."""
    study = load_parameters()
    asked, folder = stratification_of(study, name), strata / name
    summary = read_json(folder / "summary.json")
    files = read_assembled(assembled)
    found = read_table(folder / "strata.parquet", schemas.Strata)
    rows = rows_of(files.rows, found["prediction_id"])
    patients = _patients(asked, files, rows, folder=folder, tables=tables, times=times)
    related = relate(
        patients,
        _outcomes(study, asked, outcomes),
        _settings(asked, patients.beside),
        seed=study.seed,
        smallest_cell=smallest_published(study.disclosure.level, study.disclosure.smallest_cell),
    )
    tests = (*results_of(summary), related.test)
    claim = verdict(int(summary["k"]), tests, asked.required)
    _write(related, {**related.summary, "name": name, "title": summary["title"], **claim.to_json()}, out)


def _patients(
    asked: Stratification,
    files: Assembled,
    rows: pl.DataFrame,
    *,
    folder: Path,
    tables: Path,
    times: Path,
) -> RelatedPatients:
    """Return the stratified patients with every column of the study beside those that made the strata."""
    made = (
        rows.select("prediction_id")
        .join(
            read_frame(folder / "made.parquet"),
            on="prediction_id",
            how="left",
            validate="1:1",
            maintain_order="left",
        )
        .drop("prediction_id")
    )
    own = rows.select("prediction_id").join(
        files.frame, on="prediction_id", how="left", validate="1:1", maintain_order="left"
    )
    beside = own.drop("prediction_id", *(name for name in made.columns if name in own.columns))
    for name in asked.compare_with:
        if name not in own.columns:
            beside = beside.with_columns(_measured(name, rows, tables))
    return RelatedPatients(
        rows=rows,
        memberships=read_table(folder / "memberships.parquet", schemas.Memberships),
        dimensions=read_table(folder / "dimensions.parquet", schemas.Dimensions),
        made=made,
        beside=beside,
        times=read_table(times, PredictionTimes),
        medications=read_table(tables / "medications.parquet", Medications),
        descriptions=dict(files.columns.select("column", "description").iter_rows()),
    )


def _measured(name: str, rows: pl.DataFrame, tables: Path) -> pl.Series:
    """Return each patient's first known category of a measured variable, such as the diagnosis that is an outcome elsewhere."""
    measured = read_table(tables / "measurements.parquet", Measurements).filter(pl.col("variable") == name)
    known = measured.filter(pl.col("category").is_not_null())
    if known.is_empty():
        raise BadSettings(
            f"compare_with: {name!r} is neither a column of the study nor a measured category. Name one that is."
        )
    first = known.sort("time", nulls_last=True).unique("patient_id", keep="first", maintain_order=True)
    joined = rows.select("patient_id").join(
        first.select("patient_id", pl.col("category").alias(name)),
        on="patient_id",
        how="left",
        maintain_order="left",
    )
    return joined[name]


def _outcomes(study: Study, asked: Stratification, folder: Path) -> dict[str, FollowedOutcome]:
    """Return the outcomes that are asked for: all of the same index rule where none are named."""
    names = asked.value.outcomes
    if names is None:
        names = tuple(name for name, one in study.outcomes.items() if one.index == asked.index)
    return {
        name: FollowedOutcome(
            read_table(folder / name / "outcomes.parquet", Outcomes),
            tuple(study.outcomes[name].horizons),
            study.outcomes[name].causes,
            study.outcomes[name].variables,
        )
        for name in names
    }


def _settings(asked: Stratification, beside: pl.DataFrame) -> RelateSettings:
    held_out = asked.value.held_out
    return RelateSettings(
        held_out=tuple(matching(held_out, beside.columns, "value.held_out")) if held_out else (),
        covariates=asked.value.covariates,
        compare_with=asked.compare_with,
        knots=asked.value.knots,
        level=asked.value.level,
    )


def _write(related: Related, summary: Mapping[str, Any], out: Path) -> None:
    with replaced_folder(out) as folder:
        write_table(table_of_tests([related.test]), folder / "tests.parquet", schemas.Tests)
        for name, schema in TABLES.items():
            write_table(related.tables[name], folder / f"{name}.parquet", schema)
        for name, figure in related.figures.items():
            save_svg(figure, folder / "figures" / f"{name}.svg")
        write_json(dict(summary), folder / "summary.json")
