"""Gradient-boosted trees by XGBoost, kept shallow and shrunk."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.contract import Trial
from models.errors import BadTarget
from models.fixed_horizon import FixedHorizonLearner, Recipe
from models.leaves import Patients
from models.stored_trees import require_xg_boost
from models.training_rows import TrainingRows

if TYPE_CHECKING:
    import xgboost

Floats = NDArray[np.float64]

DEFAULTS = {
    "rounds": 100,
    "learning_rate": 0.05,
    "max_depth": 2,
    "min_child_weight": 10.0,
    "reg_lambda": 30.0,
    "colsample_bytree": 0.5,
    "subsample": 0.8,
}
MOST_HESSIAN = (
    0.25  # of a row of weight 1; min_child_weight is in units of it: 5 are 20 rows or more of weight 1
)
LEAST_CHILD_WEIGHT = 3.0
ROUNDING = 1e-4  # XGBoost keeps derivatives in single precision
MOST_BINS = 64
UNREACHED = 3e38  # near the largest number of single precision


class XgBoostModel:
    """An XGBoost model made from its JSON."""

    def __init__(self, data: bytes) -> None:
        import xgboost

        self._data = data
        try:
            self._booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(data))
        except (xgboost.core.XGBoostError, ValueError) as problem:
            raise BadTarget("The stored XGBoost model is damaged; train it again.") from problem

    def log_odds(self, values: Floats) -> Floats:
        """Return the log-odds, shape (rows,)."""
        return np.asarray(
            self._booster.inplace_predict(
                np.ascontiguousarray(values, dtype=np.float32), predict_type="margin"
            ),
            dtype=np.float64,
        )

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """Return exact tree SHAP values, shape (rows, derived), and base (Lundberg 2020, doi 10.1038/s42256-019-0138-9)."""
        import xgboost

        rows = xgboost.DMatrix(np.ascontiguousarray(values, dtype=np.float32), nthread=1)
        shares = np.asarray(self._booster.predict(rows, pred_contribs=True), dtype=np.float64)[:, :-1]
        # XGBoost adds in single precision: what rounding leaves, some 1e-7, goes into the base, so that the sum is exact.
        return shares, self.log_odds(values) - shares.sum(axis=1)

    def to_bytes(self) -> bytes:
        """Return the model's JSON."""
        return self._data


def fit_xg_boost(rows: TrainingRows, parameters: Mapping[str, Any]) -> XgBoostModel:
    """Fit the trees on one thread, the same at every run.

    What a row adds to min_child_weight grows with its weight, and a patient may have several rows, so min_child_weight is
    doubled until every leaf holds 11 patients.
    """
    import xgboost

    if parameters["min_child_weight"] < LEAST_CHILD_WEIGHT:
        raise BadTarget(
            f"xgboost needs min_child_weight of {LEAST_CHILD_WEIGHT} or more, so that no leaf tells about single "
            f"patients; got {parameters['min_child_weight']}."
        )
    settings = {
        **{name: value for name, value in parameters.items() if name in DEFAULTS and name != "rounds"},
        "objective": "binary:logistic",
        "base_score": float(np.average(rows.labels, weights=rows.weights)),
        "tree_method": "hist",
        "max_bin": MOST_BINS,
        "nthread": 1,
        "seed": rows.seed % 2**31,
        "verbosity": 0,
    }
    if rows.signs.any():
        settings["monotone_constraints"] = tuple(rows.signs.tolist())
    while True:
        booster = xgboost.train(settings, binned(rows), num_boost_round=int(parameters["rounds"]))
        if _big_leaves(booster, settings["min_child_weight"], rows):
            return XgBoostModel(between_values(bytes(booster.save_raw("json")), rows.values))
        settings["min_child_weight"] *= 2


def _big_leaves(booster: "xgboost.Booster", least: float, rows: TrainingRows) -> bool:
    """Return whether every leaf holds 11 patients; rows are sent through the trees only where `least` leaves it open."""
    patients = rows.once("patients", lambda: Patients.of(rows.groups, rows.weights, "xgboost"))
    if least > patients.weight_of_ten * MOST_HESSIAN * (1 + ROUNDING):
        return True
    return patients.fill(np.asarray(booster.predict(binned(rows), pred_leaf=True)))


def binned(rows: TrainingRows) -> "xgboost.QuantileDMatrix":
    """Return XGBoost's bins of the rows, made once: they depend on no tuned parameter."""
    import xgboost

    def make() -> xgboost.QuantileDMatrix:
        # Row by row in single precision, as XGBoost stores them: twice as fast to take in.
        single = np.ascontiguousarray(rows.values, dtype=np.float32)
        return xgboost.QuantileDMatrix(
            single, label=rows.labels, weight=rows.weights, max_bin=MOST_BINS, nthread=1
        )

    return rows.once("xgboost", make)


def between_values(data: bytes, values: Floats) -> bytes:
    """Return the model with every threshold moved half-way to the next smaller training value.

    XGBoost splits at values of patients; half-way between two of them no row of the training set changes sides, and the
    model holds no patient's value. A threshold above all values (it parts missing from known ones, and is computed from
    the largest) becomes a number that no value reaches.
    """
    model = json.loads(data)
    ladders: dict[int, Floats] = {}
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        for node, child in enumerate(tree["left_children"]):
            if child < 0:  # a leaf: its value stands in the same list as the thresholds
                continue
            column = tree["split_indices"][node]
            if column not in ladders:
                ladders[column] = _midpoints(values[:, column])
            # A value x goes left where x < threshold; rung i lies below the i-th distinct value.
            threshold = float(np.float32(tree["split_conditions"][node]))
            place = int(np.searchsorted(ladders[column][0], threshold, side="left"))
            tree["split_conditions"][node] = float(ladders[column][1][place])
    return json.dumps(model, sort_keys=True).encode()


def _midpoints(column: Floats) -> Floats:
    """Return the sorted distinct values (last: unreached) and, beneath each, the point half-way to the one before."""
    values = np.unique(column[~np.isnan(column)].astype(np.float32)).astype(np.float64)
    halves = ((values[1:] + values[:-1]) / 2).astype(np.float32)
    between = np.where(halves > values[:-1], halves, values[1:])  # nothing lies between neighbouring numbers
    return np.stack([np.append(values, UNREACHED), np.concatenate([[-UNREACHED], between, [UNREACHED]])])


def load_xg_boost(data: bytes) -> XgBoostModel:
    """Rebuild from JSON; anything else is refused before the library sees it."""
    try:
        model = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise BadTarget("The stored XGBoost model is not JSON; nothing of it was loaded.") from problem
    if not isinstance(model, dict) or not {"learner", "version"} <= set(model):
        raise BadTarget("The stored XGBoost model is JSON of something else; nothing of it was loaded.")
    require_xg_boost(data)
    return XgBoostModel(data)


def xg_boost_space(trial: Trial) -> dict[str, Any]:
    """Suggest parameters among those that keep patients unrecognisable: big leaves, few of them, slow steps, strong L2."""
    return {
        "rounds": trial.suggest_int("rounds", 25, 200, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.08, log=True),
        "max_depth": trial.suggest_int("max_depth", 1, 3),
        "min_child_weight": trial.suggest_float("min_child_weight", 5.0, 25.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 30.0, 300.0, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 0.6),
        "subsample": trial.suggest_float("subsample", 0.5, 0.8),
    }


class XgBoost(FixedHorizonLearner):
    """Regularised XGBoost (Chen and Guestrin 2016, doi 10.1145/2939672.2939785)."""

    recipe = Recipe(
        kind="xgboost",
        fit=fit_xg_boost,
        load=load_xg_boost,
        suffix="json",
        defaults=DEFAULTS,
        native_missing=True,
        monotone=True,
    )
