"""What differs between centres, and the ladder that sets it beside the other rungs."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.evaluation.combining import UnitFigures, centre_units
from experiments.evaluation.evaluate import predicted_parts
from experiments.evaluation.heterogeneity import between_units, heterogeneity_rows
from experiments.evaluation.ladder import ladder
from experiments.evaluation.report import OutcomeReport, outcome_report
from experiments.evaluation.reporting import Evaluation
from tests.experiments.evaluated_cohort import HORIZON, KINDS, cohort, sample_of
from tests.experiments.test_intervals import bcg_log_risk_ratios

EVALUATION = Evaluation("demo", "relapse", 1, 11, resamples=50)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    found = cohort(900)
    found["predictions"].pop("clinical")
    return found


@pytest.fixture(scope="module")
def report(data: dict[str, Any]) -> OutcomeReport:
    return outcome_report(
        **data, evaluation=EVALUATION, schemes=KINDS, horizon=HORIZON, references=("clinical",)
    )


def units(effects: Any, variances: Any, scale: str = "identity") -> UnitFigures:
    effects, variances = np.array(effects), np.array(variances)
    return UnitFigures(effects, effects, variances, scale, constant=False, note="")


def test_the_published_heterogeneity_of_the_bcg_trials() -> None:
    # metafor, REML: tau2 0.3132 (95 % 0.1197 to 1.1115, Q-profile), I2 92.22 %.
    found = between_units(units(*bcg_log_risk_ratios()))
    assert found["between"] == pytest.approx(0.3132, abs=5e-5)
    assert (found["between_lower"], found["between_upper"]) == pytest.approx((0.1197, 1.1115), abs=2e-3)
    assert found["share"] == pytest.approx(0.9222, abs=5e-5)


def test_where_a_new_centre_is_expected_lies_on_the_figures_own_scale() -> None:
    found = between_units(units(np.log([0.8, 1.0, 1.25]), [0.01, 0.01, 0.01], "log"))
    assert found["new_lower"] < 0.8
    assert found["new_upper"] > 1.25
    assert found["new_lower"] * found["new_upper"] == pytest.approx(1.0, abs=1e-6)


def test_two_units_do_not_show_how_units_vary() -> None:
    found = between_units(units([0.1, 0.9], [0.01, 0.01]))
    assert [found[name] for name in ("between", "share", "new_lower", "new_upper")] == [None] * 4
    assert "fewer than 3 units" in found["note"]


def test_centres_alone_have_heterogeneity_never_two_countries(data: dict[str, Any]) -> None:
    for scheme in KINDS:
        sample = sample_of(data, scheme)
        rows = heterogeneity_rows(sample, predicted_parts(sample, data["predictions"]["model"], "model"))
        assert [row["metric"] for row in rows] == (
            ["auroc", "concordance", "observed_to_expected", "calibration_slope"]
            if scheme == "centres"
            else []
        )


def test_one_risk_for_all_differs_between_centres_in_calibration_alone(report: OutcomeReport) -> None:
    found = {
        row["metric"]: row
        for row in report.heterogeneity.filter(pl.col("learner") == "base_rate").iter_rows(named=True)
    }
    assert found["auroc"]["between"] is None
    assert "constant in every unit" in found["auroc"]["note"]
    assert found["observed_to_expected"]["between"] > 0  # the planted centre effects
    assert found["calibration_slope"]["units"] == 0


def test_the_ladder_has_a_rung_for_each_scheme_and_each_direction(report: OutcomeReport) -> None:
    own = report.ladder.filter(pl.col("learner") == "model")
    assert own.select("rung", "scheme", "group").rows() == [
        (1, "kfold", None),
        (2, "centres", None),
        (3, "countries", "FR"),
        (4, "countries", "NL"),
    ]
    assert own["auroc_interval_kind"].to_list() == [
        "corrected_resampling",
        "random_effects",
        "patient_bootstrap",
        "patient_bootstrap",
    ]
    assert own["n"].to_list()[0] == 900
    assert own["n"].to_list()[2] + own["n"].to_list()[3] == 900


def test_a_rung_holds_the_figures_of_the_tables_and_centres_alone_expect_a_new_one(
    report: OutcomeReport,
) -> None:
    own = report.ladder.filter(pl.col("learner") == "model")
    centres = own.row(1, named=True)
    chosen = (pl.col("learner") == "model") & (pl.col("scheme") == "centres")
    for metric in ("auroc", "concordance", "observed_to_expected", "calibration_slope"):
        assert (own[f"{metric}_new_lower"].is_not_null() == (own["scheme"] == "centres")).all()
        row = report.metrics.filter(
            chosen & (pl.col("metric") == metric) & pl.col("fold").is_null() & pl.col("subgroup").is_null()
        ).row(0, named=True)
        assert centres[metric] == row["estimate"]
        assert (centres[f"{metric}_lower"], centres[f"{metric}_upper"]) == (row["lower"], row["upper"])
        between = report.heterogeneity.filter(chosen & (pl.col("metric") == metric)).row(0, named=True)
        assert centres[f"{metric}_between"] == between["between"]
        assert centres[f"{metric}_new_lower"] < row["lower"] < row["upper"] < centres[f"{metric}_new_upper"]


def test_later_patients_are_the_last_rung_with_their_own_interval(report: OutcomeReport) -> None:
    later = report.metrics.filter(pl.col("scheme") == "kfold").with_columns(scheme=pl.lit("later"))
    metrics = pl.concat([report.metrics, later])
    found = ladder(metrics, report.heterogeneity, {"later": "temporal", **KINDS})
    assert found.filter(pl.col("learner") == "model")["scheme"].to_list()[-1] == "later"


def test_small_centres_are_not_counted_as_units(data: dict[str, Any]) -> None:
    sample = sample_of(data, "centres")
    parts = predicted_parts(sample, data["predictions"]["model"], "model")
    rows = heterogeneity_rows(sample, parts)
    assert rows[0]["units"] == len(centre_units(parts).parts)
