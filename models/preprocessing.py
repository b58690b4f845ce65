"""What is done to feature columns before a model, fitted on training rows alone and kept as plain JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.errors import BadTarget

Floats = NDArray[np.float64]

SMALLEST_GROUP = 11  # counts of 10 and fewer patients are never told, so no model holds them either


@dataclass(frozen=True)
class NumberColumn:
    """A numeric column: the value that replaces a missing one, and what tells that it was missing.

    Attributes:
        name: the feature column.
        fill: the training median, as the mean of the middle two or three values.
        marker: a 0/1 column beside it marks missing values.
        native: missing values stay NaN for a model that has its own way with them.
    """

    name: str
    fill: float
    marker: bool
    native: bool

    def derived(self) -> int:
        """Return how many columns the model sees."""
        return 2 if self.marker else 1


@dataclass(frozen=True)
class CategoryColumn:
    """A categorical column: one 0/1 column per level that training saw often enough.

    Attributes:
        name: the feature column.
        levels: kept levels, sorted.
        other: rarer levels had enough rows together for a column of their own.
        missing: missing values had enough rows for a column of their own.
        shares: training share of each derived column; given to what training never saw, so that it says nothing.
    """

    name: str
    levels: tuple[str, ...]
    other: bool
    missing: bool
    shares: tuple[float, ...]

    def derived(self) -> int:
        """Return how many columns the model sees."""
        return len(self.shares)


@dataclass(frozen=True)
class Preprocessor:
    """Fitted preprocessing; `fit` makes it, `transform` applies it.

    Attributes:
        numbers: kept numeric columns, sorted by name.
        categories: kept categorical columns, sorted by name.
        centre: shape (derived,), training mean, or empty where nothing is scaled.
        spread: shape (derived,), training standard deviation, or empty.
    """

    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]
    centre: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls,
        X: pl.DataFrame,
        *,
        columns: Sequence[str],
        scale: bool,
        native_missing: bool = False,
        markers: bool = True,
        rarest: int = SMALLEST_GROUP,
        most_levels: int = 30,
    ) -> Self:
        """Learn from training rows; columns that are constant or (nearly) empty in them are left out.

        Args:
            X: training rows.
            columns: the columns to use; extra ones are ignored.
            scale: bring every derived column to mean 0 and standard deviation 1.
            native_missing: leave missing numbers as NaN where training has them (tree models).
            markers: add a 0/1 column beside a number that is missing in at least `rarest` rows.
            rarest: a level, a missing-value column or the known values of a number need so many training rows.
            most_levels: only so many of the most frequent levels are kept; the rest is "other".
        """
        names = sorted(set(columns))
        require_columns(X, names)
        kinds = X.schema
        number_names = [name for name in names if not is_category(kinds[name])]
        least = rarest if markers and not native_missing else X.height + 1
        numbers = _fit_numbers(
            number_names,
            _number_values(X, number_names),
            native_missing=native_missing,
            least_missing=least,
            least_known=rarest,
        )
        categories = [
            column
            for name in names
            if is_category(kinds[name])
            and (column := _fit_category(X[name], rarest, most_levels)) is not None
        ]
        plain = cls(numbers=tuple(numbers), categories=tuple(categories))
        if not scale:
            return plain
        values = plain.transform(X)
        spread = values.std(axis=0)
        spread[spread == 0] = 1.0
        return cls(
            numbers=plain.numbers,
            categories=plain.categories,
            centre=tuple(values.mean(axis=0).tolist()),
            spread=tuple(spread.tolist()),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns used: numbers, then categories."""
        return (*(column.name for column in self.numbers), *(column.name for column in self.categories))

    @property
    def sources(self) -> NDArray[np.int64]:
        """Position in `columns` of the column that each derived column came from, shape (derived,)."""
        repeats = [column.derived() for column in self.numbers]
        repeats += [column.derived() for column in self.categories]
        return np.repeat(np.arange(len(repeats), dtype=np.int64), repeats)

    def transform(self, X: pl.DataFrame) -> Floats:
        """Return what the model sees, shape (rows, derived); raises BadTarget where a column is missing or of another kind."""
        require_columns(X, self.columns)
        values = np.empty((X.height, len(self.sources)), dtype=np.float64, order="F")
        raw = _number_values(X, [column.name for column in self.numbers])
        place = 0
        for position, number in enumerate(self.numbers):
            found = raw[:, position]
            unknown = np.isnan(found)
            values[:, place] = found if number.native else np.where(unknown, number.fill, found)
            if number.marker:
                values[:, place + 1] = unknown
            place += number.derived()
        for category in self.categories:
            values[:, place : place + category.derived()] = _one_hot(X[category.name], category)
            place += category.derived()
        if self.spread:
            values -= np.asarray(self.centre)
            values /= np.asarray(self.spread)
        return values

    def to_state(self) -> dict[str, Any]:
        """Return the fitted state as JSON values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            numbers = tuple(NumberColumn(**column) for column in state["numbers"])
            categories = tuple(
                CategoryColumn(
                    **{**column, "levels": tuple(column["levels"]), "shares": tuple(column["shares"])}
                )
                for column in state["categories"]
            )
            made = cls(numbers, categories, tuple(state["centre"]), tuple(state["spread"]))
            whole = len(made.centre) == len(made.spread) and len(made.spread) in (0, len(made.sources))
        except (KeyError, TypeError, AttributeError) as problem:
            raise BadTarget(
                "The stored preprocessing of this model is damaged; train the model again."
            ) from problem
        if not whole:
            raise BadTarget("The stored preprocessing of this model is damaged; train the model again.")
        return made


def is_category(dtype: pl.DataType) -> bool:
    """Tell whether a column holds categories rather than numbers."""
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def require_columns(X: pl.DataFrame, names: Sequence[str]) -> None:
    """Refuse a frame that lacks a column."""
    present = set(X.columns)
    absent = [name for name in names if name not in present]
    if absent:
        shown = ", ".join(absent[:10]) + (f" and {len(absent) - 10} more" if len(absent) > 10 else "")
        raise BadTarget(
            f"The rows lack columns that the model uses: {shown}. Build the same feature sets for them, or train "
            "without these columns."
        )


def _number_values(X: pl.DataFrame, names: Sequence[str]) -> Floats:
    kinds = X.schema
    for name in names:
        dtype = kinds[name]
        if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
            raise BadTarget(
                f"The column {name} should hold numbers but is {dtype}; check the feature set that builds it."
            )
    if not names:
        return np.empty((X.height, 0), dtype=np.float64)
    values = X.select(pl.col(list(names)).cast(pl.Float64)).to_numpy()
    if np.isinf(values).any():
        shown = ", ".join(np.asarray(names)[np.isinf(values).any(axis=0)][:10])
        raise BadTarget(f"Infinite values stand in {shown}; make them missing where the column is built.")
    return np.asarray(values, dtype=np.float64)


def _fit_numbers(
    names: Sequence[str], values: Floats, *, native_missing: bool, least_missing: int, least_known: int
) -> list[NumberColumn]:
    unknown = np.isnan(values).sum(axis=0)
    columns = []
    for position, name in enumerate(names):
        found = values[:, position]
        if unknown[position]:
            found = found[~np.isnan(found)]
        if len(found) < max(least_known, 1) or (found == found[0]).all():
            continue
        columns.append(
            NumberColumn(
                name=name,
                fill=_middle(found),
                marker=bool(unknown[position] >= least_missing),
                native=bool(unknown[position]) and native_missing,
            )
        )
    return columns


def _middle(values: Floats) -> float:
    """Return the mean of the middle two (even) or three (odd) values: a median that is no single patient's value."""
    half = len(values) // 2
    first, last = (half - 1, half) if len(values) % 2 == 0 else (max(half - 1, 0), half + 1)
    return float(np.partition(values, [first, min(last, len(values) - 1)])[first : last + 1].mean())


def _fit_category(column: pl.Series, rarest: int, most_levels: int) -> CategoryColumn | None:
    """Return the levels worth a column; None where fewer than two kinds of value are left."""
    text = column.cast(pl.String).rename("level")
    counts = text.drop_nulls().value_counts(name="rows").sort(["rows", "level"], descending=[True, False])
    kept = counts.filter(pl.col("rows") >= rarest).head(most_levels).sort("level")
    total, missing = len(text), text.null_count()
    other = total - missing - int(kept["rows"].sum())
    shares = [rows / total for rows in kept["rows"]]
    shares += [other / total] if other >= rarest else []
    shares += [missing / total] if missing >= rarest else []
    if len(shares) < 2:
        return None
    return CategoryColumn(
        name=column.name,
        levels=tuple(kept["level"]),
        other=other >= rarest,
        missing=missing >= rarest,
        shares=tuple(shares),
    )


def _one_hot(column: pl.Series, category: CategoryColumn) -> Floats:
    width = len(category.shares)
    at_other = len(category.levels) if category.other else -1
    at_missing = width - 1 if category.missing else -1
    text = column.cast(pl.String)
    codes = text.replace_strict(
        list(category.levels), list(range(len(category.levels))), default=at_other, return_dtype=pl.Int64
    ).to_numpy(writable=True)
    codes[text.is_null().to_numpy()] = at_missing
    rows = np.zeros((len(codes), width), dtype=np.float64)
    known = codes >= 0
    rows[np.flatnonzero(known), codes[known]] = 1.0
    rows[~known] = category.shares
    return rows
