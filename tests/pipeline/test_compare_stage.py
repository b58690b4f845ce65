"""Stage compare reads the declared cells alone and refuses what is missing."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.results import Comparisons, Curves, Heterogeneity, Ladder, Metrics, Predictions, Splits
from features.errors import BadInput
from features.schema import Outcomes, Rows
from pipeline.files import read_json, read_table, write_table
from pipeline.settings.experiment import CellSettings, Compute, Disclosure
from pipeline.settings.outcome import Estimand, EventWithinHorizon
from pipeline.stages import compare
from tests.experiments.evaluated_cohort import HORIZON, KINDS, cohort

ESTIMAND = Estimand(
    eligible="everybody",
    time_zero="baseline",
    available="baseline",
    horizon="one year",
    cause="relapse",
    target="a new centre",
)


def study(*learners: str) -> Any:
    outcome = EventWithinHorizon(
        kind="event_within_horizon",
        index="baseline",
        title="Relapse",
        estimand=ESTIMAND,
        event="relapse",
        horizon_days=HORIZON,
    )
    return SimpleNamespace(
        study="demo",
        seed=1,
        subgroups=("sex",),
        censoring_covariates=(),
        disclosure=Disclosure(),
        compute=Compute(engine="serial"),
        outcomes={"relapse": outcome},
        cells=(CellSettings(outcome="relapse", learners=learners, schemes=tuple(KINDS)),),
        validation={name: SimpleNamespace(kind=kind) for name, kind in KINDS.items()},
        tuning=SimpleNamespace(clinical_reference="clinical"),
    )


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Path]:
    data = cohort(400)
    write_table(data["rows"], tmp_path / "assembled" / "rows.parquet", Rows)
    write_table(data["outcomes"], tmp_path / "outcomes" / "outcomes.parquet", Outcomes)
    write_table(data["splits"], tmp_path / "splits" / "splits.parquet", Splits)
    for learner, risks in data["predictions"].items():
        write_table(risks, tmp_path / "train" / learner / "predictions.parquet", Predictions)
    return {name: tmp_path / name for name in ("assembled", "outcomes", "splits", "train", "out")}


def test_declared_covariates_reach_the_weights(
    arguments: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = []
    for covariates in ((), ("country",)):
        declared = study("base_rate", "clinical")
        declared.censoring_covariates = covariates
        monkeypatch.setattr(compare, "load_parameters", lambda declared=declared: declared)
        compare.run(outcome="relapse", **arguments)
        weights.append(read_json(arguments["out"] / "weights.json")["kfold"])
    assert [item["covariates"] for item in weights] == [[], ["country"]]
    assert weights[0]["effective_n"] != weights[1]["effective_n"]


def test_it_writes_the_declared_cells_and_no_others(
    arguments: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "load_parameters", lambda: study("base_rate", "clinical"))
    compare.run(outcome="relapse", **arguments)
    out = arguments["out"]
    assert read_table(out / "metrics.parquet", Metrics)["learner"].unique().sort().to_list() == [
        "base_rate",
        "clinical",
    ]
    assert read_table(out / "comparisons.parquet", Comparisons).height > 0
    assert read_table(out / "curves.parquet", Curves)["scheme"].n_unique() == 3
    assert sorted(read_json(out / "weights.json")) == sorted(KINDS)
    metrics = read_table(out / "metrics.parquet", Metrics)["metric"].unique().to_list()
    assert sorted(read_json(out / "definitions.json")) == sorted(metrics)
    assert set(read_table(out / "heterogeneity.parquet", Heterogeneity)["scheme"]) == {"centres"}
    assert (
        read_table(out / "ladder.parquet", Ladder).height == 2 * 4
    )  # learners; k-fold, centres, two countries
    assert sorted(path.name for path in (out / "figures").iterdir()) == sorted(
        f"{learner}_{what}.svg"
        for learner in ("base_rate", "clinical")
        for what in ("calibration", "decision", "groups")
    )


def test_it_writes_the_same_bytes_again(arguments: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "load_parameters", lambda: study("clinical"))
    contents = []
    for _ in range(2):
        compare.run(outcome="relapse", **arguments)
        files = sorted(path for path in arguments["out"].rglob("*") if path.is_file())
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


def test_a_learner_without_output_is_refused_and_nothing_is_written(
    arguments: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "load_parameters", lambda: study("clinical", "xgboost"))
    with pytest.raises(BadInput, match=r"xgboost.*is not there: an earlier stage writes it. Run dvc repro"):
        compare.run(outcome="relapse", **arguments)
    assert not arguments["out"].exists()


def test_an_unknown_outcome_is_answered_with_the_known_ones(
    arguments: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "load_parameters", lambda: study("clinical"))
    with pytest.raises(BadInput, match="'relaps' is not known; known: relapse"):
        compare.run(outcome="relaps", **arguments)
