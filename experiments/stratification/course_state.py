"""What is stored of a course beside its strata, so that the columns of other patients can be made."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.course import (
    CoursePlan,
    course_columns,
    course_frame,
    known_well_enough,
)
from experiments.stratification.course_draws import Visits
from experiments.stratification.course_stay import attendance_of, stay_of
from features.repeated_measures import RepeatedMeasures
from models.errors import BadTarget
from models.strata_state import names_of, read_json
from models.trajectories.course_columns import PARTS, CourseColumns
from models.trajectories.growth_clusterer import KIND, GrowthPlan
from models.trajectories.sums import CourseSums

COURSE_FILE = "course.json"  # in the folder of the frozen model
VERSION = 2
METHODS = ("random_effects", KIND)
LATEST = 100_000  # intervals: more than any follow-up has
HIGHEST_DEGREE, LONGEST, MOST_VISITS = 3, 100.0, 20  # as a study file may ask for them; years


class PatientCourses(dy.Schema):
    """Each patient's course as the frozen mixed models predict it; row-level, stays at the site."""

    patient_id = dy.String(primary_key=True)
    variable = dy.String(primary_key=True)
    part = dy.String(primary_key=True)  # level, change, ...: coefficients of 1, t, t^2 in years
    values = dy.Int64(nullable=False, min=0)  # of the variable, on which the prediction stands
    predicted = dy.Float64(nullable=False)  # best linear predictor, in the variable's unit (its logarithm)
    standard_error = dy.Float64(nullable=False, min=0)  # of the true coefficient around it


@dataclass(frozen=True)
class DescribedPatients:
    """Patients of any cohort as frozen strata of courses see them.

    Attributes:
        kept: who has enough values, of the patients that were given, shape (given,).
        X: the columns that the strata need, one row per patient who has.
        courses: schema PatientCourses; row-level.
        reliability: mean by column, as `CourseSource.reliability`.
    """

    kept: NDArray[np.bool_]
    X: pl.DataFrame
    courses: pl.DataFrame
    reliability: dict[str, float]


@dataclass(frozen=True)
class FrozenCourse:
    """A course without its patients.

    Attributes:
        plan: what the course is made of.
        logarithm: variables followed on the logarithm.
        columns: the mixed models.
        latest: the last interval at whose end a visit was planned (`course.latest_interval`).
    """

    plan: CoursePlan
    logarithm: tuple[str, ...]
    columns: CourseColumns
    latest: int

    def described(self, measures: RepeatedMeasures, patients: pl.Series) -> "DescribedPatients":
        """Return patients of any cohort by their visits, however many and whenever; each row follows from the patient's own.

        Args:
            measures: their values (logarithms where the course has them) and attendance.
            patients: patient_id in the order of the rows.

        Raises:
            BadTarget: nobody has enough values.
        """
        plan = self.plan
        whole = Visits.of(measures.values, patients, plan.variables)
        kept = known_well_enough(whole, plan)
        if not kept.any():
            raise BadTarget(
                f"No patient has {plan.needed} values of {', '.join(plan.variables)} since the baseline, so none can be assigned to "
                "strata of courses. Check the visits that were read."
            )
        own = patients.filter(pl.Series(kept))
        sums = whole.of_patients(kept).sums(plan.degree)
        stay = stay_of(
            attendance_of(measures.attendance, own, plan.interval), plan.interval, plan.years, self.latest
        )
        return DescribedPatients(
            kept, self.frame(sums, stay), self._courses(own, sums), self._reliability(sums)
        )

    def _courses(self, patients: pl.Series, sums: CourseSums) -> pl.DataFrame:
        frames = []
        for at, (model, of) in enumerate(zip(self.columns.models, self.columns.predicted(sums), strict=True)):
            errors = np.sqrt(np.maximum(np.diagonal(of.variances, axis1=1, axis2=2), 0.0))
            frames += [
                pl.DataFrame(
                    {
                        "patient_id": patients,
                        "variable": self.plan.variables[at],
                        "part": part,
                        "values": sums.counts[:, at].astype(np.int64),
                        "predicted": model.fixed[place] + of.effects[:, place],
                        "standard_error": errors[:, place],
                    }
                )
                for place, part in enumerate(PARTS[: self.plan.degree + 1])
            ]
        return PatientCourses.validate(pl.concat(frames).sort("patient_id", "variable", "part"), cast=True)

    def _reliability(self, sums: CourseSums) -> dict[str, float]:
        found = self.columns.reliability(sums).mean(axis=0)
        return dict(zip(self.columns.columns, map(float, found), strict=True))

    def frame(self, sums: CourseSums, stay: pl.DataFrame) -> pl.DataFrame:
        """Return the columns that the frozen strata need, one row per patient of any cohort (`course_frame`)."""
        return course_frame(sums, self.columns, self.plan, stay)

    @property
    def made(self) -> tuple[str, ...]:
        """Names of the columns of `frame`, sorted."""
        plan = self.plan
        growth = GrowthPlan(plan.variables, plan.degree, plan.dropout, plan.random_intercept)
        own = () if plan.method == "random_effects" else growth.columns
        return tuple(sorted({*course_columns(plan), *own}))

    def to_bytes(self) -> bytes:
        """Return JSON; no row of a patient is in it."""
        state = {
            "version": VERSION,
            "plan": asdict(self.plan),
            "logarithm": list(self.logarithm),
            "columns": self.columns.to_state(),
            "latest": self.latest,
        }
        return (json.dumps(state, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Rebuild from `to_bytes`; raises BadTarget where it is damaged or of another version."""
        try:
            state = read_json(content)
            known = state["version"] == VERSION
            made = cls(
                _plan(state["plan"]),
                names_of(state["logarithm"]),
                CourseColumns.from_state(state["columns"]),
                state["latest"],
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as problem:
            raise BadTarget("The stored course is damaged; stratify again.") from problem
        fits = (
            made.columns.variables == made.plan.variables
            and made.columns.degree == made.plan.degree
            and set(made.logarithm) <= set(made.plan.variables)
            and _whole(made.latest, 0, LATEST)
            and _parts_vary(made.columns)
        )
        if not known or not fits:
            raise BadTarget("The stored course is damaged or of another version; stratify again.")
        return made


def _plan(state: Mapping[str, Any]) -> CoursePlan:
    """Return the plan; raises KeyError, TypeError or ValueError where no study file could have asked for it."""
    made = CoursePlan(**{**state, "variables": names_of(state["variables"])})
    if not (
        made.method in METHODS
        and _whole(made.degree, 1, HIGHEST_DEGREE)
        and (made.fewest_visits is None or _whole(made.fewest_visits, 1, MOST_VISITS))
        and all(isinstance(flag, bool) for flag in (made.dropout, made.random_intercept))
        and all(_length(years) for years in (made.interval, made.years))
    ):
        raise ValueError("no course that can be asked for")
    return made


def _parts_vary(columns: CourseColumns) -> bool:
    """Return whether patients differ in every part that is said to be its own: predictions are divided by that."""
    with np.errstate(all="ignore"):
        return all(bool(np.isfinite(loading).all()) for loading in columns.loadings())


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _length(years: Any) -> bool:
    return isinstance(years, int | float) and not isinstance(years, bool) and 0 < years <= LONGEST
