"""Everything that is reported of one outcome: figures, curves, comparisons, centres, the ladder, weights and drawings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from experiments.compute import Compute, map_tasks
from experiments.evaluation.calibration import Point, calibration_curve, smooth_curve
from experiments.evaluation.comparison import compare
from experiments.evaluation.decision import decision_curve, thresholds, treat_all_curve
from experiments.evaluation.evaluate import learner_metrics, predicted_parts, too_few
from experiments.evaluation.figures import calibration_figure, decision_figure, groups_figure
from experiments.evaluation.heterogeneity import heterogeneity_rows
from experiments.evaluation.horizons import hidden_steps, without_hidden_curves, without_small_steps
from experiments.evaluation.ladder import ladder
from experiments.evaluation.reporting import Evaluation
from experiments.evaluation.sample import Part, Sample, evaluated_sample, weights_report
from experiments.results import (
    SCHEMA_VERSION,
    Comparisons,
    Curves,
    Heterogeneity,
    Metrics,
    at_horizon,
)


@dataclass(frozen=True)
class OutcomeReport:
    """What stage compare writes.

    Attributes:
        metrics, curves, comparisons, heterogeneity, ladder: the schemas of these names.
        weights: per scheme, how large the censoring weights at the main horizon are and where they come from.
        figures: matplotlib figures at the main horizon, by "<learner>_<what>".
    """

    metrics: pl.DataFrame
    curves: pl.DataFrame
    comparisons: pl.DataFrame
    heterogeneity: pl.DataFrame
    ladder: pl.DataFrame
    weights: dict[str, Any]
    figures: dict[str, Any]


@dataclass(frozen=True)
class SampleTask:
    """One scheme at one horizon, with what its figures need.

    Attributes:
        evaluation: what the outcome's figures share.
        sample: the scheme's evaluated rows.
        predictions: schema Predictions, by learner.
        references: learners that the others are compared with.
        decision_range: lowest and highest threshold; None: the default range.
        whole: the main horizon, at which subgroups and per-patient figures are given.
    """

    evaluation: Evaluation
    sample: Sample
    predictions: Mapping[str, pl.DataFrame]
    references: Sequence[str]
    decision_range: tuple[float, float] | None
    whole: bool


def outcome_report(
    rows: pl.DataFrame,
    outcomes: pl.DataFrame,
    splits: pl.DataFrame,
    predictions: Mapping[str, pl.DataFrame],
    *,
    evaluation: Evaluation,
    schemes: Mapping[str, str],
    horizon: float,
    horizons: Sequence[float] = (),
    references: Sequence[str],
    decision_range: tuple[float, float] | None = None,
    covariates: Sequence[str] = (),
    compute: Compute | None = None,
) -> OutcomeReport:
    """Evaluate every learner of one outcome under every declared scheme, at every horizon.

    Args:
        rows: schema Rows.
        outcomes: schema Outcomes.
        splits: schema Splits.
        predictions: schema Predictions, by learner, in the study's order.
        evaluation: names, seed, disclosure and subgroups.
        schemes: kind by scheme name.
        horizon: the main one, in days; 0 for a label.
        horizons: all of them; none: the main one alone.
        references: learners that the others are compared with, where they are among the predictions; the first one's net
            benefit is drawn beside theirs.
        decision_range: lowest and highest threshold of the decision curve; None: 0.05 to 0.5.
        covariates: columns of `rows` that censoring may depend on.
        compute: where the schemes' horizons are evaluated; None: here.
    """
    steps = sorted({*horizons, horizon})
    samples = [
        evaluated_sample(
            rows,
            outcomes,
            splits.filter(pl.col("scheme") == name),
            scheme=name,
            kind=kind,
            horizon=step,
            horizons=steps,
            covariates=covariates,
        )
        for name, kind in (schemes.items() if predictions else ())
        for step in steps
    ]
    tasks = [
        SampleTask(
            evaluation, sample, predictions, references, decision_range, whole=sample.horizon == horizon
        )
        for sample in samples
    ]
    found = map_tasks(evaluate_sample, tasks, compute or Compute(), f"compare {evaluation.outcome}")
    joined = {
        name: pl.concat([schema.create_empty(), *(tables[name] for tables in found)])
        for name, schema in TABLES.items()
    }
    hidden = hidden_steps(joined["metrics"], horizon, evaluation.smallest_cell)
    metrics = without_small_steps(joined["metrics"], hidden)
    curves = without_hidden_curves(joined["curves"], hidden)
    figures = _figures(
        at_horizon(metrics, horizon),
        at_horizon(curves, horizon),
        list(predictions),
        list(schemes),
        references,
    )
    return OutcomeReport(
        metrics,
        curves,
        joined["comparisons"],
        joined["heterogeneity"],
        ladder(metrics, joined["heterogeneity"], schemes),
        {
            sample.scheme: weights_report(sample, covariates, evaluation.smallest_cell)
            for sample in samples
            if sample.horizon == horizon
        },
        figures,
    )


def evaluate_sample(task: SampleTask) -> dict[str, pl.DataFrame]:
    """Return the tables of one scheme at one horizon, by name; runs in a worker."""
    sample, evaluation = task.sample, task.evaluation
    parts = {name: predicted_parts(sample, frame, name) for name, frame in task.predictions.items()}
    at = thresholds(*(task.decision_range or ()))
    tables: dict[str, list[pl.DataFrame]] = {name: [schema.create_empty()] for name, schema in TABLES.items()}
    for learner, own in parts.items():
        tables["metrics"].append(learner_metrics(evaluation, sample, learner, own, whole=task.whole))
        tables["curves"].append(_curves(evaluation, sample, learner, own, at))
        if not too_few(own, evaluation.smallest_cell):
            tables["heterogeneity"].append(_heterogeneity(evaluation, sample, learner, own))
    for reference in task.references:
        for learner in parts if reference in parts else ():
            if learner != reference:
                pair = (parts[learner], parts[reference])
                tables["comparisons"].append(compare(evaluation, sample, (learner, reference), pair))
    return {name: pl.concat(frames) for name, frames in tables.items()}


def _shared(evaluation: Evaluation, sample: Sample, learner: str) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "study": evaluation.study,
        "outcome": evaluation.outcome,
        "learner": learner,
        "scheme": sample.scheme,
        "cause": 1,
        "horizon": sample.horizon,
    }


def _heterogeneity(
    evaluation: Evaluation, sample: Sample, learner: str, parts: Sequence[Part]
) -> pl.DataFrame:
    rows = [{**_shared(evaluation, sample, learner), **row} for row in heterogeneity_rows(sample, parts)]
    if not rows:
        return Heterogeneity.create_empty()
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return Heterogeneity.validate(frame.select(Heterogeneity.column_names()), cast=True)


def _curves(
    evaluation: Evaluation, sample: Sample, learner: str, parts: Sequence[Part], at: Any
) -> pl.DataFrame:
    smallest = evaluation.smallest_cell
    drawn: dict[str, list[Point]] = {
        "calibration": calibration_curve(parts, smallest),
        "calibration_smooth": smooth_curve(parts, smallest),
        "decision": decision_curve(parts, at, smallest),
        "treat_all": treat_all_curve(parts, at, smallest),
    }
    rows = [
        {**_shared(evaluation, sample, learner), "curve": curve, "point": number, **vars(point)}
        for curve, points in drawn.items()
        for number, point in enumerate(points)
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return Curves.validate(frame.select(Curves.column_names()), cast=True)


def _figures(
    metrics: pl.DataFrame,
    curves: pl.DataFrame,
    learners: Sequence[str],
    schemes: Sequence[str],
    references: Sequence[str],
) -> dict[str, Any]:
    clinical = next((name for name in references if name in learners), None)
    figures = {}
    for learner in learners:
        of_learner = pl.col("learner") == learner
        beside = None if clinical in (None, learner) else (clinical, curves.filter(learner=clinical))
        figures[f"{learner}_calibration"] = calibration_figure(curves.filter(of_learner), schemes)
        figures[f"{learner}_decision"] = decision_figure(curves.filter(of_learner), schemes, beside)
        figures[f"{learner}_groups"] = groups_figure(metrics.filter(of_learner), schemes)
    return figures


TABLES: dict[str, Any] = {
    "metrics": Metrics,
    "curves": Curves,
    "comparisons": Comparisons,
    "heterogeneity": Heterogeneity,
}
