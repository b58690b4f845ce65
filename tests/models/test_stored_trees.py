"""Stored trees that are not whole are refused before LightGBM or XGBoost follows them: their readers end the process."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.errors import BadTarget
from models.registry import LEARNERS
from models.storage import load_learner
from models.target import Target


@cache
def parts_of(kind: str) -> dict[str, bytes]:
    draws = np.random.default_rng(4)
    values = draws.normal(size=(300, 4))
    values[draws.random((300, 4)) < 0.15] = np.nan
    labels = (draws.random(300) < 1 / (1 + np.exp(-2 * np.nan_to_num(values[:, 0])))).astype(int)
    X = pl.DataFrame(values, schema=list("abcd"))
    return (
        LEARNERS[kind]
        .build({"rounds": 5}, predictors=None, seed=1)
        .fit(X, Target.from_labels(labels))
        .to_parts()
    )


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_what_was_stored_is_loaded(kind: str) -> None:
    assert load_learner(parts_of(kind)).to_parts() == parts_of(kind)


def every(key: str, value: str) -> tuple[str, Callable[[re.Match[str]], str]]:
    return (
        rf"^{key}=.*$",
        lambda line: f"{key}=" + " ".join([value] * len(line.group().split("=")[1].split())),
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("left_child", "0"), ("left_child", "100000000"), ("right_child", "-100000000"), ("left_child", "-1"),
        ("split_feature", "99999999"), ("split_feature", "-5"), ("leaf_value", "nan"), ("leaf_value", "1e999"),
        ("threshold", "nan"), ("decision_type", "1"), ("num_leaves", "2000000000"), ("num_leaves", "-4"),
        ("num_leaves", "many"), ("num_cat", "3"), ("is_linear", "1"), ("tree_sizes", "7"), ("tree_sizes", "-3"),
        ("max_feature_idx", "2000000000"), ("num_class", "5"), ("objective", "multiclass"), ("shrinkage", "nan"),
    ],
)  # fmt: skip
def test_light_gbm_text_that_its_reader_would_follow_astray_is_refused(key: str, value: str) -> None:
    text = parts_of("lightgbm")["model_0.txt"].decode()
    pattern, changed = every(key, value)
    spoilt = re.sub(pattern, changed, text, flags=re.MULTILINE)
    assert spoilt != text
    sizes = [
        len(tree)
        for tree in re.findall(r"^Tree=\d+\n.*?(?=^Tree=|^end of trees)", spoilt, re.MULTILINE | re.DOTALL)
    ]
    if key != "tree_sizes":  # the header agrees, so that the tree itself is what is wrong
        spoilt = re.sub(
            r"^tree_sizes=.*$", f"tree_sizes={' '.join(map(str, sizes))}", spoilt, flags=re.MULTILINE
        )
    with pytest.raises(BadTarget, match="damaged"):
        load_learner({**parts_of("lightgbm"), "model_0.txt": spoilt.encode()})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("left_children", 0), ("left_children", 1_000_000), ("right_children", -5), ("left_children", 1.5),
        ("split_indices", 9_999_999), ("split_indices", -3), ("split_conditions", float("nan")), ("split_type", 1),
        ("parents", None), ("base_weights", "x"),
    ],
)  # fmt: skip
def test_xg_boost_json_that_its_reader_would_follow_astray_is_refused(key: str, value: Any) -> None:
    model = json.loads(parts_of("xgboost")["model_0.json"])
    tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
    tree[key] = [value] * len(tree[key])
    with pytest.raises(BadTarget, match="damaged"):
        load_learner({**parts_of("xgboost"), "model_0.json": json.dumps(model).encode()})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("learner_model_param", "num_feature"), "100000"),
        (("gradient_booster", "name"), "gblinear"),
        (("gradient_booster", "model", "trees"), [{}]),
        (("gradient_booster", "model", "tree_info"), [77] * 5),
        (("objective",), {"name": "rank:ndcg"}),
    ],
)
def test_another_xg_boost_model_is_refused(place: tuple[str, ...], value: Any) -> None:
    model = json.loads(parts_of("xgboost")["model_0.json"])
    inner = model["learner"]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(BadTarget, match="damaged"):
        load_learner({**parts_of("xgboost"), "model_0.json": json.dumps(model).encode()})


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_nesting_without_end_is_refused(kind: str) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    with pytest.raises(BadTarget, match="not a stored learner"):
        load_learner({**parts_of(kind), "learner.json": deep})
    if kind == "xgboost":
        with pytest.raises(BadTarget, match="not JSON"):
            load_learner({**parts_of(kind), "model_0.json": b'{"version": 1, "learner": ' + deep + b"}"})
