"""The base rate: the same risk for everybody, below which no model is worth anything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import BadTarget
from models.fixed_horizon import FixedHorizonLearner, Recipe
from models.training_rows import TrainingRows

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ConstantLogOdds:
    """One log-odds for every row."""

    value: float

    def log_odds(self, values: Floats) -> Floats:
        """Return the constant, shape (rows,)."""
        return np.full(len(values), self.value)

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """Return zeros, shape (rows, derived), and the constant as base."""
        return np.zeros(values.shape), self.log_odds(values)

    def to_bytes(self) -> bytes:
        """Return the constant as JSON."""
        return json.dumps({"log_odds": self.value}).encode()


def fit_base_rate(rows: TrainingRows, parameters: Mapping[str, Any]) -> ConstantLogOdds:
    """Fit the weighted event rate: the Horvitz-Thompson estimate of the risk at the horizon."""
    rate = float(np.average(rows.labels, weights=rows.weights))
    return ConstantLogOdds(float(np.log(rate) - np.log1p(-rate)))


def load_base_rate(data: bytes) -> ConstantLogOdds:
    """Rebuild from JSON bytes."""
    try:
        return ConstantLogOdds(float(json.loads(data.decode("utf-8"))["log_odds"]))
    except (ValueError, KeyError, TypeError) as problem:
        raise BadTarget("The stored base rate is damaged; train it again.") from problem


class BaseRate(FixedHorizonLearner):
    """The weighted event rate of the training rows."""

    recipe = Recipe(
        kind="base_rate", fit=fit_base_rate, load=load_base_rate, suffix="json", uses_columns=False
    )
