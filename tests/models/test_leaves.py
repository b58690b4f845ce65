"""No leaf of a fixed-horizon tree holds ten patients, however heavy their rows and however many each has."""

from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost

import models.light_gbm
import models.xg_boost
from models.contract import PreparedLearner
from models.errors import BadTarget
from models.leaves import Patients
from models.preprocessing import Preprocessor
from models.registry import LEARNERS
from models.target import Target

# The smallest limits that the learners take, and steps that find small leaves.
SMALLEST: dict[str, dict[str, Any]] = {
    "lightgbm": {
        "min_data_in_leaf": 11,
        "num_leaves": 8,
        "lambda_l2": 0.0,
        "learning_rate": 0.2,
        "rounds": 40,
    },
    "xgboost": {
        "min_child_weight": 3.0,
        "max_depth": 3,
        "reg_lambda": 0.0,
        "learning_rate": 0.2,
        "rounds": 40,
    },
}
HORIZON = 300.0


def visits(patients: int, each: int) -> tuple[pl.DataFrame, Target]:
    """Visits of patients who hardly change, censored the more the higher their first value."""
    draws = np.random.default_rng(5)
    patient = draws.permutation(np.repeat(np.arange(patients), each))
    values = draws.normal(size=(patients, 4))[patient] + 0.02 * draws.normal(size=(patients * each, 4))
    event = draws.exponential(400 * np.exp(-1.5 * values[:, 1]))
    censored = draws.exponential(500 * np.exp(-values[:, 0]))
    target = Target.from_times(
        np.minimum(event, censored), (event <= censored).astype(int), [HORIZON], groups=patient
    )
    return pl.DataFrame(values, schema=list("abcd")), target


def leaves(name: str, learner: Any, X: pl.DataFrame) -> np.ndarray:
    """Return each row's leaf of each tree, shape (rows, trees), by the stored model alone."""
    data = next(part for file, part in learner.to_parts().items() if file.startswith("model_0"))
    preprocessor = Preprocessor.fit(X, columns=X.columns, scale=False, native_missing=True)
    values = preprocessor.transform(X)
    if name == "lightgbm":
        found = lightgbm.Booster(model_str=data.decode()).predict(values, pred_leaf=True)
    else:
        booster = xgboost.Booster(model_file=bytearray(data))
        found = booster.predict(xgboost.DMatrix(values.astype(np.float32)), pred_leaf=True)
    return np.asarray(found).reshape(X.height, -1)


def fewest(name: str, learner: Any, X: pl.DataFrame, target: Target) -> int:
    """Return the fewest patients of any leaf, counted one by one."""
    assert target.groups is not None
    known = target.weights(HORIZON) > 0
    patients = target.groups[known]
    return min(
        len(set(patients[tree == leaf]))
        for tree in leaves(name, learner, X.filter(known)).T
        for leaf in np.unique(tree)
    )


@pytest.mark.parametrize("name", SMALLEST)
@pytest.mark.parametrize(("patients", "each"), [(300, 1), (100, 5)])
def test_no_leaf_holds_ten_patients(name: str, patients: int, each: int) -> None:
    X, target = visits(patients, each)
    learner = LEARNERS[name].build(SMALLEST[name], predictors=None, seed=1)
    assert 11 <= fewest(name, learner.fit(X, target), X, target) < 40  # it did grow trees


@pytest.mark.parametrize(("name", "module"), [("lightgbm", models.light_gbm), ("xgboost", models.xg_boost)])
def test_without_the_count_some_leaf_would(name: str, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_big_leaves", lambda *_: True)
    X, target = visits(100, 5)
    learner = LEARNERS[name].build(SMALLEST[name], predictors=None, seed=1)
    assert fewest(name, learner.fit(X, target), X, target) < 11


@pytest.mark.parametrize("name", SMALLEST)
def test_a_refit_shares_its_preparation_and_leaves_it_as_it_was(name: str) -> None:
    X, target = visits(100, 5)
    build = LEARNERS[name].build
    shared = build({}, predictors=None, seed=1)
    assert isinstance(shared, PreparedLearner)
    prepared = shared.prepare(X, target)
    for parameters in (
        SMALLEST[name],
        {},
        SMALLEST[name],
    ):  # what was doubled for one trial is not for the next
        learner = build(parameters, predictors=None, seed=1)
        assert isinstance(learner, PreparedLearner)
        assert (
            learner.fit_prepared(prepared).to_parts()
            == build(parameters, predictors=None, seed=1).fit(X, target).to_parts()
        )


@pytest.mark.parametrize("name", SMALLEST)
def test_where_no_split_leaves_eleven_patients_everybody_has_one_risk(name: str) -> None:
    X, target = visits(15, 40)
    learner = LEARNERS[name].build(SMALLEST[name], predictors=None, seed=1).fit(X, target)
    assert np.ptp(learner.predict_risk(X, [HORIZON])) == 0


@pytest.mark.parametrize("name", SMALLEST)
def test_fewer_than_eleven_patients_are_refused(name: str) -> None:
    X, target = visits(10, 40)
    with pytest.raises(BadTarget, match=f"{name} needs 11 or more patients"):
        LEARNERS[name].build(SMALLEST[name], predictors=None, seed=1).fit(X, target)


def test_patients_of_a_leaf_are_counted_once() -> None:
    groups = np.repeat(np.arange(22) * 7, 3)
    patients = Patients.of(groups, np.ones(66), "lightgbm")
    assert (patients.rows_of_ten, patients.weight_of_ten) == (30, 30.0)
    halves, uneven = np.repeat([1, 2], 33), np.repeat([1, 2], [36, 30])
    assert patients.fill(halves[:, None])
    assert not patients.fill(np.column_stack([halves, uneven]))  # 12 and 10 patients
    assert patients.fill(np.zeros((66, 2)))
