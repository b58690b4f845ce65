from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.stratification.estimation import fit, holm, score_test
from experiments.stratification.hazards import stratum_effects
from experiments.stratification.outcome_cells import hidden_strata, never_falling
from experiments.stratification.outcomes import aalen_johansen
from experiments.stratification.regressions import Cox, Linear, Logistic, cox_of
from experiments.stratification.related_cohort import related_cohort
from experiments.stratification.responses import Response, outcome_response
from experiments.stratification.uncertainty import Classified
from tests.experiments.related_patients import planted, related_patients

# Figures of R 4 with survival on tests/models/golden/survival.csv; weights 1, 2, 1, 2, ...
SOJOURN = {False: (459.59645, 207.58190), True: (463.157225698, 205.972148049)}  # survfit, rmean to 730
FREE_BY_GROUP = (319.9799065, 254.2405726)  # survfit(Surv(time, cause > 0) ~ I(x1 > 0)), rmean to 365
WEIGHTED_RISKS = (0.3027335306, 0.09330643894)  # survfit with weights at 365
COX = (
    0.9255011059,
    -0.3188524194,
)  # coxph(Surv(time, cause == 1) ~ I(x1 > 0) + x2), Breslow, weights, cluster
COX_ROBUST = (0.13536530232, 0.07043863339)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return pl.read_csv(Path(__file__).parents[1] / "models" / "golden" / "survival.csv")


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_times_are_those_of_survfit(rows: pl.DataFrame, weighted: bool) -> None:
    time, cause = rows["time"].cast(pl.Float64).to_numpy(), rows["cause"].cast(pl.Int64).to_numpy()
    each = np.resize([1.0, 2.0], len(time)) if weighted else np.ones(len(time))
    steps = aalen_johansen(time, cause, each[:, None])
    free, lost = steps.means(730.0)
    assert (float(free[0]), float(lost[0])) == pytest.approx(SOJOURN[weighted], abs=1e-5)
    if weighted:
        event, competing, left = steps.at(365.0)
        assert (float(event[0]), float(competing[0])) == pytest.approx(WEIGHTED_RISKS, abs=1e-9)
        assert float((event + competing + left)[0]) == pytest.approx(1.0)


def test_mean_times_of_two_groups_are_those_of_survfit(rows: pl.DataFrame) -> None:
    group = (rows["x1"] > 0).cast(pl.Int64).to_numpy()
    time, cause = rows["time"].cast(pl.Float64).to_numpy(), rows["cause"].cast(pl.Int64).to_numpy()
    free, _ = aalen_johansen(time, cause, np.eye(2)[group]).means(365.0)
    assert free == pytest.approx(FREE_BY_GROUP, abs=1e-6)


def test_hazard_ratios_and_robust_errors_are_those_of_coxph(rows: pl.DataFrame) -> None:
    time, cause = rows["time"].cast(pl.Float64).to_numpy(), rows["cause"].cast(pl.Int64).to_numpy()
    n = len(time)
    values = rows.select((pl.col("x1") > 0).cast(pl.Float64), pl.col("x2").cast(pl.Float64)).to_numpy()
    model, order = cox_of(
        time, cause == 1, np.resize([1.0, 2.0], n), np.arange(n), np.zeros(n, dtype=np.int64)
    )
    found = fit(model, values[order])
    assert found is not None
    assert found.coefficients == pytest.approx(COX, abs=1e-7)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(COX_ROBUST, abs=1e-7)


def test_blocks_have_baselines_of_their_own() -> None:
    generator = np.random.default_rng(1)
    time, event = generator.exponential(size=60), generator.random(60) < 0.7
    values, blocks = generator.normal(size=(60, 2)), np.arange(60) % 3
    model, order = cox_of(time, event, np.ones(60), np.arange(60), blocks)
    at = np.array([0.4, -0.2])
    parts = []
    for block in range(3):
        own = blocks == block
        part, inside = cox_of(time[own], event[own], np.ones(20), np.arange(20), np.zeros(20, dtype=np.int64))
        parts.append(part.pieces(values[own][inside], at))
    whole = model.pieces(values[order], at)
    assert whole.scores.sum(axis=0) == pytest.approx(sum(part.scores.sum(axis=0) for part in parts))
    assert whole.information == pytest.approx(sum(part.information for part in parts))
    assert isinstance(model, Cox)


def test_information_is_the_slope_of_the_scores() -> None:
    generator = np.random.default_rng(2)
    values = np.column_stack([np.ones(50), generator.normal(size=50)])
    label, weight = (generator.random(50) < 0.4).astype(float), generator.uniform(-0.2, 1.5, 50)
    time = np.ceil(generator.exponential(10, 50))
    cox, order = cox_of(time, label == 1, np.abs(weight), np.arange(50), np.zeros(50, dtype=np.int64))
    at, step = np.array([0.1, 0.3]), 1e-6
    for model, own in (
        (Linear(label, weight, np.arange(50)), values),
        (Logistic(label, weight, np.arange(50)), values),
        (cox, values[order]),
    ):
        slopes = [
            (model.pieces(own, at - step * unit).scores - model.pieces(own, at + step * unit).scores).sum(
                axis=0
            )
            / (2 * step)
            for unit in np.eye(2)
        ]
        assert np.array(slopes) == pytest.approx(model.pieces(own, at).information, abs=1e-4)


def test_assignment_shrinks_a_hazard_ratio_and_the_weights_bring_it_back() -> None:
    made = planted(3000, 2.0, 103)
    patients, outcomes = related_patients(made, 203)
    covariates = patients.beside.select("age", "sex")
    cohort = related_cohort(
        patients.rows, patients.memberships, patients.dimensions, patients.made, covariates, knots=4
    )
    response = outcome_response("relapse", outcomes["relapse"], patients.rows)
    naive, corrected = (stratum_effects(cohort, response, way) for way in ("none", "bch"))
    assert naive is not None
    assert corrected is not None
    assert naive.coefficients[0] < 0.75
    assert corrected.coefficients[0] == pytest.approx(0.9, abs=0.15)
    assert corrected.covariance[0, 0] > naive.covariance[0, 0]


def test_the_score_test_sees_what_is_added_and_nothing_else() -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(size=(300, 4))
    smaller = np.column_stack([np.ones(300), values[:, :2]])
    spread = np.exp(0.5 * values[:, 0])  # of unequal variances
    tested = [
        score_test(
            Linear(values[:, 0] + spread * generator.normal(size=300), np.ones(300), np.arange(300)),
            smaller,
            values[:, 2:],
        ).p
        for _ in range(200)
    ]
    rejected = np.mean([p is not None and p <= 0.05 for p in tested])
    assert 0.015 <= rejected <= 0.1
    strong = Linear(values[:, 2] + generator.normal(size=300), np.ones(300), np.arange(300))
    found = score_test(strong, smaller, values[:, 2:])
    assert found.df == 2
    assert found.p is not None
    assert found.p < 1e-6
    copied = score_test(strong, smaller, values[:, :1] * 2 + 1)
    assert (copied.df, copied.p) == (0, None)


def test_holm_counts_what_was_tested() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])


def test_a_curve_is_drawn_as_the_nearest_that_never_falls() -> None:
    assert never_falling([0.1, 0.3, 0.2, 0.5]) == pytest.approx([0.1, 0.25, 0.25, 0.5])
    assert never_falling([-0.1, 1.2]) == [0.0, 1.0]


def test_few_events_between_two_horizons_hide_the_earlier_one() -> None:
    assigned = np.repeat([0, 1], 100)
    time = np.concatenate([np.full(30, 100.0), np.full(5, 300.0), np.full(65, 900.0)] * 2)
    cause = np.concatenate([np.ones(35), np.zeros(65)] * 2).astype(np.int64)
    response = Response("y", "time", "", "cox", np.arange(200), time, cause, np.ones(200), (200.0, 400.0))
    hidden = hidden_strata(response, Classified(np.eye(2)[assigned], assigned), 11)
    assert hidden[200.0].all()
    assert not hidden[400.0].any()
    assert not np.any([*hidden_strata(response, Classified(np.eye(2)[assigned], assigned), 0).values()])
