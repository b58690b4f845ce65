"""What is read of stored strata before anything is made of it: whole settings, and numbers that some fit could have given."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.clustering.contract import ClusterOptions
from models.clustering.representation import Representation
from models.fixed_horizon import STATE_FILE

MOST_STRATA = 100
LARGEST, SMALLEST = 1e100, 1e-200  # of a stored number beside 0; beyond them sums overflow
ORTHONORMAL = 1e-6


def read_json(content: bytes) -> Any:
    """Return a stored JSON value; raises ValueError where a number is none that a fit could have given."""
    value = json.loads(content)
    _require_numbers(value)
    return value


def options_of(state: Mapping[str, Any]) -> ClusterOptions:
    """Return a study's choices about its clusterer; raises KeyError, TypeError or ValueError where they are none."""
    modalities, weights, parameters = (dict(state[name]) for name in ("modalities", "weights", "parameters"))
    names_of([*modalities, *modalities.values(), *weights, *parameters])
    if not all(_is_number(weight) and weight > 0 for weight in weights.values()):
        raise ValueError("weights must be positive numbers")
    return ClusterOptions(modalities, weights, parameters)


def names_of(found: Sequence[Any]) -> tuple[str, ...]:
    """Return names of columns; raises TypeError where they are none."""
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise TypeError("a list of names is expected")
    return tuple(found)


def number_of_strata(state: Mapping[str, Any], own: Mapping[str, bytes]) -> int:
    """Return the number of strata; raises ValueError where the clusterer's own file is of another."""
    k = state["k"]
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MOST_STRATA:
        raise ValueError("no number of strata")
    if json.loads(own[STATE_FILE])["k"] != k:
        raise ValueError("strata of different numbers")
    return k


def require_fitting(
    columns: Sequence[str], representation: Representation, used: Sequence[str]
) -> Representation:
    """Return the representation; raises ValueError where it or the clusterer is of other columns than the recipe, or no rotation."""
    if not columns or len(set(columns)) < len(columns):
        raise ValueError("columns must be named once")
    if not {*representation.columns, *used} <= set(columns):
        raise ValueError("columns that the recipe does not name")
    axes = representation.axes
    if not np.allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=ORTHONORMAL):
        raise ValueError("axes must be orthonormal")
    return representation


def _require_numbers(value: Any) -> None:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _require_numbers(one)
    elif _is_number(value) and value != 0 and not SMALLEST <= abs(value) <= LARGEST:
        raise ValueError("a number that no fit gives")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
