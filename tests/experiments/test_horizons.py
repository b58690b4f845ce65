"""Every horizon is evaluated; what is integrated sees those before it; counts do not follow from two horizons."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.evaluation.comparison import compare
from experiments.evaluation.evaluate import learner_metrics, predicted_parts
from experiments.evaluation.horizons import hidden_steps, without_hidden_curves, without_small_steps
from experiments.evaluation.report import OutcomeReport, outcome_report
from experiments.evaluation.reporting import Evaluation
from experiments.evaluation.sample import evaluated_sample
from experiments.results import Metrics, Predictions, at_horizon
from tests.experiments.evaluated_cohort import HORIZON, KINDS, cohort

STEPS = (180.0, HORIZON, 730.0)
EVALUATION = Evaluation("demo", "relapse", 1, 11, ("sex",), resamples=50)


def at_steps(data: dict[str, Any]) -> dict[str, Any]:
    """Return the cohort with risks at every step: the constant hazard that gives those at the horizon."""
    predictions = {}
    for learner in ("clinical", "model"):
        frame = data["predictions"][learner]
        steps = [
            frame.with_columns(
                horizon=pl.lit(step), risk=1 - (1 - pl.col("risk")).pow(step / HORIZON).clip(0, 1)
            )
            for step in STEPS
        ]
        predictions[learner] = Predictions.validate(pl.concat(steps), cast=True)
    return {**data, "predictions": predictions}


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return at_steps(cohort())


def reported(data: dict[str, Any], horizons: tuple[float, ...], smallest_cell: int = 0) -> OutcomeReport:
    evaluation = Evaluation("demo", "relapse", 1, smallest_cell, ("sex",), resamples=50)
    return outcome_report(
        **data,
        evaluation=evaluation,
        schemes=KINDS,
        horizon=HORIZON,
        horizons=horizons,
        references=("clinical", "base_rate"),
    )


@pytest.fixture(scope="module")
def report(data: dict[str, Any]) -> OutcomeReport:
    return reported(data, STEPS)


def test_the_main_horizon_is_the_same_whether_others_are_there_or_not(
    data: dict[str, Any], report: OutcomeReport
) -> None:
    alone = reported(data, ())
    for name in ("curves", "comparisons", "heterogeneity", "ladder"):
        assert at_horizon(getattr(report, name), HORIZON).equals(getattr(alone, name)), name
    row_measures = ~pl.col("metric").str.starts_with("integrated")
    assert at_horizon(report.metrics, HORIZON).filter(row_measures).equals(alone.metrics)
    assert sorted(report.figures) == sorted(alone.figures)
    assert report.weights == alone.weights


def test_every_table_has_every_horizon_and_subgroups_the_main_one(report: OutcomeReport) -> None:
    for frame in (report.metrics, report.curves, report.comparisons, report.heterogeneity, report.ladder):
        assert sorted(frame["horizon"].unique()) == list(STEPS)
    assert report.metrics.filter(pl.col("subgroup").is_not_null())["horizon"].unique().to_list() == [HORIZON]


def test_integrated_measures_begin_at_the_second_horizon(report: OutcomeReport) -> None:
    integrated = report.metrics.filter(pl.col("metric") == "integrated_brier_skill")
    assert sorted(integrated["horizon"].unique()) == [HORIZON, 730.0]
    whole = integrated.filter((pl.col("learner") == "model") & pl.col("fold").is_null())
    assert (whole["estimate"] > 0).all()
    kinds = whole.filter(pl.col("scheme") == "centres")["interval_kind"].to_list()
    assert kinds == ["random_effects"] * 2


def test_events_of_the_whole_cohort_grow_with_the_horizon(report: OutcomeReport) -> None:
    rows = report.metrics.filter(
        (pl.col("learner") == "model")
        & (pl.col("scheme") == "kfold")
        & (pl.col("metric") == "auroc")
        & pl.col("fold").is_null()
        & pl.col("subgroup").is_null()
    ).sort("horizon")
    assert rows["events"].is_sorted()
    assert rows["events"].n_unique() == 3
    assert rows["patients"].to_list() == [600] * 3


def counted(events: dict[float, int]) -> pl.DataFrame:
    rows = [
        {**dict.fromkeys(Metrics.column_names()), "schema_version": 2, "study": "demo", "outcome": "relapse"}
        | {"learner": "model", "scheme": "kfold", "cause": 1, "horizon": horizon, "metric": "auroc"}
        | {"estimate": 0.7, "interval_kind": "none", "n": 500, "events": count}
        for horizon, count in events.items()
    ]
    return Metrics.validate(pl.DataFrame(rows, infer_schema_length=None), cast=True)


def test_events_between_two_horizons_do_not_follow_from_the_counts() -> None:
    metrics = counted({90.0: 40, 180.0: 55, 365.0: 60, 730.0: 90})
    hidden = hidden_steps(metrics, 365.0, 11)
    found = without_small_steps(metrics, hidden)
    assert found["events"].to_list() == [40, None, 60, 90]  # 60 - 55 is five patients
    assert found["estimate"].null_count() == 0
    curves = metrics.select("learner", "scheme", "horizon").with_columns(y=0.1)
    assert without_hidden_curves(curves, hidden)["horizon"].to_list() == [90.0, 365.0, 730.0]


def test_one_hidden_group_hides_its_neighbours_whose_counts_would_tell_it() -> None:
    whole, groups = counted({365.0: 90, 730.0: 120}), []
    for fold, (first, second) in enumerate([(30, 35), (30, 45), (30, 40)]):
        rows = counted({365.0: first, 730.0: second})
        groups.append(rows.with_columns(fold=pl.lit(fold, pl.Int32), group=pl.lit(f"centre {fold}")))
    metrics = pl.concat([whole, *groups])
    found = without_small_steps(metrics, hidden_steps(metrics, 365.0, 11))
    later = found.filter(pl.col("horizon") == 730.0)
    assert later["events"].to_list() == [120, None, None, None]
    assert found.filter(pl.col("horizon") == 365.0)["events"].null_count() == 0


def test_horizons_without_a_further_event_and_public_data_hide_nothing() -> None:
    assert hidden_steps(counted({90.0: 60, 365.0: 60}), 365.0, 11).is_empty()
    public = counted({180.0: 55, 365.0: 60})
    hidden = hidden_steps(public, 365.0, 0)
    assert hidden.is_empty()
    assert without_small_steps(public, hidden).equals(public)


def test_later_patients_are_one_part_whose_figures_stand_for_the_scheme(data: dict[str, Any]) -> None:
    own = data["splits"].filter((pl.col("scheme") == "countries") & (pl.col("group") == "NL"))
    sample = evaluated_sample(
        data["rows"],
        data["outcomes"],
        own.with_columns(fold=pl.lit(0, pl.Int32)),
        scheme="later",
        kind="temporal",
        horizon=HORIZON,
    )
    predictions = data["predictions"]["model"].filter(
        (pl.col("scheme") == "countries") & (pl.col("fold") == 1)
    )
    predictions = predictions.with_columns(scheme=pl.lit("later"), fold=pl.lit(0, pl.Int32))
    own_parts = predicted_parts(sample, predictions, "model")
    found = learner_metrics(EVALUATION, sample, "model", own_parts)
    auroc = found.filter(pl.col("metric") == "auroc")
    whole = auroc.filter(pl.col("fold").is_null() & pl.col("subgroup").is_null()).row(0, named=True)
    part = auroc.filter(pl.col("fold") == 0).row(0, named=True)
    assert whole["interval_kind"] == "patient_bootstrap"
    assert [whole[name] for name in ("estimate", "lower", "upper", "n")] == [
        part[name] for name in ("estimate", "lower", "upper", "n")
    ]
    (paired,) = (
        compare(EVALUATION, sample, ("model", "model"), (own_parts, own_parts))
        .filter(pl.col("metric") == "auroc")
        .iter_rows(named=True)
    )
    assert (paired["group"], paired["difference"]) == (None, 0.0)
    by_sex = auroc.filter(pl.col("subgroup").is_not_null())
    assert sorted(by_sex["subgroup"]) == ["sex: female", "sex: male"]
    assert by_sex["fold"].null_count() == 2
    assert set(by_sex["interval_kind"]) == {"patient_bootstrap"}


def test_with_several_predictions_each_patient_can_count_once() -> None:
    data = cohort(600)
    position = np.arange(600) // 2  # two predictions each: a patient's second row is the same patient's
    data["rows"] = data["rows"].with_columns(
        position=pl.Series(position), number=pl.Series(np.arange(600) % 2 + 1).cast(pl.Int32)
    )
    few = (
        data["splits"]
        .filter(pl.col("scheme") == "kfold")
        .with_columns(fold=pl.Series(position % 5).cast(pl.Int32), group=pl.lit("fold"))
    )
    sample = evaluated_sample(
        data["rows"], data["outcomes"], few, scheme="kfold", kind="stratified_kfold", horizon=HORIZON
    )
    predictions = few.join(
        data["predictions"]["model"].filter(pl.col("scheme") == "kfold").drop("fold"),
        on=["scheme", "repeat", "prediction_id"],
    )
    parts = predicted_parts(sample, predictions, "model")
    found = learner_metrics(EVALUATION, sample, "model", parts)
    names = set(found["metric"])
    assert {"auroc_per_patient", "brier_per_patient", "observed_to_expected_per_patient"} <= names
    whole = found.filter(pl.col("fold").is_null() & pl.col("subgroup").is_null())
    assert set(whole["n"]) == {600}
    assert set(whole["patients"]) == {300}
    # Everybody has two rows in the part: halving every weight changes nothing.
    values = dict(whole.select("metric", "estimate").iter_rows())
    assert values["auroc_per_patient"] == pytest.approx(values["auroc"])
    heavy = parts[0].patient == parts[0].patient[0]
    alone = parts[0].take(
        heavy | (np.arange(len(heavy)) % 2 == 0)
    )  # one patient with two rows, others with one
    shares = alone.per_patient().weight / np.maximum(alone.weight, 1e-12)
    assert set(shares[alone.weight > 0].round(6)) <= {0.5, 1.0}


def test_patients_with_one_prediction_each_have_no_second_set(report: OutcomeReport) -> None:
    assert report.metrics.filter(pl.col("metric").str.ends_with("_per_patient")).is_empty()
