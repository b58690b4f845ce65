"""Adjustments in the study file: what is understood, what is refused, and which cells an edit concerns."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.adjustment.plan import HARMONISE, IMPUTE
from pipeline.errors import BadInput, BadSettings
from pipeline.settings.adjustment import kind_of, plan_of, with_composites
from pipeline.settings.load import check_study, load_parameters
from pipeline.settings.study import Study
from pipeline.stages.train import beside
from tests.workplace import demo_study

COMPOSITE = {"blood_mean": {"columns": ["blood_a", "blood_b"], "minimum": 2, "reversed": ["blood_b"]}}


def study(adjustment: dict[str, Any], learner: str = "elastic_net", name: str = "own") -> Study:
    values = demo_study("demo", stratifications={})
    for item in values["learners"].values():
        (item or {}).pop("adjustment", None)
    values["adjustments"] = {"own": adjustment}
    values["learners"][learner] = {**(values["learners"][learner] or {}), "adjustment": name}
    return check_study(values, Path("study.yaml"))


def test_an_adjustment_becomes_a_plan_and_a_kind() -> None:
    made = study({"harmonise": "choose", "impute": ["none", "iterative"], "composites": COMPOSITE})
    plan = plan_of(made, "elastic_net")
    assert plan is not None
    assert plan.harmonise == HARMONISE
    assert plan.impute == ("none", "iterative")
    kind = kind_of(made, "elastic_net")
    assert kind.whole_centres
    assert kind.context == ("context_centre",)
    assert plan_of(made, "lightgbm") is None
    assert kind_of(made, "lightgbm").context == ()
    everything = plan_of(study({"impute": "choose"}), "elastic_net")
    assert everything is not None
    assert everything.impute == IMPUTE


def test_params_hold_an_adjustment_beside_the_cells_that_have_it_alone(tmp_path: Path) -> None:
    from pipeline.commands.use import parameters_text
    from pipeline.settings.load import parameters

    made = study({"harmonise": "combat", "plates": {"blood_plate": ["blood_a"]}})
    cells = parameters(made)["cells"]
    with_it = {key for key, cell in cells.items() if "adjustment" in cell}
    assert with_it == {key for key, cell in cells.items() if cell["learner"] == "elastic_net"}
    (tmp_path / "params.yaml").write_text(parameters_text(made), encoding="utf-8")
    again = load_parameters(tmp_path / "params.yaml")
    assert plan_of(again, "elastic_net") == plan_of(made, "elastic_net")


@pytest.mark.parametrize(
    ("adjustment", "more", "sentence"),
    [
        ({"harmonise": "combatt"}, {}, "harmonise"),
        ({}, {"name": "other"}, "learners.elastic_net.adjustment: 'other' is not known; known: own"),
        ({}, {"learner": "base_rate"}, "looks at no predictor"),
        ({"harmonise": ["none", "none"]}, {}, "each once"),
        ({"scale": True, "harmonise": "combat"}, {}, "only centring asks whether to scale"),
        ({"harmonise": "combat", "new_centre": "refuse"}, {}, "its cells leave centres out"),
        ({"composites": {"m": {"columns": ["a"], "minimum": 2}}}, {}, "a minimum of 2 of 1 columns"),
        ({"composites": {"m": {"columns": ["a"], "reversed": ["b"]}}}, {}, "is not among its columns"),
        ({"plates": {"p": ["a"], "q": ["a"]}}, {}, "measured on one plate"),
        ({"unheard": 1}, {}, "unheard"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    adjustment: dict[str, Any], more: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadSettings, match=sentence):
        study(adjustment, **more)


def test_a_learners_rows_hold_what_its_adjustment_needs(tmp_path: Path) -> None:
    matrix = pl.DataFrame(
        {"prediction_id": ["p", "q"], "x": [1.0, 2.0], "age": [3.0, 4.0], "other": [5.0, 6.0]}
    )
    context = pl.DataFrame(
        {"prediction_id": ["q", "p"], "context_centre": ["b", "a"], "blood_plate": ["7", "8"]}
    )
    context.write_parquet(tmp_path / "context.parquet")
    made = beside(matrix, tmp_path, ["x"], ["age", "context_centre"], "net")
    assert made.to_dict(as_series=False) == {
        "prediction_id": ["p", "q"],
        "x": [1.0, 2.0],
        "age": [3.0, 4.0],
        "context_centre": ["a", "b"],
    }
    assert beside(matrix, tmp_path, ["x"], [], "net").columns == ["prediction_id", "x"]
    with pytest.raises(
        BadInput, match=r"learners.net.adjustment needs blood_lot.*blood_plate, context_centre"
    ):
        beside(matrix, tmp_path, ["x"], ["blood_lot"], "net")


def test_a_composite_is_described_as_of_its_first_columns_set() -> None:
    made = plan_of(study({"composites": COMPOSITE}), "elastic_net")
    columns = pl.DataFrame(
        {
            "column": ["blood_a", "blood_b"],
            "feature_set": ["blood", "blood"],
            "description": ["a", "b"],
            "unit": ["mg/L", None],
            "source": ["s", "s"],
            "kind": ["number", "number"],
        }
    )
    found = with_composites(columns, made).filter(pl.col("column") == "blood_mean").row(0, named=True)
    assert found["feature_set"] == "blood"
    assert found["unit"] == "SD"
    assert "blood_a, blood_b" in found["description"]
    assert with_composites(columns, None).equals(columns)
    assert np.array_equal(columns["column"], ["blood_a", "blood_b"])
