"""What every learner of times promises: risks of causes by horizons that are coherent, explained, stored and private."""

import re
import struct
from functools import cache

import numpy as np
import polars as pl
import pytest
from sksurv.metrics import concordance_index_censored

from models.contract import Learner
from models.errors import BadTarget
from models.registry import LEARNERS
from models.storage import load_learner
from models.target import Target

PREDICTORS = ("age", "crp", "insight", "sex", "ward")
HORIZONS = (90.0, 365.0, 730.0)
MODALITIES = dict.fromkeys(PREDICTORS, "clinical")
ALL = sorted(name for name, kind in LEARNERS.items() if "time" in kind.targets)
ONLY = sorted(name for name in ALL if "label" not in LEARNERS[name].targets)


@cache
def cohort(n: int = 600, seed: int = 1, deaths: float = 2500.0) -> tuple[pl.DataFrame, Target]:
    draws = np.random.default_rng(seed)
    age, crp, insight = draws.normal(40, 12, n), draws.lognormal(0, 1, n), draws.normal(0, 1, n)
    sex, ward = draws.choice(["f", "m"], n), draws.choice(["A", "B", "C"], n, p=[0.6, 0.38, 0.02])
    relapse = draws.exponential(700 * np.exp(0.8 * insight - 0.6 * (ward == "B")))
    death = draws.exponential(deaths * np.exp(-0.06 * (age - 40)))
    clocks = np.column_stack([draws.uniform(30, 1500, n), relapse, death])
    X = pl.DataFrame({"age": age, "crp": crp, "insight": insight, "sex": sex, "ward": ward})
    lost = draws.random(n) < 0.2
    X = X.with_columns(crp=pl.when(pl.lit(lost)).then(None).otherwise(pl.col("crp")))
    time, cause = np.ceil(clocks.min(axis=1)), clocks.argmin(axis=1)
    return X, Target.from_times(time, cause, HORIZONS, causes=2, main=365.0)


def build(name: str, seed: int = 7) -> Learner:
    kind = LEARNERS[name]
    more = {"modalities": MODALITIES} if kind.uses_modalities else {}
    return kind.build(dict(kind.defaults), predictors=list(PREDICTORS), seed=seed, **more)


@cache
def fitted(name: str) -> Learner:
    return build(name).fit(*cohort())


@pytest.mark.parametrize("name", ALL)
def test_risks_rise_over_horizons_and_sum_to_one_at_most(name: str) -> None:
    X, _ = cohort()
    strange = pl.concat([X, X.head(3).with_columns(age=pl.lit(1e6), crp=pl.lit(-1e6), ward=pl.lit("Z"))])
    risk = fitted(name).predict_risk(strange, HORIZONS)
    causes = 1 if risk.shape[1] == 1 and name not in ONLY else 2
    assert risk.shape == (603, causes, 3)
    assert np.isfinite(risk).all()
    assert ((risk >= 0) & (risk <= 1)).all()
    assert (np.diff(risk, axis=2) >= 0).all()
    assert (risk.sum(axis=1) <= 1 + 1e-12).all()


@pytest.mark.parametrize("name", [*ONLY, "base_rate"])
def test_the_competing_cause_is_told_too(name: str) -> None:
    X, target = cohort()
    risk = fitted(name).predict_risk(X, HORIZONS)
    assert risk.shape == (600, 2, 3)
    for place, horizon in enumerate(HORIZONS):
        for cause in (1, 2):
            seen = np.average(target.labels(horizon, cause), weights=target.weights(horizon))
            assert risk[:, cause - 1, place].mean() == pytest.approx(seen, abs=0.025)


@pytest.mark.parametrize("name", ALL)
def test_contributions_and_base_sum_to_the_score(name: str) -> None:
    X, _ = cohort()
    learner = fitted(name)
    contributions, base = learner.explain(X)
    assert contributions.shape == (600, len(learner.columns))
    np.testing.assert_allclose(base + contributions.sum(axis=1), learner.score(X), atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_the_score_orders_rows_as_the_risk_does(name: str) -> None:
    X, _ = cohort(600, 1, 1e9)  # with nothing that competes a higher hazard is a higher risk
    learner = build(name).fit(*cohort(600, 1, 1e9))
    score, risk = learner.score(X), learner.predict_risk(X, [365.0])[:, 0, 0]
    if name != "base_rate":
        assert np.corrcoef(np.argsort(np.argsort(score)), np.argsort(np.argsort(risk)))[0, 1] > 0.98


@pytest.mark.parametrize("name", sorted(set(ALL) - {"base_rate"}))
def test_planted_signal_is_found(name: str) -> None:
    X, target = cohort(1500, 2)
    risk = fitted(name).predict_risk(X, [365.0])[:, 0, 0]
    assert target.time is not None
    assert concordance_index_censored(target.cause == 1, target.time, risk)[0] > 0.66


@pytest.mark.parametrize("name", ALL)
def test_order_of_columns_and_rows_changes_nothing(name: str) -> None:
    X, target = cohort()
    other = X.select(sorted(X.columns, reverse=True)).with_columns(spare=pl.lit(3.0))
    again = build(name).fit(other, target)
    assert again.to_parts() == fitted(name).to_parts()
    whole = fitted(name).predict_risk(X, HORIZONS)
    np.testing.assert_allclose(again.predict_risk(other[::-1], HORIZONS), whole[::-1], rtol=1e-12)
    np.testing.assert_allclose(again.predict_risk(other[5:6], HORIZONS)[0], whole[5], rtol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_stored_learner_comes_back_the_same(name: str) -> None:
    X, _ = cohort()
    learner = fitted(name)
    again = load_learner(learner.to_parts())
    assert again.to_parts() == learner.to_parts()
    assert again.columns == learner.columns
    np.testing.assert_array_equal(again.predict_risk(X, HORIZONS), learner.predict_risk(X, HORIZONS))
    np.testing.assert_array_equal(again.explain(X)[0], learner.explain(X)[0])


@pytest.mark.parametrize("name", ALL)
def test_a_horizon_beyond_the_last_is_refused(name: str) -> None:
    with pytest.raises(BadTarget, match=r"not for \[900"):
        fitted(name).predict_risk(cohort()[0], [900.0])


@pytest.mark.parametrize("name", ONLY)
def test_days_between_horizons_are_told_between_them(name: str) -> None:
    X, _ = cohort()
    risk = fitted(name).predict_risk(X, [365.0, 200.0, 90.0])
    assert (risk[:, :, 0] >= risk[:, :, 1]).all()
    assert (risk[:, :, 1] >= risk[:, :, 2]).all()
    np.testing.assert_array_equal(risk[:, :, [2, 0]], fitted(name).predict_risk(X, HORIZONS)[:, :, :2])


@pytest.mark.parametrize("name", ALL)
def test_no_patients_value_or_day_is_stored(name: str) -> None:
    X, target = cohort()
    learner = fitted(name)
    parts = learner.to_parts()
    stored = b"".join(parts.values())
    numbers = {np.float32(float(text)) for text in re.findall(rb"-?\d+\.\d+(?:[eE][-+]?\d+)?", stored)}
    values = [value for column in ("age", "crp", "insight") for value in X[column].drop_nulls()]
    assert not any(
        struct.pack("<d", value) in stored or struct.pack("<f", value) in stored for value in values
    )
    assert numbers.isdisjoint(np.float32(value) for value in values)
    if name in ONLY:
        found = re.search(rb'"edges": \[([^\]]*)\]', parts["learner.json"])
        assert found is not None
        edges = {float(text) for text in found.group(1).split(b",")} - set(HORIZONS)
        assert target.time is not None
        assert edges.isdisjoint(target.time)


@pytest.mark.parametrize("name", ONLY)
def test_a_cause_with_ten_events_has_its_rate_alone(name: str) -> None:
    X, target = cohort()
    assert target.time is not None
    cause = np.where((target.cause == 2) & (np.cumsum(target.cause == 2) > 10), 0, target.cause)
    rare = Target.from_times(target.time, cause, HORIZONS, causes=2)
    risk = build(name).fit(X, rare).predict_risk(X, HORIZONS)
    assert risk[:, 0, 2].std() > 0.05
    seen = np.average(rare.labels(730.0, 2), weights=rare.weights(730.0))
    assert risk[:, 1, 2].mean() == pytest.approx(seen, abs=0.01)
    # Who relapses more is at risk of the rare cause for less long: the order is that of the risk of cause 1.
    order = np.argsort(risk[:, 0, 2])
    assert (np.diff(risk[order, 1, 2]) <= 0.002).all()


@pytest.mark.parametrize("name", ONLY)
def test_labels_and_outcomes_without_events_are_refused(name: str) -> None:
    X, target = cohort()
    assert target.time is not None
    with pytest.raises(BadTarget, match="needs times to event, but the outcome is a label"):
        build(name).fit(X, Target.from_labels((target.cause == 1).astype(int)))
    with pytest.raises(BadTarget, match="no event of its first cause by day 730"):
        build(name).fit(X, Target.from_times(target.time, np.where(target.cause == 2, 2, 0), HORIZONS))
    with pytest.raises(BadTarget, match="599 rows but the target 600"):
        build(name).fit(X.head(599), target)
    with pytest.raises(BadTarget, match="not been fitted"):
        build(name).predict_risk(X, [90.0])
    with pytest.raises(BadTarget, match="None of the 5 columns varies"):
        build(name).fit(X.with_columns(pl.lit(1.0).alias(column) for column in X.columns), target)


@pytest.mark.parametrize("name", ["lightgbm_hazard", "xgboost_cox"])
def test_leaves_hold_many_rows(name: str) -> None:
    X, target = cohort()
    kind = LEARNERS[name]
    least = {"min_data_in_leaf": 1} if name == "lightgbm_hazard" else {"min_child_weight": 0.1}
    with pytest.raises(BadTarget, match="so that no leaf tells about single patients"):
        kind.build(least, predictors=list(PREDICTORS), seed=1).fit(X, target)
