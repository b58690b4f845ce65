"""Write the index of a study's cards, the primary analysis first."""

import argparse
from pathlib import Path
from typing import Any

import polars as pl

from experiments.results import Metrics
from pipeline.cards.render import render_index
from pipeline.cards.wording import SCHEMES, interval, number
from pipeline.errors import BadInput
from pipeline.files import read_json, read_table, replaced_folder, write_text
from pipeline.settings.load import load_parameters
from pipeline.settings.study import Study


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(workspace: Path, out: Path) -> None:
    """Write the index."""
    study = load_parameters()
    rows = [
        _row(study, cell.outcome, learner, workspace) for cell in study.cells for learner in cell.learners
    ]
    rows.sort(key=lambda row: not row["primary"])  # stable: the others keep the study's order
    strata = read_json(workspace / "strata" / "summary.json")
    sentence = f"Claim: {strata['claim']}. {strata.get('reason', '')}".strip()
    with replaced_folder(out) as folder:
        write_text(render_index(study.title, study.study, rows, sentence), folder / "index.html")


def _row(study: Study, outcome: str, learner: str, workspace: Path) -> dict[str, Any]:
    card = workspace / "cards" / outcome / f"{learner}.html"
    if not card.is_file():
        raise BadInput(f"{card} is not there: the stage card@{outcome} writes it. Run dvc repro.")
    metrics = read_table(workspace / "compare" / outcome / "metrics.parquet", Metrics).filter(
        (pl.col("learner") == learner)
        & (pl.col("metric") == "auroc")
        & pl.col("subgroup").is_null()
        & pl.col("fold").is_null()
        & (pl.col("interval_kind") != "prediction_interval")
    )
    return {
        "href": f"../cards/{outcome}/{learner}",
        "outcome": study.outcomes[outcome].title,
        "learner": learner,
        "primary": (study.primary.outcome, study.primary.learner) == (outcome, learner),
        "headlines": {
            SCHEMES[scheme.kind]: _headline(metrics.filter(pl.col("scheme") == name))
            for name, scheme in study.validation.items()
        },
    }


def _headline(rows: pl.DataFrame) -> str:
    with_interval = rows.filter(pl.col("interval_kind") != "none")
    shown = with_interval if with_interval.height else rows
    worded = []
    for row in shown.iter_rows(named=True):
        around = interval(row["lower"], row["upper"], digits=2)
        prefix = f"{row['group']}: " if row["group"] else ""
        worded.append(f"{prefix}{number(row['estimate'], digits=2)}" + (f" ({around})" if around else ""))
    return "; ".join(worded)
