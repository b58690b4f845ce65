"""From a study's strata to the files of a bundle that assigns another site's patients."""

import json
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
from models.storage import fingerprint
from models.strata_model import RECIPE_FILE, StrataModel
from pipeline.carry.definition import definition_of
from pipeline.choices import code_hash
from pipeline.errors import BadInput, BadSettings
from pipeline.files import read_json
from pipeline.settings.stratification import Stratification
from pipeline.settings.study import Study
from pipeline.strata_inputs import feature_patients, read_assembled


def strata_files(study: Study, name: str, workspace: Path, source: Path | None) -> dict[str, bytes]:
    """Return all files of a bundle of strata.

    Args:
        study: the settings.
        name: of one of its stratifications.
        workspace: artifacts/<study>.
        source: the study's source folder, where a feature set names files of it.

    Raises:
        BadSettings: no such stratification, or one of courses.
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
    patients = feature_patients(study, name, assembled)
    if set(model.recipe.needed) != set(patients.recipe.needed):
        raise BadInput(
            f"The strata in {folder} are of other columns than the study file says. Run dvc repro."
        )
    used = used_columns(model)
    described = assembled.columns.filter(pl.col("column").is_in(used)).sort("column")
    definition = definition_of(study, None, source, described, index=asked.index)
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    reference = strata_reference(model, patients.rows, patients.X, used, smallest)
    # The claim is that of the whole chain, test 5 included.
    chain = read_json(workspace / "strata_outcomes" / name / "summary.json")
    whole = {**summary, **{key: chain[key] for key in ("claim", "claimed", "tests")}}
    head = _head(study, name, workspace, model=model, summary=whole, print_of_model=fingerprint(parts))
    files = {
        **{f"model/{part}": content for part, content in parts.items()},
        DEFINITION: content_bytes(definition),
        REFERENCE: content_bytes(reference),
        README: _readme(study, head, definition).encode(),
    }
    sealed = seal_strata(files, head)
    known = {*assembled.rows["prediction_id"], *assembled.rows["patient_id"]}
    declared = json.dumps(study.model_dump(mode="json"), ensure_ascii=False)
    told = disclosures(sealed, known, dates_in(declared))
    if told:
        raise BadInput(*[f"{problem} Nothing was written." for problem in told])
    return sealed


def used_columns(model: StrataModel) -> tuple[str, ...]:
    """Return the feature columns that a frozen model looks at, sorted: those of the strata and those of its adjustment."""
    plan = model.recipe.plan
    return tuple(sorted({*model.recipe.columns, *(() if plan is None else plan.needed)}))


def _asked(study: Study, name: str) -> Stratification:
    if name not in study.stratifications:
        known = ", ".join(sorted(study.stratifications)) or "none"
        raise BadSettings(f"--strata {name}: no such stratification; known: {known}. Name one of them.")
    asked = study.stratifications[name]
    if asked.course is not None:
        raise BadSettings(
            f"--strata {name}: strata of courses are not carried yet, only strata of feature sets. Name another stratification."
        )
    return asked


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


def _readme(study: Study, head: dict[str, Any], definition: Definition) -> str:
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
        f"Columns: {len(definition.columns)}, of the feature sets {', '.join(sorted(definition.feature_sets)) or 'none'}.",
    ]
    return "\n".join(lines) + "\n"
