"""How much each row moves a measure: variances that keep a patient's rows together, without resampling.

The infinitesimal jackknife (Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6): the variance
of a weighted statistic is the sum over patients of the squared sum of w_k * d statistic / d w_k. For the AUROC it is DeLong's
variance (DeLong 1988, doi 10.2307/2531595), clustered as in Obuchowski 1997 (doi 10.2307/2533958).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import (
    Floats,
    auroc,
    average_precision,
    brier,
    calibration_intercept,
    expit,
    logit,
    recalibration,
)

Influence = Callable[[Floats, Floats, Floats], Floats]


def auroc_influence(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return each row's influence on the AUROC, shape (n,), with DeLong's small-sample factor of each class."""
    place = np.unique(risk, return_inverse=True)[1]
    events, others = weight * label, weight * (1 - label)
    events_here, others_here = np.bincount(place, events), np.bincount(place, others)
    others_below = (np.cumsum(others_here) - others_here / 2)[place] / others.sum()
    events_above = (events.sum() - np.cumsum(events_here) + events_here / 2)[place] / events.sum()
    area = float(auroc(label, risk, weight))
    of_events = _class_factor(events) * events * (others_below - area) / events.sum()
    of_others = _class_factor(others) * others * (events_above - area) / others.sum()
    return np.asarray(of_events + of_others, dtype=np.float64)


def average_precision_influence(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return each row's influence on the average precision, shape (n,)."""
    place = np.unique(-risk, return_inverse=True)[1]
    gained, flagged = np.bincount(place, weight * label), np.cumsum(np.bincount(place, weight))
    total = gained.sum()
    precision = np.divide(np.cumsum(gained), flagged, out=np.zeros_like(flagged), where=flagged > 0)
    per_flagged = np.divide(gained, flagged, out=np.zeros_like(flagged), where=flagged > 0)
    # A row is flagged at its own risk and at every lower one: sum over those of gained * (label - precision) / flagged.
    from_here = np.cumsum(per_flagged[::-1])[::-1][place]
    precision_from_here = np.cumsum((per_flagged * precision)[::-1])[::-1][place]
    own = label * (precision[place] - float(average_precision(label, risk, weight)))
    return np.asarray(weight * (own + label * from_here - precision_from_here) / total, dtype=np.float64)


def brier_influence(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return each row's influence on the Brier score, shape (n,)."""
    score = float(brier(label, risk, weight))
    return np.asarray(weight * ((label - risk) ** 2 - score) / weight.sum(), dtype=np.float64)


def brier_skill_influence(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return each row's influence on the Brier skill, shape (n,)."""
    share = float(weight @ label / weight.sum())
    base = share * (1 - share)
    of_base = (1 - 2 * share) * weight * (label - share) / weight.sum()
    score = float(brier(label, risk, weight))
    return np.asarray(
        -brier_influence(label, risk, weight) / base + score / base**2 * of_base, dtype=np.float64
    )


def calibration_intercept_influence(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return each row's influence on calibration in the large, shape (n,): the sandwich's terms."""
    fitted = expit(float(calibration_intercept(label, risk, weight)) + logit(risk))
    return np.asarray(weight * (label - fitted) / (weight * fitted * (1 - fitted)).sum(), dtype=np.float64)


def calibration_slope_influence(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return each row's influence on the calibration slope, shape (n,): the sandwich's terms."""
    intercept, slope = recalibration(label, risk, weight)
    design = np.stack([np.ones_like(risk), logit(risk)], axis=1)
    fitted = expit(intercept + slope * design[:, 1])
    information = (design * (weight * fitted * (1 - fitted))[:, None]).T @ design
    scores = design * (weight * (label - fitted))[:, None]
    return np.asarray(np.linalg.solve(information, scores.T)[1], dtype=np.float64)


def observed_to_expected_influence(label: Floats, risk: Floats, weight: Floats) -> Floats:
    """Return each row's influence on observed over expected, shape (n,)."""
    observed, expected = float(weight @ label), float(weight @ risk)
    ratio = observed / expected
    return np.asarray(ratio * weight * (label / observed - risk / expected), dtype=np.float64)


def clustered_variance(influence: Floats, unit: NDArray[np.int64]) -> float:
    """Return the variance of the statistic, the rows of one patient or family (a position, 0 or above) summed first."""
    sums = np.bincount(unit, influence)
    return float(sums @ sums)


def _class_factor(weight: Floats) -> float:
    rows = int((weight > 0).sum())
    return float(np.sqrt(rows / (rows - 1))) if rows > 1 else 1.0


INFLUENCES: dict[str, Influence] = {
    "auroc": auroc_influence,
    "average_precision": average_precision_influence,
    "brier": brier_influence,
    "brier_skill": brier_skill_influence,
    "calibration_intercept": calibration_intercept_influence,
    "calibration_slope": calibration_slope_influence,
    "observed_to_expected": observed_to_expected_influence,
}
