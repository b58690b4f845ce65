"""The leading eigenvectors of a large symmetric matrix that is known by its products alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]

_LOST = 1e-10  # of the largest eigenvalue: a direction shorter than this is rounding


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenvectors, and the whole distribution of eigenvalues in outline.

    Attributes:
        values: leading eigenvalues, decreasing, shape (wanted,), fewer where the matrix has fewer above 0.
        vectors: shape (size, wanted), columns of length 1.
        residuals: |A u - value u| / value, shape (wanted,).
        nodes: eigenvalues that stand for all others, shape (nodes,).
        weights: the share of all eigenvalues that each node stands for, shape (nodes,).
        total: estimated sum of all eigenvalues.
        passes: products that were asked for.
    """

    values: Floats
    vectors: Floats
    residuals: Floats
    nodes: Floats
    weights: Floats
    total: float
    passes: int

    def shrinkage(self) -> Floats:
        """Return how near to 0 new rows fall on each eigenvector, as a share of where they would have been if fitted on.

        1 / mean of 1 / (1 - other eigenvalue / eigenvalue), over the others: for a spike over noise of one variance this
        is Lee, Zou and Wright's (ℓ - 1) / (ℓ - 1 + γ), γ the columns a row; unequal noise is in the eigenvalues.
        Neighbours nearer than eigenvalues of noise usually lie to its edge, n^(-2/3), count as that far.
        """
        nearest = len(self.vectors) ** (-2.0 / 3.0)
        apart = np.maximum(1.0 - self.nodes / self.values[:, None], nearest)
        return np.asarray(self.weights.sum() / (self.weights / apart).sum(axis=1))


def leading_eigenvectors(
    product: Callable[[Floats], Floats],
    *,
    size: int,
    wanted: int,
    width: int,
    iterations: int,
    tolerance: float,
    seed: int,
) -> Spectrum:
    """Find leading eigenvectors by randomised block Krylov iteration, or exactly where the matrix is small.

    Args:
        product: returns the matrix, shape (size, size), positive semidefinite, times vectors of shape (size, columns).
        size: of the matrix.
        wanted: how many eigenvectors.
        width: vectors in each product.
        iterations: products at most.
        tolerance: the largest residual, as a share of the eigenvalue, at which it ends.
        seed: of the vectors to start from.
    """
    with threadpool_limits(limits=1):  # sums are then the same for any number of threads
        if size <= width * iterations:
            return _exact(product(np.eye(size)), wanted)
        start, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, width)))
        return _iterated(product, start, wanted=wanted, iterations=iterations, tolerance=tolerance)


def _exact(matrix: Floats, wanted: int) -> Spectrum:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    found = min(wanted, int((values > _LOST * max(values[0], 0.0)).sum()))
    return Spectrum(
        values=values[:found],
        vectors=vectors[:, :found],
        residuals=np.zeros(found),
        nodes=values[found:],
        weights=np.full(len(values) - found, 1 / len(values)),
        total=float(values.sum()),
        passes=1,
    )


def _iterated(
    product: Callable[[Floats], Floats], start: Floats, *, wanted: int, iterations: int, tolerance: float
) -> Spectrum:
    size, width = start.shape
    space = np.empty((size, width * iterations), order="F")
    new, projected, filled, passes = start, np.zeros((0, 0)), 0, 0
    while passes < iterations:
        space[:, filled : filled + new.shape[1]] = new
        filled, passes = filled + new.shape[1], passes + 1
        basis = space[:, :filled]
        inner, rest = _apart(basis, product(new))
        projected = _grown(projected, inner)
        values, inside = np.linalg.eigh(projected)
        values, inside = values[::-1], inside[:, ::-1]
        found = min(wanted, int((values > _LOST * max(values[0], 0.0)).sum()))
        left, lengths, right = np.linalg.svd(rest, full_matrices=False)
        last = inside[-new.shape[1] :, :found]
        residuals = np.linalg.norm(lengths[:, None] * (right @ last), axis=0) / values[:found]
        new = left[:, lengths > _LOST * values[0]]
        if new.shape[1] == 0 or (found == wanted and residuals.max() <= tolerance):
            break
    shares = (inside[:width] ** 2).mean(axis=0)
    return Spectrum(
        values=values[:found],
        vectors=basis @ inside[:, :found],
        residuals=residuals,
        nodes=values[found:],
        weights=shares[found:],
        total=float(size * (shares * values).sum()),
        passes=passes,
    )


def _apart(basis: Floats, image: Floats) -> tuple[Floats, Floats]:
    """Split an image into coordinates within an orthonormal basis and the rest; twice, so that the rest is orthogonal."""
    inner = basis.T @ image
    rest = image - basis @ inner
    again = basis.T @ rest
    return inner + again, rest - basis @ again


def _grown(projected: Floats, inner: Floats) -> Floats:
    """Add the newest block's coordinates, shape (all, block), to the projected matrix as rows and columns."""
    size, block = inner.shape
    made = np.zeros((size, size))
    made[: size - block, : size - block] = projected
    made[:, size - block :] = inner
    made[size - block :, :] = inner.T
    corner = inner[size - block :]
    made[size - block :, size - block :] = (corner + corner.T) / 2
    return made
