"""Write the index of a study's cards, the primary analysis first, and the cohort's page."""

import argparse
from pathlib import Path
from typing import Any

import polars as pl

from experiments.results import Metrics, at_horizon
from pipeline.cards.cohort_page import render_cohort
from pipeline.cards.headlines import headlines
from pipeline.cards.index_page import render_index
from pipeline.errors import BadInput
from pipeline.files import read_json, read_table, replaced_folder, write_text
from pipeline.settings.load import load_parameters
from pipeline.settings.study import Study


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(workspace: Path, out: Path) -> None:
    """Write the index and the cohort's page."""
    study = load_parameters()
    rows = [
        _row(study, cell.outcome, learner, workspace) for cell in study.cells for learner in cell.learners
    ]
    rows.sort(key=lambda row: not row["primary"])  # stable: the others keep the study's order
    strata = [
        read_json(workspace / "strata_outcomes" / name / "summary.json") for name in study.stratifications
    ]
    with replaced_folder(out) as folder:
        write_text(render_index(study.title, study.study, rows, strata), folder / "index.html")
        write_text(render_cohort(study, workspace), folder / "cohort.html")


def _row(study: Study, outcome: str, learner: str, workspace: Path) -> dict[str, Any]:
    card = workspace / "cards" / outcome / f"{learner}.html"
    if not card.is_file():
        raise BadInput(f"{card} is not there: the stage card@{outcome} writes it. Run dvc repro.")
    path = workspace / "compare" / outcome / "metrics.parquet"
    metrics = read_table(path, Metrics).filter(pl.col("learner") == learner)
    metrics = at_horizon(metrics, study.outcomes[outcome].main_horizon)
    return {
        "href": f"../cards/{outcome}/{learner}",
        "outcome": study.outcomes[outcome].title,
        "learner": learner,
        "primary": (study.primary.outcome, study.primary.learner) == (outcome, learner),
        "headlines": {row["validation"]: row["estimate"] for row in _short(study, metrics)},
    }


def _short(study: Study, metrics: pl.DataFrame) -> list[dict[str, str]]:
    """Return AUROC with its interval for each rung of the ladder; a new centre's interval stands on the card."""
    shown = metrics.filter(pl.col("interval_kind") != "prediction_interval")
    rows = headlines(study, shown, digits=2)
    return [{**row, "estimate": f"{row['estimate']} ({row['interval']})"} for row in rows]
