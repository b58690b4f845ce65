"""A journal saves finished tasks, and only those of the same question."""

import json
from pathlib import Path

import polars as pl
import pytest

from experiments.compute import Compute, Engine
from experiments.stratification.journal import fingerprint_of, resumed_map
from models.clustering.contract import ClusterOptions
from models.strata_model import Recipe

X = pl.DataFrame({"a": [1.0, 2.0, None], "b": ["x", None, "y"]})
RECIPE = Recipe("k_means", ("a", "b"))


def half(number: int) -> dict[str, float]:
    return {"half": number / 3}


def refuse(number: int) -> dict[str, float]:
    raise AssertionError(f"task {number} is done again")


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    path, keys = tmp_path / "folder" / "journal.jsonl", ["one", "two"]
    first = resumed_map(half, [1, 2], keys, Compute(), "halves", path=path, fingerprint="f")
    assert first == [half(1), half(2)]
    assert resumed_map(refuse, [1, 2], keys, Compute(), "halves", path=path, fingerprint="f") == first
    more = resumed_map(half, [3, 2], ["three", "two"], Compute(), "halves", path=path, fingerprint="f")
    assert more == [half(3), half(2)]
    with pytest.raises(AssertionError, match="done again"):
        resumed_map(refuse, [1], ["one"], Compute(), "halves", path=path, fingerprint="g")


def test_half_a_line_is_dropped_and_results_before_a_failure_are_kept(tmp_path: Path) -> None:
    path, keys = tmp_path / "journal.jsonl", ["1", "2", "3"]
    whole = resumed_map(half, [1, 2, 3], keys, Compute(), "halves", path=path, fingerprint="f")
    bytes_of = path.read_bytes()
    for cut in (len(bytes_of) - 1, len(bytes_of) - 12, 5):
        path.write_bytes(bytes_of[:cut])
        assert resumed_map(half, [1, 2, 3], keys, Compute(), "halves", path=path, fingerprint="f") == whole
        assert path.read_bytes() == bytes_of
    with pytest.raises(ZeroDivisionError):
        resumed_map(reciprocal, [2, 0], ["a", "b"], Compute(), "", path=path, fingerprint="h")
    assert [json.loads(line) for line in path.read_text().splitlines()][1:] == [{"key": "a", "result": 0.5}]


def reciprocal(number: int) -> float:
    return 1 / number


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_engines_and_no_journal_give_the_same(engine: Engine, tmp_path: Path) -> None:
    compute = Compute(engine, 2)
    found = [
        resumed_map(half, [1, 2, 5], ["1", "2", "5"], compute, "", path=path, fingerprint="f")
        for path in (None, tmp_path / "journal.jsonl")
    ]
    assert found[0] == found[1] == [half(1), half(2), half(5)]


def test_keys_must_tell_tasks_apart() -> None:
    with pytest.raises(ValueError, match="key of its own"):
        resumed_map(half, [1, 2], ["same", "same"], Compute(), "", path=None, fingerprint="f")


def test_the_fingerprint_changes_with_data_recipe_and_settings() -> None:
    found = {
        fingerprint_of(X, RECIPE, 1),
        fingerprint_of(X, RECIPE, 2),
        fingerprint_of(X.with_columns(a=pl.col("a").fill_null(3.0)), RECIPE, 1),
        fingerprint_of(X.with_columns(b=pl.lit("x")), RECIPE, 1),
        fingerprint_of(X, Recipe("k_means", ("a",)), 1),
        fingerprint_of(X, Recipe("k_means", ("a", "b"), ClusterOptions(parameters={"n_init": 2})), 1),
    }
    assert len(found) == 6
    assert fingerprint_of(X, RECIPE, 1) == fingerprint_of(X.clone(), RECIPE, 1)
