"""What the tree learners hold of patients: no extremes, no thresholds at a patient's value, no small leaves."""

import json
import re

import numpy as np
import optuna
import polars as pl
import pytest
import xgboost

from models.errors import BadTarget
from models.registry import LEARNERS
from models.target import Target
from models.xg_boost import between_values


def rows(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(2)
    values = np.round(draws.normal(size=(n, 4)), 2)
    values[draws.random((n, 4)) < 0.15] = np.nan
    return values, (draws.random(n) < 1 / (1 + np.exp(-2 * np.nan_to_num(values[:, 0])))).astype(int)


def test_moved_thresholds_change_no_training_rows_risk() -> None:
    values, labels = rows()
    data = xgboost.DMatrix(values, label=labels)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1}, data, 30)
    moved = between_values(bytes(booster.save_raw("json")), values)
    again = xgboost.Booster(model_file=bytearray(moved))
    np.testing.assert_array_equal(again.predict(data), booster.predict(data))
    np.testing.assert_array_equal(
        again.predict(data, pred_contribs=True), booster.predict(data, pred_contribs=True)
    )
    trees = json.loads(moved)["learner"]["gradient_booster"]["model"]["trees"]
    thresholds = {
        (column, np.float32(threshold))
        for tree in trees
        for column, threshold, child in zip(
            tree["split_indices"], tree["split_conditions"], tree["left_children"], strict=True
        )
        if child >= 0
    }
    assert len(thresholds) > 50
    assert not any(threshold in values[:, column].astype(np.float32) for column, threshold in thresholds)


def test_lightgbm_text_has_no_range_of_any_column() -> None:
    values, labels = rows()
    X = pl.DataFrame(values, schema=list("abcd"))
    learner = LEARNERS["lightgbm"].build({}, predictors=None, seed=1).fit(X, Target.from_labels(labels))
    text = learner.to_parts()["model_0.txt"].decode()
    assert re.search(r"^feature_infos=none none none none$", text, flags=re.MULTILINE)
    smallest = min(
        int(count) for line in re.findall(r"^leaf_count=(.*)$", text, re.MULTILINE) for count in line.split()
    )
    assert smallest >= 40 * 0.8 * 0.5


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("lightgbm", {"min_data_in_leaf": 1}, "min_data_in_leaf of 11 or more"),
        ("xgboost", {"min_child_weight": 0.1}, "min_child_weight of 3.0 or more"),
        ("lightgbm", {"leaves": 3}, "no parameter leaves; known: bagging_fraction"),
        ("elastic_net", {"penalty": 0.0}, "penalty of 1e-6 or more"),
    ],
)
def test_parameters_that_tell_about_patients_are_refused(
    name: str, parameters: dict[str, float], sentence: str
) -> None:
    values, labels = rows()
    with pytest.raises(BadTarget, match=sentence):
        LEARNERS[name].build(parameters, predictors=None, seed=1).fit(
            pl.DataFrame(values, schema=list("abcd")), Target.from_labels(labels)
        )


@pytest.mark.parametrize("name", sorted(name for name, kind in LEARNERS.items() if kind.space))
def test_every_point_of_the_search_space_can_be_fitted(name: str) -> None:
    values, labels = rows()
    space = LEARNERS[name].space
    assert space is not None
    for seed in range(5):
        parameters = space(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask())
        assert set(parameters) == set(LEARNERS[name].defaults)
        learner = LEARNERS[name].build(parameters, predictors=None, seed=seed)
        target = Target.from_labels(labels)
        if "label" not in LEARNERS[name].targets:
            target = Target.from_times(np.arange(len(labels)) % 97 + 1.0, labels, [30.0, 90.0])
        learner.fit(pl.DataFrame(values, schema=list("abcd")), target)
        assert learner.columns == ("a", "b", "c", "d")
