"""psystrata check: read a study's files and list every problem at once, writing nothing."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.commands.use import read_study
from pipeline.errors import BadSettings
from pipeline.intake.ledger import Problem
from pipeline.intake.registry import examine_cohort
from pipeline.settings.study import Study

CLEAN, QUARANTINED, REFUSED = 0, 1, 2
WIDTH_OF_A_FILE = 200  # characters, where the table is not read in a terminal
ORDER = {"refused": 0, "quarantined": 1, "warning": 2, "fixed": 3}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("study", help="a folder of experiments/studies")


def run(study: str) -> int:
    """List every problem of a study's files; returns 0 clean, 1 with quarantine only, 2 refused."""
    settings = read_study(study)
    _, problems = examine_cohort(
        settings.cohort,
        dictionary=settings.dictionary,
        consent=settings.consent,
        source=source_folder(settings),
        seed=settings.seed,
        open_data=settings.simulation is not None or settings.disclosure.level == "public",
    )
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_A_FILE)
    if problems:
        console.print(problem_table(problems))
    console.print(conclusion(problems), highlight=False)
    return exit_code(problems)


def exit_code(problems: Sequence[Problem]) -> int:
    """Return 2 when anything is refused, 1 when rows are quarantined, else 0."""
    verdicts = {problem.verdict for problem in problems}
    if "refused" in verdicts:
        return REFUSED
    return QUARANTINED if "quarantined" in verdicts else CLEAN


def problem_table(problems: Sequence[Problem]) -> Table:
    """Lay the problems out, refusals first."""
    table = Table()
    for heading in ("verdict", "file", "rows", "first row", "variable", "rule", "what to do"):
        table.add_column(heading, overflow="fold")
    told = dict.fromkeys(problems)  # a file that feeds several tables is told of once
    for problem in sorted(told, key=lambda problem: (ORDER[problem.verdict], problem.file)):
        table.add_row(
            problem.verdict,
            problem.file,
            f"{problem.rows:,}" if problem.rows else "",
            "" if problem.first_row is None else str(problem.first_row),
            problem.variable or "",
            problem.rule,
            problem.action,
        )
    return table


def conclusion(problems: Sequence[Problem]) -> str:
    """Say in one sentence what follows."""
    return {
        CLEAN: "Clean: every row can be used.",
        QUARANTINED: "Usable: the rows and values above are set aside and counted.",
        REFUSED: "Refused: mend the refused problems above, then check again.",
    }[exit_code(problems)]


def source_folder(study: Study) -> Path:
    """Return data/<study>, or the folder of PSYSTRATA_DATA that it would be linked to."""
    place = Path("data") / study.study
    if place.is_dir():
        return place
    if study.simulation is not None:
        raise BadSettings(f"{place} is not there: its files are simulated. Run dvc repro, then check again.")
    root = os.environ.get("PSYSTRATA_DATA")
    linked = Path(root).expanduser() / (study.source or study.study) if root else None
    if linked is None or not linked.is_dir():
        raise BadSettings(
            f"The files of {study.study} are missing: put them into {place}, or set PSYSTRATA_DATA to the folder that "
            "holds them; the study's README says where to get them."
        )
    return linked
