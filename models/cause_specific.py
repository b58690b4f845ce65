"""Proportional hazards per cause: a model of the log hazard for each, its baseline, and absolute risks of all."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.incidence import interval_edges, summed_jumps
from models.risk_sets import RiskSets
from models.time_learner import FollowUp, TimeLearner

Floats = NDArray[np.float64]

MOST_INTERVALS = 200  # of a baseline: half a percent of the events each, where events abound
UTMOST = 50.0  # a log hazard beyond it is a value far outside training; exp of it still is a number


class LogHazard(Protocol):
    """A model of the log hazard of one cause on preprocessed columns."""

    def log_hazard(self, values: Floats) -> Floats:
        """Return the log hazard up to the baseline, shape (rows,), for values of shape (rows, derived)."""

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """Return each derived column's share of it, shape (rows, derived), and the base, shape (rows,)."""

    def to_bytes(self) -> bytes:
        """Return the model in a native or JSON format, without any training row's value."""


class CauseSpecificLearner(TimeLearner):
    """One model of the log hazard per cause, the other causes censored, and Breslow's baseline with Efron's ties.

    Baselines are summed over intervals of 11 events or more of any cause, so that they hold no patient's day. A cause with
    fewer than 11 events has no predictors: its hazard is the Nelson-Aalen one, the same for everybody.
    """

    _models: dict[int, LogHazard]
    _baselines: Floats  # shape (causes, intervals)

    @abstractmethod
    def _fit_cause(self, values: Floats, time: Floats, event: NDArray[np.bool_]) -> LogHazard:
        """Fit the log hazard of one cause; values have shape (rows, derived)."""

    @abstractmethod
    def _load_cause(self, data: bytes) -> LogHazard:
        """Rebuild the model of one cause; raises BadTarget where the bytes are not what to_bytes wrote."""

    def _fit_hazards(self, values: Floats, followed: FollowUp) -> tuple[float, ...]:
        edges = interval_edges(followed.time, followed.cause > 0, followed.horizons, most=MOST_INTERVALS)
        self._models = {}
        self._baselines = np.zeros((followed.causes, len(edges)))
        modelled = followed.modelled()
        for cause in range(1, followed.causes + 1):
            event = followed.cause == cause
            if cause in modelled:
                self._models[cause] = self._fit_cause(values, followed.time, event)
            sets = RiskSets.of(followed.time, event)
            jumps = sets.jumps(self._log_hazard(cause, values))
            self._baselines[cause - 1] = summed_jumps(sets.day, jumps, edges)
        return edges

    def _log_hazard(self, cause: int, values: Floats) -> Floats:
        if cause not in self._models:
            return np.zeros(len(values))
        return np.clip(self._models[cause].log_hazard(values), -UTMOST, UTMOST)

    def _hazards(self, values: Floats) -> Callable[[int], Floats]:
        causes = range(1, len(self._baselines) + 1)
        ratios = np.exp(np.column_stack([self._log_hazard(cause, values) for cause in causes]))
        return lambda interval: ratios * self._baselines[:, interval]

    def _score(self, values: Floats) -> Floats:
        """Return the log hazard of cause 1 relative to the baseline."""
        return self._models[1].log_hazard(values) if 1 in self._models else np.zeros(len(values))

    def _contributions(self, values: Floats) -> tuple[Floats, Floats]:
        if 1 not in self._models:
            return np.zeros(values.shape), np.zeros(len(values))
        return self._models[1].contributions(values)

    def _model_state(self) -> dict[str, Any]:
        return {"modelled": sorted(self._models), "baselines": self._baselines.tolist()}

    def _model_parts(self) -> dict[str, bytes]:
        return {self._file(cause): model.to_bytes() for cause, model in self._models.items()}

    def _restore(self, state: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        self._baselines = np.asarray(state["baselines"], dtype=np.float64)
        if self._baselines.ndim != 2 or self._baselines.shape[1] != len(self._edges):
            raise ValueError("baselines and intervals differ in number")
        self._models = {int(cause): self._load_cause(parts[self._file(cause)]) for cause in state["modelled"]}

    def _file(self, cause: int) -> str:
        return f"model_{cause - 1}.{self.recipe.suffix}"
