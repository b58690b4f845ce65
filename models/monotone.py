"""Monotone constraints as a study declares them, and what they mean for the columns that a model sees."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.columns import is_category
from models.errors import BadTarget
from models.preprocessing import DIRECTIONS, Preprocessor

PARAMETER = "monotone"  # its name among a learner's parameters


def signs(preprocessor: Preprocessor, monotone: Mapping[str, str]) -> NDArray[np.int64]:
    """Return the constraint of each derived column, shape (derived,); see Preprocessor.signs."""
    return preprocessor.signs(monotone)


def checked_monotone(parameters: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return the constraints among a learner's parameters, {} without; refuses what is not a direction."""
    declared = parameters.get(PARAMETER) or {}
    if not isinstance(declared, Mapping) or not set(declared.values()) <= set(DIRECTIONS):
        raise BadTarget(
            f"The learner {kind} needs monotone: as a mapping of columns to {' or '.join(DIRECTIONS)}; mend it in the "
            "study file."
        )
    return {str(column): str(declared[column]) for column in sorted(declared)}


def require_monotone_columns(X: pl.DataFrame, names: Sequence[str], monotone: Mapping[str, str]) -> None:
    """Refuse a constraint on a column that the learner does not use or that holds categories."""
    absent = sorted(set(monotone) - set(names))
    if absent:
        raise BadTarget(
            f"monotone: names {', '.join(absent)}, which the learner does not use; give names of its feature columns."
        )
    categories = [name for name in monotone if is_category(X.schema[name])]
    if categories:
        raise BadTarget(
            f"monotone: {', '.join(categories)} holds categories, which have no order; constrain columns of numbers alone."
        )
