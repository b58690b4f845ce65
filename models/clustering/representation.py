"""The points that clusterers of numbers divide: imputed, scaled, weighted by modality and reduced."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.columns import is_category
from models.errors import BadTarget
from models.preprocessing import Preprocessor

Floats = NDArray[np.float64]

FEWEST_VALUES = 10  # a column with fewer distinct values is no density: a stratum could sit on one value
WIDEST = 3.0  # scaled values are winsorised there, so that no stratum is made of a few outlying patients
MOST_COLUMNS = 10  # above it, principal components


@dataclass(frozen=True)
class Representation:
    """A fitted map from patients' columns to points in few dimensions; `fit` makes it, `transform` applies it.

    Attributes:
        preprocessor: median for missing numbers, mean 0 and standard deviation 1.
        weights: shape (columns,), square roots of each column's share of its modality's weight.
        axes: shape (columns, dimensions), orthonormal.
    """

    preprocessor: Preprocessor
    weights: Floats
    axes: Floats

    @classmethod
    def fit(cls, X: pl.DataFrame, options: ClusterOptions) -> Self:
        """Learn from rows, shape (rows, columns); raises BadTarget without a numeric column that is a density."""
        names = [name for name in X.columns if _is_density(X[name])]
        if not names:
            raise BadTarget(
                f"No column is a number with {FEWEST_VALUES} or more distinct values; name other feature sets or columns, or a "
                "clusterer of categories."
            )
        preprocessor = Preprocessor.fit(X, columns=names, scale=True, markers=False)
        weights = column_weights(preprocessor.columns, options)
        points = np.clip(preprocessor.transform(X), -WIDEST, WIDEST) * weights
        return cls(preprocessor, weights, _principal_axes(points))

    @property
    def columns(self) -> tuple[str, ...]:
        """The numeric columns used, sorted by name."""
        return self.preprocessor.columns

    def transform(self, X: pl.DataFrame) -> Floats:
        """Return the points, shape (rows, dimensions)."""
        scaled = np.clip(self.preprocessor.transform(X), -WIDEST, WIDEST)
        return np.asarray(scaled * self.weights @ self.axes, dtype=np.float64)

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return {
            "preprocessing": self.preprocessor.to_state(),
            "weights": self.weights.tolist(),
            "axes": self.axes.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            made = cls(
                Preprocessor.from_state(state["preprocessing"]),
                np.asarray(state["weights"], dtype=np.float64),
                np.asarray(state["axes"], dtype=np.float64),
            )
            whole = made.weights.shape == (len(made.columns),) and made.axes.shape[0] == len(made.columns)
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise BadTarget("The stored representation is damaged; fit it again.") from problem
        if not whole:
            raise BadTarget("The stored representation is damaged; fit it again.")
        return made


@dataclass(frozen=True)
class Prepared:
    """A representation fitted on some rows, and their points, shape (rows, dimensions); never stored."""

    representation: Representation
    points: Floats


def prepare(X: pl.DataFrame, options: ClusterOptions) -> Prepared:
    """Return what clusterers of points share over numbers of strata."""
    representation = Representation.fit(X, options)
    return Prepared(representation, representation.transform(X))


def column_weights(columns: tuple[str, ...], options: ClusterOptions) -> Floats:
    """Return what scaled columns are multiplied with, shape (columns,), so that each modality has its weight in all."""
    if not options.weights:
        return np.ones(len(columns))
    sets = [options.modalities.get(name, "") for name in columns]
    weights = np.array([options.weights.get(name, 1.0) / sets.count(name) for name in sets])
    return np.asarray(np.sqrt(weights / weights.mean()), dtype=np.float64)


def _is_density(column: pl.Series) -> bool:
    return not is_category(column.dtype) and column.drop_nulls().n_unique() >= FEWEST_VALUES


def _principal_axes(points: Floats) -> Floats:
    """Return the directions to project on, shape (columns, kept); the identity for few columns."""
    d = points.shape[1]
    if d <= MOST_COLUMNS:
        return np.eye(d)
    variances, directions = np.linalg.eigh(np.cov(points, rowvar=False))
    variances, directions = variances[::-1], directions[:, ::-1]
    enough = int(np.searchsorted(np.cumsum(variances) / variances.sum(), 0.8)) + 1
    kept = directions[:, : min(max(enough, 2), MOST_COLUMNS)]
    # The sign of an eigenvector is arbitrary: its largest entry is made positive.
    largest = kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])]
    return np.asarray(kept * np.sign(largest), dtype=np.float64)
