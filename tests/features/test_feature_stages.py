"""The stages on a small cohort of date times: what they write, and that they read the declared sets alone."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.errors import BadInput
from features.schema import TABLES
from pipeline.files import write_table
from pipeline.settings.load import load_study, parameters
from pipeline.stages import assemble, outcomes, prediction_times
from pipeline.stages import features as feature_stage
from tests.features.small_cohort import tables, value

ROOT = Path(__file__).parents[2]
COHORT = tables(
    patients=[
        {"patient": n, "sex": "female", "age": 30.0 + n, "centre": "A", "country": "FR"} for n in (1, 2)
    ],
    visits=[{"patient": n, "visit": "0", "time": 18000.0} for n in (1, 2)],
    stays=[{"patient": 1, "stay_id": "a", "admission": 17000.0, "discharge": 17010.0, "kind": "psychiatric"}],
    events=[{"patient": 1, "time": 18100.0, "kind": "relapse"}],
    measurements=[value(n, "crp", 18000.0, float(n), unit="mg/L") for n in (1, 2)],
)


@pytest.fixture
def place(tmp_path: Any, monkeypatch: Any) -> Any:
    """Give a folder with the demo's parameters, two feature sets of them, and the tables of two patients."""
    values = parameters(load_study(ROOT / "experiments" / "studies" / "demo"))
    values["feature_sets"] = {"clinical": {"demographics": ["age"]}, "inflammatory": {}}
    values["stratifications"] = {}
    for outcome in values["outcomes"].values():
        outcome["treatments"] = []  # the two patients have no prescriptions
    for learner in values["learners"].values():
        learner["feature_sets"] = None
    (tmp_path / "params.yaml").write_text(json.dumps(values, default=str), encoding="utf-8")
    for name, schema in TABLES.items():
        write_table(COHORT[name], tmp_path / "tables" / f"{name}.parquet", schema)
    monkeypatch.chdir(tmp_path)
    prediction_times.run(tables=Path("tables"), out=Path("times.parquet"))
    return tmp_path


def build_set(name: Any) -> Any:
    feature_stage.run(
        feature_set=name,
        tables=Path("tables"),
        source=Path(),
        times=Path("times.parquet"),
        out=Path("sets") / name,
    )


def put_together() -> Any:
    assemble.run(
        tables=Path("tables"), times=Path("times.parquet"), features=Path("sets"), out=Path("assembled")
    )


def test_a_set_is_written_with_its_descriptions_and_the_passed_check(place: Any) -> None:
    build_set("clinical")
    report = json.loads((place / "sets/clinical/report.json").read_text(encoding="utf-8"))
    described = pl.read_parquet(place / "sets/clinical/columns.parquet")["column"].to_list()
    assert report["look_ahead"] == {"predictions": 2, "columns": len(described), "identical": True}
    assert pl.read_parquet(place / "sets/clinical/features.parquet").columns == ["prediction_id", *described]
    assert "clinical_gaf" in report["dropped"]


def test_the_matrix_holds_the_declared_sets_and_no_stale_one(place: Any) -> None:
    for name in ("clinical", "inflammatory"):
        build_set(name)
    stale = place / "sets" / "dropped"
    stale.mkdir()
    pl.DataFrame({"prediction_id": ["x"], "dropped_x": [1.0]}).write_parquet(stale / "features.parquet")
    put_together()
    matrix = pl.read_parquet(place / "assembled/matrix.parquet")
    assert "inflammatory_crp_log" in matrix.columns
    assert "dropped_x" not in matrix.columns
    assert len(matrix) == 3  # two baselines and a discharge


def test_a_set_whose_file_is_missing_is_named(place: Any) -> None:
    build_set("clinical")
    with pytest.raises(BadInput, match=r"sets/inflammatory/features\.parquet is not there"):
        put_together()
    assert not (place / "assembled").exists()


def test_an_outcome_is_written_with_its_flow(place: Any) -> None:
    outcomes.run(
        outcome="relapse_1y",
        tables=Path("tables"),
        times=Path("times.parquet"),
        out=Path("outcomes/relapse_1y"),
    )
    frame = pl.read_parquet(place / "outcomes/relapse_1y/outcomes.parquet")
    assert frame["time"].to_list()[0] == 99.5
    flow = json.loads((place / "outcomes/relapse_1y/flow.json").read_text(encoding="utf-8"))
    assert (flow["eligible"], flow["events"]) == (2, 1)


@pytest.mark.parametrize(
    "run", [lambda: build_set("imaging"), lambda: outcomes.run("suicide", Path(), Path(), Path())]
)
def test_a_name_that_the_study_does_not_know_is_answered_with_the_known(place: Any, run: Any) -> None:
    with pytest.raises(BadInput, match="the study names: "):
        run()


def test_written_again_every_file_has_the_same_bytes(place: Any) -> None:
    build_set("clinical")
    before = {path.name: path.read_bytes() for path in (place / "sets/clinical").iterdir()}
    build_set("clinical")
    assert before == {path.name: path.read_bytes() for path in (place / "sets/clinical").iterdir()}


def test_days_behind_are_refused_where_only_an_order_is_known(place: Any) -> None:
    values = json.loads((place / "params.yaml").read_text(encoding="utf-8"))
    values["cohort"]["mapping"] = values["cohort"]["mapping"].replace(
        f"time: {values['cohort']['time']}", "time: order"
    )
    values["cohort"]["time"] = "order"
    values["feature_sets"]["inflammatory"] = {"look_behind_days": 30}
    del values["validation"]["later"]  # who came later needs dates
    for cell in values["cells"].values():
        cell["schemes"].remove("later")
    (place / "params.yaml").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(BadInput, match=r"inflammatory\.look_behind_days: the study declares an order"):
        build_set("inflammatory")
