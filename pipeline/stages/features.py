"""Stage: one feature set for every prediction time, checked not to see the future."""

import argparse
from dataclasses import asdict
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from features.errors import BadInput
from features.look_ahead import check_look_ahead
from features.registry import FEATURE_SETS
from features.schema import TABLES, ColumnDescriptions, PredictionTimes
from pipeline.files import read_table, replaced_folder, write_frame, write_json, write_table
from pipeline.settings.load import load_parameters


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("feature_set", help="a key of feature_sets")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the canonical tables")
    parser.add_argument("--source", type=Path, required=True, help="folder of the study's source files")
    parser.add_argument("--genotypes", type=Path, required=True, help="folder of the checked genotypes")
    parser.add_argument("--times", type=Path, required=True, help="file of the prediction times")
    parser.add_argument("--out", type=Path, required=True, help="folder of the feature set")


def run(
    feature_set: str,
    *,
    tables: Path,
    source: Path,
    times: Path,
    out: Path,
    genotypes: Path = Path("genotypes"),
) -> None:
    """Build one feature set, check it, and write its table, column descriptions and report."""
    study = load_parameters()
    if feature_set not in study.feature_sets:
        raise BadInput(
            f"feature_sets has no {feature_set!r}; the study names: {', '.join(sorted(study.feature_sets))}."
        )
    if study.cohort.time == "order" and study.feature_sets[feature_set].get("look_behind_days") is not None:
        raise BadInput(
            f"feature_sets.{feature_set}.look_behind_days: the study declares an order of stays and no days. Take it out."
        )
    registered = FEATURE_SETS[feature_set]
    given: dict[str, Any] = {"checked": genotypes} if registered.reads_genotypes else {}
    if registered.reads(study.feature_sets[feature_set]) and not registered.reads_genotypes:
        given["source"] = source
    if "time" in signature(registered.build).parameters:
        given["time"] = study.cohort.time
    build = partial(registered.build, **study.feature_sets[feature_set], **given)
    canonical = {name: read_table(tables / f"{name}.parquet", schema) for name, schema in TABLES.items()}
    prediction_times = read_table(times, PredictionTimes)
    built = build(prediction_times, canonical)
    checked = check_look_ahead(build, built, prediction_times, canonical)
    with replaced_folder(out) as folder:
        write_frame(built.frame, folder / "features.parquet")
        write_table(built.columns, folder / "columns.parquet", ColumnDescriptions)
        write_json(
            {**built.report, "look_ahead": {**asdict(checked), "identical": True}}, folder / "report.json"
        )
