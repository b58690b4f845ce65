"""Smooth calibration: observed risk as a curve of the predicted one, and how far the two lie apart.

The label is regressed on a natural cubic spline of the logit of the risk, with four knots at quantiles of the risk (Harrell
2015, Regression Modeling Strategies, section 2.4.5), by logistic regression with the censoring weights. ICI, E50 and E90 are
the mean, median and 90th percentile of |observed - predicted| (Austin, Harrell and van Klaveren 2020, doi
10.1002/sim.8570, who smooth by a model of the hazard). With few events the curve follows chance, and the three are too high:
a well calibrated model does not reach 0.

Risks are first gathered into up to 200 groups of equal size, so that a bootstrap costs little; fewer distinct risks stay as
they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import Floats, expit, logit

GROUPS = 200
KNOTS = (0.05, 0.35, 0.65, 0.95)
STEPS = 40
ERRORS = ("ici", "e50", "e90")
QUANTILE_ERRORS = ("e50", "e90")


@dataclass(frozen=True)
class Grouped:
    """The predicted risks in groups, with the spline's columns at each.

    Attributes:
        risk: shape (groups,), the mean risk of each.
        place: shape (n,), each row's group.
        order: shape (n,), rows by group; `starts` where each group begins in it.
        knots: on the logit scale, in increasing order; none where the curve is a straight line.
        middle, spread: location and scale of the logit.
        design: shape (groups, columns).
    """

    risk: Floats
    place: NDArray[np.int64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    knots: Floats
    middle: float
    spread: float
    design: Floats

    def columns(self, risk: Floats) -> Floats:
        """Return the spline's columns at other risks, shape (m, columns)."""
        return spline_columns((logit(risk) - self.middle) / self.spread, self.knots)

    def sums(self, weight: Floats) -> Floats:
        """Return the sum of weights in each group, shape (..., groups)."""
        return np.asarray(np.add.reduceat(weight[..., self.order], self.starts, axis=-1), dtype=np.float64)


def grouped(risk: Floats) -> Grouped | None:
    """Gather risks of shape (n,) into groups of similar size, equal ones together; None where all are the same."""
    _, place, counts = np.unique(risk, return_inverse=True, return_counts=True)
    if len(counts) > GROUPS:
        slot = ((np.cumsum(counts) - counts / 2) / len(risk) * GROUPS).astype(np.int64)
        place = np.unique(slot, return_inverse=True)[1][place]
    sizes = np.bincount(place)
    means = np.bincount(place, risk) / sizes
    order, starts = np.argsort(place, kind="stable"), np.cumsum(sizes) - sizes
    value = logit(risk)
    middle, spread = float(value.mean()), float(value.std())
    if spread < 1e-9:
        return None
    knots = np.unique(np.quantile((value - middle) / spread, KNOTS))
    knots = knots if len(knots) > 2 else knots[:0]
    design = spline_columns((logit(means) - middle) / spread, knots)
    return Grouped(means, place, order, starts, knots, middle, spread, design)


def coefficients(groups: Grouped, label: Floats, weight: Floats) -> Floats:
    """Return the curve's coefficients, shape (..., columns); NaN where there is none, as with one class.

    Args:
        groups: the gathered risks.
        label: shape (n,), 0 or 1.
        weight: shape (..., n).
    """
    total, events = groups.sums(weight), groups.sums(weight * label)
    design = groups.design
    pairs = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    columns = design.shape[1]
    found = np.zeros((*weight.shape[:-1], columns), dtype=np.float64)
    possible = (events.sum(axis=-1) > 0) & ((total - events).sum(axis=-1) > 0)
    moved = np.full(weight.shape[:-1], np.inf)
    ridge = 1e-8 * np.eye(columns) * np.maximum(total.sum(axis=-1), 1.0)[..., None, None]
    for _ in range(STEPS):
        fitted = expit(found @ design.T)
        gradient = (events - total * fitted) @ design
        curvature = ((total * fitted * (1 - fitted)) @ pairs).reshape(*found.shape, columns)
        step = np.linalg.solve(curvature + ridge, gradient[..., None])[..., 0]
        size = np.abs(step).max(axis=-1, keepdims=True)
        step = np.where(possible[..., None], step * np.minimum(1, 4 / np.maximum(size, 4e-300)), 0)
        found = found + step
        moved = np.abs(step).max(axis=-1)
        if moved.max(initial=0) < 1e-9:
            break
    good = possible & (moved < 1e-5) & (np.abs(found).max(axis=-1) < 50)
    return np.where(good[..., None], found, np.nan)


def coefficient_influence(groups: Grouped, label: Floats, weight: Floats, found: Floats) -> Floats:
    """Return each row's influence on the coefficients, shape (n, columns): the sandwich's terms."""
    design = groups.design[groups.place]
    fitted = expit(design @ found)
    information = (design * (weight * fitted * (1 - fitted))[:, None]).T @ design
    scores = design * (weight * (label - fitted))[:, None]
    return np.asarray(np.linalg.solve(information, scores.T).T, dtype=np.float64)


def calibration_errors(label: Floats, risk: Floats, weight: Floats) -> dict[str, Floats]:
    """Return ICI, E50 and E90: mean, median and 90th percentile of |observed - predicted| along the curve.

    Shapes as in `auroc`; NaN with one class or one risk for all.
    """
    groups = grouped(risk)
    if groups is None:
        return {name: np.full(weight.shape[:-1], np.nan) for name in ERRORS}
    fitted = expit(coefficients(groups, label, weight) @ groups.design.T)
    gap, total = np.abs(fitted - groups.risk), groups.sums(weight)
    order = np.argsort(gap, axis=-1, kind="stable")
    ordered = np.take_along_axis(gap, order, axis=-1)
    reached = np.cumsum(np.take_along_axis(total, order, axis=-1), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.asarray((gap * total).sum(axis=-1) / reached[..., -1], dtype=np.float64)
    return {"ici": mean, "e50": _at_share(ordered, reached, 0.5), "e90": _at_share(ordered, reached, 0.9)}


def ici_influence(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return each row's influence on the ICI, shape (n,): through the mean and through the curve itself."""
    groups = grouped(risk)
    if groups is None:
        return np.full(len(risk), np.nan)
    found = coefficients(groups, label, weight)
    fitted = expit(groups.design @ found)
    gap, total = fitted - groups.risk, groups.sums(weight)
    mean = float(np.abs(gap) @ total / total.sum())
    slope = (np.sign(gap) * fitted * (1 - fitted) * total) @ groups.design / total.sum()
    own = weight * (np.abs(gap)[groups.place] - mean) / total.sum()
    return np.asarray(own + coefficient_influence(groups, label, weight, found) @ slope, dtype=np.float64)


def _at_share(ordered: Floats, reached: Floats, share: float) -> Floats:
    """Return the smallest value at which the cumulated weight reaches a share of the whole, shape (...,)."""
    first = (reached >= share * reached[..., -1:] * (1 - 1e-12)).argmax(axis=-1)
    return np.asarray(np.take_along_axis(ordered, first[..., None], axis=-1)[..., 0], dtype=np.float64)


def spline_columns(value: Floats, knots: Floats) -> Floats:
    """Return 1, the value and its restricted cubic terms, shape (m, 2 + max(0, knots - 2))."""
    columns = [np.ones_like(value), value]
    if len(knots) > 2:
        last, before = knots[-1], knots[-2]
        scale = (last - knots[0]) ** 2
        end, near = np.maximum(value - last, 0) ** 3, np.maximum(value - before, 0) ** 3
        for knot in knots[:-2]:
            term = np.maximum(value - knot, 0) ** 3
            term = term - near * (last - knot) / (last - before) + end * (before - knot) / (last - before)
            columns.append(term / scale)
    return np.stack(columns, axis=-1)
