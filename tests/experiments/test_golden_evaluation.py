"""Figures of times with competing causes equal R's; those without equal scikit-survival's on the data it brings along."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sksurv.datasets import load_gbsg2, load_whas500
from sksurv.metrics import (
    brier_score,
    concordance_index_ipcw,
    cumulative_dynamic_auc,
    integrated_brier_score,
)
from sksurv.util import Surv

from experiments.evaluation.decision import decision_curve
from experiments.evaluation.measures import measure
from experiments.evaluation.metrics import Floats, brier
from experiments.evaluation.sample import Part
from models.censoring import censoring_survival
from tests.experiments.followed_up import followed_part

HERE = Path(__file__).parent / "golden"
HORIZONS = (92.0, 182.0, 362.0)
Integers = NDArray[np.int64]
COHORT = pl.read_csv(HERE / "evaluation_cohort.csv")
DAYS = COHORT["time"].to_numpy().astype(np.float64)
KIND = COHORT["cause"].to_numpy().astype(np.int64)
RISKS = COHORT.select(f"risk_{horizon:g}" for horizon in HORIZONS).to_numpy()


def golden(figure: str, source: str) -> pl.DataFrame:
    found = pl.read_csv(HERE / "evaluation_golden.csv")
    chosen = found.filter((pl.col("figure") == figure) & (pl.col("source") == source))
    assert chosen.height
    return chosen


def up_to(number: int, time: Floats = DAYS, cause: Integers = KIND) -> Part:
    return followed_part(time, cause, RISKS[:, :number], HORIZONS[:number])


@pytest.mark.parametrize("source", ["prodlim", "survival", "cmprsk"])
def test_the_weighted_share_of_events_is_aalen_and_johansens(source: str) -> None:
    for number, expected in enumerate(golden("aalen_johansen", source)["value"], start=1):
        part = up_to(number)
        assert part.weight @ part.label / len(part.label) == pytest.approx(expected, abs=1e-6)
        assert part.weight.sum() == pytest.approx(len(part.label))


@pytest.mark.parametrize("source", ["prodlim", "survival"])
def test_the_censoring_curve_just_before_a_time(source: str) -> None:
    expected = golden("censoring_before", source)
    found = censoring_survival(DAYS, KIND, expected["horizon"].to_numpy().astype(np.float64))
    assert found == pytest.approx(expected["value"].to_numpy(), abs=1e-6)


@pytest.mark.parametrize("figure", ["auroc", "brier", "brier_skill"])
def test_figures_at_each_horizon_are_those_of_risk_regression(figure: str) -> None:
    found = [measure(up_to(number), figure) for number in (1, 2, 3)]
    assert found == pytest.approx(golden(figure, "riskRegression")["value"].to_list(), abs=1e-6)


def test_the_null_is_the_aalen_johansen_risk_for_everybody() -> None:
    for number, expected in enumerate(golden("null_brier", "riskRegression")["value"], start=1):
        part = up_to(number)
        share = np.full(len(DAYS), part.weight @ part.label / len(DAYS))
        assert brier(part.label, share, part.weight) == pytest.approx(expected, abs=1e-6)


def test_the_integrated_brier_score_differs_from_risk_regressions_by_the_rule_of_the_sum_alone() -> None:
    # Theirs holds each horizon's score until the next one; ours joins them by straight lines.
    score = [measure(up_to(number), "brier") for number in (1, 2, 3)]
    gaps = np.diff([0.0, *HORIZONS])
    held = float(gaps @ [0.0, *score[:-1]]) / HORIZONS[-1]
    assert held == pytest.approx(golden("integrated_brier_steps", "riskRegression")["value"][-1], abs=1e-6)
    straight = held + float(gaps @ np.diff([0.0, *score])) / 2 / HORIZONS[-1]
    assert measure(up_to(3), "integrated_brier") == pytest.approx(straight, abs=1e-12)


def test_unos_concordance_without_competing_events_is_that_of_survival() -> None:
    single = up_to(3, cause=np.where(KIND == 1, 1, 0))
    (expected,) = golden("concordance_single", "survival")["value"]
    assert measure(single, "concordance") == pytest.approx(expected, abs=1e-6)


def test_the_concordance_with_competing_events_is_wolbers_s() -> None:
    untied = up_to(3, time=DAYS + np.arange(1, len(DAYS) + 1) / 1000)
    (expected,) = golden("concordance_untied", "pec")["value"]
    assert measure(untied, "concordance") == pytest.approx(expected, abs=1e-6)


def test_on_tied_days_the_concordance_differs_from_pecs_by_the_weight_of_a_pair_alone() -> None:
    # pec weighs a pair still followed at the case's time by G(T-) G(T), we by G(T-)^2.
    days, cause, risk = DAYS.copy(), KIND.copy(), RISKS[:, -1]
    before, on = censoring_survival(days, cause, days), censoring_survival(days, cause, days + 0.5)

    def share(second: Floats) -> float:
        above = below = 0.0
        for case in np.flatnonzero((cause == 1) & (days <= HORIZONS[-1])):
            later = (days > days[case]) | ((days == days[case]) & (cause == 0))
            competed = (days <= days[case]) & (cause > 1)
            weight = (later / second[case] + competed / np.maximum(before, 1e-12)) / before[case]
            above += float(weight @ ((risk[case] > risk) + 0.5 * (risk[case] == risk)))
            below += float(weight.sum())
        return above / below

    (expected,) = golden("concordance_tied", "pec")["value"]
    assert share(on) == pytest.approx(expected, abs=1e-6)
    assert share(before) == pytest.approx(measure(up_to(3), "concordance"), abs=1e-12)


def test_net_benefit_is_that_of_the_aalen_johansen_risk_among_the_flagged() -> None:
    (point,) = decision_curve([up_to(3)], np.array([0.3]), 0)
    (expected,) = golden("net_benefit", "prodlim")["value"]
    assert point.y == pytest.approx(expected, abs=1e-6)


def trial(name: str) -> tuple[Floats, Integers, Floats, tuple[float, ...]]:
    """Return days, events, a marker and horizons (between two days) of a data set of scikit-survival."""
    if name == "gbsg2":
        x, y = load_gbsg2()
        return y["time"], y["cens"].astype(np.int64), x["pnodes"].to_numpy() / 25, (365.5, 730.5, 1825.5)
    x, y = load_whas500()
    return y["lenfol"], y["fstat"].astype(np.int64), x["age"].to_numpy() / 20 - 3.5, (90.5, 365.5, 1095.5)


def predicted(marker: Floats, horizons: tuple[float, ...]) -> Floats:
    return 1 - np.exp(-np.array(horizons)[None, :] / 3000 * np.exp(marker)[:, None])


@pytest.mark.parametrize("name", ["gbsg2", "whas500"])
def test_figures_equal_scikit_survivals_where_days_are_not_tied(name: str) -> None:
    days, cause, marker, horizons = trial(name)
    time = days + np.random.default_rng(0).permutation(len(days)) / len(days) / 3  # still before the half day
    risks = predicted(marker, horizons)
    outcome = Surv.from_arrays(cause == 1, time)
    _, scores = brier_score(outcome, outcome, 1 - risks, horizons)
    areas, _ = cumulative_dynamic_auc(outcome, outcome, risks, horizons)
    for number in range(3):
        part = followed_part(time, cause, risks[:, : number + 1], horizons[: number + 1])
        assert measure(part, "brier") == pytest.approx(scores[number], abs=1e-6)
        assert measure(part, "auroc") == pytest.approx(areas[number], abs=1e-6)
        expected = concordance_index_ipcw(outcome, outcome, risks[:, number], tau=horizons[number])[0]
        assert measure(part, "concordance") == pytest.approx(expected, abs=1e-6)
    # Theirs is the mean from the first horizon on, ours from day 0, where the score is 0.
    own = float(measure(part, "integrated_brier")) * horizons[-1] - scores[0] * horizons[0] / 2
    theirs = integrated_brier_score(outcome, outcome, 1 - risks, horizons)
    assert own / (horizons[-1] - horizons[0]) == pytest.approx(theirs, abs=1e-6)


def test_on_tied_days_scikit_survival_takes_the_censoring_of_the_day_into_account() -> None:
    # It weighs an event by 1/G(T), we by 1/G(T-): those censored on that day were followed through it.
    time, cause, marker, horizons = trial("whas500")
    risks = predicted(marker, horizons)
    outcome = Surv.from_arrays(cause == 1, time)
    _, scores = brier_score(outcome, outcome, 1 - risks, horizons)
    for number, horizon in enumerate(horizons):
        label = ((cause == 1) & (time <= horizon)).astype(float)
        known = (cause == 1) | (time > horizon)
        weight = known / censoring_survival(time, cause, np.minimum(time, horizon) + 0.25)
        total = float(weight @ (label - risks[:, number]) ** 2) / len(time)
        assert total == pytest.approx(scores[number], abs=1e-6)
        assert measure(followed_part(time, cause, risks[:, [number]], [horizon]), "brier") == pytest.approx(
            scores[number], abs=5e-4
        )
