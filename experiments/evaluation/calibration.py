"""Calibration curves of aggregated points: observed against predicted risk, no point a handful of patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.influence import clustered_variance
from experiments.evaluation.intervals import bounds
from experiments.evaluation.metrics import Floats, expit, logit
from experiments.evaluation.sample import Part, Pooled, distinct, pooled
from experiments.evaluation.smooth import coefficient_influence, coefficients, grouped

POINTS = 10
SMOOTH_POINTS = 50
FEWEST_PATIENTS, FEWEST_RISKS = 10, 10
NORMAL = 1.959963984540054  # 97.5 % of the standard normal


@dataclass(frozen=True)
class Point:
    """One point of a curve, with pointwise bounds; None where it is not published."""

    x: float
    y: float | None
    lower: float | None
    upper: float | None
    n: int | None


def calibration_curve(parts: Sequence[Part], smallest_cell: int, points: int = POINTS) -> list[Point]:
    """Return weighted observed against mean predicted risk in groups of similar rank within fold.

    Rows are cut into quantile groups within each outer fold, so no fold's model is ranked against another's, and the
    groups of equal rank are pooled over folds and repeats. Neighbouring groups are joined until each has `smallest_cell`
    patients, with and without an event. Bounds are pointwise, on the logit scale, whole patients.
    """
    rows = pooled(parts)
    rank = np.concatenate([_quantile_group(part.risk, points) for part in parts])
    curve = [
        _point(rows, np.isin(rank, group))
        for group in _joined_groups(rank, rows.label, rows.patient, max(1, smallest_cell))
    ]
    return [point for point in curve if point is not None]


def smooth_curve(parts: Sequence[Part], smallest_cell: int, points: int = SMOOTH_POINTS) -> list[Point]:
    """Return observed risk as a smooth curve of the predicted one, with a pointwise band; see `smooth`.

    The curve spans the risks that leave one in a hundred rows, and `smallest_cell` patients, on either side. The band is
    on the logit scale, whole patients. No curve with fewer than 10 patients (or `smallest_cell`) with or without an event,
    or with fewer than 10 different risks in every fold, as of a base rate: what then differs between folds is how the
    training rows' rate runs against the tested ones'.
    """
    if max((len(np.unique(part.risk)) for part in parts), default=0) < FEWEST_RISKS:
        return []
    rows = pooled(parts)
    seen = rows.weight > 0
    smallest = max(FEWEST_PATIENTS, smallest_cell)
    groups = grouped(rows.risk)
    if groups is None or len(groups.risk) < FEWEST_RISKS:
        return []
    if not _large_enough(seen, rows.label, rows.patient, smallest):
        return []
    found = coefficients(groups, rows.label, rows.weight)
    if not np.isfinite(found).all():
        return []
    moved = coefficient_influence(groups, rows.label, rows.weight, found)
    by_unit = np.stack([np.bincount(rows.unit, column) for column in moved.T], axis=1)
    edge = min(0.25, max(0.01, smallest_cell / distinct(rows.patient)))
    low, high = logit(np.quantile(rows.risk, [edge, 1 - edge]))
    at = expit(np.linspace(low, high, points))
    columns = groups.columns(at)
    middle, half = columns @ found, NORMAL * np.linalg.norm(by_unit @ columns.T, axis=0)
    drawn = zip(at, expit(middle), expit(middle - half), expit(middle + half), strict=True)
    return [Point(float(x), float(y), float(lower), float(upper), None) for x, y, lower, upper in drawn]


def _point(rows: Pooled, chosen: NDArray[np.bool_]) -> Point | None:
    label, weight, unit = rows.label[chosen], rows.weight[chosen], rows.unit[chosen]
    total = float(weight.sum())
    if total <= 0:
        return None
    observed = float(weight @ label) / total
    error = float(np.sqrt(clustered_variance(weight * (label - observed) / total, unit)))
    lower, upper = bounds(observed, error, NORMAL, "logit")
    predicted = float(weight @ rows.risk[chosen]) / total
    return Point(predicted, observed, lower, upper, round(len(label) / rows.repeats))


def _quantile_group(risk: Floats, points: int) -> NDArray[np.int64]:
    """Return each row's group by the mid-rank of its risk, so that equal risks share a group."""
    _, place, counts = np.unique(risk, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.minimum((middle[place] / len(risk) * points).astype(np.int64), points - 1)


def _joined_groups(
    rank: NDArray[np.int64], label: Floats, patient: NDArray[np.int64], smallest_cell: int
) -> list[list[int]]:
    """Return runs of neighbouring groups, each with enough patients with and without an event; none if all too few."""
    runs: list[list[int]] = []
    current: list[int] = []
    for group in np.unique(rank):
        current.append(int(group))
        if _large_enough(np.isin(rank, current), label, patient, smallest_cell):
            runs.append(current)
            current = []
    if current and runs:
        runs[-1] += current
    return runs


def _large_enough(
    rows: NDArray[np.bool_], label: Floats, patient: NDArray[np.int64], smallest_cell: int
) -> bool:
    return all(distinct(patient[rows & (label == value)]) >= smallest_cell for value in (0, 1))
