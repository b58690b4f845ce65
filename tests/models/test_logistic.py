"""The penalised logistic solver, against scikit-learn and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression

from models.errors import BadTarget
from models.logistic import LinearLogOdds, fit_logistic, load_linear


def rows(n: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(n, columns)) + 0.5 * draws.normal(size=(n, 1))
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    chance = 1 / (1 + np.exp(1 - values[:, :3] @ [1.0, -0.7, 0.4]))
    return values, (draws.random(n) < chance).astype(np.int64), draws.uniform(0.5, 2.0, n)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("shape", "penalty"), [((400, 12), 0.005), ((400, 12), 0.1), ((60, 90), 0.05)])
@pytest.mark.filterwarnings("ignore:.*l1_ratio.*:UserWarning")
def test_equals_scikit_learn(l1_ratio: float, shape: tuple[int, int], penalty: float) -> None:
    values, labels, weights = rows(*shape)
    ours = fit_logistic(values, labels, weights, penalty=penalty, l1_ratio=l1_ratio, tolerance=1e-8)
    theirs = LogisticRegression(
        C=1 / (penalty * weights.sum()),
        l1_ratio=l1_ratio,
        solver="saga",
        tol=1e-7,
        max_iter=20_000,
        random_state=0,
    ).fit(values, labels, sample_weight=weights)
    np.testing.assert_allclose(ours.coefficients, theirs.coef_[0], atol=2e-4)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=2e-4)


def test_nearly_unpenalised_equals_statsmodels() -> None:
    values, labels, weights = rows(500, 4)
    ours = fit_logistic(values, labels, weights, penalty=1e-8, l1_ratio=0.0, tolerance=1e-9)
    theirs = sm.GLM(
        labels, sm.add_constant(values), family=sm.families.Binomial(), freq_weights=weights
    ).fit()
    np.testing.assert_allclose([ours.intercept, *ours.coefficients], theirs.params, atol=1e-5)


def test_penalty_means_the_same_at_every_number_of_rows() -> None:
    values, labels, weights = rows(300, 8)
    once = fit_logistic(values, labels, weights, penalty=0.05, l1_ratio=0.5)
    thrice = fit_logistic(
        np.tile(values, (3, 1)), np.tile(labels, 3), np.tile(weights, 3), penalty=0.05, l1_ratio=0.5
    )
    np.testing.assert_allclose(once.coefficients, thrice.coefficients, atol=1e-4)


def test_strong_penalty_leaves_the_weighted_base_rate() -> None:
    values, labels, weights = rows(300, 8)
    model = fit_logistic(values, labels, weights, penalty=1.0, l1_ratio=1.0)
    assert (model.coefficients == 0).all()
    assert 1 / (1 + np.exp(-model.intercept)) == pytest.approx(np.average(labels, weights=weights), abs=1e-5)


def test_perfectly_separated_and_copied_columns_converge() -> None:
    labels = np.repeat([0, 1], 50)
    values = np.column_stack([labels - 0.5, labels - 0.5, np.zeros(100)]) * 2
    for l1_ratio in (0.0, 1.0):
        model = fit_logistic(values, labels, np.ones(100), penalty=1e-4, l1_ratio=l1_ratio)
        assert np.isfinite(model.coefficients).all()
        assert model.log_odds(values)[labels == 1].min() > 2


def test_too_few_steps_are_an_error_not_a_model() -> None:
    values, labels, weights = rows(300, 8)
    with pytest.raises(BadTarget, match="did not converge in 1 steps"):
        fit_logistic(values, labels, weights, penalty=1e-3, l1_ratio=0.5, most_steps=1)


def test_bytes_bring_back_the_model() -> None:
    model = LinearLogOdds(0.1, np.array([1 / 3, -2e-17]))
    again = load_linear(model.to_bytes())
    assert again.intercept == model.intercept
    np.testing.assert_array_equal(again.coefficients, model.coefficients)
