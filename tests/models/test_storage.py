"""Stored models: fingerprints, and every way a stored model can be something else."""

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.errors import BadTarget
from models.registry import LEARNERS
from models.storage import fingerprint, load_learner, read_parts, write_parts
from models.target import Target

Parts = dict[str, bytes]


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (exec, ("raise SystemExit('ran')",))


def stored(name: str) -> Parts:
    draws = np.random.default_rng(0)
    X = pl.DataFrame(draws.normal(size=(120, 3)), schema=list("abc"))
    labels = (draws.random(120) < 0.5).astype(int)
    target = Target.from_labels(labels)
    if "label" not in LEARNERS[name].targets:
        target = Target.from_times(draws.exponential(300, 120), labels, [365.0])
    return LEARNERS[name].build({}, predictors=list("abc"), seed=1).fit(X, target).to_parts()


def model_file(parts: Parts) -> str:
    return next(name for name in parts if name.startswith("model_0"))


DAMAGES: dict[str, Callable[[Parts], Parts]] = {
    "no state": lambda parts: {model_file(parts): parts[model_file(parts)]},
    "state is no JSON": lambda parts: {**parts, "learner.json": b"\x80\x04"},
    "state is a list": lambda parts: {**parts, "learner.json": b"[]"},
    "state is a pickle": lambda parts: {**parts, "learner.json": pickle.dumps(Bomb())},
    "unknown kind": lambda parts: {**parts, "learner.json": b'{"kind": "oracle", "version": 2}'},
    "kind is no text": lambda parts: {**parts, "learner.json": b'{"kind": ["oracle"]}'},
    "unknown version": lambda parts: {
        **parts,
        "learner.json": parts["learner.json"].replace(b'"version": 2', b'"version": 99'),
    },
    "state is cut": lambda parts: {**parts, "learner.json": parts["learner.json"][:-9]},
    "no horizons": lambda parts: {
        **parts,
        "learner.json": re.sub(rb'"horizons": \[[0-9.]+\]', b'"horizons": []', parts["learner.json"]),
    },
    "no model": lambda parts: {"learner.json": parts["learner.json"]},
    "model is a pickle": lambda parts: {**parts, model_file(parts): pickle.dumps(Bomb())},
    "model is cut": lambda parts: {**parts, model_file(parts): parts[model_file(parts)][:-60]},
    "model is empty": lambda parts: {**parts, model_file(parts): b""},
    "model is another's JSON": lambda parts: {**parts, model_file(parts): b'{"learner": 1}'},
    "a file too many": lambda parts: {**parts, "extra.pkl": b""},
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_damaged_or_foreign_parts_are_refused(name: str, damage: str) -> None:
    with pytest.raises(BadTarget):
        load_learner(DAMAGES[damage](stored(name)))


def test_parts_of_another_kind_are_refused() -> None:
    with pytest.raises(BadTarget, match="should be kind xgboost"):
        LEARNERS["xgboost"].load(stored("lightgbm"))


def test_fingerprint_follows_names_and_bytes_alone() -> None:
    parts = {"a": b"12", "b": b"3"}
    assert fingerprint(parts) == fingerprint(dict(reversed(parts.items())))
    assert (
        len({fingerprint(other) for other in (parts, {"a": b"1", "b": b"23"}, {"a": b"12", "c": b"3"})}) == 3
    )
    assert len(fingerprint(parts)) == 64


def test_parts_must_be_plain_file_names(tmp_path: Path) -> None:
    with pytest.raises(BadTarget, match="plain file name"):
        write_parts({"../learner.json": b""}, tmp_path / "model")
    assert not (tmp_path / "learner.json").exists()


def test_folder_without_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadTarget, match="holds no stored model"):
        read_parts(tmp_path)


def test_registry_imports_no_heavy_library() -> None:
    code = "import sys, models.registry; print(sorted({'sklearn', 'scipy', 'lightgbm', 'xgboost', 'pandas', 'shap'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
