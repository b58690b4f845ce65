"""Stage: when predictions are made."""

import argparse
from pathlib import Path

from features.prediction_times import build_prediction_times
from features.schema import Events, Patients, PredictionTimes, Stays, Visits
from pipeline.files import read_table, write_table
from pipeline.settings.load import load_parameters


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--tables", type=Path, required=True, help="folder of the canonical tables")
    parser.add_argument("--out", type=Path, required=True, help="file of the prediction times")


def run(tables: Path, out: Path) -> None:
    """Write the prediction times of every declared rule."""
    study = load_parameters()
    times = build_prediction_times(
        {name: rule.model_dump() for name, rule in study.prediction_times.items()},
        patients=read_table(tables / "patients.parquet", Patients),
        visits=read_table(tables / "visits.parquet", Visits),
        stays=read_table(tables / "stays.parquet", Stays),
        events=read_table(tables / "events.parquet", Events),
        time=study.cohort.time,
    )
    write_table(times, out, PredictionTimes)
