"""Paired differences between two learners within the same folds, centres or countries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from experiments.evaluation.combining import FEWEST, NO_SPREAD, centre_units, resampled
from experiments.evaluation.influence import INFLUENCES, clustered_variance
from experiments.evaluation.intervals import (
    Interval,
    corrected_resampling,
    percentile_interval,
    random_effects,
)
from experiments.evaluation.measures import measure
from experiments.evaluation.reporting import Evaluation, hidden_parts
from experiments.evaluation.sample import Part, Sample
from experiments.results import SCHEMA_VERSION, Comparisons

COMPARED = ("auroc", "brier")
Pair = tuple[Part, Part]
Row = dict[str, Any]


def compare(
    evaluation: Evaluation,
    sample: Sample,
    learners: tuple[str, str],
    parts: tuple[Sequence[Part], Sequence[Part]],
) -> pl.DataFrame:
    """Return the differences learner minus reference under one scheme, schema Comparisons.

    Args:
        evaluation: what the outcome's figures share.
        sample: the scheme's evaluated rows.
        learners: the learner and its reference.
        parts: the test folds with the risks of each.
    """
    pairs = list(zip(*parts, strict=True))
    rows = [
        {"metric": name, "group": group, "folds": folds, **_figures(interval)}
        for name in COMPARED
        for group, folds, interval in _differences(evaluation, sample, pairs, name)
    ]
    shared = {
        "schema_version": SCHEMA_VERSION,
        "study": evaluation.study,
        "outcome": evaluation.outcome,
        "scheme": sample.scheme,
        "cause": 1,
        "horizon": sample.horizon,
        "learner": learners[0],
        "reference": learners[1],
    }
    frame = pl.DataFrame([{**shared, **row} for row in rows], infer_schema_length=None)
    return Comparisons.validate(frame.select(Comparisons.column_names()), cast=True)


def _differences(
    evaluation: Evaluation, sample: Sample, pairs: Sequence[Pair], name: str
) -> list[tuple[str | None, int, Interval]]:
    if sample.kind == "stratified_kfold":
        values = np.array([_difference(pair, name) for pair in pairs])
        return [(None, len(pairs), corrected_resampling(values, sample.test_to_train))]
    if sample.kind == "leave_centre_out":
        return [(None, len(pairs), centre_difference(pairs, name))]
    hidden = hidden_parts([own for own, _ in pairs], evaluation.smallest_cell)
    alone = sample.kind == "temporal"  # later patients are one part, which stands for the scheme
    return [
        (
            None if alone else pair[0].group,
            1,
            Interval(None) if is_hidden else _direction(evaluation, sample, pair, name),
        )
        for pair, is_hidden in zip(pairs, hidden, strict=True)
    ]


def centre_difference(pairs: Sequence[Pair], name: str) -> Interval:
    """Return the random-effects mean over centres of the paired difference, on the figure's own scale."""
    own = centre_units([pair[0] for pair in pairs]).parts
    other = centre_units([pair[1] for pair in pairs]).parts
    units = list(zip(own, other, strict=True))
    values = np.array([_difference(unit, name) for unit in units])
    spreads = np.array([_paired_variance(unit, name) for unit in units])
    good = np.isfinite(values) & (spreads > NO_SPREAD)
    if good.sum() < 2:
        seen = values[np.isfinite(values)]
        return Interval(float(seen.mean()) if len(seen) else None)
    found = random_effects(values[good], spreads[good])
    return Interval(found.mean, *found.confidence(), "random_effects")


def _direction(evaluation: Evaluation, sample: Sample, pair: Pair, name: str) -> Interval:
    value = _difference(pair, name)
    if not np.isfinite(value):
        return Interval(None)
    seed = evaluation.seed_of(sample, pair[0])
    own, other = (resampled(part, (name,), evaluation.resamples, seed)[name] for part in pair)
    found = percentile_interval(own - other)
    return Interval(value) if found is None else Interval(value, *found, "patient_bootstrap")


def _difference(pair: Pair, name: str) -> float:
    return measure(pair[0], name) - measure(pair[1], name)


def _paired_variance(pair: Pair, name: str) -> float:
    if min(pair[0].events, pair[0].others) < FEWEST:
        return np.nan
    own, other = (INFLUENCES[name](part.label, part.risk, part.weight) for part in pair)
    return clustered_variance(own - other, pair[0].unit)


def _figures(interval: Interval) -> Row:
    return {
        "difference": interval.estimate,
        "lower": interval.lower,
        "upper": interval.upper,
        "interval_kind": interval.kind,
    }
