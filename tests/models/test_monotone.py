"""Declared directions: along a constrained column the risk never turns, and what cannot be constrained is refused."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from models.errors import BadTarget
from models.logistic import fit_logistic
from models.monotone import signs
from models.preprocessing import Preprocessor
from models.registry import LEARNERS
from models.target import Target

ABLE = sorted(name for name, kind in LEARNERS.items() if kind.monotone)
COLUMNS = ["bent", "steep", "noise", "ward"]
MONOTONE = {"bent": "increasing", "steep": "decreasing"}


def rows(n: int = 900) -> tuple[pl.DataFrame, Target]:
    """The risk bends along `bent` (down, then up) and rises along `steep`, where it is declared to fall."""
    draws = np.random.default_rng(4)
    bent, steep, noise = draws.normal(size=(3, n))
    ward = draws.choice(["A", "B"], n)
    chance = 1 / (1 + np.exp(0.3 - 1.2 * (np.abs(bent) - 0.8) - 0.8 * steep - 0.3 * bent))
    event = draws.random(n) < chance
    time = np.minimum(np.where(event, draws.uniform(1, 300, n), 400.0), draws.exponential(2000, n))
    cause = (event & (time <= 300)).astype(np.int64) * (time < 400)
    X = pl.DataFrame({"bent": bent, "steep": steep, "noise": noise, "ward": ward})
    lost = pl.Series(draws.random(n) < 0.15)
    X = X.with_columns(bent=pl.when(lost).then(None).otherwise("bent"))
    return X, Target.from_times(time, cause, [180.0, 300.0], causes=1)


def build(name: str, monotone: dict[str, str], **more: Any) -> Any:
    kind = LEARNERS[name]
    if kind.uses_modalities:
        more["modalities"] = {"bent": "one", "steep": "one", "noise": "two", "ward": "two"}
    parameters = {**kind.defaults, **more.pop("parameters", {}), "monotone": monotone}
    return kind.build(parameters, predictors=COLUMNS, seed=3, **more)


def along(X: pl.DataFrame, column: str) -> pl.DataFrame:
    """Thirty rows, each at forty values of the column."""
    grid = pl.DataFrame({column: np.linspace(-4, 4, 40)})
    return X.drop(column).head(30).join(grid, how="cross")


@pytest.mark.parametrize("name", ABLE)
def test_risk_never_turns_along_a_constrained_column(name: str) -> None:
    X, target = rows()
    learner = build(name, MONOTONE).fit(X, target)
    free = build(name, {}).fit(X, target)
    for column, direction in (("bent", 1), ("steep", -1)):
        grid = along(X, column)
        risk = learner.predict_risk(grid, target.horizons)[:, 0].reshape(30, 40, -1)
        assert (direction * np.diff(risk, axis=1)).min() >= -1e-7
        loose = free.predict_risk(grid, target.horizons)[:, 0].reshape(30, 40, -1)
        if column == "steep":  # without the constraint the risk would rise
            assert (direction * np.diff(loose, axis=1)).min() < -1e-4


@pytest.mark.parametrize("name", ABLE)
def test_constraints_come_back_with_a_stored_learner(name: str) -> None:
    X, target = rows()
    parts = build(name, MONOTONE).fit(X, target).to_parts()
    again = LEARNERS[name].load(parts)
    assert again.to_parts() == parts
    assert b'"monotone": {"bent": "increasing", "steep": "decreasing"}' in parts["learner.json"]


@pytest.mark.parametrize("name", ABLE)
@pytest.mark.parametrize(
    ("monotone", "sentence"),
    [
        ({"ward": "increasing"}, "ward holds categories, which have no order"),
        ({"crp": "increasing"}, "names crp, which the learner does not use"),
        ({"bent": "upwards"}, "columns to increasing or decreasing"),
    ],
)
def test_what_cannot_be_constrained_is_refused(name: str, monotone: dict[str, str], sentence: str) -> None:
    X, target = rows(200)
    with pytest.raises(BadTarget, match=sentence):
        build(name, monotone).fit(X, target)


@pytest.mark.parametrize("name", sorted(set(LEARNERS) - set(ABLE)))
def test_a_learner_without_constraints_says_so(name: str) -> None:
    with pytest.raises(BadTarget, match=f"{name} takes no monotone constraints"):
        build(name, MONOTONE)


def test_signs_follow_the_derived_columns() -> None:
    half = np.where(np.arange(40) % 2 == 0, np.arange(40.0), np.nan)
    X = pl.DataFrame({"a": half, "b": np.arange(40.0), "same": [2.0] * 40, "c": ["x", "y"] * 20})
    preprocessor = Preprocessor.fit(X, columns=X.columns, scale=True)
    found = signs(preprocessor, {"b": "decreasing", "same": "increasing", "a": "increasing"})
    assert found.tolist() == [1, 0, -1, 0, 0]  # a, whether a is missing, b, the levels of c


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_constrained_coefficients_are_the_optimum(l1_ratio: float) -> None:
    draws = np.random.default_rng(9)
    values = draws.normal(size=(300, 5)) + 0.4 * draws.normal(size=(300, 1))
    labels = (draws.random(300) < 1 / (1 + np.exp(-values @ [1.0, -0.8, 0.3, 0.0, -0.5]))).astype(np.int64)
    constrained = np.asarray([-1, 1, 1, 0, 0])
    found = fit_logistic(
        values, labels, np.ones(300), penalty=0.02, l1_ratio=l1_ratio, signs=constrained, tolerance=1e-8
    )

    def objective(b: np.ndarray) -> float:
        loss = np.logaddexp(0.0, -(2 * labels - 1) * (b[0] + values @ b[1:])).mean()
        return float(loss + 0.02 * (l1_ratio * np.abs(b[1:]).sum() + (1 - l1_ratio) / 2 * b[1:] @ b[1:]))

    bounds = [(None, None), (None, 0), (0, None), (0, None), (None, None), (None, None)]
    theirs = minimize(objective, np.zeros(6), bounds=bounds, method="L-BFGS-B", tol=1e-12)
    ours = objective(np.asarray([found.intercept, *found.coefficients]))
    assert ours <= theirs.fun + 1e-7
    assert (found.coefficients[:3] * constrained[:3] >= 0).all()
    assert found.coefficients[0] == 0.0
