"""Weighted measures of discrimination, accuracy and calibration, for one set of weights or many at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Measure = Callable[[Floats, Floats, Floats], Floats]

LOGIT_CLIP = 1e-6  # a risk of exactly 0 or 1 has no logit
NEWTON_STEPS = 50


def logit(risk: Floats) -> Floats:
    """Return the log-odds of risks, clipped to [1e-6, 1 - 1e-6]."""
    inside = np.clip(risk, LOGIT_CLIP, 1 - LOGIT_CLIP)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float64)


def expit(value: Floats) -> Floats:
    """Return the risk of log-odds."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * value)), dtype=np.float64)


def auroc(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return the weighted area under the ROC curve; ties count half.

    The Mann-Whitney statistic with the product of the weights of each pair (Uno 2007, doi 10.1198/016214507000000149,
    for cumulative cases and dynamic controls), in O(n log n).

    Args:
        label: shape (n,), 0 or 1.
        risk: shape (n,).
        weight: shape (..., n); each leading index is one weighting, as of a bootstrap resample.

    Returns:
        Shape (...,); NaN where events or non-events have no weight.
    """
    order, starts = _ranked(risk)
    w = weight[..., order]
    events = np.add.reduceat(w * label[order], starts, axis=-1)
    others = np.add.reduceat(w * (1 - label[order]), starts, axis=-1)
    below = np.cumsum(others, axis=-1) - others / 2
    return _ratio((events * below).sum(axis=-1), events.sum(axis=-1) * others.sum(axis=-1))


def average_precision(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return the weighted average precision: precision at each distinct risk, weighted by the recall gained there.

    Shapes as in `auroc`; NaN where events have no weight.
    """
    order, starts = _ranked(-risk)
    w = weight[..., order]
    gained = np.add.reduceat(w * label[order], starts, axis=-1)
    flagged = np.cumsum(np.add.reduceat(w, starts, axis=-1), axis=-1)
    precision = np.divide(np.cumsum(gained, axis=-1), flagged, out=np.zeros_like(flagged), where=flagged > 0)
    return _ratio((gained * precision).sum(axis=-1), gained.sum(axis=-1))


def brier(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return the weighted mean squared error of the risk (Gerds and Schumacher 2006, doi 10.1002/bimj.200610301)."""
    return _ratio(weight @ (label - risk) ** 2, weight.sum(axis=-1))


def brier_skill(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return the index of prediction accuracy: 1 - Brier / Brier of the evaluated rows' own event share.

    Kattan and Gerds 2018, doi 10.1186/s41512-018-0029-2. NaN where there is one class.
    """
    share = _ratio(weight @ label, weight.sum(axis=-1))
    return 1 - _ratio(brier(label, risk, weight), share * (1 - share))


def observed_to_expected(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return the weighted number of events over the weighted sum of risks; NaN without events."""
    observed = weight @ label
    return np.where(observed > 0, _ratio(observed, weight @ risk), np.nan)


def calibration_intercept(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return calibration in the large: the intercept of a logistic model with the logit of the risk as offset.

    Cox 1958; Van Calster 2016, doi 10.1016/j.jclinepi.2015.12.005. Shapes as in `auroc`; NaN with one class.
    """
    offset = logit(risk)
    intercept = np.zeros(weight.shape[:-1], dtype=np.float64)
    possible = _two_classes(label, weight)
    for _ in range(NEWTON_STEPS):
        fitted = expit(intercept[..., None] + offset)
        gradient = (weight * (label - fitted)).sum(axis=-1)
        step = _ratio(gradient, (weight * fitted * (1 - fitted)).sum(axis=-1))
        step = np.where(possible, np.clip(np.nan_to_num(step), -2, 2), 0)
        intercept = intercept + step
        if np.abs(step).max(initial=0) < 1e-10:
            break
    return np.where(possible, intercept, np.nan)


def calibration_slope(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return the slope of a logistic model of the label on the logit of the risk (Cox 1958).

    Shapes as in `auroc`; NaN with one class, with a single risk, or where the risks separate the classes.
    """
    return recalibration(label, risk, weight)[..., 1]


def recalibration(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return intercept and slope of the logistic recalibration, shape (..., 2); NaN where there is none."""
    value = logit(risk)
    total = weight.sum(axis=-1)
    centre = np.nan_to_num(_ratio(weight @ value, total))
    spread = np.nan_to_num(_ratio(weight @ value**2, total)) - centre**2
    possible = _overlapping(label, value, weight) & (spread > 1e-12)
    found = np.zeros((*weight.shape[:-1], 2), dtype=np.float64)
    moved = np.full(weight.shape[:-1], np.inf)
    for _ in range(NEWTON_STEPS):
        step = np.where(possible[..., None], _newton_step(found, label, value, weight), 0)
        found = found + step
        moved = np.abs(step).max(axis=-1)
        if moved.max(initial=0) < 1e-10:
            break
    good = possible & (moved < 1e-6)
    return np.where(good[..., None], found, np.nan)


def _newton_step(found: Floats, label: Floats, value: Floats, weight: Floats) -> Floats:
    fitted = expit(found[..., :1] + found[..., 1:] * value)
    rest, curve = weight * (label - fitted), weight * fitted * (1 - fitted)
    first, second = rest.sum(axis=-1), rest @ value
    a, b, c = curve.sum(axis=-1), curve @ value, curve @ value**2
    determinant = a * c - b * b
    step = np.stack(
        [_ratio(c * first - b * second, determinant), _ratio(a * second - b * first, determinant)], -1
    )
    size = np.abs(step).max(axis=-1, keepdims=True)
    shrunk = step * np.minimum(1, np.divide(3.0, size, out=np.ones_like(size), where=size > 0))
    return np.asarray(np.nan_to_num(shrunk), dtype=np.float64)


def _two_classes(label: Floats, weight: Floats) -> NDArray[np.bool_]:
    return np.asarray((weight @ label > 0) & (weight @ (1 - label) > 0))


def _overlapping(label: Floats, value: Floats, weight: Floats) -> NDArray[np.bool_]:
    """Return whether some non-event lies above some event and the other way round: else no finite slope exists.

    Albert and Anderson 1984, doi 10.1093/biomet/71.1.1.
    """
    events, others = weight * label > 0, weight * (1 - label) > 0
    lowest_event = np.where(events, value, np.inf).min(axis=-1)
    highest_event = np.where(events, value, -np.inf).max(axis=-1)
    lowest_other = np.where(others, value, np.inf).min(axis=-1)
    highest_other = np.where(others, value, -np.inf).max(axis=-1)
    return np.asarray((lowest_event < highest_other) & (lowest_other < highest_event))


def _ranked(risk: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of increasing risk and where each distinct risk begins in it."""
    order = np.argsort(risk, kind="stable")
    ordered = risk[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return order, starts


def _ratio(above: Floats, below: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan), dtype=np.float64)


MEASURES: dict[str, Measure] = {
    "auroc": auroc,
    "average_precision": average_precision,
    "brier": brier,
    "brier_skill": brier_skill,
    "calibration_intercept": calibration_intercept,
    "calibration_slope": calibration_slope,
    "observed_to_expected": observed_to_expected,
}
