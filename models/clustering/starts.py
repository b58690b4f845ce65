"""Partitions from which a search for strata begins."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRAWS, LLOYD_ROUNDS = 6, 8
MOST_LINKED = 500  # points of which a tree is built
SIDE_VIEWS = (1, 2, 3)  # leading separating directions that are looked at alone
PURSUED, DIRECTIONS, FIRST_ROUNDS, LAST_ROUNDS, FOLLOWED = 4, 40, 10, 30, 6
SMALLEST_SHARE = 0.05  # of the smaller of two groups
LEAST_WITHIN = 0.02  # of a unit variance


@dataclass(frozen=True)
class Views:
    """Points and what the starts of every number of strata look at, found once: separating directions and Ward's trees.

    Attributes:
        points: shape (rows, d).
    """

    points: Floats
    _trees: dict[int, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def pursued(self) -> Floats:
        """Coordinates along separating directions, shape (rows, at most 4)."""
        return separating(self.points)

    def seen(self, count: int) -> Floats:
        """Return the points, or where `count` is not 0 their coordinates along so many leading separating directions."""
        return np.ascontiguousarray(self.pursued[:, :count]) if count else self.points

    def tree(self, count: int) -> Floats:
        """Return Ward's tree of `seen(count)` as scipy's linkage."""
        if count not in self._trees:
            self._trees[count] = _linked(self.seen(count))
        return self._trees[count]


def partitions(views: Views, k: int, seed: int, *, metric: bool = False) -> Iterator[Integers]:
    """Yield labels 0..k-1 of each point, shape (rows,), from k-means and Ward's tree of points.

    Unless the distances of points are a `metric` that is to be kept, of separating directions as well.
    """
    generator = np.random.default_rng(seed)
    yield from _by_means(views.points, k, DRAWS, generator)
    yield _by_tree(views, 0, k, generator)
    if metric:
        return
    for count in SIDE_VIEWS:
        if count <= views.pursued.shape[1]:
            yield from _by_means(views.seen(count), k, 2, generator)
            yield _by_tree(views, count, k, generator)


def separating(points: Floats) -> Floats:
    """Return coordinates along directions that divide points best into two, shape (rows, at most 4), by falling gain.

    Points are brought to unit covariance. In each round the mixture of two Gaussians with a common covariance is climbed from
    many directions; the one whose log-likelihood gains most over a single Gaussian is kept, scaled to unit variance within
    the two, and the search goes on at right angles to it: projection pursuit (Huber 1985, doi 10.1214/aos/1176349519) with the
    mixture's likelihood as its index. The directions to begin from are drawn with a seed of their own: the same points give
    the same coordinates.
    """
    generator = np.random.default_rng(0)
    rest = _whitened(points)
    found = []
    for _ in range(min(PURSUED, rest.shape[1])):
        direction, within = _two_groups(rest, generator)
        along = rest @ direction
        found.append(along / np.sqrt(within))
        if rest.shape[1] == 1:
            break
        basis = np.linalg.qr(np.column_stack([direction, np.eye(len(direction))]))[0][:, 1 : len(direction)]
        rest = rest @ basis
    return np.column_stack(found)


def _two_groups(points: Floats, generator: np.random.Generator) -> tuple[Floats, float]:
    """Return the unit direction between the two groups of largest likelihood, and the variance within them along it."""
    d = points.shape[1]
    directions = generator.normal(size=(d, DIRECTIONS if d > 1 else 4))
    cuts = np.linspace(0.25, 0.75, directions.shape[1])
    directions, gains, shares, _ = _climb(points, directions, cuts, FIRST_ROUNDS)
    best = np.argsort(-gains, kind="stable")[:FOLLOWED]
    directions, gains, _, within = _climb(points, directions[:, best], 1 - shares[best], LAST_ROUNDS)
    first = int(gains.argmax())
    return directions[:, first], float(within[first])


def _climb(
    points: Floats, directions: Floats, cuts: Floats, rounds: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return unit directions, gains in log-likelihood, shares of the upper group and variances within, after some rounds.

    Points have unit covariance, so two groups of shares p and 1 - p whose means differ by m leave the variance 1 - p(1 - p)m'm
    along m and 1 across: all directions climb at once in two products of matrices.
    """
    rows = len(points)
    # Memberships are (1 + t) / 2 with t = tanh(odds / 2), of shape (directions, rows); a row of ones among the coordinates gives
    # their sums and takes the constants of the odds, so that nothing but tanh goes over them.
    extended = np.vstack([points.T, np.ones(rows)])
    sums = extended.sum(axis=1)
    half = directions.T @ points.T
    places = (cuts * rows).astype(np.int64).clip(0, rows - 1)
    signs = np.where(half > np.sort(half, axis=1)[np.arange(len(cuts)), places][:, None], 1.0, -1.0)
    for _ in range(rounds):
        upper = (signs @ extended.T + sums) / 2
        share = (upper[:, -1] / rows).clip(SMALLEST_SHARE, 1 - SMALLEST_SHARE)
        apart = upper[:, :-1] / (rows * share * (1 - share))[:, None]
        square = (apart**2).sum(axis=1) + 1e-12
        within = np.maximum(1 - share * (1 - share) * square, LEAST_WITHIN)
        constant = np.log(share / (1 - share)) - (1 - 2 * share) * square / (2 * within)
        np.matmul(np.column_stack([apart / within[:, None], constant]) / 2, extended, out=half)
        np.tanh(half, out=signs)
    # log(p N1 + q N0) = log(q N0) + log(1 + odds), and squares along a direction are `rows` in sum.
    lower = np.log1p(-share) - np.log(within) / 2 - (1 + share**2 * square) / (2 * within) + 0.5
    above = np.maximum(half, 0).sum(axis=1) * 2 + np.log1p(np.exp(-2 * np.abs(half))).sum(axis=1)
    return (apart / np.sqrt(square)[:, None]).T, rows * lower + above, share, within


def _whitened(points: Floats) -> Floats:
    away = points - points.mean(axis=0)
    variances, directions = np.linalg.eigh(away.T @ away / len(points))
    kept = variances > 1e-9 * max(float(variances[-1]), 1e-300)
    return np.asarray(away @ (directions[:, kept] / np.sqrt(variances[kept])), dtype=np.float64)


def _by_means(points: Floats, k: int, draws: int, generator: np.random.Generator) -> Iterator[Integers]:
    """Yield a few rounds of k-means from seeds drawn far apart (Arthur and Vassilvitskii 2007)."""
    from scipy.spatial.distance import cdist

    for _ in range(draws):
        chosen = [int(generator.integers(len(points)))]
        nearest = np.full(len(points), np.inf)
        for _ in range(k - 1):
            nearest = np.minimum(nearest, cdist(points, points[chosen[-1:]], "sqeuclidean")[:, 0])
            total = float(nearest.sum())
            chances = nearest / total if total > 0 else np.full(len(points), 1 / len(points))
            chosen.append(int(generator.choice(len(points), p=chances)))
        yield _lloyd(points, points[chosen])


def _by_tree(views: Views, count: int, k: int, generator: np.random.Generator) -> Integers:
    """Return a cut of Ward's tree of some points, carried to all by their centroids."""
    from scipy.cluster.hierarchy import fcluster

    points = views.seen(count)
    if len(points) > MOST_LINKED:
        some = points[np.sort(generator.choice(len(points), MOST_LINKED, replace=False))]
        tree = _linked(some)
    else:
        some, tree = points, views.tree(count)
    label = fcluster(tree, k, criterion="maxclust")
    return _lloyd(points, np.stack([some[label == number].mean(axis=0) for number in np.unique(label)]))


def _linked(points: Floats) -> Floats:
    from scipy.cluster.hierarchy import linkage

    return np.asarray(linkage(points, "ward"), dtype=np.float64)


def _lloyd(points: Floats, centroids: Floats) -> Integers:
    from scipy.spatial.distance import cdist

    label = np.full(len(points), -1)
    for _ in range(LLOYD_ROUNDS):
        before, label = label, cdist(points, centroids, "sqeuclidean").argmin(axis=1)
        if np.array_equal(before, label):
            break
        member = (label == np.arange(len(centroids))[:, None]).astype(np.float64)
        sizes = member.sum(axis=1)
        centroids = np.where(sizes[:, None] > 0, member @ points / np.maximum(sizes, 1)[:, None], centroids)
    return np.asarray(label, dtype=np.int64)
