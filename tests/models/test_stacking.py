"""Stacking over modalities: what it is when nothing is missing, and what it says when whole modalities are."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from models.errors import BadTarget
from models.gaussian_conditional import Moments, estimate_moments
from models.modalities import modality_patterns
from models.registry import LEARNERS
from models.stacking import deal_rows
from models.target import Target

MODALITIES = {
    **{f"clinical_{k}": "clinical" for k in range(3)},
    **{f"blood_{k}": "blood" for k in range(3)},
    **{f"cognitive_{k}": "cognitive" for k in range(2)},
}
PATTERNS = {
    "blood + clinical + cognitive",
    "clinical + cognitive",
    "blood + clinical",
    "clinical",
    "blood + cognitive",
    "blood",
    "cognitive",
    "none",
}
LIGHT: dict[str, Any] = {"penalty": 0.002, "l1_ratio": 0.0, "combiner_penalty": 1e-3}


def cohort(
    n: int, *, seed: int = 1, missing: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> tuple[pl.DataFrame, np.ndarray]:
    """Three modalities that share a severity; whole modalities are missing, depending on nothing."""
    draws = np.random.default_rng(seed)
    severity = draws.normal(size=n)
    columns, score = {}, np.full(n, -0.6)
    names = ["clinical", "blood", "cognitive"]
    for number, name in enumerate(names):
        lost = draws.random(n) < missing[number]
        for place in range(sum(modality == name for modality in MODALITIES.values())):
            values = 0.7 * severity + draws.normal(size=n)
            score += [0.5, 0.45, 0.5][number] * values
            columns[f"{name}_{place}"] = np.where(lost, np.nan, values)
    labels = (draws.random(n) < expit(score)).astype(int)
    return pl.DataFrame(columns), labels


def build(seed: int = 5, **parameters: Any) -> Any:
    return LEARNERS["stacking"].build(
        parameters, predictors=sorted(MODALITIES), seed=seed, modalities=MODALITIES
    )


MISSING = cohort(4000, missing=(0.1, 0.45, 0.35))
FITTED = build(**LIGHT).fit(MISSING[0], Target.from_labels(MISSING[1]))


def test_every_pattern_is_predicted_and_calibrated() -> None:
    X, labels = cohort(60_000, seed=2, missing=(0.3, 0.4, 0.4))
    risk = FITTED.predict_risk(X, [0.0])[:, 0, 0]
    assert np.isfinite(risk).all()
    found = np.asarray(modality_patterns(X, MODALITIES))
    assert set(found) == PATTERNS
    for pattern in PATTERNS:
        rows = found == pattern
        observed, expected = labels[rows].mean(), risk[rows].mean()
        error = np.sqrt(observed * (1 - observed) / rows.sum())
        # The model's own error: its intercept is estimated from 4,000 rows.
        assert abs(observed - expected) < 3 * error + 0.02, pattern
        if pattern != "none":
            odds = np.log(risk[rows] / (1 - risk[rows]))
            assert 0.88 < slope(odds, labels[rows]) < 1.12, pattern


def slope(odds: np.ndarray, labels: np.ndarray) -> float:
    """The calibration slope, by Newton steps."""
    design = np.column_stack([np.ones_like(odds), odds])
    found = np.zeros(2)
    for _ in range(25):
        risk = expit(design @ found)
        found += np.linalg.solve((design.T * (risk * (1 - risk))) @ design, design.T @ (labels - risk))
    return float(found[1])


def test_without_any_modality_the_risk_is_that_of_the_training_rows() -> None:
    nothing = MISSING[0].head(1).with_columns(pl.all() * float("nan"))
    assert FITTED.predict_risk(nothing, [0.0])[0, 0, 0] == pytest.approx(MISSING[1].mean(), abs=0.02)


def test_a_stack_of_whole_rows_is_the_ordinary_one() -> None:
    X, labels = cohort(500)
    learner = build(**LIGHT).fit(X, Target.from_labels(labels))
    dealt = deal_rows(np.arange(500), labels, 5)
    names = ["blood", "clinical", "cognitive"]
    held, whole = np.empty((500, 3)), np.empty((500, 3))
    for place, name in enumerate(names):
        columns = [column for column, modality in MODALITIES.items() if modality == name]
        base: dict[str, Any] = {"penalty": 0.002, "l1_ratio": 0.0}
        kind = LEARNERS["elastic_net"]
        for fold in range(5):
            train = dealt != fold
            one = kind.build(base, predictors=columns).fit(X.filter(train), Target.from_labels(labels[train]))
            held[~train, place] = one.score(X.filter(~train))
        whole[:, place] = kind.build(base, predictors=columns).fit(X, Target.from_labels(labels)).score(X)
    centre, spread = held.mean(axis=0), held.std(axis=0)
    parts = learner.to_parts()
    state = json.loads(parts["model_0.json"])
    weights = np.asarray(state["weights"])
    np.testing.assert_allclose(state["mean"], centre, atol=1e-8)
    np.testing.assert_allclose(learner.score(X), state["intercept"] + whole @ weights, atol=1e-8)
    # The weights minimise the penalised loss of the held-out log-odds: at the optimum its slope is 0.
    scaled = (held - centre) / spread
    risk = expit(state["intercept"] + held @ weights)
    gradient = scaled.T @ (risk - labels) / 500 + 1e-3 * weights * spread
    assert (weights > 0).all()
    assert np.abs(gradient).max() < 1e-5


def test_contributions_add_up_in_every_pattern_and_come_from_columns_that_are_there() -> None:
    X, _ = cohort(400, seed=3, missing=(0.4, 0.4, 0.4))
    contributions, base = FITTED.explain(X)
    np.testing.assert_allclose(base + contributions.sum(axis=1), FITTED.score(X), atol=1e-9)
    np.testing.assert_allclose(base, base[0], atol=1e-12)
    found = np.asarray(modality_patterns(X, MODALITIES))
    absent = contributions[found == "clinical"][:, [name.startswith("blood") for name in FITTED.columns]]
    np.testing.assert_allclose(absent, absent[0, 0])  # what an absence says is the same for everybody


def test_a_modality_that_says_nothing_gets_no_weight_and_none_is_negative() -> None:
    X, labels = cohort(1500)
    shuffled = np.random.default_rng(0).permutation(1500)
    X = X.with_columns(X[f"blood_{k}"][shuffled] for k in range(3))
    learner = build(penalty=0.01, l1_ratio=0.0, combiner_penalty=0.02, combiner_l1_ratio=1.0)
    weights = json.loads(learner.fit(X, Target.from_labels(labels)).to_parts()["model_0.json"])["weights"]
    assert weights[0] == 0.0
    assert min(weights) >= 0.0
    assert weights[1] > 0.2


def test_inner_folds_keep_patients_whole_and_share_out_the_events() -> None:
    draws = np.random.default_rng(4)
    groups, labels = draws.integers(0, 120, 400), (draws.random(400) < 0.1).astype(int)
    dealt = deal_rows(groups, labels, 9)
    assert all(len(set(dealt[groups == patient])) == 1 for patient in set(groups))
    with_event = [len(set(groups[(dealt == fold) & (labels == 1)])) for fold in range(5)]
    assert max(with_event) - min(with_event) <= 1
    np.testing.assert_array_equal(dealt, deal_rows(groups, labels, 9))
    assert (dealt != deal_rows(groups, labels, 10)).any()


def test_patients_of_several_rows_change_the_folds() -> None:
    X, labels = cohort(300)
    apart = build().fit(X, Target.from_labels(labels)).to_parts()
    groups = np.repeat(np.arange(100), 3)
    assert build().fit(X, Target.from_labels(labels, groups=groups)).to_parts() != apart


def test_a_modality_seen_in_one_class_alone_is_left_out() -> None:
    X, labels = cohort(400)
    X = X.with_columns(
        pl.when(pl.Series(labels == 1)).then(None).otherwise(pl.col(f"blood_{k}")).alias(f"blood_{k}")
        for k in range(3)
    )
    learner = build().fit(X, Target.from_labels(labels))
    assert len(json.loads(learner.to_parts()["model_0.json"])["parts"]) == 2
    contributions, _ = learner.explain(X)
    blood = [name.startswith("blood") for name in learner.columns]
    assert not contributions[:, blood].any()
    only = X.select(f"blood_{k}" for k in range(3))
    alone = LEARNERS["stacking"].build({}, predictors=only.columns, modalities=MODALITIES)
    with pytest.raises(BadTarget, match="No modality has rows with and without the event"):
        alone.fit(only, Target.from_labels(labels))


def test_a_column_of_no_modality_is_named() -> None:
    X, labels = cohort(100)
    learner = LEARNERS["stacking"].build({}, predictors=[*X.columns, "spare"], modalities=MODALITIES)
    with pytest.raises(BadTarget, match="feature set of spare is not known"):
        learner.fit(X.with_columns(spare=pl.lit(1.0)), Target.from_labels(labels))


def test_moments_with_missing_values_are_those_of_the_population() -> None:
    draws = np.random.default_rng(7)
    covariance = np.asarray([[1.0, 0.6, 0.3], [0.6, 2.0, 0.5], [0.3, 0.5, 1.5]])
    values = draws.multivariate_normal([1.0, -1.0, 0.5], covariance, 40_000)
    # The second is missing where the first is high: at random given the first, so its plain mean is wrong.
    lost = draws.random(40_000) < expit(2 * (values[:, 0] - 1.0))
    values[lost, 1] = np.nan
    values[draws.random(40_000) < 0.3, 2] = np.nan
    found = estimate_moments(values, np.ones(40_000))
    np.testing.assert_allclose(found.mean, [1.0, -1.0, 0.5], atol=0.04)
    np.testing.assert_allclose(found.covariance, covariance, atol=0.06)
    assert abs(np.nanmean(values[:, 1]) + 1.0) > 0.15


def test_conditional_means_are_linear_in_what_is_known() -> None:
    moments = Moments(np.asarray([1.0, 2.0]), np.asarray([[4.0, 1.0], [1.0, 1.0]]))
    filled = moments.filled(np.asarray([[3.0, np.nan], [np.nan, np.nan], [np.nan, 4.0]]))
    np.testing.assert_allclose(filled, [[3.0, 2.5], [1.0, 2.0], [3.0, 4.0]])
    slopes, spread = moments.regression(np.asarray([True, False]))
    np.testing.assert_allclose([slopes.item(), spread.item()], [0.25, 0.75])
