"""Cox models of each cause by XGBoost, kept shallow and shrunk."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.cause_specific import CauseSpecificLearner, LogHazard
from models.contract import Trial
from models.errors import BadTarget
from models.time_learner import TimeRecipe
from models.xg_boost import MOST_BINS, XgBoostModel, between_values, load_xg_boost

Floats = NDArray[np.float64]

DEFAULTS = {
    "rounds": 150,
    "learning_rate": 0.05,
    "max_depth": 2,
    "min_child_weight": 10.0,
    "reg_lambda": 30.0,
    "colsample_bytree": 0.5,
    "subsample": 0.8,
}
LEAST_CHILD_WEIGHT = 3.0  # in expected events
FEWEST_IN_LEAF = 11  # a leaf of fewer rows would tell about them


class XgBoostLogHazard(XgBoostModel):
    """Trees whose sum is the log hazard up to the baseline."""

    def log_hazard(self, values: Floats) -> Floats:
        """Return the log hazard ratio, shape (rows,)."""
        return self.log_odds(values)  # the margin, whatever it is of


def xg_boost_cox_space(trial: Trial) -> dict[str, Any]:
    """Suggest parameters among those that keep patients unrecognisable: big leaves, few of them, slow steps, strong L2."""
    return {
        "rounds": trial.suggest_int("rounds", 25, 300, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.08, log=True),
        "max_depth": trial.suggest_int("max_depth", 1, 3),
        "min_child_weight": trial.suggest_float("min_child_weight", 5.0, 25.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 30.0, 300.0, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 0.6),
        "subsample": trial.suggest_float("subsample", 0.5, 0.8),
    }


def fit_xg_boost_cox(
    values: Floats, time: Floats, event: NDArray[np.bool_], parameters: Mapping[str, Any], seed: int
) -> XgBoostLogHazard:
    """Fit the trees on one thread, the same at every run.

    The second derivative of a row is its expected number of events, which has no upper bound, so min_child_weight alone
    does not bound the rows of a leaf: it is doubled until no leaf holds fewer than 11 training rows.

    Args:
        values: shape (rows, derived), NaN where missing.
        time: shape (rows,).
        event: shape (rows,).
        parameters: see `xg_boost_cox_space`.
        seed: of the columns and rows drawn for each tree.
    """
    import xgboost

    weight = float(parameters["min_child_weight"])
    if weight < LEAST_CHILD_WEIGHT:
        raise BadTarget(
            f"xgboost_cox needs min_child_weight of {LEAST_CHILD_WEIGHT} or more, so that no leaf tells about single "
            f"patients; got {weight}."
        )
    single = np.ascontiguousarray(values, dtype=np.float32)
    # Only the order of times counts; ranks keep it in single precision too. Censored ones are negative.
    rank = np.unique(time, return_inverse=True)[1] + 1.0
    rows = xgboost.QuantileDMatrix(single, label=np.where(event, rank, -rank), max_bin=MOST_BINS, nthread=1)
    settings = {
        **{name: value for name, value in parameters.items() if name != "rounds"},
        "objective": "survival:cox",
        "base_score": 1.0,
        "tree_method": "hist",
        "max_bin": MOST_BINS,
        "nthread": 1,
        "seed": seed % 2**31,
        "verbosity": 0,
    }
    while True:
        settings["min_child_weight"] = weight
        booster = xgboost.train(settings, rows, num_boost_round=int(parameters["rounds"]))
        if _smallest_leaf(np.asarray(booster.predict(rows, pred_leaf=True))) >= FEWEST_IN_LEAF:
            return XgBoostLogHazard(between_values(bytes(booster.save_raw("json")), values))
        weight *= 2


def _smallest_leaf(leaves: NDArray[Any]) -> int:
    """Return the fewest rows of any leaf, given each row's leaf of each tree, shape (rows, trees)."""
    trees = leaves.reshape(len(leaves), -1).astype(np.int64)
    width = int(trees.max(initial=0)) + 1
    counts = np.bincount((trees + width * np.arange(trees.shape[1])).ravel())
    return int(counts[counts > 0].min())


class XgBoostCox(CauseSpecificLearner):
    """Regularised XGBoost on Cox's partial likelihood (Chen and Guestrin 2016, doi 10.1145/2939672.2939785)."""

    recipe = TimeRecipe(kind="xgboost_cox", suffix="json", defaults=DEFAULTS, native_missing=True)

    def _fit_cause(self, values: Floats, time: Floats, event: NDArray[np.bool_]) -> LogHazard:
        return fit_xg_boost_cox(values, time, event, self._parameters, self._seed)

    def _load_cause(self, data: bytes) -> LogHazard:
        return XgBoostLogHazard(load_xg_boost(data).to_bytes())
