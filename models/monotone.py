"""Monotone constraints as a study declares them, and what they mean for the columns that a model sees."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.columns import is_category
from models.errors import BadTarget
from models.preprocessing import Preprocessor

PARAMETER = "monotone"  # its name among a learner's parameters
DIRECTIONS: Mapping[str, int] = {"increasing": 1, "decreasing": -1}


def signs(preprocessor: Preprocessor, monotone: Mapping[str, str]) -> NDArray[np.int64]:
    """Return the constraint of each derived column, shape (derived,): 1 risk never falls, -1 never rises, 0 free.

    Only the column that holds a number's value is constrained: the 0/1 column that marks it as missing is free, as are
    categories. A constrained column that training left out, because it was constant there, needs no constraint.
    """
    found = []
    for number in preprocessor.numbers:
        direction = DIRECTIONS[monotone[number.name]] if number.name in monotone else 0
        found += [direction, *[0] * (number.derived() - 1)]
    found += [0] * (len(preprocessor.sources) - len(found))
    return np.asarray(found, dtype=np.int64)


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
