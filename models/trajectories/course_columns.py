"""Columns of level and change of each patient's course, made by mixed models that can be carried to other cohorts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.errors import BadTarget
from models.trajectories.mixed_model import MixedModel, Predicted
from models.trajectories.sums import CourseSums

Floats = NDArray[np.float64]

PARTS = ("level", "change", "curvature", "bend")  # coefficients of 1, t, t^2, t^3
LOWEST_RELIABILITY = 0.2  # below it a predictor is not widened any more


@dataclass(frozen=True)
class CourseColumns:
    """One mixed model per variable, and the columns that they give.

    A best linear predictor is shrunken the more the fewer visits it stands on: patients with two visits would lie nearer to
    the mean than those with five, and a division could find the number of visits again. Each predicted deviation is
    therefore divided by the square root of its reliability, which gives it the same spread whatever the visits.

    Attributes:
        variables: in the order of the sums.
        models: of each variable.
    """

    variables: tuple[str, ...]
    models: tuple[MixedModel, ...]

    @classmethod
    def fit(cls, sums: CourseSums, variables: Sequence[str]) -> Self:
        """Fit each variable's mixed model; raises BadTarget where it has too few values."""
        models = tuple(MixedModel.fit(sums, at, name) for at, name in enumerate(variables))
        return cls(tuple(variables), models)

    @property
    def degree(self) -> int:
        """Degree of the polynomials."""
        return len(self.models[0].fixed) - 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that `transform` makes."""
        return tuple(name for variable in self.variables for name in part_columns(variable, self.degree))

    def predicted(self, sums: CourseSums) -> tuple[Predicted, ...]:
        """Return each variable's best linear predictors."""
        return tuple(model.predicted(sums, at) for at, model in enumerate(self.models))

    def reliability(self, sums: CourseSums) -> Floats:
        """Return the share of each true deviation's variance that is predicted, shape (patients, columns)."""
        return np.hstack(
            [_reliability(model, of) for model, of in zip(self.models, self.predicted(sums), strict=True)]
        )

    def transform(self, sums: CourseSums) -> pl.DataFrame:
        """Return level, change, ... of each variable in its unit (per year, per year squared), one row per patient.

        A patient without any value of a variable has none of its columns.
        """
        series = []
        for at, (model, of) in enumerate(zip(self.models, self.predicted(sums), strict=True)):
            widened = of.effects / np.sqrt(np.maximum(_reliability(model, of), LOWEST_RELIABILITY))
            values = np.where(sums.counts[:, at, None] > 0, model.fixed + widened, np.nan)
            names = part_columns(self.variables[at], self.degree)
            series += [
                pl.Series(name, column, nan_to_null=True)
                for name, column in zip(names, values.T, strict=True)
            ]
        return pl.DataFrame(series)

    def mean_courses(self, sums: CourseSums, weights: Floats) -> Floats:
        """Return the mean courses of groups of patients, shape (groups, variables, degree + 1).

        Generalised least squares with the models' covariances: who left early counts for what his or her values say, so that
        the mean is not that of those who stayed where leaving follows from values seen before.

        Args:
            sums: of the patients.
            weights: how much each belongs to a group, shape (patients, groups).
        """
        found = np.empty((weights.shape[1], len(self.variables), self.degree + 1))
        for at, (model, of) in enumerate(zip(self.models, self.predicted(sums), strict=True)):
            gram, gain = sums.grams[:, at], of.variances / model.residual
            taken = np.eye(self.degree + 1) - gram @ gain
            normal = np.einsum("nk,nij->kij", weights, taken @ gram)
            right = np.einsum("nk,nij,nj->ki", weights, taken, sums.products[:, at])
            ridge = 1e-9 * np.diagonal(normal.sum(axis=0))
            found[:, at] = np.linalg.solve(normal + np.diag(ridge), right[..., None])[..., 0]
        return found

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return {"variables": list(self.variables), "models": [model.to_state() for model in self.models]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            made = cls(
                tuple(state["variables"]), tuple(MixedModel.from_state(one) for one in state["models"])
            )
        except (KeyError, TypeError) as problem:
            raise BadTarget("The stored course is damaged; stratify again.") from problem
        alike = len({len(model.fixed) for model in made.models}) == 1
        if (
            not alike
            or len(made.models) != len(made.variables)
            or not all(isinstance(name, str) for name in made.variables)
        ):
            raise BadTarget("The stored course is damaged; stratify again.")
        return made


def part_columns(variable: str, degree: int) -> list[str]:
    """Return the names of one variable's columns."""
    return [f"course_{variable}_{part}" for part in PARTS[: degree + 1]]


def _reliability(model: MixedModel, of: Predicted) -> Floats:
    """Return 1 - var(true - predicted) / var(true), shape (patients, degree + 1); 0 where patients do not differ."""
    own = np.diagonal(model.covariance)
    left = np.diagonal(of.variances, axis1=1, axis2=2)
    return np.asarray(
        np.clip(1 - left / np.where(own > 0, own, np.inf), 0.0, 1.0) * (own > 0), dtype=np.float64
    )
