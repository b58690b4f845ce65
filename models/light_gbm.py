"""Gradient-boosted trees by LightGBM, kept shallow and shrunk."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.contract import Trial
from models.errors import BadTarget
from models.fixed_horizon import FixedHorizonLearner, Recipe
from models.leaves import FEWEST_IN_LEAF, Patients
from models.stored_trees import require_light_gbm
from models.training_rows import TrainingRows

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DEFAULTS = {
    "rounds": 100,
    "learning_rate": 0.05,
    "num_leaves": 4,
    "min_data_in_leaf": 40,
    "lambda_l2": 30.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
}
# What makes the bins. Columns that cannot be split are not left out beforehand: that would depend on min_data_in_leaf.
BINNING = {
    "max_bin": 63,
    "bin_construct_sample_cnt": 20_000,
    "feature_pre_filter": False,
    "num_threads": 1,
    "verbosity": -1,
}


class LightGbmModel:
    """A LightGBM model made from its text, in which no column's smallest or largest value stands."""

    def __init__(self, text: str) -> None:
        import lightgbm

        self._text = re.sub(r"^feature_infos=.*$", _unknown_ranges, text, count=1, flags=re.MULTILINE)
        try:
            self._booster = lightgbm.Booster(model_str=self._text)
        except lightgbm.basic.LightGBMError as problem:
            raise BadTarget("The stored LightGBM model is damaged; train it again.") from problem

    def log_odds(self, values: Floats) -> Floats:
        """Return the log-odds, shape (rows,)."""
        raw = self._booster.predict(values, raw_score=True, num_threads=1)
        return np.asarray(raw, dtype=np.float64)

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """Return exact tree SHAP values, shape (rows, derived), and base (Lundberg 2020, doi 10.1038/s42256-019-0138-9)."""
        shares = np.asarray(self._booster.predict(values, pred_contrib=True, num_threads=1), dtype=np.float64)
        return shares[:, :-1], shares[:, -1]

    def to_bytes(self) -> bytes:
        """Return the model's text."""
        return self._text.encode()


def _unknown_ranges(line: re.Match[str]) -> str:
    return "feature_infos=" + " ".join(["none"] * len(line.group().split()))


def fit_light_gbm(rows: TrainingRows, parameters: Mapping[str, Any]) -> LightGbmModel:
    """Fit the trees on one thread, the same at every run.

    LightGBM estimates the rows of a leaf from their second derivatives and knows nothing of patients, so min_data_in_leaf
    is doubled until every leaf holds 11 patients.
    """
    import lightgbm

    if parameters["min_data_in_leaf"] < FEWEST_IN_LEAF:
        raise BadTarget(
            f"lightgbm needs min_data_in_leaf of {FEWEST_IN_LEAF} or more, so that no leaf tells about single patients; "
            f"got {parameters['min_data_in_leaf']}."
        )
    settings = {
        **{name: value for name, value in parameters.items() if name in DEFAULTS and name != "rounds"},
        **BINNING,
        "objective": "binary",
        "bagging_freq": 1,
        "deterministic": True,
        "force_col_wise": True,
        "seed": rows.seed % 2**31,
    }
    if rows.signs.any():
        settings["monotone_constraints"] = rows.signs.tolist()
        settings["monotone_constraints_method"] = "intermediate"
    while True:
        booster = lightgbm.train(settings, binned(rows), num_boost_round=int(parameters["rounds"]))
        text = booster.model_to_string()
        if _big_leaves(booster, text, rows):
            return LightGbmModel(text)
        settings["min_data_in_leaf"] *= 2


def _big_leaves(booster: "lightgbm.Booster", text: str, rows: TrainingRows) -> bool:
    """Return whether every leaf holds 11 patients.

    The rows are sent only through the trees whose counts leave it open, and those between them.
    """
    patients = rows.once("patients", lambda: Patients.of(rows.groups, rows.weights, "lightgbm"))
    doubtful = np.flatnonzero(fewest_rows(text) <= patients.rows_of_ten)
    if not doubtful.size:
        return True
    first, last = int(doubtful[0]), int(doubtful[-1])
    leaves = booster.predict(
        rows.values, pred_leaf=True, num_threads=1, start_iteration=first, num_iteration=last - first + 1
    )
    return patients.fill(np.asarray(leaves))


def fewest_rows(text: str) -> Integers:
    """Return the fewest training rows of any leaf of each tree, shape (trees,), those that bagging left out not counted."""
    lines = [rest.split("\n", 1)[0] for rest in text.split("\nleaf_count=")[1:]]
    return np.array([min(int(count) for count in line.split()) for line in lines], dtype=np.int64)


def binned(rows: TrainingRows) -> "lightgbm.Dataset":
    """Return LightGBM's bins of the rows, made once: they depend on no tuned parameter."""
    import lightgbm

    def make() -> lightgbm.Dataset:
        settings = {**BINNING, "seed": rows.seed % 2**31}
        made = lightgbm.Dataset(rows.values, label=rows.labels, weight=rows.weights, params=settings)
        return made.construct()

    return rows.once("lightgbm", make)


def load_light_gbm(data: bytes) -> LightGbmModel:
    """Rebuild from text; anything but a LightGBM text of trees is refused before the library sees it."""
    if not data.startswith(b"tree\nversion=") or not data.endswith(b"\npandas_categorical:null\n"):
        raise BadTarget("The stored LightGBM model is not a LightGBM text; nothing of it was loaded.")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as problem:
        raise BadTarget("The stored LightGBM model is damaged; train it again.") from problem
    require_light_gbm(text)
    return LightGbmModel(text)


def light_gbm_space(trial: Trial) -> dict[str, Any]:
    """Suggest parameters among those that keep patients unrecognisable: big leaves, few of them, slow steps, strong L2."""
    return {
        "rounds": trial.suggest_int("rounds", 25, 200, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.08, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 3, 8),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 20, 100, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 30.0, 300.0, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 0.6),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 0.8),
    }


class LightGbm(FixedHorizonLearner):
    """Regularised LightGBM (Ke 2017)."""

    recipe = Recipe(
        kind="lightgbm",
        fit=fit_light_gbm,
        load=load_light_gbm,
        suffix="txt",
        defaults=DEFAULTS,
        native_missing=True,
        monotone=True,
    )
