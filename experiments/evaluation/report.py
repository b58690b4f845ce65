"""Everything that is reported of one outcome: figures, curves, comparisons, weights and drawings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from experiments.evaluation.calibration import Point, calibration_curve
from experiments.evaluation.comparison import compare
from experiments.evaluation.decision import decision_curve, thresholds, treat_all_curve
from experiments.evaluation.evaluate import learner_metrics, risks_of
from experiments.evaluation.figures import calibration_figure, decision_figure, groups_figure
from experiments.evaluation.metrics import Floats
from experiments.evaluation.reporting import Evaluation
from experiments.evaluation.sample import Part, Sample, evaluated_sample, weights_report
from experiments.results import SCHEMA_VERSION, Comparisons, Curves, Metrics


@dataclass(frozen=True)
class OutcomeReport:
    """What stage compare writes.

    Attributes:
        metrics, curves, comparisons: schemas Metrics, Curves and Comparisons.
        weights: per scheme, how large the censoring weights are and where they come from.
        figures: matplotlib figures by "<learner>_<what>".
    """

    metrics: pl.DataFrame
    curves: pl.DataFrame
    comparisons: pl.DataFrame
    weights: dict[str, Any]
    figures: dict[str, Any]


def outcome_report(
    rows: pl.DataFrame,
    outcomes: pl.DataFrame,
    splits: pl.DataFrame,
    predictions: Mapping[str, pl.DataFrame],
    *,
    evaluation: Evaluation,
    schemes: Mapping[str, str],
    horizon: float,
    references: Sequence[str],
    decision_range: tuple[float, float] | None = None,
    covariates: Sequence[str] = (),
) -> OutcomeReport:
    """Evaluate every learner of one outcome under every declared scheme.

    Args:
        rows: schema Rows.
        outcomes: schema Outcomes.
        splits: schema Splits.
        predictions: schema Predictions, by learner, in the study's order.
        evaluation: names, seed, disclosure and subgroups.
        schemes: kind by scheme name.
        horizon: days; 0 for a label.
        references: learners that the others are compared with, where they are among the predictions.
        decision_range: lowest and highest threshold of the decision curve; None: 0.05 to 0.5.
        covariates: columns of `rows` that censoring may depend on.
    """
    samples = [
        evaluated_sample(
            rows,
            outcomes,
            splits.filter(pl.col("scheme") == name),
            scheme=name,
            kind=kind,
            horizon=horizon,
            covariates=covariates,
        )
        for name, kind in (schemes.items() if predictions else ())
    ]
    risks = [
        {name: risks_of(sample, frame, name) for name, frame in predictions.items()} for sample in samples
    ]
    metrics: pl.DataFrame = Metrics.create_empty()
    curves: pl.DataFrame = Curves.create_empty()
    comparisons: pl.DataFrame = Comparisons.create_empty()
    at = thresholds(*(decision_range or ()))
    for sample, own in zip(samples, risks, strict=True):
        for learner, risk in own.items():
            metrics = metrics.vstack(learner_metrics(evaluation, sample, learner, risk))
            curves = curves.vstack(_curves(evaluation, sample, learner, sample.parts(risk), at))
        comparisons = comparisons.vstack(_comparisons(evaluation, sample, own, references))
    figures = _figures(metrics, curves, list(predictions), list(schemes)) if predictions else {}
    weights = {
        sample.scheme: weights_report(sample, covariates, evaluation.smallest_cell) for sample in samples
    }
    return OutcomeReport(metrics, curves, comparisons, weights, figures)


def _comparisons(
    evaluation: Evaluation, sample: Sample, risks: Mapping[str, Floats], references: Sequence[str]
) -> pl.DataFrame:
    frame: pl.DataFrame = Comparisons.create_empty()
    for reference in references:
        for learner in risks if reference in risks else ():
            if learner != reference:
                pair = (risks[learner], risks[reference])
                frame = frame.vstack(compare(evaluation, sample, (learner, reference), pair))
    return frame


def _curves(
    evaluation: Evaluation, sample: Sample, learner: str, parts: Sequence[Part], at: Floats
) -> pl.DataFrame:
    smallest = evaluation.smallest_cell
    drawn: dict[str, list[Point]] = {
        "calibration": calibration_curve(parts, smallest),
        "decision": decision_curve(parts, at, smallest),
        "treat_all": treat_all_curve(parts, at, smallest),
    }
    shared = {
        "schema_version": SCHEMA_VERSION,
        "study": evaluation.study,
        "outcome": evaluation.outcome,
        "learner": learner,
        "scheme": sample.scheme,
    }
    rows = [
        {**shared, "curve": curve, "point": number, **vars(point)}
        for curve, points in drawn.items()
        for number, point in enumerate(points)
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return Curves.validate(frame.select(Curves.column_names()), cast=True)


def _figures(
    metrics: pl.DataFrame, curves: pl.DataFrame, learners: Sequence[str], schemes: Sequence[str]
) -> dict[str, Any]:
    figures = {}
    for learner in learners:
        of_learner = pl.col("learner") == learner
        figures[f"{learner}_calibration"] = calibration_figure(curves.filter(of_learner), schemes)
        figures[f"{learner}_decision"] = decision_figure(curves.filter(of_learner), schemes)
        figures[f"{learner}_groups"] = groups_figure(metrics.filter(of_learner), schemes)
    return figures
