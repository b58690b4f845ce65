"""Figures are computed within fold and then combined; small cells are hidden; stale predictions are refused."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from experiments.evaluation.evaluate import learner_metrics, predicted_parts, risks_of
from experiments.evaluation.report import outcome_report
from experiments.evaluation.reporting import Evaluation
from experiments.evaluation.sample import evaluated_sample, weights_report
from features.errors import BadInput
from models.censoring import inverse_probability_weights
from tests.experiments.evaluated_cohort import HORIZON, KINDS, cohort, sample_of

EVALUATION = Evaluation("demo", "relapse", 1, 11, ("sex", "network"), resamples=100)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return cohort()


def figures(
    data: dict[str, Any], scheme: str, learner: str, evaluation: Evaluation = EVALUATION
) -> pl.DataFrame:
    sample = sample_of(data, scheme)
    return learner_metrics(
        evaluation, sample, learner, predicted_parts(sample, data["predictions"][learner], learner)
    )


def combined(found: pl.DataFrame, metric: str) -> dict[str, Any]:
    whole = found.filter(
        pl.col("fold").is_null() & pl.col("subgroup").is_null() & (pl.col("metric") == metric)
    )
    return whole.row(0, named=True)


@pytest.mark.parametrize("scheme", KINDS)
def test_the_base_rate_ranks_at_one_half_under_every_scheme(data: dict[str, Any], scheme: str) -> None:
    # Its risk differs between folds: ranked across them it would be below one half or above.
    found = figures(data, scheme, "base_rate")
    assert combined(found, "auroc")["estimate"] == 0.5
    assert combined(found, "auroc")["interval_kind"] == "none"
    assert combined(found, "calibration_slope")["estimate"] is None


def test_folds_are_averaged_not_pooled() -> None:
    data = cohort(censored=False)
    found = figures(data, "kfold", "model")
    sample = sample_of(data, "kfold")
    parts = sample.parts(risks_of(sample, data["predictions"]["model"], "model"))
    per_fold = [roc_auc_score(part.label, part.risk) for part in parts]
    assert combined(found, "auroc")["estimate"] == pytest.approx(np.mean(per_fold))
    assert combined(found, "auroc")["interval_kind"] == "corrected_resampling"


def test_leave_centre_out_has_a_mean_over_centres_and_a_prediction_interval(data: dict[str, Any]) -> None:
    found = figures(data, "centres", "model").filter(
        pl.col("fold").is_null() & pl.col("subgroup").is_null() & (pl.col("metric") == "auroc")
    )
    mean, new = found.sort("interval_kind").iter_rows(named=True)
    assert (mean["interval_kind"], new["interval_kind"]) == ("random_effects", "prediction_interval")
    assert mean["estimate"] == new["estimate"]
    assert new["lower"] < mean["lower"] < mean["upper"] < new["upper"]
    assert mean["note"].startswith("11 centres, 1 left out: too few events or non-events")


def test_each_country_stands_alone_and_nothing_is_claimed_between_them(data: dict[str, Any]) -> None:
    found = figures(data, "countries", "model").filter(
        (pl.col("metric") == "auroc") & pl.col("subgroup").is_null()
    )
    directions = found.filter(pl.col("fold").is_not_null())
    assert directions["group"].to_list() == ["FR", "NL"]
    assert directions["interval_kind"].to_list() == ["patient_bootstrap"] * 2
    whole = found.filter(pl.col("fold").is_null()).row(0, named=True)
    assert (whole["lower"], whole["upper"], whole["interval_kind"]) == (None, None, "none")
    assert whole["estimate"] == pytest.approx(directions["estimate"].mean())


def test_weights_come_from_the_evaluated_population(data: dict[str, Any]) -> None:
    outcomes = data["outcomes"]
    time, cause = outcomes["time"].to_numpy(), outcomes["cause"].to_numpy().astype(np.int64)
    expected = inverse_probability_weights(time, cause, HORIZON)
    whole = sample_of(data, "kfold").frame.sort("position")
    assert whole["weight"].to_numpy() == pytest.approx(expected)
    french = (data["rows"]["country"] == "FR").to_numpy()
    left_out = sample_of(data, "countries").frame.sort("position").filter(pl.col("country") == "FR")
    alone = inverse_probability_weights(time[french], cause[french], HORIZON)
    assert left_out["weight"].to_numpy() == pytest.approx(alone)
    assert not np.allclose(alone, expected[french])


def test_the_weights_report_gives_largest_weight_and_effective_n(data: dict[str, Any]) -> None:
    sample = sample_of(data, "kfold")
    weight = sample.frame["weight"].to_numpy()
    found = weights_report(sample)
    assert found["largest_weight"] == weight.max()
    assert found["effective_n"] == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert 0 < found["unknown_status_share"] < 1


def test_few_censored_patients_do_not_follow_from_the_weights(data: dict[str, Any]) -> None:
    sample = sample_of(data, "kfold")
    lost = int((sample.frame["weight"] == 0).sum())
    assert weights_report(sample, smallest_cell=lost)["unknown_status_share"] == lost / 600
    found = weights_report(sample, smallest_cell=lost + 1)
    assert [found[name] for name in ("unknown_status_share", "effective_n", "largest_weight")] == [None] * 3


def test_a_subgroup_of_one_country_is_not_the_total_less_the_other() -> None:
    data = cohort()
    patients = np.arange(600)
    foreign = (data["rows"]["country"] == "NL").to_numpy()
    few = patients[foreign & (data["outcomes"]["cause"] == 1).to_numpy()][:5]
    some = patients[~foreign][:150]
    networks = pl.Series(np.where(np.isin(patients, [*few, *some]), "rare", "common"))
    data["rows"] = data["rows"].with_columns(network=networks)
    shown = {
        (row["scheme"], row["group"]): row["n"]
        for scheme in ("kfold", "countries")
        for row in figures(data, scheme, "model")
        .filter((pl.col("subgroup") == "network: rare") & (pl.col("metric") == "brier"))
        .iter_rows(named=True)
    }
    assert shown == {("kfold", None): 155, ("countries", "FR"): None, ("countries", "NL"): None}


def test_no_published_cell_is_small_and_subgroups_do_not_give_one_away(data: dict[str, Any]) -> None:
    found = pl.concat([figures(data, scheme, "model") for scheme in KINDS])
    shown = found.filter(pl.col("n").is_not_null())
    assert (shown["n"] >= 11).all()
    assert (shown["events"] >= 11).all()
    assert (shown["n"] - shown["events"] >= 11).all()
    networks = found.filter(pl.col("subgroup").str.starts_with("network") & (pl.col("metric") == "auroc"))
    for table in networks.partition_by("scheme", "fold"):
        hidden = table.filter(pl.col("n").is_null())
        assert "network: autism" in hidden["subgroup"].to_list()
        assert hidden.height >= 2
        assert (
            hidden.select("estimate", "lower", "upper", "events").null_count().row(0) == (hidden.height,) * 4
        )


def test_public_data_show_small_subgroups(data: dict[str, Any]) -> None:
    found = figures(data, "kfold", "model", Evaluation("demo", "relapse", 1, 0, ("network",)))
    autism = found.filter(pl.col("subgroup") == "network: autism")
    assert autism["n"].to_list() == [10, 10, 10]


def test_predictions_of_another_run_are_refused_without_naming_a_patient(data: dict[str, Any]) -> None:
    sample = sample_of(data, "kfold")
    with pytest.raises(BadInput, match=r"model has no prediction for 7 of the 600 rows") as refused:
        risks_of(sample, data["predictions"]["model"].filter(pl.col("scheme") == "kfold").head(593), "model")
    assert "baseline-" not in str(refused.value)


def test_splits_of_another_run_are_refused(data: dict[str, Any]) -> None:
    known = data["outcomes"].with_columns(excluded=pl.when(pl.col("time") < 20).then(pl.lit("too soon")))
    own = data["splits"].filter(pl.col("scheme") == "kfold")
    with pytest.raises(BadInput, match="not eligible or not assembled"):
        evaluated_sample(data["rows"], known, own, scheme="kfold", kind="stratified_kfold", horizon=HORIZON)


def test_the_same_inputs_give_the_same_tables(data: dict[str, Any]) -> None:
    def build() -> Any:
        return outcome_report(
            **data,
            evaluation=EVALUATION,
            schemes=KINDS,
            horizon=HORIZON,
            references=("clinical", "base_rate"),
            decision_range=(0.1, 0.4),
        )

    first, second = build(), build()
    assert first.metrics.equals(second.metrics)
    assert first.comparisons.equals(second.comparisons)
    assert sorted(first.figures) == sorted(
        f"{m}_{f}" for m in data["predictions"] for f in ("calibration", "decision", "groups")
    )
