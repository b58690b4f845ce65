"""Gaussian mixture with parsimonious covariances on the points of a representation."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.clustering.expectation_maximisation import Ascent, ascend
from models.clustering.mixture import SHARED, SHARED_SPHERICAL, STRUCTURES, Mixture
from models.clustering.points_clusterer import PointsClusterer
from models.clustering.starts import partitions
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]

FIRST_ROUNDS, MOST_ROUNDS = 8, 200
SETTLED = 1e-6  # log-likelihood per row
KEPT = 2  # starts that are followed to the end


class GaussianMixtureClusterer(PointsClusterer):
    """Strata as components of a Gaussian mixture (Fraley and Raftery 2002, doi 10.1198/016214502760047131).

    Five structures of the covariances are tried, from one variance to a covariance of each component; the smallest BIC is
    kept, among those whose components hold 11 patients or more. Every start is followed for a few rounds with a shared
    covariance and with one variance, the best ones to the end in every structure.

    Where the study weighs modalities there is one variance alone: any other covariance would undo the weights.
    """

    KIND: ClassVar[str] = "gaussian_mixture"
    TITLE: ClassVar[str] = "A Gaussian mixture"

    def _divide(self, points: Floats) -> Mixture:
        # One thread: the sums are then the same on every machine, and small ones ten times faster.
        with threadpool_limits(limits=1):
            return fit_mixture(points, self._k, self._seed, metric=bool(self._options.weights))


def fit_mixture(points: Floats, k: int, seed: int, *, metric: bool = False) -> Mixture:
    """Return the mixture of k components with the smallest BIC over structures and starts, for points of shape (rows, d).

    Args:
        points: shape (rows, d).
        k: number of components.
        seed: of the starts.
        metric: distances between points mean what they say, so that there is one variance in every direction.
    """
    structures = (SHARED_SPHERICAL,) if metric else STRUCTURES
    if k == 1:
        found = [ascend(points, np.ones((len(points), 1)), structure, 1) for structure in structures]
        return _best(found, points)
    starts = [_one_hot(label, k) for label in partitions(points, k, seed, metric=metric)]
    kept: list[Floats] = []
    for structure in structures[:1] if metric else (SHARED_SPHERICAL, SHARED):
        climbs = [ascend(points, start, structure, FIRST_ROUNDS) for start in starts]
        climbs.sort(key=lambda climb: -climb.likelihood)
        kept += [climb.membership for climb in climbs[:KEPT]]
    return _best(
        [
            ascend(points, start, structure, MOST_ROUNDS, SETTLED)
            for structure in structures
            for start in kept
        ],
        points,
    )


def _best(found: list[Ascent], points: Floats) -> Mixture:
    def rank(climb: Ascent) -> tuple[bool, float]:
        sizes = np.bincount(climb.membership.argmax(axis=1), minlength=climb.membership.shape[1])
        parameters = climb.mixture.free_parameters()
        return bool(sizes.min() < SMALLEST_GROUP), -2 * climb.likelihood + parameters * np.log(len(points))

    return min(found, key=rank).mixture


def _one_hot(label: NDArray[np.integer[Any]], k: int) -> Floats:
    return np.asarray(np.eye(k)[label], dtype=np.float64)
