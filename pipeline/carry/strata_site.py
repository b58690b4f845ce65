"""A bundle of strata at another site: build its columns there, assign each patient, and tell aggregates alone."""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from experiments.bundle.contents import Definition
from experiments.bundle.matching import Match, compare_columns, match_definitions
from experiments.bundle.strata import StrataBundle
from experiments.bundle.strata_summaries import (
    assigned_patients,
    carried_strata,
    extent_from,
    share_outside,
)
from experiments.bundle.summaries import drift_of, summaries_of
from experiments.disclosure import smallest_published
from experiments.stratification.course_state import DescribedPatients, FrozenCourse
from features.registry import FEATURE_SETS
from models.strata_model import StrataModel
from pipeline.carry.site import KEPT, KIND, NULL, SCHEME, unusable_named
from pipeline.carry.strata_freeze import frozen_course, told_columns, used_columns
from pipeline.commands.use import parameters_text
from pipeline.errors import BadInput, BadSettings
from pipeline.files import write_text
from pipeline.settings.load import check_study
from pipeline.settings.study import Study
from pipeline.stages import assemble, features, genotypes, prediction_times, tables
from pipeline.strata_course import FEWEST_TOLD, counted_out, measures_since
from pipeline.strata_inputs import beside_rows, first_rows, read_assembled


@dataclass(frozen=True)
class AssignedSite:
    """What a site gets of a bundle of strata.

    Attributes:
        patients, memberships: schemas AssignedPatients and Memberships; row-level, they stay at the site.
        courses: schema PatientCourses, row-level too; None for strata of features.
        course: what is said of the courses: who was counted out, and how well each column is measured here; None likewise.
        strata: schema CarriedStrata, small strata suppressed.
        drift: schema Drift.
        outside: share of patients farther from every stratum than the bundle's limit; None where suppressed.
        new_centres: whether some patients' centres have no parameters in the model's adjustment.
        identifiers: ids that must not stand in what leaves; for the scan alone.
    """

    patients: pl.DataFrame
    memberships: pl.DataFrame
    courses: pl.DataFrame | None
    course: dict[str, Any] | None
    strata: pl.DataFrame
    drift: pl.DataFrame
    outside: float | None
    new_centres: bool
    identifiers: frozenset[str]


def matched_strata(bundle: StrataBundle, site: Definition) -> Match:
    """Compare what a bundle defines with what the site declares; no column may be missing at a whole site."""
    found = match_definitions(bundle.definition, site, can_miss=frozenset())
    course = frozen_course(bundle.parts)
    lacking = [] if course is None else sorted(set(course.plan.variables) - set(site.variables))
    unknown = tuple(
        f"dictionary has no {name}, whose course the strata are of: map and declare it, or use other strata"
        for name in lacking
    )
    ranks = (
        () if course is None or site.time != "order" else ("a course needs years, and times are ranks here",)
    )
    return replace(found, problems=(*found.problems, *unknown, *ranks))


def strata_model(bundle: StrataBundle) -> StrataModel:
    """Return a bundle's model, which must be the one that its manifest and definition speak of."""
    with unusable_named():
        model = StrataModel.from_parts(bundle.parts)
        course = frozen_course(bundle.parts)
        told = {column.column for column in bundle.definition.columns}
        if model.k != bundle.manifest.number or not set(used_columns(model, course)) <= told:
            raise ValueError("another model than the manifest's")
        if course is not None and not (
            set(model.recipe.columns) <= set(course.made)
            and set(course.plan.variables) <= set(bundle.definition.variables)
        ):
            raise ValueError("another course than the strata's")
    extent_from(bundle.reference, model)
    return model


def index_rule(study: Study, bundle: StrataBundle, index: str | None) -> str:
    """Return the site's rule of prediction times: the one that is named, or the only one that is declared as in the bundle."""
    rules = study.prediction_times
    if index is not None and index not in rules:
        raise BadSettings(
            f"--index {index}: no such rule; known: {', '.join(sorted(rules))}. Name one of them."
        )
    alike = [
        name
        for name, rule in rules.items()
        if rule.model_dump(mode="json") == bundle.definition.prediction_times
    ]
    if index is None and len(alike) != 1:
        raise BadSettings(
            f"{study.study} declares {len(alike)} rules of prediction times as the bundle's definition.json has it; name one with "
            f"--index: {', '.join(sorted(rules))}."
        )
    return index or alike[0]


def strata_study(study: Study, bundle: StrataBundle) -> Study:
    """Return the site's settings with only what the frozen strata need, checked as any study file is.

    A study file has an outcome, a learner and a cell; they stand there and nothing of them is built.
    """
    values = study.model_dump(mode="json", by_alias=True)
    sets = sorted({column.feature_set for column in bundle.definition.columns} & set(study.feature_sets))
    if not sets and frozen_course(bundle.parts) is not None:
        # A study has a feature set: one that reads no further files, and nothing of it is used.
        plain = [
            name for name in study.feature_sets if not FEATURE_SETS[name].reads(study.feature_sets[name])
        ]
        sets = sorted(plain or study.feature_sets)[:1]
    outcome = study.primary.outcome
    values = {key: values[key] for key in KEPT} | {
        "feature_sets": {name: values["feature_sets"][name] for name in sets},
        "prediction_times": values["prediction_times"],
        "outcomes": {outcome: values["outcomes"][outcome]},
        "validation": {SCHEME: {"kind": KIND}},
        "learners": {NULL: {}},
        "cells": [{"outcome": outcome, "learners": [NULL], "schemes": [SCHEME]}],
        "primary": {"outcome": outcome, "learner": NULL, "scheme": SCHEME, "metric": "auroc"},
        "tuning": {"clinical_reference": NULL},
        "compute": {"engine": "serial", "workers": 1},
    }
    return check_study(values, Path(f"{study.study}/study.yaml"))


def assigned_at(
    study: Study, bundle: StrataBundle, index: str, *, source: Path, scratch: Path
) -> AssignedSite:
    """Build and assign in a scratch folder, whose rows the caller removes.

    Args:
        study: as from `strata_study`.
        bundle: the frozen strata.
        index: the site's rule of prediction times; each patient's first one counts.
        source: the site's source files.
        scratch: an empty folder inside the site's workspace.

    Raises:
        BadInput: columns that are not as the bundle defines them, each by name.
    """
    model, course = strata_model(bundle), frozen_course(bundle.parts)
    write_text(parameters_text(study), scratch / "params.yaml")
    files = source.resolve()
    with contextlib.chdir(scratch):  # stages read params.yaml where they run; the site's own stays as it is
        everybody, X = _built(study, bundle, model, index, files)
        described = None if course is None else _described(study, course, everybody, Path("tables"))
    rows = everybody
    if described is not None:
        kept = pl.Series(described.kept)
        rows, X = everybody.filter(kept), described.X.hstack(X.filter(kept))
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    with unusable_named():
        patients, memberships = assigned_patients(model, bundle.reference, rows, X)
        told = carried_strata(model, bundle.reference, patients, rows, X, smallest_cell=smallest)
    here = summaries_of(
        X.select(told_columns(model, course)),
        rows["patient_id"].rank("dense").cast(pl.Int64).to_numpy(),
        smallest,
    )
    return AssignedSite(
        patients=patients,
        memberships=memberships,
        courses=None if described is None else described.courses,
        course=None if course is None or described is None else _course_said(course, described, smallest),
        strata=told,
        drift=drift_of(bundle.reference.summaries, here),
        outside=share_outside(patients["outside"].to_numpy(), smallest),
        new_centres=model.new_centres(X) > 0,
        identifiers=frozenset({*everybody["prediction_id"], *everybody["patient_id"]}),
    )


def _built(
    study: Study, bundle: StrataBundle, model: StrataModel, index: str, source: Path
) -> tuple[pl.DataFrame, pl.DataFrame]:
    place, times = Path("tables"), Path("times.parquet")
    tables.run(source=source, out=place)
    prediction_times.run(tables=place, out=times)
    checked = Path("genotypes")
    genotypes.run(tables=place, source=source, out=checked)
    for name in study.feature_sets:
        features.run(
            name, tables=place, source=source, genotypes=checked, times=times, out=Path("features") / name
        )
    assemble.run(
        tables=place, times=times, features=Path("features"), genotypes=checked, out=Path("assembled")
    )
    assembled = read_assembled(Path("assembled"))
    problems, _ = compare_columns(bundle.definition.columns, assembled.columns, frozenset())
    if problems:
        raise BadInput(*[f"{study.study}: {problem}." for problem in problems])
    rows = first_rows(assembled.rows, bundle.manifest.strata, index, ("time",))
    plan = model.recipe.plan
    places = () if plan is None else plan.places
    nowhere = [
        pl.lit(None, dtype=pl.String).alias(name) for name in places if name not in assembled.frame.columns
    ]
    needed = tuple(dict.fromkeys((*used_columns(model, frozen_course(bundle.parts)), *places)))
    X = beside_rows(rows, assembled.frame.with_columns(nowhere), needed, bundle.manifest.strata)
    return rows, X


def _described(study: Study, course: FrozenCourse, rows: pl.DataFrame, tables: Path) -> DescribedPatients:
    measures = measures_since(
        rows.select("patient_id", "time"), study, tables, plan=course.plan, logarithm=course.logarithm
    )
    with unusable_named():
        return course.described(measures, rows["patient_id"])


def _course_said(course: FrozenCourse, described: DescribedPatients, smallest_cell: int) -> dict[str, Any]:
    few = int(described.kept.sum()) < smallest_cell
    reliability = {} if few else {key: round(value, 4) for key, value in described.reliability.items()}
    return {
        "variables": list(course.plan.variables),
        "years": course.plan.years,
        "counted_out": counted_out(described.kept, course.plan, max(FEWEST_TOLD, smallest_cell)),
        "reliability": reliability,
    }
