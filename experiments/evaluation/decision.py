"""Decision curves: net benefit over the thresholds declared beforehand, for the model and for treating everybody."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.calibration import NORMAL, Point
from experiments.evaluation.influence import clustered_variance
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part, Pooled, distinct, pooled

LOWER, UPPER, POINTS = 0.05, 0.5, 19  # where the outcome declares no range


def thresholds(lower: float = LOWER, upper: float = UPPER, points: int = POINTS) -> Floats:
    """Return the thresholds of a range, both ends included, shape (points,)."""
    return np.linspace(lower, upper, points)


def decision_curve(parts: Sequence[Part], at: Floats, smallest_cell: int) -> list[Point]:
    """Return the model's net benefit at each threshold.

    Vickers and Elkin 2006, doi 10.1177/0272989X06295361: share of true positives minus share of false positives times the
    odds of the threshold, here with censoring weights (Vickers 2008, doi 10.1186/1472-6947-8-53). A threshold where
    fewer than `smallest_cell` patients with an event are flagged, or some but fewer are left unflagged, has no value.
    """
    rows = pooled(parts)
    return [_at(rows, float(threshold), rows.risk >= threshold, smallest_cell) for threshold in at]


def treat_all_curve(parts: Sequence[Part], at: Floats, smallest_cell: int) -> list[Point]:
    """Return the net benefit of treating everybody at each threshold; treating nobody has 0."""
    rows = pooled(parts)
    everybody = np.ones(len(rows.risk), dtype=np.bool_)
    return [_at(rows, float(threshold), everybody, smallest_cell) for threshold in at]


def _at(rows: Pooled, threshold: float, flagged: NDArray[np.bool_], smallest_cell: int) -> Point:
    if _too_few(rows, flagged, smallest_cell):
        return Point(threshold, None, None, None, None)
    total = float(rows.weight.sum())
    odds = threshold / (1 - threshold)
    benefit = flagged * (rows.label - (1 - rows.label) * odds)
    net = float(rows.weight @ benefit) / total
    error = float(np.sqrt(clustered_variance(rows.weight * (benefit - net) / total, rows.patient)))
    n = round(len(rows.risk) / rows.repeats)
    return Point(threshold, net, net - NORMAL * error, net + NORMAL * error, n)


def _too_few(rows: Pooled, flagged: NDArray[np.bool_], smallest_cell: int) -> bool:
    with_event = distinct(rows.patient[flagged & (rows.label == 1)])
    left = distinct(rows.patient[~flagged & (rows.label == 1)])
    without = distinct(rows.patient[rows.label == 0])
    return min(with_event, without) < smallest_cell or 0 < left < smallest_cell
