"""Mean and covariance of values of which some are missing, and what the known ones of a row say about the others."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SMALLEST_VARIANCE = 1e-9


@dataclass(frozen=True)
class Moments:
    """Mean, shape (m,), and covariance, shape (m, m), of a Gaussian."""

    mean: Floats
    covariance: Floats

    def regression(self, known: Flags) -> tuple[Floats, Floats]:
        """Return how the missing values follow from the known ones, for one pattern `known`, shape (m,).

        Returns:
            Slopes, shape (missing, known), and the missing ones' conditional covariance, shape (missing, missing).
        """
        missing = ~known
        across = self.covariance[np.ix_(missing, known)]
        slopes = np.asarray(
            np.linalg.solve(self.covariance[np.ix_(known, known)], across.T).T, dtype=np.float64
        )
        return slopes, self.covariance[np.ix_(missing, missing)] - slopes @ across.T

    def filled(self, values: Floats) -> Floats:
        """Return values of shape (rows, m), the missing (NaN) ones replaced by their conditional mean."""
        whole = values.copy()
        for known, rows in patterns(values):
            if not known.all():
                slopes, _ = self.regression(known)
                away = values[np.ix_(rows, known)] - self.mean[known]
                whole[np.ix_(rows, ~known)] = self.mean[~known] + away @ slopes.T
        return whole


def patterns(values: Floats) -> Iterator[tuple[Flags, NDArray[np.int64]]]:
    """Yield each pattern of known values, shape (m,), with the positions of its rows."""
    known = ~np.isnan(values)
    _, first, place = np.unique(
        known @ 2 ** np.arange(known.shape[1]), return_index=True, return_inverse=True
    )
    for number, row in enumerate(first):
        yield known[row], np.flatnonzero(place == number)


def estimate_moments(
    values: Floats, weights: Floats, *, tolerance: float = 1e-7, most_rounds: int = 200
) -> Moments:
    """Return the maximum likelihood estimate of a Gaussian's moments, missing values (NaN) at random.

    Expectation and maximisation in turn (Dempster, Laird and Rubin 1977, doi 10.1111/j.2517-6161.1977.tb01600.x). Values
    that no row has together keep the covariance 0 that the search begins with.

    Args:
        values: shape (rows, m), each column known somewhere.
        weights: shape (rows,), positive.
        tolerance: largest change of a moment at which the search ends, in standard deviations.
        most_rounds: after which it ends anyway.
    """
    known = ~np.isnan(values)
    share = weights[:, None] * known
    mean = np.where(known, values, 0.0).T @ weights / share.sum(axis=0)
    spread = np.where(known, values - mean, 0.0) ** 2
    moments = Moments(mean, _sound(np.diag((spread * share).sum(axis=0) / share.sum(axis=0))))
    groups = list(patterns(values))
    for _ in range(most_rounds):
        new = _maximised(values, weights / weights.sum(), groups, moments)
        scale = np.sqrt(np.diag(new.covariance))
        change = max(
            np.abs((new.mean - moments.mean) / scale).max(),
            np.abs((new.covariance - moments.covariance) / np.outer(scale, scale)).max(),
        )
        moments = new
        if change <= tolerance or known.all():
            break
    return moments


def _maximised(
    values: Floats, share: Floats, groups: list[tuple[Flags, NDArray[np.int64]]], moments: Moments
) -> Moments:
    filled = moments.filled(values)
    mean = share @ filled
    away = filled - mean
    covariance = (away * share[:, None]).T @ away
    for known, rows in groups:
        if not known.all():
            covariance[np.ix_(~known, ~known)] += share[rows].sum() * moments.regression(known)[1]
    return Moments(mean, _sound(covariance))


def _sound(covariance: Floats) -> Floats:
    """Return the covariance with a little added to its diagonal, so that constant and copied values can be handled."""
    more = SMALLEST_VARIANCE + 1e-9 * np.diag(covariance)
    return np.asarray((covariance + covariance.T) / 2 + np.diag(more), dtype=np.float64)
