"""Stage: write what is tracked, then show it in MLflow."""

import argparse
from pathlib import Path

from pipeline.files import write_json
from pipeline.settings.load import load_parameters
from pipeline.tracked import described, log_runs, read_runs


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(workspace: Path, out: Path) -> None:
    """Track the active study; where the store cannot be reached every result file is whole, this stage's included."""
    description = described(load_parameters())
    runs = read_runs(workspace, description, partial=False)
    tracked = [
        {"cell": item.cell.name, "key": item.results, "card": item.card, "metrics": len(item.metrics)}
        for item in runs
    ]
    write_json({**description, "tracked": tracked}, out)
    log_runs(workspace, description, runs)
