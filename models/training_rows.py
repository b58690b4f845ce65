"""The training rows of one horizon as a model sees them, kept over the trials of one tuning."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.errors import BadTarget
from models.target import Target

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
T = TypeVar("T")


class Preprocessing(Protocol):
    """Fitted preprocessing: a model's derived columns from a frame's feature columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns used."""

    @property
    def sources(self) -> Integers:
        """Position in `columns` of the column that each derived column came from, shape (derived,)."""

    def transform(self, X: pl.DataFrame) -> Floats:
        """Return what the model sees, shape (rows, derived)."""

    def signs(self, monotone: Mapping[str, str]) -> Integers:
        """Return the monotone constraint of each derived column, shape (derived,): models.monotone."""

    def to_state(self) -> dict[str, Any]:
        """Return the fitted state as JSON values."""


@dataclass(frozen=True)
class TrainingRows:
    """Rows of known status, preprocessed; nothing here depends on a tuned parameter.

    Attributes:
        X: their feature columns as they came, for learners that repeat the preprocessing in folds of their own.
        preprocessor: fitted on these rows.
        values: shape (rows, derived).
        labels: shape (rows,), 0 or 1.
        weights: shape (rows,), with mean 1.
        groups: shape (rows,), the patient of each row.
        signs: shape (derived,), the monotone constraint of each column (models.monotone).
        monotone: the constraints by feature column.
        seed: of everything random that is made of these rows.
        kept: what a library made of the values, such as bins.
    """

    X: pl.DataFrame
    preprocessor: Preprocessing
    values: Floats
    labels: Integers
    weights: Floats
    groups: Integers
    signs: Integers
    monotone: Mapping[str, str]
    seed: int
    kept: dict[str, object] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` makes of these rows, made at the first call only."""
        if name not in self.kept:
            self.kept[name] = make()
        made: T = self.kept[name]  # type: ignore[assignment]  # whoever names it knows its type
        return made


def require_rows(X: pl.DataFrame, target: Target) -> None:
    """Refuse features and a target of different lengths."""
    if X.height != len(target):
        raise BadTarget(f"Features have {X.height} rows but the target {len(target)}; assemble them again.")


def require_variation(names: Sequence[str], preprocessor: Preprocessing, rows: int) -> None:
    """Refuse training rows in which no column varies."""
    if names and not preprocessor.columns:
        raise BadTarget(
            f"None of the {len(names)} columns varies over the {rows} training rows; check the feature sets."
        )
