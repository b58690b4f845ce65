"""One group of patients at the same visits: courses drawn without a valley between groups, and noise around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.features_source import FeatureSource
from models.strata_model import Recipe
from models.trajectories.course_columns import CourseColumns
from models.trajectories.mixed_model import Predicted
from models.trajectories.sums import CourseSums

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STAY = "last_visit"
HIGHEST = 0.95  # of a correlation between two variables' courses, freed of noise
SMALLEST = 1e-6  # of an eigenvalue, in shares of the largest


@dataclass(frozen=True)
class Visits:
    """Values of patients, one entry per value.

    Attributes:
        variables: names.
        patients: their number.
        patient: number of the patient, shape (values,).
        variable: number of the variable, shape (values,).
        years: since the baseline, shape (values,).
        value: shape (values,).
    """

    variables: tuple[str, ...]
    patients: int
    patient: Integers
    variable: Integers
    years: Floats
    value: Floats

    @classmethod
    def of(cls, values: pl.DataFrame, patients: pl.Series, variables: Sequence[str]) -> Self:
        """Number the values of patients (patient_id, variable, years, value); others are left out."""
        numbers = pl.DataFrame({"patient_id": patients}).with_row_index("patient")
        kinds = pl.DataFrame({"variable": list(variables)}).with_row_index("kind")
        own = values.join(numbers, on="patient_id", how="inner").join(kinds, on="variable", how="inner")
        own = own.sort("patient", "kind", "years")
        return cls(
            tuple(variables),
            len(patients),
            own["patient"].cast(pl.Int64).to_numpy(),
            own["kind"].cast(pl.Int64).to_numpy(),
            own["years"].to_numpy(),
            own["value"].to_numpy(),
        )

    def of_patients(self, kept: NDArray[np.bool_]) -> "Visits":
        """Return the values of some patients, numbered anew."""
        inside = kept[self.patient]
        number = np.cumsum(kept) - 1
        return Visits(
            self.variables,
            int(kept.sum()),
            number[self.patient[inside]].astype(np.int64),
            self.variable[inside],
            self.years[inside],
            self.value[inside],
        )

    def with_values(self, value: Floats) -> "Visits":
        """Return the same visits with other values."""
        return Visits(self.variables, self.patients, self.patient, self.variable, self.years, value)

    def sums(self, degree: int) -> CourseSums:
        """Return the sums over each patient's visits."""
        shape = (self.patients, len(self.variables))
        return CourseSums.of_values(
            (self.patient, self.variable), self.years, self.value, shape=shape, degree=degree
        )


class CourseDraws:
    """Draws of the values at the same visits.

    Scores of level and change (`CourseColumns.scores`), together with the time of the last visit, are drawn as a study's other
    columns are (`FeatureSource`): as a copula, or as the patients' own shape with its valleys filled; centres keep their means. A
    linear map gives the drawn scores the covariance that the true ones are estimated to have. Within each centre, courses go to
    the patients whose last visit has the same rank, so that drop-out hangs on the course as it does among the patients. Around the course
    come residuals of the variable, of anybody, which keep its skewness. Drawn values end where the variable's values do.
    """

    def __init__(
        self, visits: Visits, columns: CourseColumns, last_visit: pl.Series, centres: Integers, seed: int
    ) -> None:
        self._visits, self._columns, self._centres = visits, columns, centres
        self._last = last_visit.to_numpy()
        sums = visits.sums(columns.degree)
        predicted = columns.predicted(sums)
        self._fixed = np.array([model.fixed for model in columns.models])
        self._loadings = columns.loadings()
        scores = np.hstack(columns.scores(sums))
        self._names = [f"score_{place:02d}" for place in range(scores.shape[1])]
        self._places = FeatureSource(
            pl.DataFrame(scores, schema=self._names).with_columns(last_visit.alias(STAY)),
            centres,
            Recipe("gaussian_mixture", tuple(sorted((*self._names, STAY)))),
            seed,
        )
        self._wanted = joint_correlation(columns.shrunken(sums))
        self._residuals = self._spread(predicted)

    def draw(self, null: str, generator: np.random.Generator) -> Visits:
        """Return values of one group; raises ValueError for an unknown null."""
        drawn = self._places.draw(null, generator)
        order = self._by_stay(drawn[STAY].to_numpy(), generator)
        scores = drawn.select(self._names).to_numpy()[order]
        scores = scores @ transport(np.cov(scores, rowvar=False), self._wanted).T
        coefficients = np.empty((self._visits.patients, len(self._loadings), self._columns.degree + 1))
        start = 0
        for variable, loading in enumerate(self._loadings):
            own = scores[:, start : start + loading.shape[1]]
            coefficients[:, variable] = self._fixed[variable] + own @ loading.T
            start += loading.shape[1]
        powers = np.vander(self._visits.years, coefficients.shape[2], increasing=True)
        course = (coefficients[self._visits.patient, self._visits.variable] * powers).sum(axis=1)
        value = np.empty_like(course)
        for variable, residuals in enumerate(self._residuals):
            own = self._visits.variable == variable
            noise = generator.choice(residuals, size=int(own.sum()))
            bounds = self._visits.value[own].min(), self._visits.value[own].max()
            value[own] = np.clip(course[own] + noise, *bounds)
        return self._visits.with_values(value)

    def _by_stay(self, drawn: Floats, generator: np.random.Generator) -> Integers:
        """Return which drawn row each patient gets, shape (patients,)."""
        given = np.empty(len(drawn), dtype=np.int64)
        ties = generator.random(len(drawn))
        for centre in np.unique(self._centres):
            rows = np.flatnonzero(self._centres == centre)
            asked = rows[np.lexsort((ties[rows], self._last[rows]))]
            given[asked] = rows[np.lexsort((ties[rows], drawn[rows]))]
        return given

    def _spread(self, predicted: Sequence[Predicted]) -> list[Floats]:
        """Return each variable's residuals around patients' own courses, widened to the variance of the noise."""
        found = []
        powers = np.vander(self._visits.years, self._columns.degree + 1, increasing=True)
        for variable, (model, of) in enumerate(zip(self._columns.models, predicted, strict=True)):
            own = self._visits.variable == variable
            course = ((model.fixed + of.effects)[self._visits.patient[own]] * powers[own]).sum(axis=1)
            residuals = self._visits.value[own] - course
            residuals = residuals - residuals.mean()
            spread = max(float(residuals.std()), 1e-12)
            found.append(residuals * np.sqrt(model.residual) / spread)
        return found


def joint_correlation(found: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Return the correlation of the true scores of all variables together, shape (scores, scores), positive semi-definite.

    Within a variable scores are uncorrelated. Between two it solves E(e_v e_w') = E(R_v C R_w') for C, where e are best linear
    predictors and R their reliability matrices: the moments of the predictors, freed of shrinkage.

    Args:
        found: per variable, predicted scores and reliability matrices (`CourseColumns.shrunken`).
    """
    ends = np.cumsum([0, *(scores.shape[1] for scores, _ in found)])
    joint = np.eye(int(ends[-1]))
    for one, (first, of_first) in enumerate(found):
        for other, (second, of_second) in enumerate(found[:one]):
            shape = first.shape[1], second.shape[1]
            moments = first.T @ second / len(first)
            system = np.einsum("nab,ncd->acbd", of_first, of_second) / len(first)
            size = shape[0] * shape[1]
            solved = np.linalg.lstsq(system.reshape(size, size), moments.ravel(), rcond=1e-3)[0]
            block = np.clip(solved.reshape(shape), -HIGHEST, HIGHEST)
            joint[ends[one] : ends[one + 1], ends[other] : ends[other + 1]] = block
            joint[ends[other] : ends[other + 1], ends[one] : ends[one + 1]] = block.T
    values, vectors = np.linalg.eigh(joint)
    mended = (vectors * np.maximum(values, 0.0)) @ vectors.T
    own = np.sqrt(np.diagonal(mended))
    return np.asarray(mended / np.outer(own, own), dtype=np.float64)


def transport(given: Floats, wanted: Floats) -> Floats:
    """Return the linear map nearest to none that turns one covariance into another, shape (columns, columns).

    It is the optimal transport map of two normal distributions (Peyre and Cuturi 2019, doi 10.1561/2200000073, remark 2.31), on
    columns scaled to the spread that is wanted.
    """
    given = np.atleast_2d(given)
    spread = np.sqrt(np.maximum(np.diagonal(wanted), np.diagonal(given)))
    spread = np.where(spread > 0, spread, 1.0)
    scale = np.outer(spread, spread)
    root, inverse = _roots(given / scale)
    middle, _ = _roots(root @ (wanted / scale) @ root)
    found = inverse @ middle @ inverse
    return np.asarray(found * spread[:, None] / spread[None, :], dtype=np.float64)


def _roots(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the symmetric root and its inverse, of a matrix that may be singular."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    values = np.maximum(values, SMALLEST * max(float(values.max()), SMALLEST))
    return (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T
