"""What is stored of a course beside its strata, so that the columns of other patients can be made."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import polars as pl

from experiments.stratification.course import CoursePlan, course_frame
from models.errors import BadTarget
from models.trajectories.course_columns import CourseColumns
from models.trajectories.sums import CourseSums

COURSE_FILE = "course.json"  # in the folder of the frozen model
VERSION = 1


@dataclass(frozen=True)
class FrozenCourse:
    """A course without its patients.

    Attributes:
        plan: what the course is made of.
        logarithm: variables followed on the logarithm.
        columns: the mixed models.
    """

    plan: CoursePlan
    logarithm: tuple[str, ...]
    columns: CourseColumns

    def frame(self, sums: CourseSums, stay: pl.DataFrame) -> pl.DataFrame:
        """Return the columns that the frozen strata need, one row per patient of any cohort (`course_frame`)."""
        return course_frame(sums, self.columns, self.plan, stay)

    def to_bytes(self) -> bytes:
        """Return JSON; no row of a patient is in it."""
        state = {
            "version": VERSION,
            "plan": asdict(self.plan),
            "logarithm": list(self.logarithm),
            "columns": self.columns.to_state(),
        }
        return (json.dumps(state, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Rebuild from `to_bytes`; raises BadTarget where it is damaged or of another version."""
        try:
            state = json.loads(content)
            known = state["version"] == VERSION
            made = cls(
                _plan(state["plan"]), tuple(state["logarithm"]), CourseColumns.from_state(state["columns"])
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise BadTarget("The stored course is damaged; stratify again.") from problem
        fits = made.columns.variables == made.plan.variables and made.columns.degree == made.plan.degree
        if not known or not fits:
            raise BadTarget("The stored course is damaged or of another version; stratify again.")
        return made


def _plan(state: Mapping[str, Any]) -> CoursePlan:
    return CoursePlan(**{**state, "variables": tuple(state["variables"])})
