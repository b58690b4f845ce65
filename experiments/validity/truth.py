"""Simulated patients with known risks, a quick learner, and the exact AUROC of a linear score among them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import MEASURES, expit
from models.censoring import inverse_probability_weights

Floats = NDArray[np.float64]

PREDICTORS = 10
INTERCEPT = -1.0
EFFECTS = np.array([0.6, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
RIDGE = 5.0  # penalty of the quick learner, as if tuned beforehand
_GRID = np.linspace(-6.0, 6.0, 601)
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


HORIZON = 365.0  # days
DEATHS = 0.1  # share of those without the event who die before the horizon
LOST = 0.3  # share lost before the horizon, had nothing else ended their follow-up


@dataclass(frozen=True)
class Patients:
    """Simulated patients: predictors, shape (n, 10), labels, shape (n,), and centres, shape (n,)."""

    values: Floats
    label: Floats
    centre: NDArray[np.int64]


def draw_patients(
    size: int,
    generator: np.random.Generator,
    effects: NDArray[np.float64] = EFFECTS,
    intercept: float = INTERCEPT,
) -> Patients:
    """Draw patients of one population: independent normal predictors, a logistic model with the true effects."""
    values = generator.normal(size=(size, PREDICTORS))
    label = generator.uniform(size=size) < expit(intercept + values @ effects)
    return Patients(values, label.astype(np.float64), np.zeros(size, dtype=np.int64))


def draw_centres(sizes: NDArray[np.int64], spread: float, generator: np.random.Generator) -> Patients:
    """Draw patients of centres that differ in baseline risk and effects, each with standard deviation `spread`."""
    centre = np.repeat(np.arange(len(sizes)), sizes)
    intercepts = INTERCEPT + spread * generator.normal(size=len(sizes))
    effects = centre_effects(len(sizes), spread, generator)
    values = generator.normal(size=(len(centre), PREDICTORS))
    linear = intercepts[centre] + (values * effects[centre]).sum(axis=1)
    label = generator.uniform(size=len(centre)) < expit(linear)
    return Patients(values, label.astype(np.float64), centre)


def seen_by_the_horizon(
    label: Floats, generator: np.random.Generator, lost: Floats | float = LOST
) -> tuple[Floats, NDArray[np.int64]]:
    """Turn labels into follow-up with competing death and censoring; the risk of the event by HORIZON stays exact.

    Args:
        label: shape (n,), 1.0 where the event happens by the horizon: on a uniform day of it.
        generator: of random numbers.
        lost: the probability of being censored before the horizon, at a constant rate; one number or shape (n,).

    Returns:
        Days, shape (n,), and cause, shape (n,): 0 censored, 1 the event, 2 death.
    """
    dies = (label == 0) & (generator.uniform(size=len(label)) < DEATHS)
    cause = np.where(label == 1, 1, np.where(dies, 2, 0))
    time = np.where(cause > 0, HORIZON * (1 - generator.uniform(size=len(label))), HORIZON + 1)
    with np.errstate(divide="ignore"):
        leaves = (
            generator.exponential(size=len(label)) * HORIZON / -np.log1p(-np.asarray(lost, dtype=np.float64))
        )
    return np.minimum(time, leaves), np.where(leaves < time, 0, cause).astype(np.int64)


def known_labels(
    time: Floats, cause: NDArray[np.int64], strata: NDArray[np.generic] | None = None
) -> tuple[Floats, Floats]:
    """Return labels at HORIZON and their weights for censoring, shape (n,) each."""
    label = ((cause == 1) & (time <= HORIZON)).astype(np.float64)
    return label, inverse_probability_weights(time, cause, HORIZON, strata)


def centre_effects(centres: int, spread: float, generator: np.random.Generator) -> Floats:
    """Draw the true effects of centres, shape (centres, predictors)."""
    return np.asarray(EFFECTS + spread * generator.normal(size=(centres, PREDICTORS)), dtype=np.float64)


def fit_ridge(values: Floats, label: Floats, weight: Floats | None = None) -> Floats:
    """Return intercept and coefficients of ridge logistic regression by Newton's method, shape (1 + predictors,)."""
    counts = np.ones(len(label)) if weight is None else weight
    return np.asarray(fit_ridges(values, label, counts[None, :])[0], dtype=np.float64)


def fit_ridges(values: Floats, label: Floats, weights: Floats) -> Floats:
    """Return one ridge logistic regression per weighting of the same rows, shape (weightings, 1 + predictors).

    Args:
        values: shape (n, predictors).
        label: shape (n,).
        weights: shape (weightings, n); 0 for rows that one is not fitted on.
    """
    design = np.column_stack([np.ones(len(label)), values])
    width = design.shape[1]
    products = (design[:, :, None] * design[:, None, :]).reshape(len(label), -1)
    penalty = np.diag([1e-6] + [RIDGE] * values.shape[1])
    found = np.zeros((len(weights), width))
    for _ in range(25):
        fitted = expit(found @ design.T)
        gradient = (weights * (label - fitted)) @ design - found @ penalty
        curvature = ((weights * fitted * (1 - fitted)) @ products).reshape(-1, width, width) + penalty
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        found = found + step
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(found, dtype=np.float64)


def exact_auroc(coefficients: Floats, effects: Floats = EFFECTS, intercept: float = INTERCEPT) -> float:
    """Return the AUROC of a linear score in the whole population, by quadrature over score and remaining risk.

    Score and true log-odds are bivariate normal, so only their correlation and the spread of the log-odds matter.

    Args:
        coefficients: of the score, without intercept, shape (predictors,).
        effects: the true ones, shape (predictors,).
        intercept: the true one.
    """
    if not np.linalg.norm(coefficients) or not np.linalg.norm(effects):
        return 0.5
    risk = _risk_given_score(coefficients, effects, intercept)
    density = np.exp(-0.5 * _GRID**2)
    events, others = density * risk, density * (1 - risk)
    below = np.cumsum(others) - others / 2
    return float(events @ below / (events.sum() * others.sum()))


def exact_figures(
    model: Floats, figures: Sequence[str], effects: Floats = EFFECTS, intercept: float = INTERCEPT
) -> dict[str, float]:
    """Return measures of a model in the whole population, by quadrature: the measures themselves on weighted points.

    Args:
        model: intercept and coefficients, shape (1 + predictors,).
        figures: names of measures.
        effects: the true ones, shape (predictors,).
        intercept: the true one.
    """
    length = float(np.linalg.norm(model[1:]))
    risk = _risk_given_score(model[1:], effects, intercept)
    density = np.exp(-0.5 * _GRID**2) / np.exp(-0.5 * _GRID**2).sum()
    predicted = np.tile(expit(model[0] + length * _GRID), 2)
    label = np.repeat([1.0, 0.0], len(_GRID))
    weight = np.concatenate([density * risk, density * (1 - risk)])
    return {name: float(MEASURES[name](label, predicted, weight)) for name in figures}


def _risk_given_score(coefficients: Floats, effects: Floats, intercept: float) -> Floats:
    """Return the true mean risk at each standardised score of _GRID, shape (points,)."""
    length, spread = float(np.linalg.norm(coefficients)), float(np.linalg.norm(effects))
    shared = float(coefficients @ effects) / (length * spread) if length * spread else 0.0
    rest = np.sqrt(max(0.0, 1 - shared**2))
    risk = expit(intercept + spread * (shared * _GRID[:, None] + rest * _NODES)) @ _NODE_WEIGHTS
    return np.asarray(risk / _NODE_WEIGHTS.sum(), dtype=np.float64)
