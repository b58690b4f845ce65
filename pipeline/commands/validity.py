"""psystrata validity: run a slow validity study, resumable, and write its figures into the ledger."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.compute import Compute, map_tasks
from experiments.validity import (
    certificate,
    competing,
    coverage,
    coverage_table,
    harmonisation,
    nested_bias,
    site_audit,
    strata_claims,
    strata_courses,
    strata_items,
    strata_peers,
    strata_power,
    strata_recovery,
    strata_value,
    weights,
)
from pipeline.errors import BadSettings
from pipeline.files import write_text
from pipeline.validity import simulated

RUNS = Path("artifacts/validity")
LEDGER = Path("docs/validity.md")
HEADING = (
    "# Validity ledger\n\n"
    "Every promise of the methods that simulation can test: what was to be held, in how many runs it was, and the command\n"
    "that measures it again. Figures stand as they were measured, shortfalls included.\n"
)


@dataclass(frozen=True)
class ValidityStudy:
    """A slow study of what the methods promise.

    Attributes:
        scenarios: names of the designs.
        simulate: runs one (scenario, number) and returns its records, each with `scenario` and `run`.
        section: words all records as a section of the ledger, given the command that measures them again.
        runs: how many of each design where the command line does not say.
        batch: runs between two writings of the file of runs.
    """

    scenarios: tuple[str, ...]
    simulate: Callable[[tuple[str, int]], list[dict[str, Any]]]
    section: Callable[[Sequence[dict[str, Any]], str], str]
    runs: int
    batch: int


STUDIES = {
    "coverage": ValidityStudy(
        tuple(item.name for item in coverage.SCENARIOS),
        coverage.simulate_run,
        coverage_table.section,
        1000,
        240,
    ),
    "nested_bias": ValidityStudy(
        nested_bias.LEARNERS, nested_bias.simulate_run, nested_bias.section, 200, 20
    ),
    "weights": ValidityStudy(
        tuple(item.name for item in weights.SCENARIOS), weights.simulate_run, weights.section, 1000, 600
    ),
    "competing": ValidityStudy(competing.LEARNERS, competing.simulate_run, competing.section, 30, 30),
    "certificate": ValidityStudy(certificate.LEARNERS, certificate.simulate_run, certificate.section, 30, 15),
    "audit": ValidityStudy(
        tuple(item.name for item in site_audit.SCENARIOS),
        site_audit.simulate_run,
        site_audit.section,
        100,
        40,
    ),
    "harmonisation": ValidityStudy(
        harmonisation.SCENARIOS, harmonisation.simulate_run, harmonisation.section, 100, 30
    ),
    "strata_claims": ValidityStudy(
        strata_claims.SCENARIOS, strata_claims.simulate_run, strata_claims.section, 100, 30
    ),
    "strata_courses": ValidityStudy(
        strata_courses.SCENARIOS, strata_courses.simulate_run, strata_courses.section, 100, 20
    ),
    "strata_items": ValidityStudy(
        strata_items.SCENARIOS, strata_items.simulate_run, strata_items.section, 20, 11
    ),
    "strata_power": ValidityStudy(
        strata_power.SCENARIOS, strata_power.simulate_run, strata_power.section, 12, 14
    ),
    "strata_recovery": ValidityStudy(
        strata_recovery.SCENARIOS, strata_recovery.simulate_run, strata_recovery.section, 20, 6
    ),
    "strata_peers": ValidityStudy(
        strata_peers.SCENARIOS, strata_peers.simulate_run, strata_peers.section, 10, 15
    ),
    "strata_value": ValidityStudy(
        strata_value.SCENARIOS, strata_value.simulate_run, strata_value.section, 400, 40
    ),
    "simulated": ValidityStudy(
        tuple(item.name for item in simulated.SCENARIOS), simulated.simulate_run, simulated.section, 20, 4
    ),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", choices=[*STUDIES, "all"], help="which study")
    parser.add_argument("--runs", type=int, help="runs of each design; default: as the ledger has it")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")


def run(name: str, runs: int | None, jobs: int) -> int:
    """Run what is missing of a validity study and rewrite its section of the ledger."""
    if (runs is not None and runs < 2) or jobs < 1:
        raise BadSettings(
            f"--runs {runs} --jobs {jobs}: runs must be 2 or more and jobs 1 or more. Give other numbers."
        )
    compute = Compute("processes" if jobs > 1 else "serial", jobs)
    for chosen in STUDIES if name == "all" else (name,):
        study = STUDIES[chosen]
        count = runs or study.runs
        records = finish_runs(RUNS / f"{chosen}.jsonl", study, count, compute, chosen)
        write_section(LEDGER, chosen, study.section(records, f"psystrata validity {chosen} --runs {count}"))
        print(f"{chosen}: {len(study.scenarios)} designs, {count} runs each, written into {LEDGER}")
    return 0


def finish_runs(
    path: Path, study: ValidityStudy, runs: int, compute: Compute, label: str
) -> list[dict[str, Any]]:
    """Run what the file of runs does not hold yet, appending as it goes, and return the first `runs` of each design."""
    records = read_records(path)
    done = {(line["scenario"], line["run"]) for line in records}
    missing = [
        task
        for number in range(runs)
        for task in ((name, number) for name in study.scenarios)
        if task not in done
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(missing), study.batch):
        batch = missing[start : start + study.batch]
        found = [line for lines in map_tasks(study.simulate, batch, compute, label) for line in lines]
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, sort_keys=True) + "\n" for line in found)
        records += found
    return [line for line in records if line["run"] < runs]


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read the file of runs; a last line cut short by an interruption is dropped, and its run done again."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_text(whole, path)
    return [json.loads(line) for line in whole.splitlines()]


def write_section(path: Path, name: str, text: str) -> None:
    """Replace a study's section of the ledger, between its marks, or append it."""
    before = path.read_text(encoding="utf-8") if path.is_file() else HEADING
    opening, closing = f"<!-- {name}: written by psystrata validity -->", f"<!-- {name}: end -->"
    section = f"{opening}\n{text}{closing}\n"
    if opening in before and closing in before:
        head, rest = before.split(opening, 1)
        tail = rest.split(closing, 1)[1].removeprefix("\n")
        write_text(head + section + tail, path)
    else:
        write_text(before.rstrip("\n") + "\n\n" + section, path)
