"""What is done to feature columns before a stack: each modality's own preprocessing, on the rows that have it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.errors import BadTarget
from models.modalities import modality_presence
from models.preprocessing import Preprocessor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class StackPreprocessor:
    """Preprocessing of each modality side by side; of a modality that a row lacks all derived columns are NaN.

    A row lacks a modality when all columns of it that vary among the training rows are missing.

    Attributes:
        names: the modalities, sorted.
        each: their preprocessing; one without any column where nothing of the modality varies.
    """

    names: tuple[str, ...]
    each: tuple[Preprocessor, ...]

    @classmethod
    def fit(cls, X: pl.DataFrame, columns: Mapping[str, Sequence[str]]) -> Self:
        """Learn from training rows; `columns` are those of each modality."""
        present = modality_presence(X, {name: tuple(columns[name]) for name in columns})
        fitted = [
            Preprocessor.fit(X.filter(pl.Series(present[:, place])), columns=columns[name], scale=True)
            for place, name in enumerate(columns)
        ]
        return cls(tuple(columns), tuple(fitted))

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns used, modality by modality."""
        return tuple(name for one in self.each for name in one.columns)

    @property
    def sources(self) -> Integers:
        """Position in `columns` of the column that each derived column came from, shape (derived,)."""
        before = np.cumsum([0, *(len(one.columns) for one in self.each)])
        parts = [one.sources + before[place] for place, one in enumerate(self.each)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    @property
    def blocks(self) -> tuple[slice, ...]:
        """The derived columns of each modality."""
        ends = np.cumsum([0, *(len(one.sources) for one in self.each)])
        return tuple(slice(int(start), int(end)) for start, end in pairwise(ends))

    def transform(self, X: pl.DataFrame) -> Floats:
        """Return what the stack sees, shape (rows, derived); raises BadTarget where a column is missing."""
        values = np.full((X.height, len(self.sources)), np.nan, order="F")
        used = {name: one.columns for name, one in zip(self.names, self.each, strict=True)}
        for one, block in zip(self.each, self.blocks, strict=True):
            values[:, block] = one.transform(X)
        for place, present in enumerate(modality_presence(X, used).T):
            values[~present, self.blocks[place]] = np.nan
        return values

    def signs(self, monotone: Mapping[str, str]) -> Integers:
        """Return the monotone constraint of each derived column, shape (derived,)."""
        return np.concatenate([one.signs(monotone) for one in self.each])

    def to_state(self) -> dict[str, Any]:
        """Return the fitted state as JSON values."""
        return {"names": list(self.names), "each": [one.to_state() for one in self.each]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            names, each = tuple(state["names"]), tuple(Preprocessor.from_state(one) for one in state["each"])
        except (KeyError, TypeError, AttributeError) as problem:
            raise BadTarget(
                "The stored preprocessing of this model is damaged; train the model again."
            ) from problem
        if len(names) != len(each):
            raise BadTarget("The stored preprocessing of this model is damaged; train the model again.")
        return cls(names, each)
