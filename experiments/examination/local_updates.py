"""Recalibration of one centre's risks on some of its patients, for many draws at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.evaluation.metrics import (
    LOGIT_CLIP,
    NEWTON_STEPS,
    Floats,
    calibration_intercept,
    expit,
    logit,
    recalibration,
)
from experiments.evaluation.sample import Part

EXACT, SHRUNK, SLOPE = "intercept", "shrunk intercept", "intercept and slope"
METHODS = (EXACT, SHRUNK, SLOPE)
HALF = -1  # stands for: all of the half that updates are made on


@dataclass(frozen=True)
class CentreErrors:
    """Errors among one centre's other patients, after an update.

    Attributes:
        local: the half of its patients that updates are made on.
        absolute_log_oe: |log observed over expected| by method and number of local patients, shape (draws,).
        log_loss: mean weighted log loss, the same.
    """

    local: int
    absolute_log_oe: dict[tuple[str, int], Floats]
    log_loss: dict[tuple[str, int], Floats]


def centre_errors(
    centre: Part, patients: Sequence[int], draws: int, between: float, seed: int
) -> CentreErrors:
    """Return the errors of updates on k local patients, judged on the other half of the centre's patients.

    In each draw the centre's patients are cut into halves at random; the first k of one half, patients whole, give the
    update, and all of the other judge it: so every k is judged by the same patients.

    Args:
        centre: its rows with the risks of a model that saw none of them.
        patients: the numbers k; those above half of the centre's patients play no part.
        draws: how often it is cut.
        between: the variance of calibration in the large between other centres, of the shrunk update.
        seed: of the draws.
    """
    people, place = np.unique(centre.patient, return_inverse=True)
    half = len(people) // 2
    rank = np.argsort(np.random.default_rng(seed).random((draws, len(people))), axis=1).argsort(axis=1)
    judge = np.where(rank[:, place] >= half, centre.weight, 0.0)
    value = logit(centre.risk)
    losses, ratios = {}, {}
    for many in [*(k for k in patients if k <= half), HALF]:
        drawn = np.where(rank[:, place] < (half if many == HALF else many), centre.weight, 0.0)
        for method, (intercept, slope) in updates(centre, drawn, between).items():
            risk = expit(intercept[:, None] + slope[:, None] * value)
            ratios[method, many] = _absolute_log_oe(centre.label, risk, judge)
            losses[method, many] = _log_loss(centre.label, risk, judge)
    return CentreErrors(half, ratios, losses)


def updates(centre: Part, weight: Floats, between: float) -> dict[str, tuple[Floats, Floats]]:
    """Return intercept and slope of each method's update, shape (draws,) each.

    Where no event, or no patient without one, was drawn, there is no exact intercept and none is added; where a slope is
    not estimable the exact intercept alone is used.

    Args:
        centre: the centre's rows.
        weight: shape (draws, rows), 0 for rows that are not drawn.
        between: variance of the normal distribution that the shrunk intercept is drawn to, around 0.
    """
    used = np.flatnonzero((weight > 0).any(axis=0))
    ones, none = np.ones(len(weight), dtype=np.float64), np.zeros(len(weight), dtype=np.float64)
    if not len(used):
        return dict.fromkeys(METHODS, (none, ones))
    label, risk, own = centre.label[used], centre.risk[used], weight[:, used]
    exact = np.nan_to_num(calibration_intercept(label, risk, own))
    both = recalibration(label, risk, own)
    found = np.isfinite(both[:, 0])
    return {
        EXACT: (exact, ones),
        SHRUNK: (shrunk_intercept(label, risk, own, between), ones),
        SLOPE: (np.where(found, both[:, 0], exact), np.where(found, both[:, 1], 1.0)),
    }


def shrunk_intercept(label: Floats, risk: Floats, weight: Floats, between: float) -> Floats:
    """Return the mode of an intercept that is normal with mean 0 and variance `between` over centres, shape (draws,).

    Empirical Bayes: centres whose patients say little keep the model's own risk (Steyerberg 2004, doi 10.1002/sim.1844,
    for shrunken updates). 0 where centres do not differ.
    """
    if between <= 0:
        return np.zeros(len(weight), dtype=np.float64)
    offset = logit(risk)
    found = np.zeros(len(weight), dtype=np.float64)
    for _ in range(NEWTON_STEPS):
        fitted = expit(found[:, None] + offset)
        gradient = (weight * (label - fitted)).sum(axis=1) - found / between
        curvature = (weight * fitted * (1 - fitted)).sum(axis=1) + 1 / between
        step = np.clip(gradient / curvature, -2, 2)
        found = found + step
        if np.abs(step).max(initial=0) < 1e-10:
            break
    return found


def _absolute_log_oe(label: Floats, risk: Floats, weight: Floats) -> Floats:
    observed, expected = weight @ label, (weight * risk).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((observed > 0) & (expected > 0), observed / expected, np.nan)
    return np.asarray(np.abs(np.log(ratio)), dtype=np.float64)


def _log_loss(label: Floats, risk: Floats, weight: Floats) -> Floats:
    inside = np.clip(risk, LOGIT_CLIP, 1 - LOGIT_CLIP)
    loss = -np.where(label == 1, np.log(inside), np.log1p(-inside))
    total = weight.sum(axis=1)
    found: Floats = np.divide(
        (weight * loss).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0
    )
    return found
