"""How far the curved columns of a smaller model are held back: one penalty per group, by restricted likelihood.

Coefficients of a group are taken as draws of one normal distribution about 0, which makes a penalised regression a mixed model
(Ruppert, Wand and Carroll 2003, doi 10.1017/CBO9780511755453). Its variance follows from the outcome: where nothing bends it
goes to 0 and the columns cost nothing; where much bends they are hardly held back.
"""

import numpy as np
from numpy.typing import NDArray

from experiments.stratification.regressions import Linear, Regression

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STEPS = 30
SETTLED = 0.05  # relative change of every penalty
SMALLEST, LARGEST = 1e-3, 1e5  # of a penalty; the latter times the number of patients or events
FREE = 1e-6  # times the number of rows: of columns that are not held back, against separation


def chosen_penalty(model: Regression, values: Floats, groups: Integers) -> Floats:
    """Return the penalty of each column, shape (columns,), as `estimation.solve` takes it; 0 for free columns.

    Generalised Fellner-Schall steps (Wood and Fasiolo 2017, doi 10.1111/biom.12666), each after a Newton step.

    Args:
        model: the rows.
        values: shape (rows, columns), a constant among them where the model has an intercept; those of a group alike in scale.
        groups: of each column, shape (columns,): 0 for those that are free.
    """
    members = [np.flatnonzero(groups == one) for one in np.unique(groups[groups > 0])]
    penalties = np.full(len(members), 0.1 * model.size)
    found = np.zeros(values.shape[1])
    for _ in range(STEPS if members else 0):
        weight = _spread_out(penalties, members, len(groups)) + FREE * len(values)
        pieces = model.pieces(values, found)
        inverse = np.linalg.inv(pieces.information + np.diag(weight))
        step = inverse @ (pieces.scores.sum(axis=0) - weight * found)
        found = found + step * min(1.0, 2.0 / max(float(np.abs(values @ step).max(initial=0.0)), 2e-300))
        left = weight * np.diag(inverse)
        noise = noise_about(model, values, found, model.size - float((1 - left).sum()))
        used = np.array([float((1 - left[own]).sum()) for own in members])
        squares = np.array([float((found[own] ** 2).sum()) for own in members])
        following = noise * np.maximum(used, 0.0) / np.maximum(squares, 1e-12)
        following = np.clip(following, SMALLEST, LARGEST * model.size)
        if not np.isfinite(following).all():
            break
        settled = bool((np.abs(np.log(following / penalties)) <= SETTLED).all())
        penalties = following
        if settled:
            break
    return _spread_out(penalties, members, len(groups))


def noise_about(model: Regression, values: Floats, found: Floats, rest: float) -> float:
    """Return the variance about a linear model, which its information does not hold; 1 for the others.

    Args:
        model: the rows.
        values: shape (rows, columns).
        found: coefficients.
        rest: degrees of freedom that are left.
    """
    if not isinstance(model, Linear):
        return 1.0
    return float((model.weight * (model.response - values @ found) ** 2).sum() / max(rest, 1.0))


def _spread_out(penalties: Floats, members: list[Integers], columns: int) -> Floats:
    whole = np.zeros(columns)
    for penalty, own in zip(penalties, members, strict=True):
        whole[own] = penalty
    return whole
