"""Decision curves: net benefit over the thresholds declared beforehand, for the model and for treating everybody."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.calibration import NORMAL, Point
from experiments.evaluation.combining import FEWEST
from experiments.evaluation.influence import clustered_variance
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part, Pooled, distinct, pooled
from models.censoring import inverse_probability_weights

FEWEST_FLAGGED = 11  # patients with an event among the flagged: with fewer, a net benefit says nothing
LOWER, UPPER, POINTS = 0.05, 0.5, 19  # where the outcome declares no range


def thresholds(lower: float = LOWER, upper: float = UPPER, points: int = POINTS) -> Floats:
    """Return the thresholds of a range, both ends included, shape (points,)."""
    return np.linspace(lower, upper, points)


def decision_curve(
    parts: Sequence[Part], at: Floats, smallest_cell: int, fewest_flagged: int = FEWEST_FLAGGED
) -> list[Point]:
    """Return the model's net benefit at each threshold.

    Vickers and Elkin 2006, doi 10.1177/0272989X06295361: share of true positives minus share of false positives times the
    odds of the threshold. With times, the true positives are the flagged times the Aalen-Johansen risk among the flagged
    (Vickers 2008, doi 10.1186/1472-6947-8-53): censoring need only be independent of the outcome among them. A threshold
    where fewer than `smallest_cell` or `fewest_flagged` patients with an event are flagged, or some but fewer than
    `smallest_cell` are left unflagged, has no value.
    """
    rows = pooled(parts)
    fewest = max(fewest_flagged, smallest_cell)
    points = []
    for threshold in at:
        flagged = rows.risk >= threshold
        with_event = distinct(rows.patient[flagged & (rows.label == 1)])
        points.append(
            _at(rows, float(threshold), flagged, smallest_cell)
            if with_event >= fewest
            else Point(float(threshold), None, None, None, None)
        )
    return points


def treat_all_curve(parts: Sequence[Part], at: Floats, smallest_cell: int) -> list[Point]:
    """Return the net benefit of treating everybody at each threshold; treating nobody has 0."""
    rows = pooled(parts)
    everybody = np.ones(len(rows.risk), dtype=np.bool_)
    return [_at(rows, float(threshold), everybody, smallest_cell) for threshold in at]


def _at(rows: Pooled, threshold: float, flagged: NDArray[np.bool_], smallest_cell: int) -> Point:
    if _too_few(rows, flagged, smallest_cell):
        return Point(threshold, None, None, None, None)
    counted, events = _flagged_events(rows, flagged)
    total, odds = float(counted.sum()), threshold / (1 - threshold)
    benefit = events - (flagged * counted - events) * odds
    net = float(benefit.sum()) / total
    error = float(np.sqrt(clustered_variance((benefit - net * counted) / total, rows.unit)))
    n = round(len(rows.risk) / rows.repeats)
    return Point(threshold, net, net - NORMAL * error, net + NORMAL * error, n)


def _flagged_events(rows: Pooled, flagged: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return how much each row counts, and how much of it is an event among the flagged, shape (n,) each.

    The weighted events of the flagged sum to their number times their Aalen-Johansen risk, as weights by the censoring
    among them do (Geskus 2011, doi 10.1111/j.1541-0420.2010.01420.x). Populations are kept apart.
    """
    if rows.time is None or rows.cause is None:
        return rows.weight, rows.weight * rows.label * flagged
    events = np.zeros_like(rows.label)
    strata = _populations(rows, flagged)[flagged]
    weight = inverse_probability_weights(rows.time[flagged], rows.cause[flagged], rows.horizon, strata)
    events[flagged] = weight * rows.label[flagged]
    return np.ones_like(rows.label), events


def _populations(rows: Pooled, flagged: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return each row's population; those with few flagged followed to the horizon are pooled, as their curve ends early."""
    if rows.population is None or rows.time is None:
        return np.zeros(len(rows.label), dtype=np.int64)
    followed = np.bincount(rows.population, flagged & (rows.time >= rows.horizon))
    return np.where(followed[rows.population] >= FEWEST, rows.population, -1)


def _too_few(rows: Pooled, flagged: NDArray[np.bool_], smallest_cell: int) -> bool:
    with_event = distinct(rows.patient[flagged & (rows.label == 1)])
    left = distinct(rows.patient[~flagged & (rows.label == 1)])
    without = distinct(rows.patient[rows.label == 0])
    return min(with_event, without) < smallest_cell or 0 < left < smallest_cell
