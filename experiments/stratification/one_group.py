"""The null "copula": one group of patients with the marginals, rank correlations and centres of the real ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.stratification.marginals import Column
from models.clustering.reduction import FEW_COLUMNS, components_above_noise

Floats = NDArray[np.float64]

HIGHEST = 0.99  # of a correlation estimated from tied values
SMALLEST_SPREAD = 1e-6  # of a latent number given the columns that are kept
MOST_SHARED = 0.999  # of a column's variance


@dataclass(frozen=True)
class LatentNormal:
    """Latent normal numbers of the drawn columns, given the scores of columns that stay as they are.

    Attributes:
        mean: shape (patients, drawn), or (1, drawn) where nothing is kept.
        root: shape (drawn, drawn), root of the covariance.
    """

    mean: Floats
    root: Floats

    def draw(self, patients: int, generator: np.random.Generator) -> Floats:
        """Return latent numbers, shape (patients, drawn)."""
        normal = generator.standard_normal((patients, len(self.root)))
        return np.asarray(self.mean + normal @ self.root.T, dtype=np.float64)


def latent_normal(drawn: Sequence[Column], kept: Sequence[Column]) -> LatentNormal:
    """Return the Gaussian copula of some columns, conditional on others (age, where an adjustment takes its effect off).

    Args:
        drawn: columns that are drawn anew.
        kept: columns that stay as they are.
    """
    correlation = score_correlation([*drawn, *kept])
    width = len(drawn)
    own, across, others = (
        correlation[:width, :width],
        correlation[:width, width:],
        correlation[width:, width:],
    )
    mean = np.zeros((1, width))
    if kept:
        slopes = across @ np.linalg.pinv(others, hermitian=True)
        scores = np.column_stack([np.nan_to_num(column.scores) for column in kept])
        mean, own = scores @ slopes.T, own - slopes @ across.T
    values, vectors = np.linalg.eigh(own)
    return LatentNormal(mean, vectors * np.sqrt(np.clip(values, SMALLEST_SPREAD, None)))


def score_correlation(columns: Sequence[Column]) -> Floats:
    """Return the correlation of the latent normal numbers behind the columns, shape (columns, columns), positive definite.

    Each pair stands on the patients who have both values; pairs that no centre measured together are uncorrelated. The
    covariance of the scores of tied values (means of a normal between cuts) is too small by their two reliabilities, to first
    order as in polychoric correlations (Olsson 1979, doi 10.1007/BF02296207). What no more than noise would give is taken out (see
    `without_noise`).
    """
    scores = np.column_stack([column.scores for column in columns])
    known = np.isfinite(scores)
    filled = np.where(known, scores, 0.0)
    together = known.T.astype(np.float64) @ known
    products = filled.T @ filled / np.maximum(together, 1.0)
    reliability = np.array([max(column.reliability, 0.05) for column in columns])
    correlation = np.clip(products / np.outer(reliability, reliability), -HIGHEST, HIGHEST)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    if values.min() < SMALLEST_SPREAD:
        correlation = (vectors * np.clip(values, SMALLEST_SPREAD, None)) @ vectors.T
        spread = np.sqrt(np.diagonal(correlation))
        correlation /= np.outer(spread, spread)
    return without_noise(correlation, round(float(together.mean())))


def without_noise(correlation: Floats, rows: int) -> Floats:
    """Return the correlation that the components above noise have in common, the rest of each column its own.

    A sample's correlations hold noise; patients drawn with them hold it twice, and what was noise then stands out of it. Five
    columns or fewer stay as they are, like where directions for the strata are chosen.

    Args:
        correlation: shape (columns, columns), positive definite.
        rows: patients it was computed from.
    """
    if len(correlation) <= FEW_COLUMNS:
        return np.asarray(correlation, dtype=np.float64)
    variances, directions = np.linalg.eigh(correlation)
    variances, directions = variances[::-1], directions[:, ::-1]
    number = components_above_noise(variances, directions, rows)
    leading = directions[:, :number] * np.sqrt(variances[:number] - variances[number:].mean())
    shared = np.sqrt(np.maximum((leading**2).sum(axis=1) / MOST_SHARED, 1.0))
    leading = leading / shared[:, None]
    common = leading @ leading.T
    np.fill_diagonal(common, 1.0)
    return np.asarray(common, dtype=np.float64)
