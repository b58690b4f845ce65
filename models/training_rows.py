"""The training rows of one horizon as a model sees them, kept over the trials of one tuning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.errors import BadTarget
from models.preprocessing import Preprocessor
from models.target import Target

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True)
class TrainingRows:
    """Rows of known status, preprocessed; nothing here depends on a tuned parameter.

    Attributes:
        preprocessor: fitted on these rows.
        values: shape (rows, derived).
        labels: shape (rows,), 0 or 1.
        weights: shape (rows,), with mean 1.
        signs: shape (derived,), the monotone constraint of each column (models.monotone.signs).
        seed: of everything random that is made of these rows.
        kept: what a library made of the values, such as bins.
    """

    preprocessor: Preprocessor
    values: Floats
    labels: Integers
    weights: Floats
    signs: Integers
    seed: int
    kept: dict[str, object] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` makes of these rows, made at the first call only."""
        if name not in self.kept:
            self.kept[name] = make()
        made: T = self.kept[name]  # type: ignore[assignment]  # whoever names it knows its type
        return made


def rows_of_known_status(
    X: pl.DataFrame, target: Target, horizon: float
) -> tuple[pl.DataFrame, Integers, Floats]:
    """Return the rows whose status is known at the horizon, their labels, and their weights with mean 1."""
    weights = target.weights(horizon)
    known = weights > 0
    kept = weights[known]
    return X if known.all() else X.filter(known), target.labels(horizon)[known], kept / kept.mean()


def require_rows(X: pl.DataFrame, target: Target) -> None:
    """Refuse features and a target of different lengths."""
    if X.height != len(target):
        raise BadTarget(f"Features have {X.height} rows but the target {len(target)}; assemble them again.")


def require_variation(names: Sequence[str], preprocessor: Preprocessor, rows: int) -> None:
    """Refuse training rows in which no column varies."""
    if names and not preprocessor.columns:
        raise BadTarget(
            f"None of the {len(names)} columns varies over the {rows} training rows; check the feature sets."
        )
