"""The points that clusterers of numbers divide: missing numbers filled, scaled, weighted by modality and reduced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.imputation import MOST_COLUMNS, Imputation
from models.clustering.answers import FEWEST_PATTERNS, FEWEST_VALUES, Answers, answers_of, densities
from models.clustering.contract import ClusterOptions
from models.clustering.reduction import AUTOMATIC, RULES, axes_of, axes_of_answers
from models.clustering.starts import Views
from models.errors import BadTarget
from models.preprocessing import SMALLEST_GROUP, number_values, require_columns

Floats = NDArray[np.float64]

NO_POINTS = (
    f"No column is a number with {FEWEST_VALUES} or more distinct values known of {SMALLEST_GROUP} or more patients, and the "
    f"categories and columns of fewer values tell fewer than {FEWEST_PATTERNS} kinds of patients apart; name other feature sets or "
    "columns."
)
WIDEST = 3.0  # scaled values are winsorised there, so that no stratum is made of a few outlying patients


@dataclass(frozen=True)
class Representation:
    """A fitted map from patients' columns to points in few dimensions; `fit` makes it, `transform` applies it.

    A missing number is replaced by its mean given the patient's known ones, under a normal distribution whose mean and
    covariance are those of the patients (above 300 columns: by the median). A patient without a whole modality thus
    stands where the other modalities put him, not with everyone else who lacks it.

    Columns with fewer than ten distinct values are no densities and take no part where some column is one. Where none is, as
    with items of a questionnaire alone, the points are made of the answers: principal components of their columns of 0 and 1,
    or of few steps, in which no single column can part the patients.

    Attributes:
        imputation: of the numeric columns, with their means and standard deviations.
        weights: shape (columns,), square roots of each column's share of its modality's weight.
        axes: shape (columns, dimensions), orthonormal.
        answers: what the columns are made of where none is a density; None: they are numbers as they stand.
    """

    imputation: Imputation
    weights: Floats
    axes: Floats
    answers: Answers | None = None

    @classmethod
    def fit(cls, X: pl.DataFrame, options: ClusterOptions) -> Self:
        """Learn from rows, shape (rows, columns); raises BadTarget where neither densities nor answers tell patients apart.

        The parameter `reduce` says which directions are kept: automatic (the default), none or principal_components
        (`reduction.axes_of`).
        """
        rule = options.parameters.get("reduce", AUTOMATIC)
        if rule not in RULES:
            raise BadTarget(f"reduce is {rule!r}; the rules are {', '.join(RULES)}.")
        names = densities(X)
        answers = None if names else answers_of(X)
        if not names and answers is None:
            raise BadTarget(NO_POINTS)
        sources = {name: name for name in names} if answers is None else answers.sources
        values = number_values(X, names) if answers is None else answers.values(X)
        method = "iterative" if len(sources) <= MOST_COLUMNS else "median"
        imputation = Imputation.fit(method, values, list(sources), np.arange(X.height))
        if method == "median":
            imputation = _with_units(imputation, values)
        weights = column_weights([sources[name] for name in imputation.columns], options)
        whole = cls(imputation, weights, np.eye(len(weights)), answers)
        find = axes_of if answers is None else axes_of_answers
        kept = np.isin(list(sources), imputation.columns)
        return cls(imputation, weights, find(whole._scaled(values[:, kept]), rule), answers)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns used, sorted by name."""
        return self.imputation.columns if self.answers is None else self.answers.columns

    @property
    def rotated(self) -> bool:
        """Whether dimensions are mixtures of columns, fitted to the rows, rather than columns."""
        return bool((np.count_nonzero(self.axes, axis=0) > 1).any())

    def transform(self, X: pl.DataFrame) -> Floats:
        """Return the points, shape (rows, dimensions)."""
        require_columns(X, self.columns)
        return np.asarray(self._scaled(self._values(X)) @ self.axes, dtype=np.float64)

    def numbers(self, X: pl.DataFrame) -> pl.DataFrame:
        """Return the columns of numbers that points are made of, NaN where missing; levels have columns of their own."""
        require_columns(X, self.columns)
        return pl.DataFrame(self._values(X), schema=list(self.imputation.columns))

    def _values(self, X: pl.DataFrame) -> Floats:
        if self.answers is None:
            return number_values(X, list(self.columns))
        kept = set(self.imputation.columns)
        places = [place for place, name in enumerate(self.answers.sources) if name in kept]
        return self.answers.values(X)[:, places]

    def _scaled(self, values: Floats) -> Floats:
        scaled = (self.imputation.transform(values) - self.imputation.centre) / self.imputation.unit
        return np.asarray(np.clip(scaled, -WIDEST, WIDEST) * self.weights, dtype=np.float64)

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return {
            "imputation": self.imputation.to_state(),
            "weights": self.weights.tolist(),
            "axes": self.axes.tolist(),
            "answers": None if self.answers is None else self.answers.to_state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            answers = state.get(
                "answers"
            )  # strata that were stored before answers could make points have none
            made = cls(
                Imputation.from_state(state["imputation"]),
                np.asarray(state["weights"], dtype=np.float64),
                np.asarray(state["axes"], dtype=np.float64),
                None if answers is None else Answers.from_state(answers),
            )
            names = made.imputation.columns
            whole = made.weights.shape == (len(names),) and made.axes.ndim == 2
            whole = whole and made.axes.shape[0] == len(names)
            whole = whole and (made.answers is None or set(names) <= set(made.answers.sources))
            whole = whole and bool(np.isfinite(made.weights).all() and np.isfinite(made.axes).all())
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
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


def column_weights(sources: Sequence[str], options: ClusterOptions) -> Floats:
    """Return what scaled columns are multiplied with, shape (columns,), so that each modality has its weight in all.

    Args:
        sources: the feature column that each column came from; the levels of one category share its weight.
        options: a study's choices.
    """
    among = np.array([sources.count(name) for name in sources], dtype=np.float64)
    if not options.weights:
        return 1 / np.sqrt(among)
    sets = [options.modalities.get(name, "") for name in sources]
    once = {one: len({name for name, own in zip(sources, sets, strict=True) if own == one}) for one in sets}
    weights = np.array([options.weights.get(one, 1.0) / once[one] for one in sets]) / among
    return np.asarray(np.sqrt(weights / (weights.sum() / len(set(sources)))), dtype=np.float64)


def _with_units(imputation: Imputation, values: Floats) -> Imputation:
    spread = np.nanstd(values, axis=0)
    return Imputation(
        imputation.columns, imputation.centre, np.where(spread > 0, spread, 1.0), imputation.correlation
    )
