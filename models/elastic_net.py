"""Elastic net: logistic regression that shrinks and selects."""

from collections.abc import Mapping
from typing import Any

from models.contract import Trial
from models.errors import BadTarget
from models.fixed_horizon import FixedHorizonLearner, Recipe
from models.logistic import LinearLogOdds, fit_logistic, load_linear
from models.training_rows import TrainingRows

DEFAULTS = {"penalty": 0.05, "l1_ratio": 0.5}


def fit_elastic_net(rows: TrainingRows, parameters: Mapping[str, Any]) -> LinearLogOdds:
    """Fit the elastic net; nothing in it is random."""
    penalty, l1_ratio = float(parameters["penalty"]), float(parameters["l1_ratio"])
    if not (penalty >= 1e-6 and 0 <= l1_ratio <= 1):
        raise BadTarget(
            f"elastic_net needs penalty of 1e-6 or more and l1_ratio from 0 to 1; got {penalty} and {l1_ratio}."
        )
    return fit_logistic(
        rows.values, rows.labels, rows.weights, penalty=penalty, l1_ratio=l1_ratio, signs=rows.signs
    )


def elastic_net_space(trial: Trial) -> dict[str, Any]:
    """Suggest penalty and l1_ratio; the upper end of the penalty leaves the base rate alone."""
    return {
        "penalty": trial.suggest_float("penalty", 1e-3, 1.0, log=True),
        "l1_ratio": trial.suggest_float("l1_ratio", 0.0, 1.0),
    }


class ElasticNet(FixedHorizonLearner):
    """Logistic elastic net on scaled columns (Zou and Hastie 2005, doi 10.1111/j.1467-9868.2005.00503.x)."""

    recipe = Recipe(
        kind="elastic_net",
        fit=fit_elastic_net,
        load=load_linear,
        suffix="json",
        defaults=DEFAULTS,
        scale=True,
        monotone=True,
    )
