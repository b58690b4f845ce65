"""Stage: one outcome of every prediction time of its rule."""

import argparse
from datetime import date
from pathlib import Path

from features.errors import BadInput
from features.outcomes import build_outcome
from features.schema import TABLES, Outcomes, PredictionTimes
from pipeline.files import read_table, replaced_folder, write_json, write_table
from pipeline.settings.load import load_parameters

EPOCH = date(1970, 1, 1)
USED = ("patients", "visits", "stays", "events", "measurements", "medications")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("outcome", help="a key of outcomes")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the canonical tables")
    parser.add_argument("--times", type=Path, required=True, help="file of the prediction times")
    parser.add_argument("--out", type=Path, required=True, help="folder of the outcome")


def run(outcome: str, tables: Path, times: Path, out: Path) -> None:
    """Write one outcome and its flow of exclusions."""
    study = load_parameters()
    if outcome not in study.outcomes:
        raise BadInput(f"outcomes has no {outcome!r}; the study names: {', '.join(sorted(study.outcomes))}.")
    extract = study.cohort.extract_date
    built = build_outcome(
        outcome,
        study.outcomes[outcome].model_dump(),
        read_table(times, PredictionTimes),
        {name: read_table(tables / f"{name}.parquet", TABLES[name]) for name in USED},
        extract_time=None if extract is None else float((extract - EPOCH).days),
        time=study.cohort.time,
    )
    with replaced_folder(out) as folder:
        write_table(built.frame, folder / "outcomes.parquet", Outcomes)
        write_json(built.flow, folder / "flow.json")
