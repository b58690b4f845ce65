"""Steps of penalised likelihoods: how far from the optimum, and the step that a quadratic model of the loss asks for."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def nearest(coefficients: Floats, shrink: float, signs: Integers | None = None) -> Floats:
    """Return coefficients shrunk towards 0, shape (columns,), and 0 where their sign is not allowed."""
    shrunk = np.sign(coefficients) * np.maximum(np.abs(coefficients) - shrink, 0.0)
    return shrunk if signs is None else np.where(shrunk * signs < 0, 0.0, shrunk)


def violation_of(
    gradient: Floats, coefficients: Floats, lasso: float, signs: Integers | None = None
) -> float:
    """Return the largest distance of zero from the subgradient; all arrays have shape (columns,).

    A coefficient of 0 at the bound that its sign sets is not asked to move beyond it.
    """
    active = np.abs(gradient + lasso * np.sign(coefficients))
    pull = -gradient if signs is None else np.where(gradient * signs > 0, 0.0, -gradient)
    resting = np.maximum(np.abs(pull) - lasso, 0.0)
    return float(np.where(coefficients != 0, active, resting).max(initial=0.0))


def quadratic_step(
    gram: Floats,
    steepest: float,
    linear: Floats,
    start: Floats,
    *,
    lasso: float,
    tolerance: float,
    signs: Integers | None = None,
    most_rounds: int = 3000,
) -> Floats:
    """Minimise linear.s + s.gram.s/2 + lasso*|start + s|_1 over s, by accelerated proximal gradient steps.

    FISTA (Beck and Teboulle 2009, doi 10.1137/080716542) with restarts where momentum points uphill (O'Donoghue and
    Candes 2015, doi 10.1007/s10208-013-9150-3).

    Args:
        gram: shape (columns, columns), second derivatives, the ridge's included.
        steepest: at least its largest eigenvalue; used where `lasso` is above 0 or a sign is bound.
        linear: shape (columns,), first derivatives, the ridge's included.
        start: shape (columns,), the coefficients that the step is taken from.
        lasso: weight of the absolute values.
        tolerance: largest violation of the optimality conditions.
        signs: shape (columns,), 1 where a coefficient must not be negative, -1 not positive, 0 free; None: all free.
        most_rounds: of proximal steps.
    """
    if lasso == 0 and signs is None:
        return np.asarray(np.linalg.solve(gram, -linear), dtype=np.float64)
    rate = 1.0 / steepest
    point = look = start
    momentum = 1.0
    for _ in range(most_rounds):
        moved = look - rate * (linear + gram @ (look - start))
        new = nearest(moved, rate * lasso, signs)
        settled = np.abs(new - look).max(initial=0.0) <= rate * tolerance
        if (look - new) @ (new - point) > 0:
            momentum = 1.0
        grown = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        look = new + (momentum - 1.0) / grown * (new - point)
        point, momentum = new, grown
        if settled:
            break
    return np.asarray(point - start, dtype=np.float64)
