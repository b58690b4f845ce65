"""How much better the larger of two nested models does on patients that neither has seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.follow_up import FollowUp
from experiments.evaluation.influence import auroc_influence
from experiments.evaluation.metrics import auroc
from experiments.evaluation.sample import Part
from experiments.evaluation.time_measures import concordance, concordance_influence
from experiments.stratification.estimation import solve
from experiments.stratification.responses import Response
from models.censoring import censoring_survival, inverse_probability_weights

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FOLDS = 5
RIDGE = 2.0  # of both models, so that many columns harm neither out of fold
METRICS = {"cox": "concordance", "logistic": "auroc", "linear": "r_squared"}
NORMAL = 1.959963984540054


@dataclass(frozen=True)
class Gain:
    """Out-of-fold figures of both models, and their paired difference with its 95 % interval, given the fitted models."""

    smaller: float
    larger: float
    gain: float
    lower: float
    upper: float


def out_of_fold_gain(
    response: Response, smaller: Floats, added: Floats, blocks: Integers, seed: int, *, penalty: Floats
) -> Gain | None:
    """Return the gain of added columns, within folds and then averaged; None where a fold has no figure.

    Args:
        response: what is explained.
        smaller: shape (m, columns), one row per patient of the response, without a constant.
        added: shape (m, more).
        blocks: of all of the cohort.
        seed: of the folds.
        penalty: of each smaller column, shape (columns,), beside the ridge; one for all folds and both models.
    """
    folds = _folds(response, seed)
    both = np.hstack([smaller, added])
    found = []
    for fold in range(FOLDS):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        pair = [
            _predicted(response, values, held_back, train=train, test=test, blocks=blocks)
            for values, held_back in (
                (smaller, penalty),
                (both, np.append(penalty, np.zeros(added.shape[1]))),
            )
        ]
        if pair[0] is None or pair[1] is None:
            return None
        found.append(_compared(response, test, train, pair[0], pair[1]))
    figures = np.array([one[:2] for one in found])
    if not np.isfinite(figures).all():
        return None
    low, high = (float(value) for value in figures.mean(axis=0))
    width = NORMAL * float(np.sqrt(sum(one[2] for one in found))) / FOLDS
    return Gain(low, high, high - low, high - low - width, high - low + width)


def _folds(response: Response, seed: int) -> Integers:
    generator = np.random.default_rng(seed)
    folds = np.zeros(len(response.rows), dtype=np.int64)
    groups = np.zeros(len(response.rows), dtype=np.int64) if response.model == "linear" else response.cause
    for group in np.unique(groups):
        rows = generator.permutation(np.flatnonzero(groups == group))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds


def _predicted(
    response: Response,
    values: Floats,
    held_back: Floats,
    *,
    train: Integers,
    test: Integers,
    blocks: Integers,
) -> Floats | None:
    model, order = response.regression(blocks, train)
    middle, spread = values[train].mean(axis=0), values[train].std(axis=0)
    scaled = (values - middle) / np.where(spread > 0, spread, 1.0)
    whole = np.column_stack([scaled, np.ones(len(scaled))]) if model.intercept else scaled
    penalty = np.append(RIDGE + held_back, 0.0) if model.intercept else RIDGE + held_back
    found = solve(model, whole[train][order], penalty=penalty)
    return None if found is None else np.asarray(whole[test] @ found, dtype=np.float64)


def _compared(
    response: Response, test: Integers, train: Integers, low: Floats, high: Floats
) -> tuple[float, float, float]:
    """Return the figure of both models in a fold, and the variance of their difference."""
    value = response.value[test]
    if response.model == "linear":
        around = (value - response.value[train].mean()) ** 2
        errors = [(value - one) ** 2 for one in (low, high)]
        figures = [1 - float(one.sum() / around.sum()) for one in errors]
        moved = (errors[0] - errors[1]) / around.sum()
        return figures[0], figures[1], float(len(moved) * moved.var())
    if response.model == "logistic":
        weight = response.weight[test]
        areas = [float(auroc(value, one, weight)) for one in (low, high)]
        moved = auroc_influence(value, high, weight) - auroc_influence(value, low, weight)
        return areas[0], areas[1], float((moved**2).sum())
    parts = [_part(response, test, one) for one in (low, high)]
    ones = np.ones(len(test))
    shares = [float(concordance(part, ones)) for part in parts]
    moved = concordance_influence(parts[1]) - concordance_influence(parts[0])
    return shares[0], shares[1], float((moved**2).sum())


def _part(response: Response, test: Integers, risk: Floats) -> Part:
    time, cause, horizon = response.value[test], response.cause[test], response.horizons[-1]
    nobody = np.zeros(len(test), dtype=np.int64)
    label = ((cause == 1) & (time <= horizon)).astype(np.float64)
    weight = inverse_probability_weights(time, cause, horizon)
    uncensored = censoring_survival(time, cause, time)[:, None]
    follow_up = FollowUp(
        horizon, time, cause, uncensored, nobody, nobody, (horizon,), label[:, None], weight[:, None]
    )
    return Part(0, 0, "", label, risk, weight, np.arange(len(test)), {}, follow_up)
