"""From a study's strata to the files of a bundle that assigns another site's patients."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from experiments.bundle.contents import DEFINITION, README, REFERENCE, Definition, content_bytes
from experiments.bundle.scan import dates_in, disclosures
from experiments.bundle.strata import seal_strata
from experiments.bundle.strata_summaries import strata_reference
from experiments.disclosure import smallest_published
from experiments.openings import CODE, hashed_choices
from experiments.provenance import provenance_of
from experiments.stratification.course_state import COURSE_FILE, FrozenCourse
from models.storage import fingerprint
from models.strata_model import RECIPE_FILE, StrataModel
from pipeline.carry.definition import definition_of
from pipeline.choices import code_hash
from pipeline.errors import BadInput, BadSettings
from pipeline.files import read_json
from pipeline.settings.stratification import Stratification
from pipeline.settings.study import Study
from pipeline.strata_course import course_patients
from pipeline.strata_inputs import feature_patients, read_assembled


def strata_files(study: Study, name: str, workspace: Path, source: Path | None) -> dict[str, bytes]:
    """Return all files of a bundle of strata.

    Args:
        study: the settings.
        name: of one of its stratifications.
        workspace: artifacts/<study>.
        source: the study's source folder, where a feature set names files of it.

    Raises:
        BadSettings: no such stratification, or one of the course of a variable that the study does not declare.
        BadInput: there are no strata, results are missing, or something in the bundle would tell about a patient.
    """
    asked = _asked(study, name)
    folder = workspace / "strata" / name
    parts = _parts(folder / "model")
    summary = read_json(folder / "summary.json")
    model = StrataModel.from_parts(parts)
    if model.k < 2:
        raise BadInput(
            f"stratifications.{name} found no strata ({summary['claim']}), so there is nothing to carry. Freeze a model of an "
            "outcome, or another stratification."
        )
    assembled = read_assembled(workspace / "assembled")
    course = frozen_course(parts)
    if (course is None) != (asked.course is None):
        raise BadInput(f"The strata in {folder} are of another kind than the study file says. Run dvc repro.")
    patients = (
        feature_patients(study, name, assembled)
        if course is None
        else course_patients(study, name, assembled, workspace / "tables")[0]
    )
    if set(model.recipe.needed) != set(patients.recipe.needed):
        raise BadInput(
            f"The strata in {folder} are of other columns than the study file says. Run dvc repro."
        )
    used = used_columns(model, course)
    described = assembled.columns.filter(pl.col("column").is_in(used)).sort("column")
    definition = definition_of(study, None, source, described, index=asked.index)
    if course is not None:
        definition = _with_variables(definition, study, course, name)
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    told_of = told_columns(model, course)
    reference = strata_reference(model, patients.rows, patients.X, told_of, smallest)
    # The claim is that of the whole chain, test 5 included.
    chain = read_json(workspace / "strata_outcomes" / name / "summary.json")
    whole = {**summary, **{key: chain[key] for key in ("claim", "claimed", "tests")}}
    head = _head(study, name, workspace, model=model, summary=whole, print_of_model=fingerprint(parts))
    files = {
        **{f"model/{part}": content for part, content in parts.items()},
        DEFINITION: content_bytes(definition),
        REFERENCE: content_bytes(reference),
        README: _readme(study, head, definition, course).encode(),
    }
    sealed = seal_strata(files, head)
    known = {*assembled.rows["prediction_id"], *assembled.rows["patient_id"]}
    declared = json.dumps(study.model_dump(mode="json"), ensure_ascii=False)
    told = disclosures(sealed, known, dates_in(declared))
    if told:
        raise BadInput(*[f"{problem} Nothing was written." for problem in told])
    return sealed


def used_columns(model: StrataModel, course: FrozenCourse | None = None) -> tuple[str, ...]:
    """Return the feature columns that a frozen model looks at, sorted: those of the strata and those of its adjustment.

    Columns of a course are made of visits and are no features.
    """
    plan = model.recipe.plan
    own = model.recipe.columns if course is None else ()
    more = set(() if plan is None else plan.needed) - set(() if course is None else course.made)
    return tuple(sorted({*own, *more}))


def told_columns(model: StrataModel, course: FrozenCourse | None) -> tuple[str, ...]:
    """Return the columns whose distribution is told, sorted: features, and level and change of courses without their sums."""
    made = () if course is None else course.columns.columns
    return tuple(sorted({*used_columns(model, course), *made}))


def frozen_course(parts: Mapping[str, bytes]) -> FrozenCourse | None:
    """Return the course that a model's strata are of; None for strata of features. Raises BadTarget where it is damaged."""
    return FrozenCourse.from_bytes(parts[COURSE_FILE]) if COURSE_FILE in parts else None


def _with_variables(definition: Definition, study: Study, course: FrozenCourse, name: str) -> Definition:
    """Return the definition with what the course's variables are, so that another site's units can be compared."""
    declared = definition_of(study, None, None, among=(), index=study.stratifications[name].index).variables
    unknown = sorted(set(course.plan.variables) - set(declared))
    if unknown:
        raise BadSettings(
            f"stratifications.{name}.course.variables: {', '.join(unknown)} is not declared in dictionary as a predictor, so that no "
            "other site could know its unit. Declare it there."
        )
    own = {variable: declared[variable] for variable in course.plan.variables}
    return definition.model_copy(update={"variables": dict(sorted({**definition.variables, **own}.items()))})


def _asked(study: Study, name: str) -> Stratification:
    if name not in study.stratifications:
        known = ", ".join(sorted(study.stratifications)) or "none"
        raise BadSettings(f"--strata {name}: no such stratification; known: {known}. Name one of them.")
    return study.stratifications[name]


def _parts(folder: Path) -> dict[str, bytes]:
    if not (folder / RECIPE_FILE).is_file():
        raise BadInput(f"{folder} holds no strata ({RECIPE_FILE} is missing). Run dvc repro.")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _head(
    study: Study,
    name: str,
    workspace: Path,
    *,
    model: StrataModel,
    summary: dict[str, Any],
    print_of_model: str,
) -> dict[str, Any]:
    asked = study.stratifications[name]
    plain = study.model_dump(
        mode="json", include={"feature_sets", "adjustments", "dictionary", "prediction_times"}
    )
    sections = {
        "seed": study.seed,
        "stratification": asked.model_dump(mode="json"),
        "adjustment": None if asked.adjustment is None else plain["adjustments"][asked.adjustment],
        "prediction_times": plain["prediction_times"][asked.index],
        "feature_sets": {one: plain["feature_sets"][one] for one in asked.feature_sets},
        "dictionary": plain["dictionary"],
    }
    known = provenance_of(workspace, None)
    return {
        "psystrata": version("psystrata"),
        "study": study.study,
        "strata": name,
        "clusterer": asked.clusterer,
        "number": model.k,
        "claim": summary["claim"],
        "claimed": summary["claimed"],
        "tests": [{key: one[key] for key in ("test", "status", "reason")} for one in summary["tests"]],
        "model": print_of_model,
        "choices": {
            "sections": {**hashed_choices(sections), CODE: code_hash()},
            "data": known.data,
            "lock": known.lock,
            "commit": known.commit,
        },
    }


def _readme(study: Study, head: dict[str, Any], definition: Definition, course: FrozenCourse | None) -> str:
    said = (
        "claimed by its study"
        if head["claimed"]
        else "NOT claimed by its study: read why before you use them"
    )
    lines = [
        f"# Strata {head['strata']} of {head['study']}",
        "",
        f"{head['number']} frozen strata of psystrata {head['psystrata']} ({head['clusterer']}), {said}: {head['claim']}. It holds no "
        f"patient's row. Intended use: {study.intended_use}.",
        "",
        *[f"- {one['test']}: {one['status']}. {one['reason']}" for one in head["tests"]],
        "",
        "To assign your patients, inside your own walls:",
        "",
        "    psystrata assign THIS_BUNDLE YOUR_STUDY --out FOLDER",
        "",
        "FOLDER gets aggregated and suppressed figures alone. Each patient's stratum is written into a file below artifacts/ that "
        "stays with you. A changed, missing or additional file is refused. To know that the bundle is the sender's, compare its "
        "fingerprint with one told on another way.",
        "",
        *_course_said(course),
        f"Feature columns: {len(definition.columns)}, of the feature sets {', '.join(sorted(definition.feature_sets)) or 'none'}.",
    ]
    return "\n".join(lines) + "\n"


def _course_said(course: FrozenCourse | None) -> list[str]:
    if course is None:
        return []
    plan = course.plan
    return [
        f"Strata of change: of the values of {', '.join(plan.variables)} at visits of {plan.years:g} years after the baseline, however "
        "many and whenever they were. They look ahead of the baseline and predict nothing at it.",
        "",
    ]
