"""Is a stored tree model whole? What LightGBM and XGBoost follow without a look, so that no model file can crash them."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import BadTarget

LIGHT_GBM_HEADER = {
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "feature_names",
    "feature_infos", "tree_sizes",
}  # fmt: skip
LIGHT_GBM_TREE = {
    "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
    "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count", "is_linear",
    "shrinkage",
}  # fmt: skip
MOST_COLUMNS = 1_000_000
XG_BOOST_PER_NODE = (
    "base_weights", "default_left", "left_children", "loss_changes", "parents", "right_children", "split_conditions",
    "split_indices", "split_type", "sum_hessian",
)  # fmt: skip
XG_BOOST_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)


def require_light_gbm(text: str) -> None:
    """Refuse a LightGBM text that is not one of numeric trees, each whole: BadTarget.

    LightGBM reads as many bytes per tree as the header says, and follows children and columns wherever they point.
    """
    try:
        _require(text.isascii() and "\0" not in text)
        head, _, body = text.partition("\n\n")
        header = _pairs(head.split("\n")[1:])
        _require(LIGHT_GBM_HEADER <= set(header) <= {*LIGHT_GBM_HEADER, "monotone_constraints"})
        classes, columns = int(header["num_class"]), int(header["max_feature_idx"]) + 1
        _require(header["num_tree_per_iteration"] == header["num_class"] and 1 <= columns <= MOST_COLUMNS)
        _require(
            header["objective"] == ("binary sigmoid:1" if classes == 1 else f"multiclass num_class:{classes}")
        )
        _require(len(header["feature_names"].split()) == len(header["feature_infos"].split()) == columns)
        sizes, place = _whole_numbers(header["tree_sizes"]), 0
        _require(len(sizes) % classes == 0)
        for number, size in enumerate(sizes):
            tree = body[place : place + size]
            place += size
            _require(size > 0 and tree.startswith(f"Tree={number}\n"))
            _require_light_gbm_tree(_pairs(tree.strip().split("\n")[1:]), columns)
        _require(body[place:].startswith("end of trees\n"))
    except MALFORMED as problem:
        raise BadTarget("The stored LightGBM model is damaged; train it again.") from problem


def require_xg_boost(data: bytes) -> None:
    """Refuse XGBoost's JSON that is not a model of numeric trees, each whole: BadTarget."""
    try:
        learner = json.loads(data.decode("utf-8"))["learner"]
        head, booster = learner["learner_model_param"], learner["gradient_booster"]
        trees, columns = booster["model"]["trees"], int(head["num_feature"])
        _require(booster["name"] == "gbtree" and learner["attributes"] == {})
        _require(learner["objective"]["name"] in ("binary:logistic", "survival:cox"))
        _require((head["num_class"], head["num_target"]) == ("0", "1") and 1 <= columns <= MOST_COLUMNS)
        _require(math.isfinite(float(head["base_score"].strip("[]"))))
        count = booster["model"]["gbtree_model_param"]
        _require((count["num_trees"], count["num_parallel_tree"]) == (str(len(trees)), "1"))
        _require(booster["model"]["tree_info"] == [0] * len(trees))
        _require(booster["model"]["iteration_indptr"] == list(range(len(trees) + 1)))
        _require(not any(booster["model"].get("cats", {}).values()))
        for number, tree in enumerate(trees):
            _require(tree["id"] == number)
            _require_xg_boost_tree(tree, columns)
    except MALFORMED as problem:
        raise BadTarget("The stored XGBoost model is damaged; train it again.") from problem


def _require_light_gbm_tree(tree: Mapping[str, str], columns: int) -> None:
    leaves = int(tree["num_leaves"])
    _require(set(tree) <= LIGHT_GBM_TREE and leaves >= 1)
    _require(tree["num_cat"] == "0" and tree.get("is_linear", "0") == "0")
    for name, length in (
        ("split_gain", leaves - 1), ("internal_value", leaves - 1),
        ("internal_weight", leaves - 1), ("internal_count", leaves - 1), ("leaf_value", leaves),
    ):  # fmt: skip
        _require_numbers([float(value) for value in tree.get(name, "").split()], length)
    thresholds = [
        float(value) for value in tree.get("threshold", "").split()
    ]  # infinite: known ones against missing
    _require(len(thresholds) == leaves - 1 and not any(map(math.isnan, thresholds)))
    for name in ("leaf_weight", "leaf_count"):
        found = [float(value) for value in tree.get(name, "").split()]
        _require(len(found) in ((0, 1) if leaves == 1 else (leaves,)))
    _require(math.isfinite(float(tree["shrinkage"])))
    columns_split, kinds, left, right = (
        _whole_numbers(tree.get(name, ""))
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    _require(len(columns_split) == len(kinds) == len(left) == len(right) == leaves - 1)
    _require(all(0 <= column < columns for column in columns_split))
    _require(all(kind in (0, 2, 4, 6, 8, 10) for kind in kinds))  # an odd one splits categories
    # Nodes count up from the root, leaves down from -1.
    _require(sorted([*left, *right]) == [*range(-leaves if leaves > 1 else 0, 0), *range(1, leaves - 1)])
    _require(all(child < 0 or child > node for side in (left, right) for node, child in enumerate(side)))


def _require_xg_boost_tree(tree: Mapping[str, Any], columns: int) -> None:
    size = tree["tree_param"]
    nodes = len(tree["left_children"])
    _require((size["num_nodes"], size["num_deleted"], size["num_feature"]) == (str(nodes), "0", str(columns)))
    _require(size["size_leaf_vector"] in ("0", "1"))
    _require(not any(tree[name] for name in XG_BOOST_CATEGORIES))
    for name in XG_BOOST_PER_NODE:
        _require_numbers(tree[name], nodes)
    left, right, split = tree["left_children"], tree["right_children"], tree["split_indices"]
    _require(all(type(value) is int for value in (*left, *right, *split, *tree["split_type"])))
    _require(not any(tree["split_type"]) and all(0 <= column < columns for column in split))
    _require(all((one == -1) == (other == -1) for one, other in zip(left, right, strict=True)))
    children = [child for child in (*left, *right) if child != -1]
    _require(sorted(children) == list(range(1, nodes)))
    _require(all(child == -1 or child > node for side in (left, right) for node, child in enumerate(side)))


def _pairs(lines: Sequence[str]) -> dict[str, str]:
    pairs = [(line.split("=", 1)[0], line.split("=", 1)[1]) for line in lines]
    found = dict(pairs)
    _require(len(found) == len(lines))
    return found


def _whole_numbers(text: str) -> list[int]:
    return [int(value) for value in text.split()]


def _require_numbers(values: Sequence[Any], length: int) -> None:
    _require(len(values) == length and all(math.isfinite(value) for value in values))


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("not as the library writes it")
