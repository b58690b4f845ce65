"""psystrata assign: assign the patients of a study of this site by a bundle of strata; aggregates alone are for sending."""

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.bundle.packing import read_files
from experiments.bundle.scan import dates_in, disclosures
from experiments.bundle.strata import StrataBundle, open_strata
from experiments.bundle.strata_summaries import AssignedPatients, CarriedStrata
from experiments.bundle.summaries import Drift
from experiments.openings import CODE
from experiments.stratification.course_state import PatientCourses
from experiments.stratification.schemas import Memberships
from features.registry import FEATURE_SETS
from pipeline.carry.definition import definition_of
from pipeline.carry.strata_report import strata_page
from pipeline.carry.strata_site import (
    AssignedSite,
    assigned_at,
    index_rule,
    matched_strata,
    strata_model,
    strata_study,
)
from pipeline.choices import code_hash
from pipeline.commands.check import source_folder
from pipeline.commands.use import read_study
from pipeline.errors import BadInput
from pipeline.files import remove_folder, replaced_folder, write_json, write_table, write_text
from pipeline.settings.study import Study


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("bundle", type=Path, help="a folder or zip that psystrata freeze --strata wrote")
    parser.add_argument("study", help="a folder of experiments/studies at this site")
    parser.add_argument(
        "--index", help="the study's rule of prediction times, where several fit or it differs"
    )
    parser.add_argument("--fingerprint", help="refuse another bundle than the one of this fingerprint")
    parser.add_argument(
        "--accept-differences",
        action="store_true",
        help="go on where the prediction times differ; the report says so",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the aggregated results")


def run(
    *,
    bundle: Path,
    study: str,
    index: str | None,
    fingerprint: str | None,
    accept_differences: bool,
    out: Path,
) -> int:
    """Assign this site's patients to frozen strata."""
    frozen = open_strata(read_files(bundle), str(bundle))
    if fingerprint is not None and fingerprint != frozen.fingerprint:
        raise BadInput(
            f"{bundle} has the fingerprint {frozen.fingerprint}, not the one that was told. Ask its sender."
        )
    strata_model(frozen)
    settings = read_study(study)
    rule = index_rule(settings, frozen, index)
    differences = _differences(settings, frozen, rule, accept_differences)
    found = _assigned(settings, frozen, rule)
    report = _report(settings, frozen, found, differences)
    page = strata_page(report)
    _require_nothing_told(settings, frozen, found, report, page)
    own = Path("artifacts") / settings.study / "assigned" / frozen.fingerprint[:16]
    with replaced_folder(own) as folder:
        write_table(found.patients, folder / "patients.parquet", AssignedPatients)
        write_table(found.memberships, folder / "memberships.parquet", Memberships)
        if found.courses is not None:
            write_table(found.courses, folder / "courses.parquet", PatientCourses)
    with replaced_folder(out) as folder:
        write_table(found.strata, folder / "strata.parquet", CarriedStrata)
        write_table(found.drift, folder / "drift.parquet", Drift)
        write_json(report, folder / "report.json")
        write_text(page, folder / "report.html")
    print(
        f"{out}: aggregated results of the strata {frozen.manifest.strata} at {settings.study}; see {out}/report.html"
    )
    print(f"{own}: each patient's stratum. It is row-level and stays at this site.")
    return 0


def _differences(study: Study, frozen: StrataBundle, index: str, accepted: bool) -> list[str]:
    sets = set(frozen.definition.feature_sets) & set(study.feature_sets)
    reads = any(FEATURE_SETS[name].reads(study.feature_sets[name]) for name in sets)
    source = source_folder(study) if reads else None
    match = matched_strata(frozen, definition_of(study, None, source, among=sets, index=index))
    if match.problems:
        raise BadInput(*[f"{study.study}: {problem}." for problem in match.problems])
    if match.differences and not accepted:
        raise BadInput(
            *[f"{study.study}: {difference}." for difference in match.differences],
            "The prediction times are not those of the strata. Declare them alike, or judge the differences and add "
            "--accept-differences: the report then says so.",
        )
    return [*match.differences, *match.notes]


def _assigned(study: Study, frozen: StrataBundle, index: str) -> AssignedSite:
    """Assign in a scratch folder of the site's workspace, which is removed whatever happens."""
    scratch = Path("artifacts") / study.study / "assign" / frozen.fingerprint[:16]
    if scratch.exists():
        remove_folder(scratch)
    scratch.mkdir(parents=True)
    try:
        reduced = strata_study(study, frozen)
        return assigned_at(reduced, frozen, index, source=source_folder(study), scratch=scratch)
    finally:
        remove_folder(scratch)
        with suppress(OSError):  # another bundle may be at work beside it
            scratch.parent.rmdir()


def _report(
    study: Study, frozen: StrataBundle, found: AssignedSite, differences: list[str]
) -> dict[str, Any]:
    head = frozen.manifest
    return {
        "bundle": {
            **head.model_dump(mode="json", exclude={"files", "seal"}),
            "fingerprint": frozen.fingerprint,
        },
        "site": {
            "study": study.study,
            "title": study.title,
            "psystrata": version("psystrata"),
            "disclosure": study.disclosure.level,
        },
        "same_code": head.choices.sections.get(CODE) == code_hash(),
        "differences": differences,
        "strata": found.strata.to_dicts(),
        "outside": found.outside,
        "outside_reference": frozen.reference.extent.beyond,
        "new_centres": found.new_centres,
        "course": found.course,
        "drift": found.drift.to_dicts(),
    }


def _require_nothing_told(
    study: Study, frozen: StrataBundle, found: AssignedSite, report: Mapping[str, Any], page: str
) -> None:
    """Refuse to write anything that holds an identifier or a date of a patient."""
    texts = {
        "strata.parquet": found.strata.write_csv(),
        "drift.parquet": found.drift.write_csv(),
        "report.json": json.dumps(report, ensure_ascii=False),
        "report.html": page,
    }
    declared = [study.model_dump(mode="json"), frozen.definition.model_dump(mode="json")]
    told = disclosures(
        {name: text.encode() for name, text in texts.items()},
        found.identifiers,
        dates_in(json.dumps(declared, ensure_ascii=False)),
    )
    if told:
        raise BadInput(*[f"{problem} Nothing was written." for problem in told])
