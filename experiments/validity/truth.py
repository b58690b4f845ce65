"""Simulated patients with known risks, a quick learner, and the exact AUROC of a linear score among them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import expit

Floats = NDArray[np.float64]

PREDICTORS = 10
INTERCEPT = -1.0
EFFECTS = np.array([0.6, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
RIDGE = 5.0  # penalty of the quick learner, as if tuned beforehand
_GRID = np.linspace(-6.0, 6.0, 601)
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


@dataclass(frozen=True)
class Patients:
    """Simulated patients: predictors, shape (n, 10), labels, shape (n,), and centres, shape (n,)."""

    values: Floats
    label: Floats
    centre: NDArray[np.int64]


def draw_patients(size: int, generator: np.random.Generator) -> Patients:
    """Draw patients of one population: independent normal predictors, a logistic model with the true effects."""
    values = generator.normal(size=(size, PREDICTORS))
    label = generator.uniform(size=size) < expit(INTERCEPT + values @ EFFECTS)
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


def centre_effects(centres: int, spread: float, generator: np.random.Generator) -> Floats:
    """Draw the true effects of centres, shape (centres, predictors)."""
    return np.asarray(EFFECTS + spread * generator.normal(size=(centres, PREDICTORS)), dtype=np.float64)


def fit_ridge(values: Floats, label: Floats) -> Floats:
    """Return intercept and coefficients of ridge logistic regression by Newton's method, shape (1 + predictors,)."""
    design = np.column_stack([np.ones(len(label)), values])
    penalty = np.diag([1e-6] + [RIDGE] * values.shape[1])
    found = np.zeros(design.shape[1])
    for _ in range(25):
        fitted = expit(design @ found)
        gradient = design.T @ (label - fitted) - penalty @ found
        curvature = (design * (fitted * (1 - fitted))[:, None]).T @ design + penalty
        step = np.linalg.solve(curvature, gradient)
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
    length, spread = float(np.linalg.norm(coefficients)), float(np.linalg.norm(effects))
    if length == 0 or spread == 0:
        return 0.5
    shared = float(coefficients @ effects) / (length * spread)
    rest = np.sqrt(max(0.0, 1 - shared**2))
    risk = expit(intercept + spread * (shared * _GRID[:, None] + rest * _NODES)) @ _NODE_WEIGHTS
    risk = risk / _NODE_WEIGHTS.sum()
    density = np.exp(-0.5 * _GRID**2)
    events, others = density * risk, density * (1 - risk)
    below = np.cumsum(others) - others / 2
    return float(events @ below / (events.sum() * others.sum()))
