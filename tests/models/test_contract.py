"""What every registered learner promises."""

import re
import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from models.contract import Learner
from models.errors import BadTarget
from models.registry import LEARNERS
from models.storage import fingerprint, load_learner, read_parts, write_parts
from models.target import Target

PREDICTORS = ("age", "crp", "insight", "sex", "ward")
MODALITIES = {"age": "clinical", "sex": "clinical", "ward": "clinical", "crp": "blood", "insight": "scales"}
ALL = sorted(name for name, kind in LEARNERS.items() if "label" in kind.targets)
FITTED = [name for name in ALL if name != "base_rate"]


def cohort(n: int = 600, seed: int = 1, signal: float = 1.0) -> tuple[pl.DataFrame, np.ndarray]:
    draws = np.random.default_rng(seed)
    age, crp, insight = draws.normal(40, 12, n), draws.lognormal(0, 1, n), draws.normal(0, 1, n)
    sex, ward = draws.choice(["f", "m"], n), draws.choice(["A", "B", "C"], n, p=[0.6, 0.38, 0.02])
    score = signal * (-1.2 * insight + 0.06 * (age - 40) + 0.8 * (ward == "B")) - 0.5
    labels = (draws.random(n) < 1 / (1 + np.exp(-score))).astype(int)
    X = pl.DataFrame({"age": age, "crp": crp, "insight": insight, "sex": sex, "ward": ward})
    lost = draws.random(n) < 0.2
    return X.with_columns(crp=pl.when(pl.lit(lost)).then(None).otherwise(pl.col("crp"))), labels


def build(name: str, seed: int = 7) -> Learner:
    kind = LEARNERS[name]
    more = {"modalities": MODALITIES} if kind.uses_modalities else {}
    return kind.build(dict(kind.defaults), predictors=list(PREDICTORS), seed=seed, **more)


def fitted(name: str, seed: int = 7) -> tuple[Learner, pl.DataFrame, np.ndarray]:
    X, labels = cohort()
    return build(name, seed).fit(X, Target.from_labels(labels)), X, labels


@pytest.mark.parametrize("name", ALL)
def test_risks_are_probabilities_by_row_cause_and_horizon(name: str) -> None:
    learner, X, _ = fitted(name)
    risk = learner.predict_risk(X, [0.0])
    assert risk.shape == (600, 1, 1)
    assert np.isfinite(risk).all()
    assert ((risk >= 0) & (risk <= 1)).all()


@pytest.mark.parametrize("name", ALL)
def test_missing_values_and_unseen_levels_get_a_risk(name: str) -> None:
    learner, _, _ = fitted(name)
    rows = pl.DataFrame(
        {
            "age": [None, 40.0, float("nan")],
            "crp": [1.0, None, None],
            "insight": [None, 0.0, None],
            "sex": ["x", None, "f"],
            "ward": ["Z", "C", None],
        }
    )
    assert np.isfinite(learner.predict_risk(rows, [0.0])).all()


@pytest.mark.parametrize("name", ALL)
def test_column_order_and_extra_columns_change_nothing(name: str) -> None:
    learner, X, labels = fitted(name)
    other = X.select(sorted(X.columns, reverse=True)).with_columns(spare=pl.lit(3.0))
    again = build(name).fit(other, Target.from_labels(labels))
    assert again.to_parts() == learner.to_parts()
    np.testing.assert_array_equal(learner.predict_risk(other, [0.0]), learner.predict_risk(X, [0.0]))


@pytest.mark.parametrize("name", FITTED)
def test_absent_column_is_named(name: str) -> None:
    learner, X, _ = fitted(name)
    with pytest.raises(BadTarget, match="insight"):
        learner.predict_risk(X.drop("insight"), [0.0])


@pytest.mark.parametrize("name", ALL)
def test_same_seed_gives_the_same_bytes(name: str) -> None:
    assert fingerprint(fitted(name)[0].to_parts()) == fingerprint(fitted(name)[0].to_parts())


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_another_seed_gives_another_model(name: str) -> None:
    assert fingerprint(fitted(name, 7)[0].to_parts()) != fingerprint(fitted(name, 8)[0].to_parts())


@pytest.mark.parametrize("name", ALL)
def test_stored_learner_comes_back_the_same(name: str, tmp_path: Path) -> None:
    learner, X, _ = fitted(name)
    folder = tmp_path / "model"
    write_parts(learner.to_parts(), folder)
    again = load_learner(read_parts(folder))
    assert again.to_parts() == learner.to_parts()
    assert again.columns == learner.columns
    np.testing.assert_array_equal(again.predict_risk(X, [0.0]), learner.predict_risk(X, [0.0]))
    np.testing.assert_array_equal(again.explain(X)[0], learner.explain(X)[0])


@pytest.mark.parametrize("name", ALL)
def test_rows_of_weight_zero_do_not_matter(name: str) -> None:
    X, labels = cohort()
    time = np.where(labels == 1, 100.0, 500.0)
    time[:60], labels[:60] = 50.0, 0  # censored before the horizon
    target = Target.from_times(time, labels, [365.0])
    ruined = X.with_columns(
        age=pl.when(pl.int_range(pl.len()) < 60).then(1e6).otherwise("age"),
        ward=pl.when(pl.int_range(pl.len()) < 60).then(pl.lit("ruined")).otherwise("ward"),
    )
    assert build(name).fit(X, target).to_parts() == build(name).fit(ruined, target).to_parts()


@pytest.mark.parametrize("name", ALL)
def test_one_class_is_refused(name: str) -> None:
    X, labels = cohort()
    with pytest.raises(BadTarget, match="no event"):
        build(name).fit(X, Target.from_labels(np.zeros_like(labels)))


@pytest.mark.parametrize("name", ALL)
def test_contributions_and_base_sum_to_the_log_odds(name: str) -> None:
    learner, X, _ = fitted(name)
    contributions, base = learner.explain(X)
    assert contributions.shape == (600, len(learner.columns))
    log_odds = logit(learner.predict_risk(X, [0.0])[:, 0, 0])
    np.testing.assert_allclose(base + contributions.sum(axis=1), log_odds, atol=1e-6)
    np.testing.assert_allclose(base, base[0], atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_no_patients_value_is_stored(name: str) -> None:
    X, labels = cohort()
    for rows in (600, 351):  # an even and an odd number: a median can be a patient's value
        learner = build(name).fit(X.head(rows), Target.from_labels(labels[:rows]))
        stored = b"".join(learner.to_parts().values())
        texts = set(re.findall(rb"-?\d+\.\d+(?:[eE][-+]?\d+)?", stored))
        numbers = {np.float32(float(text)) for text in texts}
        values = [
            value for column in ("age", "crp", "insight") for value in X[column].head(rows).drop_nulls()
        ]
        assert not any(struct.pack("<d", value) in stored for value in values)
        assert not any(struct.pack("<f", value) in stored for value in values)
        assert numbers.isdisjoint(np.float32(value) for value in values)


@pytest.mark.parametrize("name", FITTED)
def test_planted_signal_is_found(name: str) -> None:
    learner, _, _ = fitted(name)
    X, labels = cohort(2000, seed=2)
    assert roc_auc_score(labels, learner.predict_risk(X, [0.0])[:, 0, 0]) > 0.74


@pytest.mark.parametrize("name", FITTED)
def test_without_signal_risks_stay_close_to_the_base_rate(name: str) -> None:
    X, labels = cohort(signal=0.0)
    risk = build(name).fit(X, Target.from_labels(labels)).predict_risk(X, [0.0])[:, 0, 0]
    assert risk.std() < 0.09


@pytest.mark.parametrize("name", ALL)
def test_a_rows_risk_does_not_depend_on_the_other_rows(name: str) -> None:
    learner, X, _ = fitted(name)
    whole = learner.predict_risk(X, [0.0])
    np.testing.assert_allclose(learner.predict_risk(X[5:6], [0.0])[0], whole[5], rtol=1e-12)
