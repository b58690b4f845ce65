"""Expectation and maximisation of a Gaussian mixture with parsimonious covariances, from given starts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.clustering.mixture import DIAGONAL, FULL, SHARED, SHARED_DIAGONAL, SHARED_SPHERICAL, Mixture

Floats = NDArray[np.float64]

SMALLEST_VARIANCE = 1e-3  # of a unit-variance column, added to every variance
LEAST_WEIGHT = 1e-3  # patients' worth that a dying component keeps, so that its mean exists


@dataclass(frozen=True)
class Ascent:
    """Where a search for the maximum likelihood stands.

    Attributes:
        mixture: of the last maximisation.
        membership: probability of each component given each point, shape (rows, k).
        likelihood: log-likelihood of the mixture.
    """

    mixture: Mixture
    membership: Floats
    likelihood: float


def ascend(points: Floats, membership: Floats, structure: str, rounds: int, tolerance: float = 0.0) -> Ascent:
    """Climb from a membership for some rounds, or until a round gains less than `tolerance` of log-likelihood per row.

    Dempster, Laird and Rubin 1977 (doi 10.1111/j.2517-6161.1977.tb01600.x); covariances as Celeux and Govaert 1995 (doi
    10.1016/0031-3203(94)00125-6).

    Args:
        points: shape (rows, dimensions).
        membership: shape (rows, k), rows summing to 1; labels as zeros and ones will do.
        structure: of the covariances, one of STRUCTURES.
        rounds: at most; 1 or more.
        tolerance: log-likelihood per row.
    """
    before = -np.inf
    for _ in range(rounds):
        mixture = maximised(points, membership, structure)
        joint = mixture.log_joint(points)
        highest = joint.max(axis=1, keepdims=True)
        membership = np.exp(joint - highest)
        total = membership.sum(axis=1, keepdims=True)
        membership /= total
        likelihood = float((highest + np.log(total)).sum())
        if likelihood - before <= tolerance * len(points):
            break
        before = likelihood
    return Ascent(mixture, membership, likelihood)


def maximised(points: Floats, membership: Floats, structure: str) -> Mixture:
    """Return the mixture of largest expected likelihood, given memberships of shape (rows, k)."""
    worth = membership.sum(axis=0) + LEAST_WEIGHT
    means = membership.T @ points / worth[:, None]
    factors = _FACTORS[structure](points, membership, worth, means)
    return Mixture(structure, worth / worth.sum(), means, factors)


def _spherical(points: Floats, membership: Floats, worth: Floats, means: Floats) -> Floats:
    variances = _variances(points, worth, means)
    return _repeated(np.eye(points.shape[1]) / np.sqrt(variances.mean() + SMALLEST_VARIANCE), len(worth))


def _shared_diagonal(points: Floats, membership: Floats, worth: Floats, means: Floats) -> Floats:
    variances = _variances(points, worth, means)
    return _repeated(np.diag(1 / np.sqrt(variances + SMALLEST_VARIANCE)), len(worth))


def _shared(points: Floats, membership: Floats, worth: Floats, means: Floats) -> Floats:
    # Rows sum to 1, so the scatter within is that of all points less that of the means.
    within = (points.T @ points - (means * worth[:, None]).T @ means) / len(points)
    return _repeated(_factor(within), len(worth))


def _diagonal(points: Floats, membership: Floats, worth: Floats, means: Floats) -> Floats:
    variances = membership.T @ points**2 / worth[:, None] - means**2
    return np.stack([np.diag(1 / np.sqrt(row + SMALLEST_VARIANCE)) for row in np.maximum(variances, 0.0)])


def _full(points: Floats, membership: Floats, worth: Floats, means: Floats) -> Floats:
    factors = []
    for share, own, mean in zip(membership.T, worth, means, strict=True):
        away = points - mean
        factors.append(_factor((away * share[:, None]).T @ away / own))
    return np.stack(factors)


def _variances(points: Floats, worth: Floats, means: Floats) -> Floats:
    total = (points**2).sum(axis=0) - (worth[:, None] * means**2).sum(axis=0)
    return np.asarray(np.maximum(total / len(points), 0.0), dtype=np.float64)


def _factor(covariance: Floats) -> Floats:
    """Return upper triangular F with the precision F F' of a covariance to which a little is added."""
    d = len(covariance)
    sound = (covariance + covariance.T) / 2 + SMALLEST_VARIANCE * np.eye(d)
    lower = np.linalg.cholesky(sound)
    return np.asarray(np.linalg.solve(lower, np.eye(d)).T, dtype=np.float64)


def _repeated(factor: Floats, k: int) -> Floats:
    return np.repeat(factor[None], k, axis=0)


_FACTORS = {
    SHARED_SPHERICAL: _spherical,
    SHARED_DIAGONAL: _shared_diagonal,
    SHARED: _shared,
    DIAGONAL: _diagonal,
    FULL: _full,
}
