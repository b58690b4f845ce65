"""k-means on the points of a representation, with soft membership."""

from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.clustering.contract import ClusterOptions
from models.clustering.mixture import SHARED_SPHERICAL, Mixture
from models.clustering.points_clusterer import PointsClusterer
from models.clustering.representation import Prepared
from models.errors import BadTarget

Floats = NDArray[np.float64]

STARTS, MOST_STARTS = 10, 1000
SMALLEST_VARIANCE = 1e-3  # of a unit-variance column, so that copies of one patient can be divided


class KMeansClusterer(PointsClusterer):
    """Strata around the centroids that k-means finds (Lloyd 1982, doi 10.1109/TIT.1982.1056489; started as k-means++).

    The parameter `n_init` (default 10) says from how many starts. Membership is soft: the probability of a stratum given the
    point, from a spherical Gaussian around each centroid with the variance pooled within clusters and the clusters' shares
    of the patients. A patient in the middle between a large and a small cluster thus belongs to the large one, which plain
    k-means leaves to chance.
    """

    KIND: ClassVar[str] = "k_means"
    TITLE: ClassVar[str] = "A k-means"

    def __init__(self, k: int, seed: int, options: ClusterOptions | None = None) -> None:
        super().__init__(k, seed, options)
        self._starts = starts_of(self._options)

    def bic(self, X: pl.DataFrame) -> None:
        """Return None: k-means has no likelihood."""
        self._fitted()

    def _divide(self, prepared: Prepared) -> Mixture:
        from sklearn.cluster import KMeans  # where it is used alone: it takes seconds

        points = prepared.points
        # One thread: the sums are then the same on every machine, and small ones faster.
        with threadpool_limits(limits=1):
            model: Any = KMeans(self._k, n_init=self._starts, random_state=self._seed % 2**31).fit(points)
        return spherical_mixture(points, model.labels_, self._k)


def spherical_mixture(points: Floats, label: NDArray[np.integer[Any]], k: int) -> Mixture:
    """Return spherical Gaussians around the centroids of k clusters, with their shares and pooled variance."""
    sizes = np.bincount(label, minlength=k)
    sums = np.zeros((k, points.shape[1]))
    np.add.at(sums, label, points)
    means = sums / np.maximum(sizes, 1)[:, None]
    squares = float(((points - means[label]) ** 2).sum())
    variance = max(squares / (points.shape[1] * max(len(points) - k, 1)), SMALLEST_VARIANCE)
    factors = np.broadcast_to(np.eye(points.shape[1]) / np.sqrt(variance), (k, *[points.shape[1]] * 2))
    weights = np.maximum(sizes, 0.5) / np.maximum(sizes, 0.5).sum()
    return Mixture(SHARED_SPHERICAL, weights, means, np.array(factors))


def starts_of(options: ClusterOptions) -> int:
    """Return how many starts a study asks for; raises BadTarget where that is no number of them."""
    starts = options.parameters.get("n_init", STARTS)
    if not isinstance(starts, int) or isinstance(starts, bool) or not 1 <= starts <= MOST_STARTS:
        raise BadTarget(f"n_init is {starts!r}; it is the number of starts of k-means, 1 to {MOST_STARTS}.")
    return starts
