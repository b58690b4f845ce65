"""Laws of risk sets, intervals, person-periods and their combination to risks; what trees of hazards hold of patients."""

import json

import lightgbm
import numpy as np
import pytest
import xgboost

from models.cox import _Problem, fit_cox
from models.errors import BadTarget
from models.incidence import FEWEST_EVENTS, cumulative_incidence, interval_edges, summed_jumps
from models.light_gbm_hazard import LightGbmHazard
from models.person_periods import person_periods
from models.preprocessing import Preprocessor
from models.risk_sets import RiskSets
from models.target import Target
from models.xg_boost_cox import DEFAULTS, fit_xg_boost_cox
from tests.models.test_time_contract import cohort


def rows(n: int = 400, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(n, 5))
    event, lost = draws.exponential(400 * np.exp(-values[:, 0])), draws.exponential(600, n)
    return values, np.ceil(np.minimum(event, lost) / 7) * 7, np.where(event <= lost, 1, 0)


def test_risk_sets_are_efrons_written_out() -> None:
    values, time, cause = rows(60)
    event, hazard = cause == 1, np.exp(values[:, 0])
    sets = RiskSets.of(time, event)
    assert len(np.unique(sets.day)) < len(sets.day)
    expected = []
    for day in np.unique(time[event]):
        tied = hazard[event & (time == day)]
        expected += [hazard[time >= day].sum() - k / len(tied) * tied.sum() for k in range(len(tied))]
    np.testing.assert_allclose(sets.at_risk(hazard[sets.order]), expected, rtol=1e-12)
    # The expected events of a fitted baseline are as many as there were.
    jumps = sets.jumps(np.log(hazard))
    assert (hazard[sets.order] * sets.collected(jumps)).sum() == pytest.approx(event.sum(), rel=1e-12)


@pytest.mark.parametrize(("penalty", "l1_ratio"), [(0.05, 0.0), (0.05, 0.5), (0.02, 1.0)])
def test_penalised_cox_is_at_its_optimum(penalty: float, l1_ratio: float) -> None:
    values, time, cause = rows()
    found = fit_cox(values, time, cause == 1, penalty=penalty, l1_ratio=l1_ratio, tolerance=1e-9).coefficients
    sets = RiskSets.of(time, cause == 1)

    def objective(coefficients: np.ndarray) -> float:
        scores = (values @ coefficients)[sets.order]
        loss = np.log(sets.at_risk(np.exp(scores))).sum() - scores[sets.happened].sum()
        ridge = (1 - l1_ratio) / 2 * coefficients @ coefficients
        return float(loss / len(time) + penalty * (l1_ratio * np.abs(coefficients).sum() + ridge))

    best = objective(found)
    for column in range(5):
        for step in (-1e-3, 1e-3):
            assert objective(found + step * (np.arange(5) == column)) > best


def test_a_stronger_penalty_leaves_nothing() -> None:
    values, time, cause = rows()
    found = fit_cox(values, time, cause == 1, penalty=5.0, l1_ratio=1.0).coefficients
    np.testing.assert_array_equal(found, np.zeros(5))


@pytest.mark.parametrize("most", [8, 200])
def test_intervals_hold_enough_events_and_end_at_horizons_or_between_days(most: int) -> None:
    _, time, cause = rows(2000)
    horizons = (100.0, 365.0, 730.0)
    edges = interval_edges(time, cause > 0, horizons, most=most)
    assert set(horizons) <= set(edges)
    assert list(edges) == sorted(set(edges))
    assert set(edges).isdisjoint(set(time) - set(horizons))
    counts = summed_jumps(time, (cause > 0).astype(np.float64), edges)
    assert counts.sum() == ((cause > 0) & (time <= 730)).sum()
    assert (counts >= FEWEST_EVENTS).all()
    assert len(edges) <= most + len(horizons)


def test_too_few_events_between_two_horizons_are_one_interval() -> None:
    time, event = np.arange(1.0, 41.0), np.ones(40, dtype=np.bool_)
    edges = interval_edges(time, event, (5.0, 40.0, 50.0), most=200)
    assert edges == (5.0, 16.5, 27.5, 40.0, 50.0)


def test_risks_and_event_free_share_sum_to_one_and_no_split_changes_them() -> None:
    draws = np.random.default_rng(1)
    hazards = draws.exponential(0.5, size=(4, 30, 3))
    edges = (10.0, 50.0, 90.0, 200.0)
    risk = cumulative_incidence(edges, lambda number: hazards[number], edges)
    for place in range(4):
        free = np.exp(-hazards[: place + 1].sum(axis=(0, 2)))
        np.testing.assert_allclose(risk[:, :, place].sum(axis=1) + free, 1, rtol=1e-14)
    halves = (5.0, 10.0, 30.0, 50.0, 70.0, 90.0, 145.0, 200.0)
    split = cumulative_incidence(halves, lambda number: hazards[number // 2] / 2, halves)
    whole = cumulative_incidence(edges, lambda number: hazards[number], halves)
    np.testing.assert_allclose(split, whole, rtol=1e-12)


@pytest.mark.parametrize("horizon", [0.0, -1.0, 200.5, float("nan")])
def test_days_that_no_interval_covers_are_refused(horizon: float) -> None:
    with pytest.raises(BadTarget, match="up to day 200 after its index"):
        cumulative_incidence((10.0, 200.0), lambda _: np.ones((1, 1)), [horizon])


def test_person_periods_give_the_kaplan_meier_curve_where_many_are_censored_within_intervals() -> None:
    draws = np.random.default_rng(2)
    event, lost = draws.exponential(400, 4000), draws.uniform(0, 500, 4000)
    time, cause = np.minimum(event, lost), (event <= lost).astype(np.int64)
    edges = interval_edges(time, cause > 0, (200.0, 400.0), most=4)
    periods = person_periods(time, cause, edges)
    free = np.cumprod(1 - periods.rates((1,), len(edges))[0])
    truth = np.exp(-np.asarray(edges) / 400)
    np.testing.assert_allclose(free, truth, atol=0.02)
    assert (np.bincount(periods.row, minlength=4000) <= len(edges)).all()
    assert (periods.cause > 0).sum() == ((cause == 1) & (time <= 400)).sum()
    # With the censored left out of their last interval, or kept in it whole, the curve is off.
    for kept in (periods.weight == 1.0, np.ones(len(periods.row), dtype=np.bool_)):
        at_risk = np.bincount(periods.interval[kept], minlength=len(edges))
        happened = np.bincount(periods.interval[kept & (periods.cause == 1)], minlength=len(edges))
        assert np.abs(np.cumprod(1 - happened / at_risk) - truth).max() > 0.025


def test_no_leaf_of_xgboost_cox_holds_ten_rows() -> None:
    values, time, cause = rows(200)
    settings = {**DEFAULTS, "min_child_weight": 3.0, "max_depth": 3, "reg_lambda": 0.0, "learning_rate": 0.3}
    booster = xgboost.Booster(
        model_file=bytearray(fit_xg_boost_cox(values, time, cause == 1, settings, 1).to_bytes())
    )
    leaves = np.asarray(booster.predict(xgboost.DMatrix(values), pred_leaf=True)).astype(np.int64)
    counts = [np.unique(tree, return_counts=True)[1].min() for tree in leaves.T]
    assert min(counts) >= 11
    assert min(counts) < 40  # it did grow trees
    trees = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    thresholds = {
        np.float32(value)
        for tree in trees
        for value, child in zip(tree["split_conditions"], tree["left_children"], strict=True)
        if child >= 0
    }
    assert thresholds.isdisjoint(values.astype(np.float32).ravel())


@pytest.mark.parametrize("deaths", [2500.0, 1e9])
def test_no_leaf_of_lightgbm_hazard_holds_ten_patients(deaths: float) -> None:
    X, target = cohort(600, 1, deaths)
    learner = LightGbmHazard({"min_data_in_leaf": 11, "num_leaves": 8, "lambda_l2": 0.0}, None, 1)
    parts = learner.fit(X, target).to_parts()
    state = json.loads(parts["learner.json"])
    assert target.time is not None
    periods = person_periods(target.time, target.cause, state["edges"])
    values = Preprocessor.from_state(state["preprocessing"]).transform(X)
    seen = np.column_stack([values[periods.row].astype(np.float32), periods.interval])
    booster = lightgbm.Booster(model_str=parts["model_0.txt"].decode())
    leaves = np.asarray(booster.predict(seen, pred_leaf=True)).astype(np.int64)
    fewest = [
        min(len(np.unique(periods.row[tree == leaf])) for leaf in np.unique(tree)) for tree in leaves.T[::5]
    ]
    assert min(fewest) >= 11
    assert min(fewest) < 60  # it did grow trees


def test_an_event_on_the_index_day_belongs_to_the_first_interval() -> None:
    time, cause = np.repeat([0.0, 5.0, 30.0], 15), np.ones(45, dtype=np.int64)
    edges = interval_edges(time, cause > 0, (40.0,), most=8)
    assert edges == (2.5, 17.5, 40.0)
    assert summed_jumps(time, np.ones(45), edges).tolist() == [15, 15, 15]
    target = Target.from_times(time, cause, [40.0])
    assert person_periods(time, target.cause, edges).interval.max() == 2


def test_a_step_so_long_that_a_risk_set_vanishes_is_no_improvement() -> None:
    sets = RiskSets.of(np.array([1.0, 2.0, 3.0]), np.array([True, True, True]))
    problem = _Problem(sets, np.eye(3), lasso=0.0, ridge=0.0, rows=3)
    # The last to have the event stands alone at the end: beside the first one's score its hazard is 0 in floating point.
    assert problem.objective(np.array([900.0, 0.0, -900.0]), np.zeros(3)) == np.inf
    assert np.isfinite(problem.objective(np.array([9.0, 0.0, -9.0]), np.zeros(3)))
