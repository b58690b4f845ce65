"""Answers as numbers: columns of few values, such as items of a questionnaire and categories, where no column is a density."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.columns import is_category
from models.preprocessing import SMALLEST_GROUP, number_values

Floats = NDArray[np.float64]

FEWEST_VALUES = 10  # a column with fewer distinct values is no density: a stratum could sit on one value
FEWEST_PATTERNS = 40  # different rows; fewer are so many places, and between places there is always a valley
MOST_LEVELS = 30


@dataclass(frozen=True)
class Answers:
    """Which columns are taken as answers, and how.

    Attributes:
        numbers: columns of numbers with few distinct values, taken as they are.
        levels: per category, the levels that have a column of 0 and 1 each; one of two levels is enough.
    """

    numbers: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, X: pl.DataFrame) -> Self:
        """Learn from rows, shape (rows, columns); what has no two values of 11 patients or more each is left out."""
        numbers: list[str] = []
        levels: dict[str, tuple[str, ...]] = {}
        for name in sorted(X.columns):
            column = X[name]
            if not is_category(column.dtype):
                column = column.cast(pl.Float64).fill_nan(None)
            counts = column.drop_nulls().rename("value").value_counts(name="rows")
            common = counts.filter(pl.col("rows") >= SMALLEST_GROUP).sort(
                ["rows", "value"], descending=[True, False]
            )
            if common.height < 2:
                continue
            if not is_category(X[name].dtype):
                numbers.append(name)
                continue
            told = sorted(str(level) for level in common["value"].head(MOST_LEVELS))
            levels[name] = tuple(told[1:] if counts.height == 2 else told)
        return cls(tuple(numbers), levels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns used, sorted by name."""
        return tuple(sorted({*self.numbers, *self.levels}))

    @property
    def sources(self) -> Mapping[str, str]:
        """The column that each column of numbers came from, by its own name, in the order of `values`."""
        named = {name: name for name in self.numbers}
        for name, levels in self.levels.items():
            named |= {name if len(levels) == 1 else f"{name} = {level}": name for level in levels}
        return named

    def values(self, X: pl.DataFrame) -> Floats:
        """Return the numbers, shape (rows, sources), NaN where missing; a level that was not seen is none of those that were."""
        parts = [number_values(X, list(self.numbers))]
        for name, levels in self.levels.items():
            text = X[name].cast(pl.String)
            missing = text.is_null().to_numpy()
            parts += [
                np.where(missing, np.nan, (text == level).fill_null(False).to_numpy().astype(np.float64))[
                    :, None
                ]
                for level in levels
            ]
        return np.column_stack(parts)

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return {
            "numbers": list(self.numbers),
            "levels": {name: list(levels) for name, levels in self.levels.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError or ValueError where it is damaged."""
        made = cls(
            tuple(state["numbers"]), {name: tuple(levels) for name, levels in dict(state["levels"]).items()}
        )
        texts = [*made.numbers, *made.levels, *(level for levels in made.levels.values() for level in levels)]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("columns and levels are text")
        named = [*made.numbers, *made.levels]
        if not named or len(set(named)) < len(named) or not all(made.levels.values()):
            raise ValueError("answers need columns, each once, and categories need levels")
        return made


def is_density(column: pl.Series) -> bool:
    """Return whether a column is a number with ten or more distinct values, known of 11 patients or more."""
    if is_category(column.dtype):
        return False
    known = column.cast(pl.Float64).fill_nan(None).drop_nulls()
    return known.n_unique() >= FEWEST_VALUES and len(known) >= SMALLEST_GROUP


def answers_of(X: pl.DataFrame) -> Answers | None:
    """Return how columns are taken as answers; None where one of them is a density, or where they are too few to tell patients apart."""
    if any(is_density(X[name]) for name in X.columns):
        return None
    found = Answers.fit(X)
    if not found.columns or _patterns(found.values(X)) < FEWEST_PATTERNS:
        return None
    return found


def _patterns(values: Floats) -> int:
    return len(np.unique(np.nan_to_num(values, nan=np.finfo(np.float64).max), axis=0))
