"""Columns of few values alone: how answers become numbers, and what every clusterer makes of them."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from models.clustering.answers import FEWEST_PATTERNS, Answers, answers_of, densities
from models.clustering.contract import ClusterOptions
from models.clustering.representation import Representation
from models.errors import BadTarget
from models.registry import CLUSTERERS
from models.strata_model import Recipe, StrataModel

NAMES = sorted(set(CLUSTERERS) - {"growth_mixture"})
ITEMS, PATIENTS = 16, 300
MODALITIES = {f"item_{place:02}": "mood" if place % 2 else "drive" for place in range(ITEMS)}


def classes(patients: int, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Two classes: half of the symptoms are frequent in either; every fourth answer is a word, every fourth has three steps."""
    draws = np.random.default_rng(seed)
    truth = draws.integers(0, 2, patients)
    frequent = (np.arange(ITEMS) < ITEMS // 2) == (truth[:, None] == 0)
    answers = (draws.random((patients, ITEMS)) < np.where(frequent, 0.85, 0.15)).astype(float)
    answers[:, 2::4] += draws.random((patients, ITEMS))[:, 2::4] < np.where(frequent, 0.5, 0.1)[:, 2::4]
    answers[draws.random(answers.shape) < 0.05] = np.nan
    frame = pl.DataFrame(answers, schema=list(MODALITIES), nan_to_null=True)
    words = pl.col([name for place, name in enumerate(MODALITIES) if place % 4 == 1])
    return frame.with_columns(
        words.cast(pl.Int64).replace_strict({0: "no", 1: "yes"}, return_dtype=pl.String)
    ), truth


X, TRUTH = classes(PATIENTS, 1)


def test_numbers_stay_and_levels_become_columns() -> None:
    colour = np.random.default_rng(2).choice(["blue", "green", "red"], PATIENTS).tolist()
    rows = X.with_columns(colour=pl.Series([None, "rare", *colour[2:]]), constant=pl.lit(1.0))
    made = Answers.fit(rows)
    assert set(made.columns) == {*X.columns, "colour"}
    assert made.levels["item_01"] == ("yes",)
    assert made.levels["colour"] == ("blue", "green", "red")
    values = pl.DataFrame(made.values(rows), schema=list(made.sources))
    assert values["item_00"].fill_nan(None).equals(X["item_00"])
    assert values["item_01"].fill_nan(None).cast(pl.Boolean).equals(X["item_01"] == "yes")
    assert np.isnan(values.select(pl.col("^colour = .*$")).row(0)).all()
    assert values.select(pl.col("^colour = .*$")).row(1) == (0, 0, 0)
    assert set(made.sources.values()) == set(made.columns)
    assert Answers.from_state(json.loads(json.dumps(made.to_state()))) == made


def test_answers_are_taken_where_no_column_is_a_density_and_they_tell_patients_apart() -> None:
    assert answers_of(X) is not None
    older = X.with_columns(
        age=pl.int_range(pl.len()), rarely=pl.when(pl.int_range(pl.len()) < 10).then(pl.int_range(pl.len()))
    )
    assert densities(X) == []
    assert densities(older) == ["age"]
    assert Representation.fit(older, ClusterOptions()).columns == ("age",)
    assert answers_of(X.select(X.columns[:3])) is None
    with pytest.raises(BadTarget, match=f"fewer than {FEWEST_PATTERNS} kinds of patients"):
        Representation.fit(X.select(X.columns[:3]), ClusterOptions())


def test_no_single_answer_is_a_direction() -> None:
    made = Representation.fit(X, ClusterOptions(modalities=MODALITIES))
    assert made.answers is not None
    assert (np.count_nonzero(np.abs(made.axes) > 1e-6, axis=0) > ITEMS // 2).all()
    np.testing.assert_allclose(made.axes.T @ made.axes, np.eye(made.axes.shape[1]), atol=1e-9)
    points = made.transform(X)
    assert len(np.unique(points.round(9), axis=0)) > PATIENTS // 2
    again = Representation.from_state(json.loads(json.dumps(made.to_state())))
    np.testing.assert_array_equal(again.transform(X), points)
    np.testing.assert_allclose(made.transform(X[:7]), points[:7], atol=1e-12)
    assert made.numbers(X).columns == list(made.imputation.columns)


def test_levels_share_the_weight_of_their_column() -> None:
    colour = np.random.default_rng(2).choice(["blue", "green", "red"], PATIENTS)
    rows = X.with_columns(colour=pl.Series(colour))
    made = Representation.fit(
        rows, ClusterOptions({**MODALITIES, "colour": "drive"}, {"mood": 1.0, "drive": 3.0})
    )
    assert made.answers is not None
    weight = dict(zip(made.imputation.columns, made.weights**2, strict=True))
    drive = sum(
        one for name, one in weight.items() if name.startswith("colour") or MODALITIES.get(name) == "drive"
    )
    mood = sum(one for name, one in weight.items() if MODALITIES.get(name) == "mood")
    assert drive / mood == pytest.approx(3)
    assert drive + mood == pytest.approx(ITEMS + 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_clusterer_finds_classes_of_answers_and_assigns_new_patients(name: str) -> None:
    recipe = Recipe(name, tuple(X.columns), ClusterOptions(modalities=MODALITIES))
    model = StrataModel.fit(X, recipe, 2, 3)
    new, truth = classes(200, 2)
    frozen = StrataModel.from_parts(model.to_parts())
    assert adjusted_rand_score(TRUTH, model.assign(X)) > 0.8
    assert adjusted_rand_score(truth, frozen.assign(new)) > 0.8
    np.testing.assert_array_equal(frozen.points(new), model.points(new))


@pytest.mark.parametrize(
    "damage",
    [
        {"numbers": [], "levels": {}},
        {"numbers": ["item_00", "item_00"], "levels": {}},
        {"numbers": ["item_00"], "levels": {}},
        {"numbers": 3, "levels": {}},
        {"numbers": ["item_00"], "levels": {"item_01": []}},
        {"numbers": ["item_00"], "levels": {"item_01": [4]}},
        {"numbers": ["item_00"], "levels": ["item_01"]},
        [],
    ],
)
def test_damaged_answers_are_refused(damage: object) -> None:
    state = Representation.fit(X, ClusterOptions()).to_state() | {"answers": damage}
    with pytest.raises(BadTarget, match="damaged"):
        Representation.from_state(state)
