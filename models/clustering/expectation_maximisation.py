"""Expectation and maximisation of Gaussian mixtures with parsimonious covariances, from many starts at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.clustering.mixture import DIAGONAL, FULL, SHARED, SHARED_DIAGONAL, SHARED_SPHERICAL, Mixture

Floats = NDArray[np.float64]

SMALLEST_VARIANCE = 1e-3  # of a unit-variance column, added to every variance
LEAST_WEIGHT = 1e-3  # patients' worth that a dying component keeps, so that its mean exists
AT_ONCE = 2**16  # memberships of starts that climb together: a table that stays near the processor
MOST_KEPT = 2**23  # products of coordinates


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


@dataclass(frozen=True)
class _Points:
    """Points in columns, shape (d, rows), and what every round needs of them."""

    columns: Floats

    @cached_property
    def moments(self) -> Floats:
        """Second moments about 0, shape (d, d)."""
        return np.asarray(self.columns @ self.columns.T, dtype=np.float64)

    @cached_property
    def squares(self) -> Floats:
        """Squares of the coordinates, shape (d, rows)."""
        return np.asarray(self.columns**2, dtype=np.float64)

    @cached_property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the upper triangle of a matrix of shape (d, d)."""
        return np.triu_indices(len(self.columns))

    def products(self) -> Iterator[tuple[slice, Floats]]:
        """Yield rows and the products of all pairs of their coordinates, shape (d(d + 1) / 2, rows); kept where they are few."""
        d, rows = self.columns.shape
        step = max(1, MOST_KEPT // (d * (d + 1) // 2))
        if rows <= step:
            yield slice(0, rows), self._all_products
        else:
            for first in range(0, rows, step):
                chosen = slice(first, min(first + step, rows))
                yield chosen, _products(self.columns[:, chosen])

    @cached_property
    def _all_products(self) -> Floats:
        return _products(self.columns)


@dataclass(frozen=True)
class _Mixtures:
    """Mixtures of one structure: worth (starts, k), means (starts, k, d), factors (starts, k or 1 where shared, d, d)."""

    worth: Floats
    means: Floats
    factors: Floats


def ascend(points: Floats, membership: Floats, structure: str, rounds: int, tolerance: float = 0.0) -> Ascent:
    """Climb from one membership, shape (rows, k); see `ascend_all`."""
    return ascend_all(points, [membership], structure, rounds, tolerance)[0]


def ascend_all(
    points: Floats, memberships: Sequence[Floats], structure: str, rounds: int, tolerance: float = 0.0
) -> list[Ascent]:
    """Climb from each membership for some rounds, or until a round gains less than `tolerance` of log-likelihood per row.

    Dempster, Laird and Rubin 1977 (doi 10.1111/j.2517-6161.1977.tb01600.x); covariances as Celeux and Govaert 1995 (doi
    10.1016/0031-3203(94)00125-6). All starts climb together, so that a round is a few products of large matrices.

    Args:
        points: shape (rows, dimensions), about the origin.
        memberships: each of shape (rows, k), rows summing to 1; labels as zeros and ones will do.
        structure: of the covariances, one of STRUCTURES.
        rounds: at most; 1 or more.
        tolerance: log-likelihood per row.
    """
    made = _Points(np.ascontiguousarray(points.T))
    step = max(1, AT_ONCE // memberships[0].size)
    found: list[Ascent] = []
    for first in range(0, len(memberships), step):
        shares = np.stack([one.T for one in memberships[first : first + step]])
        found += _climbs(made, np.asarray(shares, dtype=np.float64), structure, rounds, tolerance)
    return found


def _climbs(points: _Points, shares: Floats, structure: str, rounds: int, tolerance: float) -> list[Ascent]:
    """Return where each start ends, given memberships of shape (starts, k, rows)."""
    found: dict[int, Ascent] = {}
    climbing, before = np.arange(len(shares)), np.full(len(shares), -np.inf)
    for number in range(1, rounds + 1):
        mixtures = _maximised(points, shares, structure)
        shares, likelihood = _expected(points, mixtures, structure)
        ended = likelihood - before <= tolerance * shares.shape[2]
        if number == rounds:
            ended[:] = True
        for place in np.flatnonzero(ended):
            mixture = _one(mixtures, int(place), structure)
            membership = np.ascontiguousarray(shares[place].T)
            found[int(climbing[place])] = Ascent(mixture, membership, float(likelihood[place]))
        if ended.all():
            break
        if ended.any():
            shares, climbing, likelihood = shares[~ended], climbing[~ended], likelihood[~ended]
        before = likelihood
    return [found[place] for place in sorted(found)]


def _one(mixtures: _Mixtures, place: int, structure: str) -> Mixture:
    worth, means, factors = mixtures.worth[place], mixtures.means[place], mixtures.factors[place]
    return Mixture(
        structure, worth / worth.sum(), means.copy(), np.repeat(factors, len(worth) // len(factors), axis=0)
    )


def _expected(points: _Points, mixtures: _Mixtures, structure: str) -> tuple[Floats, Floats]:
    """Return the memberships, shape (starts, k, rows), and the log-likelihood of each start."""
    worth, factors = mixtures.worth, mixtures.factors
    joint, constant, common = _QUADRATIC[structure](points, mixtures.means, factors)
    constant += np.log(worth / worth.sum(axis=1, keepdims=True))
    constant += np.log(np.diagonal(factors, axis1=2, axis2=3)).sum(axis=2)
    joint += constant[:, :, None]
    highest = joint.max(axis=1)
    joint -= highest[:, None]
    np.exp(joint, out=joint)
    total = joint.sum(axis=1)
    highest += np.log(total)
    joint *= np.reciprocal(total, out=total)[:, None]
    d, rows = points.columns.shape
    return joint, highest.sum(axis=1) + common - rows * d / 2 * np.log(2 * np.pi)


def _shared_quadratic(points: _Points, means: Floats, factors: Floats) -> tuple[Floats, Floats, Floats]:
    """Return -(x - m)'P(x - m) / 2 in three parts: what differs between points and components, components, and starts.

    The part -x'Px / 2 that components share changes no membership, and its sum over points follows from their moments.

    Returns:
        Shapes (starts, k, rows), (starts, k) and (starts,).
    """
    precision = factors[:, 0] @ factors[:, 0].transpose(0, 2, 1)
    slopes = means @ precision
    common = -(precision * points.moments).sum(axis=(1, 2)) / 2
    return _times(slopes, points.columns), -(slopes * means).sum(axis=2) / 2, common


def _diagonal_quadratic(points: _Points, means: Floats, factors: Floats) -> tuple[Floats, Floats, float]:
    precisions = np.diagonal(factors, axis1=2, axis2=3) ** 2
    slopes = precisions * means
    joint = _times(slopes, points.columns)
    joint -= _times(precisions / 2, points.squares)
    return joint, -(slopes * means).sum(axis=2) / 2, 0.0


def _full_quadratic(points: _Points, means: Floats, factors: Floats) -> tuple[Floats, Floats, float]:
    precisions = factors @ factors.transpose(0, 1, 3, 2)
    slopes = (precisions @ means[..., None])[..., 0]
    joint = _times(slopes, points.columns)
    first, second = points.pairs
    halves = precisions[:, :, first, second] * np.where(first == second, 0.5, 1.0)
    for rows, products in points.products():
        joint[:, :, rows] -= _times(halves, products)
    return joint, -(slopes * means).sum(axis=2) / 2, 0.0


_QUADRATIC = {
    SHARED_SPHERICAL: _shared_quadratic,
    SHARED_DIAGONAL: _shared_quadratic,
    SHARED: _shared_quadratic,
    DIAGONAL: _diagonal_quadratic,
    FULL: _full_quadratic,
}


def _maximised(points: _Points, shares: Floats, structure: str) -> _Mixtures:
    """Return the mixtures of largest expected likelihood, given memberships of shape (starts, k, rows)."""
    worth = shares.sum(axis=2) + LEAST_WEIGHT
    means = _times(shares, points.columns.T) / worth[:, :, None]
    return _Mixtures(worth, means, _FACTORS[structure](points, shares, worth, means))


def _spherical(points: _Points, shares: Floats, worth: Floats, means: Floats) -> Floats:
    variances = _variances(points, shares, worth, means).mean(axis=1, keepdims=True)
    return _of_variances(np.repeat(variances, means.shape[2], axis=1)[:, None])


def _shared_diagonal(points: _Points, shares: Floats, worth: Floats, means: Floats) -> Floats:
    return _of_variances(_variances(points, shares, worth, means)[:, None])


def _shared(points: _Points, shares: Floats, worth: Floats, means: Floats) -> Floats:
    # Memberships sum to 1, so the scatter within is that of all points less that of the means.
    between = (means * worth[:, :, None]).transpose(0, 2, 1) @ means
    return _of_covariances(((points.moments - between) / shares.shape[2])[:, None])


def _diagonal(points: _Points, shares: Floats, worth: Floats, means: Floats) -> Floats:
    variances = _times(shares, points.squares.T) / worth[:, :, None] - means**2
    return _of_variances(np.maximum(variances, 0.0))


def _full(points: _Points, shares: Floats, worth: Floats, means: Floats) -> Floats:
    d = means.shape[2]
    upper = sum(_times(shares[:, :, rows], products.T) for rows, products in points.products())
    scatter = np.empty((*worth.shape, d, d))
    first, second = points.pairs
    scatter[:, :, first, second] = scatter[:, :, second, first] = upper
    # The means are sums over the worth, which is LEAST_WEIGHT more than the sum of the shares.
    scatter -= (worth + LEAST_WEIGHT)[..., None, None] * means[..., :, None] * means[..., None, :]
    return _of_covariances(scatter / worth[..., None, None])


def _variances(points: _Points, shares: Floats, worth: Floats, means: Floats) -> Floats:
    """Return the variances within components along each dimension, shape (starts, d)."""
    total = np.diagonal(points.moments) - (worth[:, :, None] * means**2).sum(axis=1)
    return np.asarray(np.maximum(total / shares.shape[2], 0.0), dtype=np.float64)


def _of_variances(variances: Floats) -> Floats:
    """Return diagonal factors of the precision, shape (..., d, d), of variances to which a little is added."""
    return np.asarray(
        np.eye(variances.shape[-1]) / np.sqrt(variances + SMALLEST_VARIANCE)[..., None], dtype=np.float64
    )


def _of_covariances(covariances: Floats) -> Floats:
    """Return upper triangular F with the precision F F' of covariances to which a little is added."""
    unit = np.eye(covariances.shape[-1])
    sound = (covariances + np.swapaxes(covariances, -1, -2)) / 2 + SMALLEST_VARIANCE * unit
    lower = np.linalg.cholesky(sound)
    return np.swapaxes(np.linalg.solve(lower, np.broadcast_to(unit, lower.shape)), -1, -2)


def _products(columns: Floats) -> Floats:
    d, rows = columns.shape
    found, place = np.empty((d * (d + 1) // 2, rows)), 0
    for first in range(d):
        np.multiply(columns[first:], columns[first], out=found[place : place + d - first])
        place += d - first
    return found


def _times(stacked: Floats, matrix: Floats) -> Floats:
    """Return stacked @ matrix, as one product of two matrices."""
    flat = stacked.reshape(-1, stacked.shape[-1]) @ matrix
    return np.asarray(flat.reshape(*stacked.shape[:-1], matrix.shape[1]), dtype=np.float64)


_FACTORS = {
    SHARED_SPHERICAL: _spherical,
    SHARED_DIAGONAL: _shared_diagonal,
    SHARED: _shared,
    DIAGONAL: _diagonal,
    FULL: _full,
}
