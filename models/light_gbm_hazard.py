"""Hazards in discrete time by LightGBM: in each interval, which cause happens, if any."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract import Trial
from models.hazard_trees import (
    Classes,
    HazardTrees,
    fit_hazard_trees,
    interval_log_odds,
    load_hazard_trees,
    with_interval,
)
from models.incidence import interval_edges
from models.person_periods import person_periods
from models.time_learner import FollowUp, TimeLearner, TimeRecipe

Floats = NDArray[np.float64]

DEFAULTS = {
    "rounds": 150,
    "learning_rate": 0.05,
    "num_leaves": 4,
    "min_data_in_leaf": 40,
    "lambda_l2": 30.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
}
MOST_INTERVALS = 8
MOST_CELLS = 250_000_000  # of the matrix of person-periods, 4 bytes each: 1 GB
SURE = 1e-9


def light_gbm_hazard_space(trial: Trial) -> dict[str, Any]:
    """Suggest parameters among those that keep patients unrecognisable: big leaves, few of them, slow steps, strong L2."""
    return {
        "rounds": trial.suggest_int("rounds", 25, 250, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.08, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 3, 8),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 20, 100, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 30.0, 300.0, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 0.6),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 0.8),
    }


class LightGbmHazard(TimeLearner):
    """Regularised LightGBM (Ke 2017) on person-periods, the cause as class (Tutz and Schmid 2016, chapter 8).

    Intervals end at quantiles of the event times and at every horizon. In an interval the odds of each cause against none
    are the interval's own odds times what the trees say of the row and the interval; the trees start from the former. A
    cause with fewer than 11 events has no trees: its hazard in an interval is the same for everybody.

    Memory: the matrix of person-periods has at most 250 million cells of 4 bytes, for which fewer intervals are taken
    (never fewer than there are horizons). `min_data_in_leaf` counts patients: it is multiplied by the number of intervals,
    as one patient has at most one row in each, and no leaf ever holds fewer than 11 patients.

    Score: the log odds of cause 1 against none, averaged over the intervals up to the main horizon, which is the log hazard
    where intervals are short. What the trees say of time alone belongs to the base.
    """

    recipe = TimeRecipe(kind="lightgbm_hazard", suffix="txt", defaults=DEFAULTS, native_missing=True)

    _trees: HazardTrees | None
    _modelled: tuple[int, ...]
    _offsets: Floats  # shape (modelled causes, intervals), log odds against none
    _rare: Floats  # shape (causes, intervals), hazards of causes without trees, else 0

    def _fit_hazards(self, values: Floats, followed: FollowUp) -> tuple[float, ...]:
        most = max(1, min(MOST_INTERVALS, MOST_CELLS // (values.shape[0] * (values.shape[1] + 1))))
        edges = interval_edges(followed.time, followed.cause > 0, followed.horizons, most=most)
        periods = person_periods(followed.time, followed.cause, edges)
        self._modelled = followed.modelled()
        self._rare = periods.rates(range(1, followed.causes + 1), len(edges))
        self._rare[[cause - 1 for cause in self._modelled]] = 0.0
        self._offsets = interval_log_odds(periods, self._modelled, len(edges))
        self._trees = None
        if self._modelled:
            classes = Classes(periods, self._modelled, self._offsets)
            self._trees = fit_hazard_trees(values, classes, self._parameters, self._seed)
        return edges

    def _raw(self, values: Floats, interval: int) -> Floats:
        """Return the log odds of each modelled cause against none, shape (rows, modelled)."""
        if self._trees is None:
            return np.zeros((len(values), 0))
        raw = self._trees.log_odds(with_interval(values, interval)).reshape(len(values), -1)
        if len(self._modelled) > 1:
            raw = raw[:, 1:] - raw[:, :1]
        return np.asarray(raw + self._offsets[:, interval], dtype=np.float64)

    def _hazards(self, values: Floats) -> Callable[[int], Floats]:
        places = [cause - 1 for cause in self._modelled]

        def of_interval(interval: int) -> Floats:
            found = np.tile(-np.log1p(-np.minimum(self._rare[:, interval], 1 - SURE)), (len(values), 1))
            if places:
                raw = self._raw(values, interval)
                none = -np.logaddexp.reduce(np.column_stack([np.zeros(len(raw)), raw]), axis=1)
                # The shares of the causes among what happens, times the hazard of anything.
                shares = np.exp(raw - np.logaddexp.reduce(raw, axis=1)[:, None])
                found[:, places] = shares * -none[:, None]
            return found

        return of_interval

    def _until_main(self) -> range:
        return range(int(np.searchsorted(self._edges, self._main)) + 1)

    def _score(self, values: Floats) -> Floats:
        if 1 not in self._modelled:
            return np.zeros(len(values))
        raw = [self._raw(values, interval)[:, 0] for interval in self._until_main()]
        return np.asarray(np.mean(raw, axis=0), dtype=np.float64)

    def _contributions(self, values: Floats) -> tuple[Floats, Floats]:
        summed, base = np.zeros(values.shape), np.zeros(len(values))
        if 1 not in self._modelled or self._trees is None:
            return summed, base
        width = values.shape[1] + 2  # the interval and the base stand behind the columns
        for interval in self._until_main():
            shares = self._trees.shares(with_interval(values, interval))
            of_first = shares[:, width : 2 * width] - shares[:, :width] if len(self._modelled) > 1 else shares
            summed += of_first[:, : values.shape[1]]
            base += of_first[:, values.shape[1] :].sum(axis=1) + self._offsets[0, interval]
        return summed / len(self._until_main()), base / len(self._until_main())

    def _model_state(self) -> dict[str, Any]:
        return {
            "modelled": list(self._modelled),
            "offsets": self._offsets.tolist(),
            "rare": self._rare.tolist(),
        }

    def _model_parts(self) -> dict[str, bytes]:
        return {} if self._trees is None else {"model_0.txt": self._trees.to_bytes()}

    def _restore(self, state: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        self._modelled = tuple(int(cause) for cause in state["modelled"])
        self._rare = np.asarray(state["rare"], dtype=np.float64)
        self._offsets = np.asarray(state["offsets"], dtype=np.float64).reshape(len(self._modelled), -1)
        if self._rare.shape[1] != len(self._edges):
            raise ValueError("hazards and intervals differ in number")
        self._trees = load_hazard_trees(parts["model_0.txt"]) if self._modelled else None
