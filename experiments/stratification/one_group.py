"""The null "copula": one group of patients with the marginals, rank correlations and centres of the real ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.stratification.marginals import Column
from experiments.stratification.noise import without_noise

Floats = NDArray[np.float64]

HIGHEST = 0.99  # of a correlation estimated from tied values
SMALLEST_SPREAD = 1e-6  # of a latent number given the columns that are kept


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
    order as in polychoric correlations (Olsson 1979, doi 10.1007/BF02296207). What no more than noise would give is taken out
    (`noise.without_noise`).
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
    return without_noise(correlation, together)
