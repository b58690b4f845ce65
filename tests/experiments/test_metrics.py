"""Weighted metrics against scikit-learn, statsmodels and scikit-survival, and their influence against derivatives."""

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sksurv.metrics import brier_score, cumulative_dynamic_auc
from sksurv.util import Surv

from experiments.evaluation.influence import INFLUENCES, clustered_variance
from experiments.evaluation.metrics import (
    MEASURES,
    Floats,
    auroc,
    average_precision,
    brier,
    brier_skill,
    calibration_intercept,
    calibration_slope,
    logit,
    observed_to_expected,
    recalibration,
)
from models.censoring import inverse_probability_weights


def draw(n: int = 300, seed: int = 0, decimals: int = 2) -> tuple[Floats, Floats, Floats]:
    generator = np.random.default_rng(seed)
    risk = generator.uniform(0.02, 0.98, n).round(decimals)
    label = (generator.uniform(size=n) < risk**1.5).astype(float)
    return label, risk, generator.uniform(0.3, 2.5, n)


@pytest.mark.parametrize("seed", range(5))
def test_discrimination_and_brier_equal_scikit_learn_with_weights_and_ties(seed: int) -> None:
    label, risk, weight = draw(seed=seed, decimals=1)
    assert auroc(label, risk, weight) == pytest.approx(
        roc_auc_score(label, risk, sample_weight=weight), abs=1e-12
    )
    expected = average_precision_score(label, risk, sample_weight=weight)
    assert average_precision(label, risk, weight) == pytest.approx(expected, abs=1e-12)
    assert brier(label, risk, weight) == pytest.approx(
        brier_score_loss(label, risk, sample_weight=weight), abs=1e-12
    )


def test_calibration_equals_a_weighted_glm_of_statsmodels() -> None:
    label, risk, weight = draw()
    family = sm.families.Binomial()
    ones = np.ones((len(label), 1))
    large = sm.GLM(label, ones, family=family, freq_weights=weight, offset=logit(risk)).fit(tol=1e-12)
    both = sm.GLM(label, sm.add_constant(logit(risk)), family=family, freq_weights=weight).fit(tol=1e-12)
    assert calibration_intercept(label, risk, weight) == pytest.approx(large.params[0], abs=1e-8)
    assert recalibration(label, risk, weight) == pytest.approx(both.params, abs=1e-8)


def test_slope_variance_is_the_sandwich_of_statsmodels() -> None:
    label, risk, _ = draw()
    weight = np.ones(len(label))
    model = sm.GLM(label, sm.add_constant(logit(risk)), family=sm.families.Binomial()).fit(
        tol=1e-12, cov_type="HC0"
    )
    influence = INFLUENCES["calibration_slope"](label, risk, weight)
    assert clustered_variance(influence, np.arange(len(label))) == pytest.approx(model.bse[1] ** 2, rel=1e-6)


def test_censored_auroc_and_brier_equal_scikit_survival() -> None:
    generator = np.random.default_rng(3)
    n, horizon = 400, 365.0
    marker = generator.normal(size=n)
    event_time, censored_at = generator.exponential(600 / np.exp(marker)), generator.uniform(50, 1200, n)
    time, cause = np.minimum(event_time, censored_at), (event_time <= censored_at).astype(np.int64)
    risk = 1 / (1 + np.exp(-marker))
    weight = inverse_probability_weights(time, cause, horizon)
    label = ((cause == 1) & (time <= horizon)).astype(float)
    outcome = Surv.from_arrays(cause == 1, time)
    assert auroc(label, risk, weight) == pytest.approx(
        cumulative_dynamic_auc(outcome, outcome, risk, [horizon])[1], abs=1e-9
    )
    _, expected = brier_score(outcome, outcome, (1 - risk)[:, None], [horizon])
    assert brier(label, risk, weight) == pytest.approx(expected[0], abs=1e-9)


def test_brier_skill_and_observed_to_expected_of_four_patients() -> None:
    label, risk, weight = np.array([1.0, 0, 0, 1]), np.array([0.8, 0.2, 0.4, 0.6]), np.ones(4)
    assert brier_skill(label, risk, weight) == pytest.approx(1 - 0.1 / 0.25)
    assert observed_to_expected(label, risk, weight) == pytest.approx(1.0)


def test_one_risk_for_all_ranks_at_one_half_and_has_no_slope() -> None:
    label, _, weight = draw()
    constant = np.full(len(label), 0.3)
    assert auroc(label, constant, weight) == 0.5
    assert np.isnan(calibration_slope(label, constant, weight))


@pytest.mark.parametrize("name", ["auroc", "brier_skill", "calibration_intercept", "calibration_slope"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_is_undefined_never_one_half(name: str, value: float) -> None:
    _, risk, weight = draw(20)
    assert np.isnan(MEASURES[name](np.full(20, value), risk, weight))


def test_separated_classes_have_no_slope() -> None:
    label = np.array([0.0, 0, 0, 1, 1, 1])
    assert np.isnan(calibration_slope(label, np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8]), np.ones(6)))


def test_a_row_of_weight_zero_is_as_if_absent() -> None:
    label, risk, weight = draw()
    weight[::7] = 0
    kept = weight > 0
    for name, measure in MEASURES.items():
        assert measure(label, risk, weight) == pytest.approx(
            measure(label[kept], risk[kept], weight[kept])
        ), name


def test_many_weightings_at_once_equal_one_at_a_time() -> None:
    label, risk, _ = draw()
    weights = np.random.default_rng(1).integers(0, 4, size=(7, len(label))).astype(float)
    for name, measure in MEASURES.items():
        alone = [measure(label, risk, weight) for weight in weights]
        assert measure(label, risk, weights) == pytest.approx(np.array(alone), abs=1e-9), name


@pytest.mark.parametrize("name", MEASURES)
def test_influence_is_the_derivative_by_the_weight(name: str) -> None:
    label, risk, weight = draw(120)
    step, found = 1e-5, INFLUENCES[name](label, risk, weight)
    for row in (0, 17, 60, 119):
        more, less = weight.copy(), weight.copy()
        more[row] *= 1 + step
        less[row] *= 1 - step
        slope = (MEASURES[name](label, risk, more) - MEASURES[name](label, risk, less)) / (2 * step)
        factor = 1.0
        if name == "auroc":  # DeLong divides by n - 1 within each class
            rows = (label == label[row]).sum()
            factor = np.sqrt(rows / (rows - 1))
        assert found[row] == pytest.approx(factor * slope, rel=1e-4, abs=1e-9)


def test_auroc_variance_is_delongs_worked_by_hand() -> None:
    # Placements of the events 1 and 2/3, of the others 1/2, 1, 1: (1/18)/2 + (1/12)/3.
    label, risk = np.array([1.0, 1, 0, 0, 0]), np.array([0.9, 0.4, 0.5, 0.3, 0.1])
    influence = INFLUENCES["auroc"](label, risk, np.ones(5))
    assert clustered_variance(influence, np.arange(5)) == pytest.approx(1 / 18)


def test_a_patient_counted_twice_brings_no_certainty() -> None:
    label, risk, weight = draw(100)
    influence = INFLUENCES["brier"](label, risk, weight)
    once = clustered_variance(influence, np.arange(100))
    doubled = INFLUENCES["brier"](np.tile(label, 2), np.tile(risk, 2), np.tile(weight, 2))
    assert clustered_variance(doubled, np.tile(np.arange(100), 2)) == pytest.approx(once)
