"""Patients described by their course over visits, and draws of one group at the same visits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.course_draws import CourseDraws, Visits
from experiments.stratification.course_stay import attendance_of, latest_interval, stay_of
from features.repeated_measures import RepeatedMeasures
from models.adjustment.plan import AdjustmentPlan
from models.clustering.contract import ClusterOptions
from models.errors import BadTarget
from models.strata_model import Recipe
from models.trajectories.course_columns import CourseColumns, part_columns
from models.trajectories.growth_clusterer import ATTENDED, KIND, LEFT, GrowthPlan
from models.trajectories.sums import CourseSums

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class CoursePlan:
    """What a course is made of.

    Attributes:
        variables: of the repeated measures.
        method: random_effects divides patients by predicted level and change; growth_mixture by classes of mean courses.
        degree: of the polynomial in years.
        fewest_visits: values that a patient needs: of every variable for random_effects, of any for growth_mixture; None: 2
            and 1. Classes that differ in drop-out need the patients who left after the baseline.
        dropout: classes of growth may differ in how long they stay.
        random_intercept: patients of a class may differ in level.
        interval: years between planned visits, by which drop-out is counted.
        years: follow-up that the measures hold.
    """

    variables: tuple[str, ...]
    method: Literal["random_effects", "growth_mixture"] = "random_effects"
    degree: int = 1
    fewest_visits: int | None = None
    dropout: bool = True
    random_intercept: bool = True
    interval: float = 1.0
    years: float = 5.0

    @property
    def needed(self) -> int:
        """Values that a patient needs."""
        return self.fewest_visits or (2 if self.method == "random_effects" else 1)


class CourseSource:
    """Patients by level and change of repeated measures (source.Source).

    Patients with too few values take no part: `kept` says who does. X holds, per variable, the columns course_<variable>_level,
    _change, ... and for growth_mixture the sums over visits and the stay. The mixed models are of all patients who take part,
    once: resamples of the chain divide their columns anew but do not refit these few figures; draws of one group do.
    """

    def __init__(
        self,
        measures: RepeatedMeasures,
        patients: pl.Series,
        centres: Integers,
        plan: CoursePlan,
        seed: int,
        *,
        context: pl.DataFrame | None = None,
    ) -> None:
        """Take patients.

        Args:
            measures: their values and attendance.
            patients: patient_id in the order of the rows.
            centres: code of each patient's centre, shape (patients,).
            plan: what the course is made of.
            seed: study's seed, of the fit of the continuum.
            context: further columns that an adjustment needs, one row per patient.

        Raises:
            BadTarget: nobody has enough values, or a mixed model cannot be fitted.
        """
        whole = Visits.of(measures.values, patients, plan.variables)
        self._kept = known_well_enough(whole, plan)
        if not self._kept.any():
            raise BadTarget(
                f"No patient has {plan.needed} values of {', '.join(plan.variables)} since the baseline. Lower fewest_visits or "
                "name other variables."
            )
        self._plan = plan
        self._visits = whole.of_patients(self._kept)
        self._centres = np.asarray(centres, dtype=np.int64)[self._kept]
        self._context = pl.DataFrame() if context is None else context.filter(pl.Series(self._kept))
        self._sums = self._visits.sums(plan.degree)
        self._columns = CourseColumns.fit(self._sums, plan.variables)
        known = attendance_of(measures.attendance, patients.filter(pl.Series(self._kept)), plan.interval)
        self._latest = latest_interval(known)
        self._stay = stay_of(known, plan.interval, plan.years, self._latest)
        self._X = self._made(self._sums, self._columns)
        self._draws = CourseDraws(self._visits, self._columns, self._stay["last_visit"], self._centres, seed)

    @property
    def X(self) -> pl.DataFrame:  # noqa: N802
        """One row per patient who takes part."""
        return self._X

    @property
    def centres(self) -> Integers:
        """Code of the centre of each patient who takes part."""
        return self._centres

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Who takes part, of the patients that were given, shape (given,)."""
        return self._kept

    @property
    def plan(self) -> CoursePlan:
        """What the course is made of."""
        return self._plan

    @property
    def visits(self) -> Visits:
        """The values of those who take part."""
        return self._visits

    @property
    def columns(self) -> CourseColumns:
        """The mixed models; stored with the strata, they make the columns of another cohort's patients."""
        return self._columns

    @property
    def described(self) -> tuple[str, ...]:
        """The columns of X that say something of a patient: level and change, without sums and without what is the same for all."""
        return tuple(name for name in self._columns.columns if self._X[name].drop_nulls().n_unique() > 1)

    @property
    def stay(self) -> pl.DataFrame:
        """last_visit and observable (years), stay_attended (intervals) and stay_left of those who take part."""
        return self._stay

    @property
    def latest(self) -> int:
        """The last interval at whose end there was a planned visit (`latest_interval`)."""
        return self._latest

    def reliability(self) -> dict[str, float]:
        """Return the mean reliability of each column: the share of patients' true differences that it predicts."""
        found = self._columns.reliability(self._sums).mean(axis=0)
        return dict(zip(self._columns.columns, (float(value) for value in found), strict=True))

    def mean_courses(self, memberships: Floats, years: Floats) -> Floats:
        """Return the mean course of each stratum at some years, shape (k, variables, years); memberships (patients, k)."""
        courses = self._columns.mean_courses(self._sums, memberships)
        return np.asarray(courses @ np.vander(years, courses.shape[2], increasing=True).T, dtype=np.float64)

    def draw(self, null: str, generator: np.random.Generator) -> pl.DataFrame:
        """Return X as one group would give it (source.Source): values at the same visits, mixed models fitted anew."""
        sums = self._draws.draw(null, generator).sums(self._plan.degree)
        return self._made(sums, CourseColumns.fit(sums, self._plan.variables))

    def _made(self, sums: CourseSums, columns: CourseColumns) -> pl.DataFrame:
        return course_frame(sums, columns, self._plan, self._stay).hstack(self._context)


def course_frame(
    sums: CourseSums, columns: CourseColumns, plan: CoursePlan, stay: pl.DataFrame
) -> pl.DataFrame:
    """Return the columns that a recipe of this plan needs, one row per patient, of any cohort.

    Args:
        sums: of the patients' values.
        columns: fitted mixed models.
        plan: what the course is made of.
        stay: stay_attended and stay_left.
    """
    made = columns.transform(sums)
    if plan.method == "random_effects":
        return made
    made = made.with_columns(
        pl.Series(name, values) for name, values in sums.to_columns(plan.variables).items()
    )
    return made.hstack(stay.select(pl.col(ATTENDED, LEFT).cast(pl.Float64))) if plan.dropout else made


def course_columns(plan: CoursePlan) -> tuple[str, ...]:
    """Return the names of the columns of level, change, ... of all variables."""
    return tuple(name for variable in plan.variables for name in part_columns(variable, plan.degree))


def course_recipe(
    plan: CoursePlan,
    *,
    clusterer: str = "gaussian_mixture",
    parameters: Mapping[str, Any] | None = None,
    weights: Mapping[str, float] | None = None,
    adjustment: AdjustmentPlan | None = None,
) -> Recipe:
    """Return the recipe for the X of a `CourseSource`.

    Under random_effects the clusterer is the declared one, of the columns of level and change; under growth_mixture it is the
    clusterer of that name.

    Args:
        plan: what the course is made of.
        clusterer: name of CLUSTERERS, for random_effects.
        parameters: the clusterer's own.
        weights: how much a variable counts as a whole; each variable is a modality of its name.
        adjustment: done first, for random_effects.

    Raises:
        BadTarget: growth_mixture with an adjustment, or with parameters, which the plan gives.
    """
    modalities = {
        name: variable for variable in plan.variables for name in part_columns(variable, plan.degree)
    }
    options = ClusterOptions(modalities, dict(weights or {}), dict(parameters or {}))
    if plan.method == "random_effects":
        return Recipe(clusterer, tuple(sorted(modalities)), options, adjustment)
    if adjustment is not None or parameters:
        raise BadTarget(
            "A course of method growth_mixture takes no adjustment and no parameters of a clusterer: its classes are of values as "
            "measured. Take them out, or ask for random_effects."
        )
    growth = GrowthPlan(plan.variables, plan.degree, plan.dropout, plan.random_intercept)
    own = {
        "variables": list(plan.variables),
        "degree": plan.degree,
        "dropout": plan.dropout,
        "random_intercept": plan.random_intercept,
    }
    columns = tuple(sorted({*modalities, *growth.columns}))
    return Recipe(KIND, columns, ClusterOptions(modalities, options.weights, own))


def known_well_enough(visits: Visits, plan: CoursePlan) -> NDArray[np.bool_]:
    """Return who has as many values as the plan needs, shape (patients,)."""
    enough = visits.sums(plan.degree).counts >= plan.needed
    wanted = enough.all(axis=1) if plan.method == "random_effects" else enough.any(axis=1)
    return np.asarray(wanted, dtype=np.bool_)
