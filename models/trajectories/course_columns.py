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
SMALLEST = 1e-9  # of the noise's variance: patients do not differ
OWN_SHARE = 0.01  # of the variance of a part that the parts before it leave open: with less it is theirs


@dataclass(frozen=True)
class CourseColumns:
    """One mixed model per variable, and the columns that they give.

    A best linear predictor is shrunken the more the fewer visits it stands on, and the correlation of level and change hangs on
    when they were: a division could find the visits again. Predicted deviations are therefore freed of shrinkage by the
    inverse root of their reliability matrix, which gives them the same covariance whatever the visits. A part that follows
    from the others (patients differ in level alone, or all change by what their level says) is the same for all.

    Attributes:
        variables: in the order of the sums.
        models: of each variable.
        own: the parts of each variable that do not follow from those before them in this tuple (`own_parts`).
    """

    variables: tuple[str, ...]
    models: tuple[MixedModel, ...]
    own: tuple[tuple[int, ...], ...]

    @classmethod
    def fit(cls, sums: CourseSums, variables: Sequence[str]) -> Self:
        """Fit each variable's mixed model; raises BadTarget where it has too few values."""
        models = tuple(MixedModel.fit(sums, at, name) for at, name in enumerate(variables))
        sizes = np.diagonal(sums.grams, axis1=2, axis2=3).sum(axis=0) / sums.counts.sum(axis=0)[:, None]
        own = tuple(own_parts(model, size) for model, size in zip(models, sizes, strict=True))
        return cls(tuple(variables), models, own)

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
        """Return the share of each true deviation's variance that is predicted, shape (patients, columns); 0 without an own part."""
        return np.hstack(
            [_reliability(*one) for one in zip(self.models, self.own, self.predicted(sums), strict=True)]
        )

    def loadings(self) -> tuple[Floats, ...]:
        """Return, per variable, the matrix from uncorrelated scores of variance 1 to deviations, shape (degree + 1, scores)."""
        return tuple(
            factor_of(model.covariance, own) for model, own in zip(self.models, self.own, strict=True)
        )

    def scores(self, sums: CourseSums) -> tuple[Floats, ...]:
        """Return, per variable, the scores that `loadings` turns into deviations, freed of shrinkage, shape (patients, scores)."""
        return tuple(_widened(*one) for one in self.shrunken(sums))

    def shrunken(self, sums: CourseSums) -> tuple[tuple[Floats, Floats], ...]:
        """Return, per variable, predicted scores, (patients, scores), and their reliability matrices, (patients, scores, scores)."""
        return tuple(
            own_shrinkage(*one) for one in zip(self.models, self.own, self.predicted(sums), strict=True)
        )

    def transform(self, sums: CourseSums) -> pl.DataFrame:
        """Return level, change, ... of each variable in its unit (per year, per year squared), one row per patient.

        A patient without any value of a variable has none of its columns.
        """
        series = []
        for at, (model, scores, loading) in enumerate(
            zip(self.models, self.scores(sums), self.loadings(), strict=True)
        ):
            alone = np.where(np.isin(np.arange(len(loading)), self.own[at])[:, None], loading, 0.0)
            values = np.where(sums.counts[:, at, None] > 0, model.fixed + scores @ alone.T, np.nan)
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
        return {
            "variables": list(self.variables),
            "models": [model.to_state() for model in self.models],
            "own": [list(own) for own in self.own],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            made = cls(
                tuple(state["variables"]),
                tuple(MixedModel.from_state(one) for one in state["models"]),
                tuple(tuple(int(part) for part in own) for own in state["own"]),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise BadTarget("The stored course is damaged; stratify again.") from problem
        alike = len({len(model.fixed) for model in made.models}) == 1
        if (
            not alike
            or len(made.models) != len(made.variables)
            or len(made.own) != len(made.variables)
            or not all(isinstance(name, str) for name in made.variables)
            or not all(
                set(own) <= set(range(made.degree + 1)) and len(set(own)) == len(own) for own in made.own
            )
        ):
            raise BadTarget("The stored course is damaged; stratify again.")
        return made


def part_columns(variable: str, degree: int) -> list[str]:
    """Return the names of one variable's columns."""
    return [f"course_{variable}_{part}" for part in PARTS[: degree + 1]]


def own_parts(model: MixedModel, sizes: Floats) -> tuple[int, ...]:
    """Return the parts that do not follow from other ones, the one that moves values most first.

    A part follows from those before it where they leave open less than OWN_SHARE of its variance: maximum likelihood often
    lies at the edge where level and change are one thing, or where patients do not differ in one of them.

    Args:
        model: of one variable.
        sizes: mean squares of 1, t, t^2, ... over values, shape (degree + 1,).
    """
    own: tuple[int, ...] = ()
    variances = np.diagonal(model.covariance)
    while len(own) < len(variances):
        factor = factor_of(model.covariance, own)
        left = variances - (factor**2).sum(axis=1)
        left = np.where(
            (left > OWN_SHARE * variances) & (left * sizes > SMALLEST * model.residual), left, 0.0
        )
        left[list(own)] = 0.0
        if not left.any():
            break
        own = (*own, int((left * sizes).argmax()))
    return own


def factor_of(covariance: Floats, own: Sequence[int]) -> Floats:
    """Return the columns of Cholesky's factor for some parts in their order, shape (degree + 1, own parts)."""
    left = np.array(covariance, dtype=np.float64)
    factor = np.zeros((len(left), len(own)))
    for place, part in enumerate(own):
        factor[:, place] = left[:, part] / np.sqrt(left[part, part])
        factor[list(own[:place]), place] = 0.0
        left = left - np.outer(factor[:, place], factor[:, place])
    return factor


def own_shrinkage(model: MixedModel, parts: Sequence[int], of: Predicted) -> tuple[Floats, Floats]:
    """Return the predicted scores, shape (patients, scores), and their reliability matrices, (patients, scores, scores).

    Scores are uncorrelated with variance 1 among all patients, so that the matrix is the covariance of the predicted ones.
    """
    own = list(parts)
    inverse = np.linalg.inv(factor_of(model.covariance, own)[own])
    left = inverse @ of.variances[:, own][:, :, own] @ inverse.T
    return of.effects[:, own] @ inverse.T, np.eye(len(own)) - left


def _widened(scores: Floats, reliability: Floats) -> Floats:
    values, vectors = np.linalg.eigh((reliability + np.swapaxes(reliability, 1, 2)) / 2)
    turned = np.einsum("nij,ni->nj", vectors, scores) / np.sqrt(np.maximum(values, LOWEST_RELIABILITY))
    return np.asarray(np.einsum("nij,nj->ni", vectors, turned), dtype=np.float64)


def _reliability(model: MixedModel, parts: Sequence[int], of: Predicted) -> Floats:
    """Return 1 - var(true - predicted) / var(true), shape (patients, degree + 1); 0 for a part without one of its own."""
    own = list(parts)
    found = np.zeros(of.effects.shape)
    left = np.diagonal(of.variances, axis1=1, axis2=2)[:, own]
    found[:, own] = np.clip(1 - left / np.diagonal(model.covariance)[own], 0.0, 1.0)
    return found
