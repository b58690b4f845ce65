"""Hierarchical strata on mixed distances: branches of a tree that are large enough to be strata."""

import math
from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.clustering.distances import PARAMETERS, PreparedDistances, prepare_distances
from models.clustering.profile_clusterer import ProfileClusterer
from models.clustering.profiles import kept_strata
from models.errors import BadTarget
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LINKAGES = ("average", "complete", "weighted")
SMALLEST_SHARE = 0.05


class HierarchicalClusterer(ProfileClusterer):
    """Agglomerative strata (average linkage: Sokal and Michener 1958).

    The tree is cut at the first height, from the top, at which k branches hold `smallest_share` of the patients (and 11):
    branches of a few outlying patients, which a plain cut would call strata, go to the nearest stratum. Where no height has k
    such branches there are fewer strata, and the last columns of the memberships are 0. Nothing is random.
    """

    kind = "hierarchical"
    parameters = MappingProxyType({**PARAMETERS, "linkage": "average", "smallest_share": SMALLEST_SHARE})

    def __init__(self, k: int, seed: int, options: ClusterOptions | None = None) -> None:
        """Refuses fewer than one stratum and unknown parameters."""
        super().__init__(k, seed, options)
        chosen = {**self.parameters, **self._options.parameters}
        self._linkage, self._share = chosen["linkage"], chosen["smallest_share"]
        if self._linkage not in LINKAGES:
            raise BadTarget(
                f"The parameter linkage must be one of {', '.join(LINKAGES)}; got {self._linkage!r}."
            )
        if not isinstance(self._share, int | float) or not 0 <= self._share <= 0.5:
            raise BadTarget(f"The parameter smallest_share must be from 0 to 0.5; got {self._share!r}.")

    def prepared(self, X: pl.DataFrame) -> PreparedDistances:
        """Return the patients' distances."""
        return prepare_distances(X, self._options)

    def divide(self, prepared: PreparedDistances) -> Integers:
        """Return the strata 0, 1, ... of the prepared patients, by falling size."""
        if self._linkage not in prepared.trees:
            prepared.trees[self._linkage] = tree(prepared.matrix, self._linkage)
        smallest = max(SMALLEST_GROUP, math.ceil(self._share * len(prepared.matrix)))
        labels = branches(prepared.trees[self._linkage], self._k, smallest)
        return kept_strata(labels, -prepared.matrix, smallest)


def tree(matrix: Floats, linkage: str) -> Floats:
    """Return scipy's tree of distances of shape (rows, rows): one line per join, shape (rows - 1, 4)."""
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    return np.asarray(hierarchy.linkage(squareform(matrix, checks=False), linkage), dtype=np.float64)


def branches(joins: Floats, k: int, smallest: int) -> Integers:
    """Return a branch number per row, shape (rows,): the highest cut of the tree with k branches of `smallest` rows.

    Where there is none, the highest with the most of them.
    """
    count = len(joins) + 1
    sizes = np.concatenate([np.ones(count), joins[:, 3]])
    open_branches, large = {2 * count - 2}, 1
    best, most = set(open_branches), 1
    for step in range(count - 2, -1, -1):  # undo the joins, the last one first
        if large >= k:
            break
        left, right = (int(one) for one in joins[step, :2])
        open_branches.remove(count + step)
        open_branches |= {left, right}
        large += sum(sizes[[left, right]] >= smallest) - int(sizes[count + step] >= smallest)
        if large > most:
            best, most = set(open_branches), large
    return _members(joins, best)


def _members(joins: Floats, roots: set[int]) -> Integers:
    count = len(joins) + 1
    labels = np.full(2 * count - 1, -1, dtype=np.int64)
    for number, root in enumerate(sorted(roots)):
        labels[root] = number
    for step in range(count - 2, -1, -1):
        if labels[count + step] >= 0:
            labels[joins[step, :2].astype(np.int64)] = labels[count + step]
    return labels[:count]
