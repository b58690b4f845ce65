"""Decision curves: net benefit over the thresholds declared beforehand, for the model and for treating everybody."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.calibration import NORMAL, Point
from experiments.evaluation.influence import clustered_variance
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part

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
    return [_at(parts, float(threshold), smallest_cell, everybody=False) for threshold in at]


def treat_all_curve(parts: Sequence[Part], at: Floats, smallest_cell: int) -> list[Point]:
    """Return the net benefit of treating everybody at each threshold; treating nobody has 0."""
    return [_at(parts, float(threshold), smallest_cell, everybody=True) for threshold in at]


def _at(parts: Sequence[Part], threshold: float, smallest_cell: int, *, everybody: bool) -> Point:
    label, risk, weight = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "risk", "weight")
    )
    patient = np.concatenate([part.patient for part in parts])
    repeats = len({part.repeat for part in parts})
    flagged = np.ones(len(risk), dtype=np.bool_) if everybody else risk >= threshold
    n = round(len(risk) / repeats)
    if _too_few(flagged, label, patient, smallest_cell):
        return Point(threshold, None, None, None, None)
    total = float(weight.sum())
    odds = threshold / (1 - threshold)
    benefit = flagged * (label - (1 - label) * odds)
    net = float(weight @ benefit) / total
    error = float(np.sqrt(clustered_variance(weight * (benefit - net) / total, patient)))
    return Point(threshold, net, net - NORMAL * error, net + NORMAL * error, n)


def _too_few(
    flagged: NDArray[np.bool_], label: Floats, patient: NDArray[np.int64], smallest_cell: int
) -> bool:
    with_event = len(np.unique(patient[flagged & (label == 1)]))
    left = len(np.unique(patient[~flagged & (label == 1)]))
    return with_event < smallest_cell or 0 < left < smallest_cell
