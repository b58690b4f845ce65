"""The small clinical model: logistic regression on a few named predictors, the reference of every comparison."""

from collections.abc import Mapping
from typing import Any

from models.fixed_horizon import FixedHorizonLearner, Recipe
from models.logistic import LinearLogOdds, fit_logistic, load_linear
from models.training_rows import TrainingRows

# So weak that it only decides between columns that copy each other and keeps separated classes finite: it shrinks a
# coefficient by about a thousandth.
RIDGE = 1e-4


def fit_clinical(rows: TrainingRows, parameters: Mapping[str, Any]) -> LinearLogOdds:
    """Fit a weakly penalised logistic regression; nothing in it is random."""
    return fit_logistic(rows.values, rows.labels, rows.weights, penalty=RIDGE, l1_ratio=0.0, signs=rows.signs)


class Clinical(FixedHorizonLearner):
    """Logistic regression on predictors that the study names."""

    recipe = Recipe(
        kind="clinical",
        fit=fit_clinical,
        load=load_linear,
        suffix="json",
        scale=True,
        needs_predictors=True,
        monotone=True,
    )
