"""Kaplan-Meier of the censoring time, and the weights that follow from it."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def censoring_survival(time: Floats, cause: NDArray[np.int64], at: Floats) -> Floats:
    """Return G(t-), the probability of being uncensored just before each time of `at`.

    Ties: an event at the same time as a censoring comes first, so those with an event leave the risk set of the
    censoring distribution before it (Graf 1999; Gerds and Schumacher 2006, doi 10.1002/bimj.200610301).

    Args:
        time: shape (n,), days to event or censoring.
        cause: shape (n,), 0 for censored.
        at: shape (m,), days.

    Returns:
        Shape (m,), in [0, 1].
    """
    points, place = np.unique(time, return_inverse=True)
    censored = np.bincount(place, weights=(cause == 0).astype(np.float64), minlength=len(points))
    events = np.bincount(place, weights=(cause != 0).astype(np.float64), minlength=len(points))
    leaving = censored + events
    at_risk = len(time) - np.concatenate([[0.0], np.cumsum(leaving)[:-1]]) - events
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(censored > 0, 1.0 - censored / at_risk, 1.0)
    survival = np.concatenate([[1.0], np.cumprod(steps)])
    return np.asarray(survival[np.searchsorted(points, at, side="left")], dtype=np.float64)


def inverse_probability_weights(
    time: Floats, cause: NDArray[np.int64], horizon: float, strata: NDArray[np.generic] | None = None
) -> Floats:
    """Return the weight of each row's status at the horizon, shape (n,).

    1/G(min(T, horizon)-) where the status is known (any event by the horizon, competing ones included, or still
    followed after it), 0 where censored before it. G is estimated within each stratum where `strata` is given.
    """
    weights = np.zeros(len(time), dtype=np.float64)
    groups = (
        np.zeros(len(time), dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    )
    # A censoring exactly at the horizon counts as followed through it.
    known = (cause != 0) | (time >= horizon)
    for group in np.unique(groups):
        rows = groups == group
        survival = censoring_survival(time[rows], cause[rows], np.minimum(time[rows], horizon))
        with np.errstate(divide="ignore"):
            weights[rows] = np.where(known[rows], 1.0 / survival, 0.0)
    return weights


def attendance_weights(known: NDArray[np.bool_], strata: NDArray[np.generic] | None = None) -> Floats:
    """Return 1 / share known in the row's stratum where a label is known, else 0, shape (n,).

    Inverse probability of attendance within strata (Robins, Rotnitzky and Zhao 1995, doi 10.2307/2291134).
    """
    groups = (
        np.zeros(len(known), dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    )
    share = np.bincount(groups, weights=known.astype(np.float64)) / np.bincount(groups)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(known, 1.0 / share[groups], 0.0), dtype=np.float64)
