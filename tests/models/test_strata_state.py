"""Stored strata with one thing changed are refused in a sentence, or still are strata: never a crash, never half a membership."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.errors import BadTarget
from models.strata_model import RECIPE_FILE, Recipe, StrataModel
from models.strata_state import read_json

PATIENTS, DAMAGES = 60, 120
DRAW = np.random.default_rng(3)
SIDE = np.arange(PATIENTS) % 2
X = pl.DataFrame(DRAW.normal(size=(PATIENTS, 3)) + 4 * SIDE[:, None], schema=list("abc")).with_columns(
    a=pl.when(pl.int_range(pl.len()) % 11 == 0).then(None).otherwise("a"),
    d=pl.Series(np.where(SIDE == 1, "yes", "no")),
)
GONE = object()
BAD: tuple[Any, ...] = (
    None, "x", "", -1, 0, 0.5, True, [], {}, [1], [[1]], 1e308, 1e-320, float("nan"), float("inf"), 10**30, GONE,
)  # fmt: skip


def stored(kind: str) -> dict[str, bytes]:
    columns = ("a", "b", "c", "d") if kind == "latent_class" else ("a", "b", "c")
    return StrataModel.fit(X, Recipe(kind, columns), 2, 1).to_parts()


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield before
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else {0, len(value) - 1} if value else ():
            yield from places(value[key], (*before, key))


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return [] if new is GONE else new
    whole = copy.deepcopy(value)
    at = whole
    for key in place[:-1]:
        at = at[key]
    if new is GONE:
        del at[place[-1]]
    else:
        at[place[-1]] = new
    return whole


@pytest.mark.parametrize("kind", ["k_means", "hierarchical", "latent_class"])
def test_any_one_thing_changed_is_refused_or_harmless(kind: str) -> None:
    parts = stored(kind)
    values = {name: json.loads(part) for name, part in parts.items()}
    every = [(name, place, new) for name, value in values.items() for place in places(value) for new in BAD]
    refused = 0
    for number in np.random.default_rng(7).choice(len(every), DAMAGES, replace=False):
        name, place, new = every[number]
        damaged = json.dumps(changed(values[name], place, new)).encode()
        try:
            model = StrataModel.from_parts({**parts, name: damaged})
            found = model.predict_probability(X)
        except BadTarget:
            refused += 1
            continue
        assert found.shape == (PATIENTS, 2), (name, place, new)
        assert np.allclose(found.sum(axis=1), 1.0), (name, place, new)
    assert refused > DAMAGES / 2


@pytest.mark.parametrize(
    "damage",
    [
        {"columns": "abc"},
        {"columns": ["a", "a", "b", "c"]},
        {"columns": ["a", "b"]},
        {"k": 3},
        {"k": 2.0},
        {"k": 10**6},
        {"weights": {"blood": -1}},
        {"weights": {"blood": True}},
        {"modalities": {"a": 3}},
        {"parameters": {"": 1}},
        {"parameters": 7},
    ],
    ids=repr,
)
def test_settings_that_do_not_fit_are_refused_before_anybody_is_assigned(damage: dict[str, Any]) -> None:
    parts = stored("k_means")
    state = {**json.loads(parts[RECIPE_FILE]), **damage}
    with pytest.raises(BadTarget, match="damaged; stratify again"):
        StrataModel.from_parts({**parts, RECIPE_FILE: json.dumps(state).encode()})


def test_a_map_that_is_no_rotation_is_refused() -> None:
    parts = stored("k_means")
    state = json.loads(parts[RECIPE_FILE])
    state["representation"]["axes"][0][0] += 0.01
    with pytest.raises(BadTarget, match="damaged"):
        StrataModel.from_parts({**parts, RECIPE_FILE: json.dumps(state).encode()})


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": [1, 1e101]}', "1e-201", "{", "[" * 100_000])
def test_numbers_that_no_fit_gives_are_no_state(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read_json(text.encode())
    parts = stored("k_means")
    with pytest.raises(BadTarget):
        StrataModel.from_parts({**parts, RECIPE_FILE: text.encode()})


def test_whole_files_come_back_as_they_were() -> None:
    for kind in ("k_means", "latent_class"):
        parts = stored(kind)
        again = StrataModel.from_parts(parts)
        assert again.to_parts() == parts
