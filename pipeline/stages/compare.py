"""Stage compare: every figure, curve and paired difference of one outcome's declared cells."""

import argparse
from pathlib import Path

from experiments.disclosure import smallest_published
from experiments.evaluation.definitions import definition
from experiments.evaluation.report import OutcomeReport, outcome_report
from experiments.evaluation.reporting import Evaluation
from experiments.figures import save_svg
from experiments.results import (
    Comparisons,
    Curves,
    Heterogeneity,
    Ladder,
    Metrics,
    Predictions,
    Splits,
)
from features.schema import Outcomes, Rows
from pipeline.errors import BadSettings
from pipeline.files import read_table, replaced_folder, write_json, write_table
from pipeline.openings import record_comparison
from pipeline.settings.compute import compute_of
from pipeline.settings.load import load_parameters
from pipeline.settings.study import Study


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("outcome")
    for name in ("assembled", "outcomes", "splits", "train", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--register", type=Path, help="where openings of left-out countries are noted")


def run(
    *,
    outcome: str,
    assembled: Path,
    outcomes: Path,
    splits: Path,
    train: Path,
    out: Path,
    register: Path | None = None,
) -> None:
    """Evaluate the learners that the study declares for an outcome."""
    study = load_parameters()
    learners, schemes = _declared(study, outcome)
    predictions = {name: read_table(train / name / "predictions.parquet", Predictions) for name in learners}
    settings = study.outcomes[outcome]
    report = outcome_report(
        read_table(assembled / "rows.parquet", Rows),
        read_table(outcomes / "outcomes.parquet", Outcomes),
        read_table(splits / "splits.parquet", Splits),
        predictions,
        evaluation=_evaluation(study, outcome),
        schemes={name: study.validation[name].kind for name in schemes},
        horizon=settings.main_horizon or 0.0,
        horizons=settings.horizons,
        references=(study.tuning.clinical_reference, "base_rate"),
        covariates=study.censoring_covariates,
        decision_range=None
        if settings.thresholds is None
        else (settings.thresholds.lower, settings.thresholds.upper),
        compute=compute_of(study),
    )
    _write(report, out)
    record_comparison(study, outcome, splits, register, out)


def _declared(study: Study, outcome: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    for cell in study.cells:
        if cell.outcome == outcome:
            return cell.learners, cell.schemes
    if outcome in study.outcomes:
        return (), ()
    raise BadSettings(
        f"The outcome {outcome!r} is not known; known: {', '.join(sorted(study.outcomes))}. Name one of them."
    )


def _evaluation(study: Study, outcome: str) -> Evaluation:
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    return Evaluation(study.study, outcome, study.seed, smallest, study.subgroups)


def _write(report: OutcomeReport, out: Path) -> None:
    with replaced_folder(out) as folder:
        write_table(report.metrics, folder / "metrics.parquet", Metrics)
        write_table(report.curves, folder / "curves.parquet", Curves)
        write_table(report.comparisons, folder / "comparisons.parquet", Comparisons)
        write_table(report.heterogeneity, folder / "heterogeneity.parquet", Heterogeneity)
        write_table(report.ladder, folder / "ladder.parquet", Ladder)
        names = report.metrics["metric"].unique(maintain_order=True)
        write_json({name: definition(name) for name in names}, folder / "definitions.json")
        write_json(report.weights, folder / "weights.json")
        for name, figure in report.figures.items():
            save_svg(figure, folder / "figures" / f"{name}.svg")
