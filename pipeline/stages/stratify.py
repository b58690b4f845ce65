"""Stage: look for strata of patients among the assembled features."""

import argparse
from pathlib import Path

import polars as pl

from experiments.disclosure import smallest_published
from experiments.stratification.schemas import Profile, Selection, Stability, Strata
from experiments.stratification.strata import Stratified, not_asked_for, stratify
from features.schema import ColumnDescriptions, Rows
from pipeline.errors import BadInput, BadSettings
from pipeline.files import read_frame, read_table, replaced_folder, write_json, write_table
from pipeline.settings.compute import compute_of
from pipeline.settings.experiment import Stratification
from pipeline.settings.load import load_parameters


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--assembled", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(assembled: Path, out: Path) -> None:
    """Stratify the patients of the active study, or say that this was not asked for."""
    study = load_parameters()
    asked = study.stratification
    if asked is None:
        found = not_asked_for()
    else:
        rows, X = _patients(assembled, asked)
        found = stratify(
            rows,
            X,
            clusterer=asked.clusterer,
            most_strata=asked.most_strata,
            bootstraps=asked.bootstraps,
            stable_from=asked.stable_from,
            smallest_cell=smallest_published(study.disclosure.level, study.disclosure.smallest_cell),
            seed=study.seed,
            compute=compute_of(study),
        )
    _write(found, out)


def _patients(assembled: Path, asked: Stratification) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the first prediction of each patient under the index rule, and the columns to stratify by."""
    rows = read_table(assembled / "rows.parquet", Rows)
    matrix = read_frame(assembled / "matrix.parquet")
    descriptions = read_table(assembled / "columns.parquet", ColumnDescriptions)
    known = descriptions.filter(pl.col("feature_set").is_in(asked.feature_sets))["column"].to_list()
    unknown = sorted(set(asked.columns or ()) - set(known))
    if unknown:
        raise BadSettings(
            f"stratification.columns: {unknown[0]!r} is not a column of {', '.join(asked.feature_sets)}; known: "
            f"{', '.join(sorted(known))}."
        )
    first = (
        rows.filter(pl.col("index_rule") == asked.index)
        .sort("position", "number")
        .unique("patient_id", keep="first", maintain_order=True)
        .select("prediction_id", "centre")
    )
    if first.is_empty():
        raise BadInput(
            f"stratification.index: the rule {asked.index} has no prediction. Choose another in the study file."
        )
    X = first.select("prediction_id").join(matrix, on="prediction_id", how="left", maintain_order="left")
    return first, X.select(sorted(asked.columns or known))


def _write(found: Stratified, out: Path) -> None:
    with replaced_folder(out) as folder:
        write_table(found.strata, folder / "strata.parquet", Strata)
        write_table(found.selection, folder / "selection.parquet", Selection)
        write_table(found.stability, folder / "stability.parquet", Stability)
        write_table(found.profile, folder / "profile.parquet", Profile)
        write_json(found.summary, folder / "summary.json")
