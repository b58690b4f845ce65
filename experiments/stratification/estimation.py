"""Estimates with robust errors, and robust score tests, of the regressions.

Variances are sandwiches of scores summed over each patient's rows (Lin and Wei 1989, doi 10.1080/01621459.1989.10478874, for
Cox); tests are score tests at the smaller model (Boos 1992, doi 10.1080/00031305.1992.10475921).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.stratification.regressions import Regression
from experiments.stratification.smoothing import FREE, noise_about

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STEPS = 60
FEWEST_PER_COLUMN = 2  # patients (or events) per column, below which a test is not tried


@dataclass(frozen=True)
class Fitted:
    """Coefficients, shape (columns,), and their robust covariance."""

    coefficients: Floats
    covariance: Floats


def independent(values: Floats, limit: float = 1e-6) -> list[int]:
    """Return the columns of values, shape (rows, columns), that do not follow from a constant and those before them."""
    return independent_beyond(np.ones((len(values), 1)), values, limit)


def solve(model: Regression, values: Floats, *, penalty: float | Floats = 0.0) -> Floats | None:
    """Return the coefficients, shape (columns,), by Newton steps on the scores; None where they do not settle.

    Args:
        model: the rows.
        values: shape (rows, columns); of a model with an intercept a constant stands among them.
        penalty: half the weight of each squared coefficient, on the scale of the log likelihood.
    """
    columns = values.shape[1]
    weight = np.broadcast_to(np.asarray(penalty, dtype=np.float64), (columns,))
    found, bound = np.zeros(columns), 1e-8 * max(len(values), 1)
    for _ in range(STEPS):
        pieces = model.pieces(values, found)
        gradient = pieces.scores.sum(axis=0) - weight * found
        if np.abs(gradient).max(initial=0.0) <= bound:
            return found
        bend = pieces.information + np.diag(weight)
        lowest = float(np.linalg.eigvalsh(bend).min(initial=np.inf))
        # Signed weights may bend the wrong way far from the solution: there the step follows the gradient more closely.
        bend = bend + max(0.0, 1e-9 * float(np.trace(np.abs(bend))) - lowest) * np.eye(columns)
        step = np.linalg.solve(bend, gradient)
        found = found + step * min(1.0, 2.0 / max(float(np.abs(values @ step).max(initial=0.0)), 2e-300))
        if not np.isfinite(found).all() or np.abs(values @ found).max(initial=0.0) > 1e4:
            return None
    return None


def fit(model: Regression, values: Floats) -> Fitted | None:
    """Return estimates with their robust covariance; None where there are none (separation, a bend that is no maximum)."""
    found = solve(model, values)
    if found is None:
        return None
    pieces = model.pieces(values, found)
    if np.linalg.eigvalsh(pieces.information).min(initial=np.inf) <= 1e-9:
        return None
    inverse = np.linalg.inv(pieces.information)
    moved = per_patient(pieces.scores, model.patients) @ inverse
    return Fitted(found, moved.T @ moved)


@dataclass(frozen=True)
class ScoreTest:
    """Whether added columns bring anything: the statistic, its degrees of freedom and p; None where it is not possible."""

    statistic: float | None
    df: int
    p: float | None


def score_test(model: Regression, smaller: Floats, added: Floats, penalty: Floats | None = None) -> ScoreTest:
    """Test added columns beyond those of the smaller model, robust to misfit of variances.

    The score of the added columns at the smaller model's solution, freed of what its columns explain, over the sandwich of
    the patients' contributions or over the information, whichever is larger: a sandwich is too small where few patients pull
    much, as in long tails. The former is enlarged for the columns that were fitted, and p is Hotelling's, so that the level
    holds with few patients or events per column. Where columns are penalised the model is a mixed one, and both are of the
    score's marginal distribution: what a penalty leaves of a curve counts as noise, not as a finding.

    Args:
        model: the rows.
        smaller: shape (rows, columns), with a constant where the model has an intercept; free ones independent.
        added: shape (rows, more); what follows from the free columns is left out.
        penalty: of each smaller column, as of `smoothing.chosen_penalty`, 0 for free ones; None: all are free.
    """
    weight = np.zeros(smaller.shape[1]) if penalty is None else penalty
    free = smaller[:, weight == 0]
    beyond = independent_beyond(
        free if model.intercept else np.column_stack([np.ones(len(smaller)), free]), added
    )
    if not beyond:
        return ScoreTest(None, 0, None)
    more = added[:, beyond]
    columns, df = smaller.shape[1], len(beyond)
    found = solve(model, smaller, penalty=weight + FREE * len(smaller))
    if found is None:
        return ScoreTest(None, df, None)
    pieces = model.pieces(np.column_stack([smaller, more]), np.append(found, np.zeros(df)))
    inside, across = pieces.information[:columns, :columns], pieces.information[columns:, :columns]
    ridge = 1e-9 * float(np.trace(inside)) / max(columns, 1)
    inverse = np.linalg.inv(inside + np.diag(weight + ridge))
    rest = model.size - columns + float(weight @ np.diag(inverse))
    if rest - df < FEWEST_PER_COLUMN:
        return ScoreTest(None, df, None)
    hat = across @ inverse
    scores = per_patient(pieces.scores, model.patients)
    effective = scores[:, columns:] - scores[:, :columns] @ hat.T
    total = scores[:, columns:].sum(axis=0)
    robust = effective.T @ effective * model.size / rest
    told = pieces.information[columns:, columns:] - hat @ across.T
    told = told * noise_about(model, smaller, found, rest)
    statistics = [
        float(total @ np.linalg.solve(variance, total))
        for variance in (robust, told)
        if np.linalg.eigvalsh(variance).min() > 1e-12 * max(float(np.trace(variance)), 1e-300)
    ]
    if len(statistics) < 2:
        return ScoreTest(None, df, None)
    return ScoreTest(min(statistics), df, _hotelling_p(min(statistics), df, rest))


def _hotelling_p(statistic: float, df: int, rest: float) -> float:
    from scipy.special import fdtrc

    ratio = statistic * (rest - df) / (rest * df) if rest > df else 0.0
    return float(fdtrc(df, max(rest - df, 1.0), ratio))


def independent_beyond(smaller: Floats, added: Floats, limit: float = 1e-3) -> list[int]:
    """Return which added columns keep more than a share `limit` of their variance beyond the smaller ones and each other."""
    orthonormal, triangle = np.linalg.qr(smaller)
    basis = orthonormal[:, np.abs(np.diag(triangle)) > 1e-10]
    kept: list[int] = []
    for column in range(added.shape[1]):
        own = added[:, column] - added[:, column].mean()
        size = float(np.linalg.norm(own))
        if size <= 1e-12:
            continue
        rest = own / size
        for _ in range(2):
            rest = rest - basis @ (basis.T @ rest)
        left = float(np.linalg.norm(rest))
        if left**2 > limit:
            kept.append(column)
            basis = np.column_stack([basis, rest / left])
    return kept


def per_patient(scores: Floats, patients: Integers) -> Floats:
    """Return scores summed over each patient's rows, shape (patients, columns)."""
    place = np.unique(patients, return_inverse=True)[1]
    sums = np.zeros((int(place.max(initial=-1)) + 1, scores.shape[1]))
    np.add.at(sums, place, scores)
    return sums


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p-values (1979, Scandinavian Journal of Statistics 6); None is not counted."""
    known = [place for place, value in enumerate(p) if value is not None]
    found: list[float | None] = [None] * len(p)
    reached = 0.0
    for rank, place in enumerate(sorted(known, key=lambda one: (p[one], one))):
        reached = max(reached, min(1.0, float(p[place] or 0.0) * (len(known) - rank)))
        found[place] = reached
    return found
