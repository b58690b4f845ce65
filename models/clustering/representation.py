"""The points that clusterers of numbers divide: missing numbers filled, scaled, weighted by modality and reduced."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.imputation import MOST_COLUMNS, Imputation
from models.clustering.contract import ClusterOptions
from models.clustering.reduction import AUTOMATIC, RULES, axes_of
from models.clustering.starts import Views
from models.columns import is_category
from models.errors import BadTarget
from models.preprocessing import SMALLEST_GROUP, number_values, require_columns

Floats = NDArray[np.float64]

FEWEST_VALUES = 10  # a column with fewer distinct values is no density: a stratum could sit on one value
WIDEST = 3.0  # scaled values are winsorised there, so that no stratum is made of a few outlying patients


@dataclass(frozen=True)
class Representation:
    """A fitted map from patients' columns to points in few dimensions; `fit` makes it, `transform` applies it.

    A missing number is replaced by its mean given the patient's known ones, under a normal distribution whose mean and
    covariance are those of the patients (above 300 columns: by the median). A patient without a whole modality thus
    stands where the other modalities put him, not with everyone else who lacks it.

    Attributes:
        imputation: of the numeric columns, with their means and standard deviations.
        weights: shape (columns,), square roots of each column's share of its modality's weight.
        axes: shape (columns, dimensions), orthonormal.
    """

    imputation: Imputation
    weights: Floats
    axes: Floats

    @classmethod
    def fit(cls, X: pl.DataFrame, options: ClusterOptions) -> Self:
        """Learn from rows, shape (rows, columns); raises BadTarget without a numeric column that is a density.

        The parameter `reduce` says which directions are kept: automatic (the default), none or principal_components
        (`reduction.axes_of`).
        """
        rule = options.parameters.get("reduce", AUTOMATIC)
        if rule not in RULES:
            raise BadTarget(f"reduce is {rule!r}; the rules are {', '.join(RULES)}.")
        names = sorted(name for name in X.columns if _is_density(X[name]))
        if not names:
            raise BadTarget(
                f"No column is a number with {FEWEST_VALUES} or more distinct values known of {SMALLEST_GROUP} or more patients; "
                "name other feature sets or columns, or a clusterer of categories."
            )
        values = number_values(X, names)
        method = "iterative" if len(names) <= MOST_COLUMNS else "median"
        imputation = Imputation.fit(method, values, names, np.arange(X.height))
        if method == "median":
            imputation = _with_units(imputation, values)
        weights = column_weights(imputation.columns, options)
        whole = cls(imputation, weights, np.eye(len(weights)))
        return cls(imputation, weights, axes_of(whole._scaled(values), rule))

    @property
    def columns(self) -> tuple[str, ...]:
        """The numeric columns used, sorted by name."""
        return self.imputation.columns

    @property
    def rotated(self) -> bool:
        """Whether dimensions are mixtures of columns, fitted to the rows, rather than columns."""
        return bool((np.count_nonzero(self.axes, axis=0) > 1).any())

    def transform(self, X: pl.DataFrame) -> Floats:
        """Return the points, shape (rows, dimensions)."""
        require_columns(X, self.columns)
        return np.asarray(self._scaled(number_values(X, list(self.columns))) @ self.axes, dtype=np.float64)

    def _scaled(self, values: Floats) -> Floats:
        scaled = (self.imputation.transform(values) - self.imputation.centre) / self.imputation.unit
        return np.asarray(np.clip(scaled, -WIDEST, WIDEST) * self.weights, dtype=np.float64)

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return {
            "imputation": self.imputation.to_state(),
            "weights": self.weights.tolist(),
            "axes": self.axes.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            made = cls(
                Imputation.from_state(state["imputation"]),
                np.asarray(state["weights"], dtype=np.float64),
                np.asarray(state["axes"], dtype=np.float64),
            )
            whole = made.weights.shape == (len(made.columns),) and made.axes.ndim == 2
            whole = whole and made.axes.shape[0] == len(made.columns)
            whole = whole and bool(np.isfinite(made.weights).all() and np.isfinite(made.axes).all())
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

    @cached_property
    def views(self) -> Views:
        """What the starts of every number of strata look at."""
        return Views(self.points)


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


def _with_units(imputation: Imputation, values: Floats) -> Imputation:
    spread = np.nanstd(values, axis=0)
    return Imputation(
        imputation.columns, imputation.centre, np.where(spread > 0, spread, 1.0), imputation.correlation
    )


def _is_density(column: pl.Series) -> bool:
    if is_category(column.dtype):
        return False
    known = column.cast(pl.Float64).fill_nan(None).drop_nulls()
    return known.n_unique() >= FEWEST_VALUES and len(known) >= SMALLEST_GROUP
