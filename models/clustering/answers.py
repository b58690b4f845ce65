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
        categories = [name for name in sorted(X.columns) if is_category(X.schema[name])]
        numeric = [name for name in sorted(X.columns) if name not in set(categories)]
        numbers = tuple(
            name
            for name, values in zip(numeric, number_values(X, numeric).T, strict=True)
            if _common(np.unique(values[~np.isnan(values)], return_counts=True)[1]) >= 2
        )
        levels: dict[str, tuple[str, ...]] = {}
        for name in categories:
            counts = X[name].cast(pl.String).drop_nulls().rename("level").value_counts(name="rows")
            if _common(counts["rows"].to_numpy()) < 2:
                continue
            common = counts.filter(pl.col("rows") >= SMALLEST_GROUP).sort(
                ["rows", "level"], descending=[True, False]
            )
            told = sorted(common["level"].head(MOST_LEVELS))
            levels[name] = tuple(told[1:] if counts.height == 2 else told)
        return cls(numbers, levels)

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
        coded = [
            (pl.col(name).cast(pl.String) == level).cast(pl.Float64).alias(f"{place} {level}")
            for place, (name, levels) in enumerate(self.levels.items())
            for level in levels
        ]
        numbers = number_values(X, list(self.numbers))
        return np.column_stack([numbers, X.select(coded).to_numpy()]) if coded else numbers

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


def densities(X: pl.DataFrame) -> list[str]:
    """Return the columns that are numbers with ten or more distinct values, known of 11 patients or more, sorted by name."""
    names = sorted(name for name in X.columns if not is_category(X.schema[name]))
    if not names:
        return []
    known = pl.col(names).cast(pl.Float64).fill_nan(None).drop_nulls()
    distinct, patients = X.select(known.n_unique()).row(0), X.select(known.len()).row(0)
    return [
        name
        for name, values, told in zip(names, distinct, patients, strict=True)
        if values >= FEWEST_VALUES and told >= SMALLEST_GROUP
    ]


def answers_of(X: pl.DataFrame) -> Answers | None:
    """Return how columns are taken as answers, where none is a density; None where they are too few to tell patients apart."""
    found = Answers.fit(X)
    return found if found.columns and _patterns(found.values(X)) >= FEWEST_PATTERNS else None


def _common(counts: NDArray[np.int64]) -> int:
    return int((counts >= SMALLEST_GROUP).sum())


def _patterns(values: Floats) -> int:
    return len(np.unique(np.nan_to_num(values, nan=np.finfo(np.float64).max), axis=0))
