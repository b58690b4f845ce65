"""Figures of R's survival, cmprsk, prodlim and riskRegression, met by our own; golden/survival.R made them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sksurv.linear_model import CoxnetSurvivalAnalysis
from sksurv.util import Surv

from models.censoring import censoring_survival
from models.cox import fit_cox
from models.incidence import cumulative_incidence, summed_jumps
from models.registry import LEARNERS
from models.risk_sets import RiskSets
from models.target import Target

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "survival.json").read_text(encoding="utf-8"))
ROWS = pl.read_csv(FOLDER / "survival.csv")
X = ROWS.select("x1", "x2", "x3").cast(pl.Float64)
VALUES = X.to_numpy()
TIME, CAUSE = ROWS["time"].cast(pl.Float64).to_numpy(), ROWS["cause"].to_numpy()
CAUSES = {cause: np.asarray(cause == CAUSE) for cause in (1, 2)}
TARGET = Target.from_times(TIME, CAUSE, GOLDEN["horizons"])


def test_the_base_rate_is_aalen_and_johansens() -> None:
    learner = LEARNERS["base_rate"].build({}, predictors=None, seed=1).fit(X, TARGET)
    risk = learner.predict_risk(X[:1], GOLDEN["horizons"])[0]
    np.testing.assert_allclose(risk, GOLDEN["aalen_johansen"], atol=1e-9)


def test_g_is_the_kaplan_meier_of_the_censoring_just_before_each_day() -> None:
    found = censoring_survival(TIME, CAUSE, np.asarray(GOLDEN["at"], dtype=np.float64))
    np.testing.assert_allclose(found, GOLDEN["censoring"], atol=1e-9)


def test_unpenalised_cox_with_efrons_ties_is_coxph() -> None:
    fitted = fit_cox(VALUES, TIME, CAUSE == 1, penalty=0.0, l1_ratio=0.0, tolerance=1e-11)
    np.testing.assert_allclose(fitted.coefficients, GOLDEN["cox"], atol=1e-8)
    sets = RiskSets.of(TIME, CAUSE == 1)
    jumps = sets.jumps(fitted.log_hazard(VALUES))
    for day, hazard in zip(GOLDEN["baseline_time"], GOLDEN["baseline_hazard"], strict=True):
        assert jumps[sets.day <= day].sum() == pytest.approx(hazard, rel=1e-7)


def daily_hazards() -> tuple[np.ndarray, np.ndarray]:
    """Event days up to the last horizon, and each cause's hazard on each for the first 20 rows: (20, causes, days)."""
    days = np.unique(TIME[(CAUSE > 0) & (GOLDEN["horizons"][-1] >= TIME)])
    found = np.zeros((20, 2, len(days)))
    for cause in (1, 2):
        model = fit_cox(VALUES, TIME, CAUSES[cause], penalty=0.0, l1_ratio=0.0, tolerance=1e-11)
        sets = RiskSets.of(TIME, CAUSES[cause])
        jumps = summed_jumps(sets.day, sets.jumps(model.log_hazard(VALUES)), days.tolist())
        found[:, cause - 1] = np.exp(model.log_hazard(VALUES[:20]))[:, None] * jumps
    return days, found


def test_hazards_of_every_day_give_the_risks_of_cause_specific_cox() -> None:
    days, hazards = daily_hazards()
    free = np.cumprod(1 - hazards.sum(axis=1), axis=1)
    before = np.column_stack([np.ones(20), free[:, :-1]])
    risk = np.cumsum(before[:, None] * hazards, axis=2)
    for place, horizon in enumerate(GOLDEN["horizons"]):
        last = np.searchsorted(days, horizon, side="right") - 1
        np.testing.assert_allclose(risk[:, 0, last], np.asarray(GOLDEN["risk_1"])[:, place], atol=1e-8)
        np.testing.assert_allclose(risk[:, 1, last], np.asarray(GOLDEN["risk_2"])[:, place], atol=1e-8)


def test_intervals_of_eleven_events_change_the_risks_by_less_than_a_thousandth() -> None:
    # R's product 1 - h is below our exp(-h) where many events fall on one day, here up to 9 of 600 rows; the rest, grouping
    # and the clinical model's ridge, is far less.
    learner = LEARNERS["clinical_cox"].build({}, predictors=X.columns, seed=1).fit(X, TARGET)
    risk = learner.predict_risk(X[:20], GOLDEN["horizons"])
    days, hazards = daily_hazards()
    ends = np.unique([*days, *GOLDEN["horizons"]])
    places = {float(day): place for place, day in enumerate(days)}
    nothing = np.zeros((20, 2))
    exact = cumulative_incidence(
        ends.tolist(),
        lambda place: hazards[:, :, places[ends[place]]] if ends[place] in places else nothing,
        GOLDEN["horizons"],
    )
    np.testing.assert_allclose(risk, exact, atol=0.001)
    np.testing.assert_allclose(risk[:, 0], GOLDEN["risk_1"], atol=0.006)
    np.testing.assert_allclose(risk[:, 1], GOLDEN["risk_2"], atol=0.006)


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_the_penalised_path_is_coxnets(l1_ratio: float) -> None:
    # scikit-survival minimises the same objective with Breslow's ties: no ties here, so that both rules say the same.
    draws = np.random.default_rng(5)
    values = draws.normal(size=(300, 12)) @ (np.eye(12) + 0.3)
    time = draws.exponential(np.exp(-0.5 * values[:, 0] + 0.3 * values[:, 1]))
    event = draws.random(300) < 0.6
    path = [0.2, 0.1, 0.05, 0.02, 0.005]
    theirs = CoxnetSurvivalAnalysis(l1_ratio=l1_ratio, alphas=path, tol=1e-13, max_iter=1_000_000)
    theirs.fit(values, Surv.from_arrays(event, time))
    for place, penalty in enumerate(path):
        ours = fit_cox(values, time, event, penalty=penalty, l1_ratio=l1_ratio, tolerance=1e-10)
        np.testing.assert_allclose(ours.coefficients, theirs.coef_[:, place], atol=1e-4)
