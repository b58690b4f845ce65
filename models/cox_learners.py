"""Cox models of each cause: the elastic net, and the small clinical one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.cause_specific import CauseSpecificLearner, LogHazard
from models.contract import Trial
from models.cox import LinearLogHazard, fit_cox, load_linear_hazard
from models.errors import BadTarget
from models.time_learner import TimeRecipe

Floats = NDArray[np.float64]

DEFAULTS = {"penalty": 0.03, "l1_ratio": 0.5}
# So weak that it only decides between columns that copy each other and keeps coefficients finite.
RIDGE = 1e-4


def cox_space(trial: Trial) -> dict[str, Any]:
    """Suggest penalty and l1_ratio; the upper end of the penalty leaves the baseline almost alone."""
    return {
        "penalty": trial.suggest_float("penalty", 1e-3, 1.0, log=True),
        "l1_ratio": trial.suggest_float("l1_ratio", 0.0, 1.0),
    }


class Cox(CauseSpecificLearner):
    """Elastic-net Cox regression of each cause on scaled columns (Simon 2011, doi 10.18637/jss.v039.i05), Efron's ties."""

    recipe = TimeRecipe(kind="cox", suffix="json", defaults=DEFAULTS, scale=True)

    def _fit_cause(self, values: Floats, time: Floats, event: NDArray[np.bool_]) -> LogHazard:
        penalty, l1_ratio = _checked(self.recipe.kind, self._parameters)
        return fit_cox(values, time, event, penalty=penalty, l1_ratio=l1_ratio)

    def _load_cause(self, data: bytes) -> LogHazard:
        return _of_width(load_linear_hazard(data), self._fitted().sources)


class ClinicalCox(CauseSpecificLearner):
    """Cox regression on predictors that the study names, practically unpenalised, Efron's ties."""

    recipe = TimeRecipe(kind="clinical_cox", suffix="json", scale=True, needs_predictors=True)

    def _fit_cause(self, values: Floats, time: Floats, event: NDArray[np.bool_]) -> LogHazard:
        return fit_cox(values, time, event, penalty=RIDGE, l1_ratio=0.0)

    def _load_cause(self, data: bytes) -> LogHazard:
        return _of_width(load_linear_hazard(data), self._fitted().sources)


def _checked(kind: str, parameters: Mapping[str, Any]) -> tuple[float, float]:
    penalty, l1_ratio = float(parameters["penalty"]), float(parameters["l1_ratio"])
    if not (penalty >= 1e-6 and 0 <= l1_ratio <= 1):
        raise BadTarget(
            f"{kind} needs penalty of 1e-6 or more and l1_ratio from 0 to 1; got {penalty} and {l1_ratio}."
        )
    return penalty, l1_ratio


def _of_width(model: LinearLogHazard, sources: NDArray[np.int64]) -> LinearLogHazard:
    if model.coefficients.shape != sources.shape:
        raise BadTarget("The stored Cox model and its preprocessing differ in their columns; train it again.")
    return model
