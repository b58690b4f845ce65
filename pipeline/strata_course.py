"""Patients of a stratification by their course over visits."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import smallest_published
from experiments.stratification.course import CoursePlan, CourseSource, course_columns, course_recipe
from features.repeated_measures import RepeatedMeasures, repeated_measures
from features.schema import TABLES
from models.errors import BadTarget
from pipeline.errors import BadInput
from pipeline.files import read_table
from pipeline.settings.stratification import Course
from pipeline.settings.study import Study
from pipeline.strata_inputs import Assembled, Patients, beside_rows, first_rows, plan_for

EPOCH = date(1970, 1, 1)
USED = ("measurements", "visits", "events")
FEWEST_TOLD = 11


def course_patients(
    study: Study, name: str, assembled: Assembled, tables: Path
) -> tuple[Patients, CourseSource, dict[str, Any]]:
    """Return the patients whose course is known well enough, their source, and what the summary says of it.

    Args:
        study: the settings.
        name: of a stratification with a course.
        assembled: the assembled files.
        tables: folder of the canonical tables.

    Raises:
        BadInput: the course cannot be made of these tables.
    """
    asked = study.stratifications[name]
    if asked.course is None:
        raise TypeError("the stratification has no course")
    first = first_rows(assembled.rows, name, asked.index, ("time",))
    plan = course_plan(asked.course)
    measures = measures_since(first, study, tables, plan=plan, logarithm=asked.course.logarithm)
    try:
        recipe = course_recipe(
            plan,
            clusterer=asked.clusterer,
            parameters=asked.parameters,
            weights=asked.weights,
            adjustment=None
            if asked.adjustment is None
            else plan_for(study.adjustments[asked.adjustment].plan(), course_columns(plan)),
        )
        context = () if recipe.plan is None else (*recipe.plan.context, *recipe.plan.needed)
        everybody = Patients(first, pl.DataFrame(), recipe)
        source = CourseSource(
            measures,
            first["patient_id"],
            everybody.centres,
            plan,
            study.seed,
            context=beside_rows(first, assembled.frame, context, name) if context else None,
        )
    except BadTarget as problem:
        raise BadInput(f"stratifications.{name}.course: {problem}") from problem
    rows = first.filter(pl.Series(source.kept)).drop("time")
    described = {
        "kind": "course",
        "counted_out": counted_out(source.kept, plan, _fewest_told(study)),
        "reliability": {column: round(value, 4) for column, value in source.reliability().items()},
    }
    return Patients(rows, source.X, recipe), source, described


def course_plan(course: Course) -> CoursePlan:
    """Return what a course is made of, as the study file declares it."""
    return CoursePlan(
        variables=course.variables,
        method=course.method,
        degree=course.degree,
        fewest_visits=course.fewest_visits,
        dropout=course.dropout,
        random_intercept=course.random_intercept,
        interval=course.interval,
        years=course.years,
    )


def measures_since(
    first: pl.DataFrame, study: Study, tables: Path, *, plan: CoursePlan, logarithm: Sequence[str]
) -> RepeatedMeasures:
    """Return what was measured of patients since their baselines.

    Args:
        first: patient_id and time of the baseline, one row per patient.
        study: the settings of the cohort that they are of.
        tables: folder of its canonical tables.
        plan: what the course is made of.
        logarithm: variables followed on the logarithm.

    Raises:
        BadInput: the course cannot be made of these tables.
    """
    extract = study.cohort.extract_date
    return repeated_measures(
        {key: read_table(tables / f"{key}.parquet", TABLES[key]) for key in USED},
        first.select("patient_id", "time"),
        plan.variables,
        years=plan.years,
        logarithm=logarithm,
        time=study.cohort.time,
        extract_time=None if extract is None else float((extract - EPOCH).days),
    )


def _fewest_told(study: Study) -> int:
    return max(FEWEST_TOLD, smallest_published(study.disclosure.level, study.disclosure.smallest_cell))


def counted_out(kept: NDArray[np.bool_], plan: CoursePlan, fewest: int = FEWEST_TOLD) -> list[str]:
    """Word how many patients take no part; a share, and no count of few of them, nor of few who do."""
    out = int(np.sum(~kept))
    if out == 0:
        return []
    told = f"Fewer than {fewest}" if out < fewest else f"{100 * out / len(kept):.0f} % of the"
    if len(kept) - out < fewest:
        told = "All but a few"
    values = f"{plan.needed} value{'s' if plan.needed > 1 else ''}"
    lacked = f"{values} of every variable" if plan.method == "random_effects" else f"{values} of any variable"
    return [f"{told} patients do not have {lacked} and take no part."]
