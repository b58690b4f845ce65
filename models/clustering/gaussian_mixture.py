"""Gaussian mixture with parsimonious covariances on the points of a representation."""

from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from models.clustering.expectation_maximisation import Ascent, ascend, ascend_all
from models.clustering.mixture import SHARED, SHARED_DIAGONAL, SHARED_SPHERICAL, STRUCTURES, Mixture
from models.clustering.points_clusterer import PointsClusterer
from models.clustering.representation import Prepared
from models.clustering.starts import Views, partitions
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]

FIRST_ROUNDS, MORE_ROUNDS, MOST_ROUNDS = 8, 12, 150
SETTLED = 1e-5  # log-likelihood per row
KEPT = 2  # starts that are followed in every structure, and structures that are followed to the end


class GaussianMixtureClusterer(PointsClusterer):
    """Strata as components of a Gaussian mixture (Fraley and Raftery 2002, doi 10.1198/016214502760047131).

    Five structures of the covariances are tried, from one variance to a covariance of each component; the smallest BIC is
    kept, among those whose components hold 11 patients or more. Every start is followed for a few rounds with a shared
    covariance and with one variance, the best ones in every structure, the two best structures to the end.

    Where the study weighs modalities there is one variance alone: any other covariance would undo the weights.
    """

    KIND: ClassVar[str] = "gaussian_mixture"
    TITLE: ClassVar[str] = "A Gaussian mixture"

    def _divide(self, prepared: Prepared) -> Mixture:
        # One thread: the sums are then the same on every machine, and small ones ten times faster.
        with _libraries().limit(limits=1):
            return fit_mixture(
                prepared.points,
                self._k,
                self._seed,
                metric=bool(self._options.weights),
                rotated=prepared.representation.rotated,
                views=prepared.views,
            )


@cache
def _libraries() -> ThreadpoolController:
    return (
        ThreadpoolController()
    )  # a look through all that is loaded takes milliseconds, and numpy's products are all that is used


def fit_mixture(
    points: Floats,
    k: int,
    seed: int,
    *,
    metric: bool = False,
    rotated: bool = False,
    views: Views | None = None,
) -> Mixture:
    """Return the mixture of k components with the smallest BIC over structures and starts, for points of shape (rows, d).

    Args:
        points: shape (rows, d).
        k: number of components.
        seed: of the starts.
        metric: distances between points mean what they say, so that there is one variance in every direction.
        rotated: the dimensions were fitted to the points (Mixture.rotated). Principal components have a diagonal covariance by
            construction, and strata that share a covariance then hardly ever have one: a shared diagonal is not tried.
        views: of the same points, where another number of components has looked at them already.
    """
    structures: tuple[str, ...] = (SHARED_SPHERICAL,) if metric else STRUCTURES
    if rotated:
        structures = tuple(one for one in structures if one != SHARED_DIAGONAL)
    if k == 1:
        found = [ascend(points, np.ones((len(points), 1)), structure, 1) for structure in structures]
    else:
        kept = _promising(views or Views(points), k, seed, metric=metric)
        tried = []
        for structure in structures:
            climbs = ascend_all(points, kept, structure, MORE_ROUNDS)
            tried.append(max(climbs, key=lambda climb: climb.likelihood))
        tried.sort(key=lambda climb: _rank(climb, points, rotated=rotated))
        found = [
            ascend(points, climb.membership, climb.mixture.structure, MOST_ROUNDS, SETTLED)
            for climb in tried[:KEPT]
        ]
    best = min(found, key=lambda climb: _rank(climb, points, rotated=rotated))
    return replace(best.mixture, rotated=rotated)


def _promising(views: Views, k: int, seed: int, *, metric: bool) -> list[Floats]:
    """Return the memberships, shape (rows, k), of the starts that rise highest in a few rounds."""
    starts = [_one_hot(label, k) for label in partitions(views, k, seed, metric=metric)]
    kept: list[Floats] = []
    for structure in (SHARED_SPHERICAL,) if metric else (SHARED_SPHERICAL, SHARED):
        climbs = ascend_all(views.points, starts, structure, FIRST_ROUNDS)
        climbs.sort(key=lambda climb: -climb.likelihood)
        kept += [climb.membership for climb in climbs[:KEPT]]
    return kept


def _rank(climb: Ascent, points: Floats, *, rotated: bool) -> tuple[bool, float]:
    """Return what sorts mixtures: whether a component holds fewer than 11 patients, then the BIC."""
    sizes = np.bincount(climb.membership.argmax(axis=1), minlength=climb.membership.shape[1])
    parameters = replace(climb.mixture, rotated=rotated).free_parameters()
    return bool(sizes.min() < SMALLEST_GROUP), -2 * climb.likelihood + parameters * np.log(len(points))


def _one_hot(label: NDArray[np.integer[Any]], k: int) -> Floats:
    return np.asarray(np.eye(k)[label], dtype=np.float64)
