"""The value test: penalties by restricted likelihood, the score test beside them, and the study of its level and power."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from experiments.stratification.estimation import score_test
from experiments.stratification.regressions import Linear, Logistic, Regression
from experiments.stratification.smoothing import chosen_penalty
from experiments.validity import strata_value
from pipeline.commands.validity import STUDIES


def _bending(spread: float, n: int = 150) -> tuple[Linear, np.ndarray, np.ndarray]:
    """Return a number that draws of `spread` times a standard normal make of eight columns, those, and their groups."""
    generator = np.random.default_rng(8)
    values = np.column_stack([np.ones(n), generator.normal(size=(n, 9))])
    drawn = spread * generator.normal(size=8)
    response = 0.5 * values[:, 1] + values[:, 2:] @ drawn + generator.normal(size=n)
    return Linear(response, np.ones(n), np.arange(n)), values, np.array([0, 0] + [1] * 8)


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_penalty_is_that_of_the_restricted_likelihood(spread: float) -> None:
    model, values, groups = _bending(spread)
    fixed, bent, n = values[:, :2], values[:, 2:], len(values)

    def minus_restricted(logarithm: float) -> float:  # of the mixed model, its noise profiled out
        whole = np.eye(n) + bent @ bent.T / np.exp(logarithm)
        inverse = np.linalg.inv(whole)
        inside = fixed.T @ inverse @ fixed
        residual = model.response - fixed @ np.linalg.solve(inside, fixed.T @ inverse @ model.response)
        squares = residual @ inverse @ residual
        return float(np.linalg.slogdet(whole)[1] + np.linalg.slogdet(inside)[1] + (n - 2) * np.log(squares))

    best = np.exp(minimize_scalar(minus_restricted, bounds=(-5, 15), method="bounded").x)
    found = chosen_penalty(model, values, groups)
    assert (found[:2] == 0).all()
    assert len(set(found[2:])) == 1
    assert found[2] == pytest.approx(best, rel=0.1)


def test_where_nothing_bends_columns_are_held_back_as_if_they_were_not_there() -> None:
    generator = np.random.default_rng(1)
    values = np.column_stack([np.ones(400), generator.normal(size=(400, 7))])
    label = (generator.random(400) < 0.4).astype(float)
    models: list[Regression] = [
        Logistic(label, np.ones(400), np.arange(400)),
        Linear(generator.normal(size=400), np.ones(400), np.arange(400)),
    ]
    for model in models:
        nothing = chosen_penalty(model, values, np.array([0, 0] + [1] * 6))
        assert nothing[2] > 50


def test_a_penalty_lies_between_free_columns_and_none() -> None:
    model, values, groups = _bending(0.5)
    added = np.random.default_rng(2).normal(size=(len(values), 2)) + values[:, 2:4]
    without = score_test(model, values[:, :2], added)
    free = score_test(model, values, added)
    heavy, light = (
        score_test(model, values, added, np.where(groups > 0, weight, 0.0)) for weight in (1e7, 1e-5)
    )
    assert heavy.statistic == pytest.approx(without.statistic, rel=1e-3)
    assert light.statistic == pytest.approx(free.statistic, rel=1e-3)
    assert heavy.df == light.df == 2


def test_a_run_gives_each_effect_and_outcome_a_p_value_and_the_same_again() -> None:
    name = strata_value.SCENARIOS[0]
    found = strata_value.simulate_run((name, 1))
    assert len(found) == len(strata_value.EFFECTS) * len(strata_value.MODELS)
    assert all(0 <= line["p"] <= 1 for line in found)
    assert found[0]["shape"] == "skewed"
    assert STUDIES["strata_value"].simulate((name, 1)) == found


def test_the_section_counts_what_was_called() -> None:
    cut = {"shape": "skewed", "k": 2, "effect": "u-shaped", "model": "linear"}
    one = {**cut, "shape": "triangle", "k": 3, "effect": "one stratum", "model": "cox"}
    records = [
        {"scenario": "continuum, 300 patients", "run": run, **cut, "p": p}
        for run, p in enumerate((0.01, 0.5, None, 0.05))
    ]
    records += [{"scenario": "planted, 600 patients", "run": run, **one, "p": 0.01} for run in range(2)]
    text = strata_value.section(records, "psystrata validity strata_value --runs 4")
    assert "| a parabola of it | 300 |  |  | 2 of 4 [" in text
    assert "| 600 | 2 of 2 [" in text
    assert "`psystrata validity strata_value --runs 4`" in text
