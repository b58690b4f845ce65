"""The correlation of columns without the noise of the sample that it was computed from."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from models.clustering.reduction import FEW_COLUMNS, components_above_noise

Floats = NDArray[np.float64]

MOST_SHARED = 0.999  # of a column's variance
LEVEL = 0.05  # of all pairs together: a pair beyond it has something of its own in common
ROUNDS, SETTLED = 50, 1e-4  # of the search for what columns share
SMALLEST = 1e-3  # eigenvalue


def without_noise(correlation: Floats, together: Floats) -> Floats:
    """Return common factors and what single pairs have in common beside them, shape (columns, columns), positive definite.

    A sample's correlations hold noise; patients drawn with them hold it twice, and what was noise then stands out of it. As many
    factors as components stand out of noise are fitted by principal axes, each column keeping a variance of its own; of what
    is left between two columns, only what is more than noise in any pair stays (Fan, Liao and Mincheva 2013, doi
    10.1111/rssb.12016). Five columns or fewer stay as they are, like where directions for the strata are chosen.

    Args:
        correlation: shape (columns, columns), positive definite.
        together: of how many patients each pair is known, shape (columns, columns).
    """
    columns = len(correlation)
    if columns <= FEW_COLUMNS:
        return np.asarray(correlation, dtype=np.float64)
    off = ~np.eye(columns, dtype=bool)
    counts = together[off & (together > 0)]
    rows = int(np.median(counts)) if counts.size else 0
    variances, directions = np.linalg.eigh(correlation)
    number = components_above_noise(variances[::-1], directions[:, ::-1], rows)
    loadings = _principal_axes(correlation, number)
    common = loadings @ loadings.T
    left = correlation - common
    pairs = columns * (columns - 1) / 2
    noise = float(norm.ppf(1 - LEVEL / (2 * pairs))) / np.sqrt(np.maximum(together, 1.0))
    found = common + np.where((np.abs(left) > noise) & (together > 0), left, 0.0)
    np.fill_diagonal(found, 1.0)
    return _positive(found)


def _principal_axes(correlation: Floats, number: int) -> Floats:
    """Return loadings, shape (columns, number), of factors that leave each column a variance of its own.

    Principal-axis factoring (Harman 1976, Modern Factor Analysis, chapter 8), from squared multiple correlations.
    """
    columns = len(correlation)
    if number == 0:
        return np.zeros((columns, 0))
    inverse = np.linalg.inv(correlation + SMALLEST * np.eye(columns))
    shared = np.clip(1 - 1 / np.diagonal(inverse), 0.0, MOST_SHARED)
    loadings = np.zeros((columns, number))
    for _ in range(ROUNDS):
        reduced = correlation.copy()
        np.fill_diagonal(reduced, shared)
        variances, directions = np.linalg.eigh(reduced)
        loadings = directions[:, -number:] * np.sqrt(np.maximum(variances[-number:], 0.0))
        before, shared = shared, np.minimum((loadings**2).sum(axis=1), MOST_SHARED)
        if np.abs(shared - before).max() < SETTLED:
            break
    too_much = np.sqrt(np.maximum((loadings**2).sum(axis=1) / MOST_SHARED, 1.0))
    return np.asarray(loadings / too_much[:, None], dtype=np.float64)


def _positive(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= SMALLEST:
        return np.asarray(matrix, dtype=np.float64)
    made = (vectors * np.maximum(values, SMALLEST)) @ vectors.T
    spread = np.sqrt(np.diagonal(made))
    return np.asarray(made / np.outer(spread, spread), dtype=np.float64)
