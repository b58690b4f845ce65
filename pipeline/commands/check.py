"""psystrata check: read a study's files and list every problem at once, writing nothing."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from experiments.disclosure import smallest_published
from features.errors import BadInput
from pipeline.commands.use import read_study
from pipeline.errors import BadSettings
from pipeline.intake.catalogued import from_catalogue, names_mapped
from pipeline.intake.harmonisation import STATUSES, without_small_counts
from pipeline.intake.ledger import Intake, Problem
from pipeline.intake.registry import examine_cohort
from pipeline.settings.study import Study

GENETIC = "genetic"
CLEAN, QUARANTINED, REFUSED = 0, 1, 2
LISTED = 6  # variables named for one reason
PLAIN: dict[str, Any] = {"markup": False, "emoji": False}  # names of files and centres may hold brackets
WIDTH_OF_A_FILE = 200  # characters, where the table is not read in a terminal
ORDER = {"refused": 0, "quarantined": 1, "warning": 2, "fixed": 3}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("study", help="a folder of experiments/studies")


def run(study: str) -> int:
    """List every problem of a study's files; returns 0 clean, 1 with quarantine only, 2 refused."""
    settings = read_study(study)
    intake, problems = examine_cohort(
        settings.cohort,
        dictionary=settings.dictionary,
        consent=settings.consent,
        source=source_folder(settings),
        seed=settings.seed,
        open_data=settings.simulation is not None or settings.disclosure.level == "public",
        harmonised=settings.harmonisation,
    )
    problems = [*problems, *genotype_problems(settings)]
    console = Console(**PLAIN)
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_A_FILE, **PLAIN)
    if problems:
        console.print(problem_table(problems))
    _tell_variables(settings, intake, console)
    console.print(conclusion(problems), highlight=False)
    return exit_code(problems)


def genotype_problems(study: Study) -> list[Problem]:
    """Open genotype files, scores, panel and frequencies, match scores to genotypes, and return what would be refused."""
    if GENETIC not in study.feature_sets:
        return []
    from features.genetics.inputs import match_scores, read_declared_frequencies, read_inputs
    from features.genetics.settings import GeneticSettings

    asked, source = GeneticSettings.from_study(study.feature_sets[GENETIC]), source_folder(study)
    try:
        inputs = read_inputs(source, asked, threads=study.compute.workers)
        match_scores(inputs, asked, read_declared_frequencies(source, asked, inputs))
    except BadInput as bad:
        return [_as_problem(text) for text in bad.problems]
    return []


def _as_problem(sentence: str) -> Problem:
    """Lay a sentence `file: what was found; what to do.` out."""
    file, _, rest = sentence.partition(": ")
    rule, _, action = rest.partition("; ")
    return Problem("refused", file, rule, action) if action else Problem("refused", GENETIC, sentence, "")


def _tell_variables(settings: Study, intake: Intake | None, console: Console) -> None:
    """Print what stands in the way of comparing centres, and what the catalogue says in the dictionary's place."""
    if intake is not None:
        smallest = smallest_published(settings.disclosure.level, settings.disclosure.smallest_cell)
        lines = harmonisation_lines(without_small_counts(intake.harmonisation, smallest))
        if lines:
            console.print(*lines, sep="\n", highlight=False)
    taken = from_catalogue(settings.dictionary, names_mapped(settings.cohort))
    if taken:
        named = [
            name if name not in settings.dictionary else f"{name} ({', '.join(keys)})"
            for name, keys in taken.items()
        ]
        console.print(f"From the catalogue: {', '.join(named)}.", highlight=False)


def harmonisation_lines(table: pl.DataFrame) -> list[str]:
    """Word how many variables are complete, partial and impossible at how many centres, by reason."""
    counts = dict(table.group_by("status").len().iter_rows())
    lines = [
        "Variables at centres: "
        + ", ".join(f"{counts.get(status, 0):,} {status}" for status in STATUSES)
        + "."
    ]
    lacking = table.filter(pl.col("status") != "complete").group_by("status", "reason")
    for row in (
        lacking.agg(pl.col("variable").unique().sort(), pl.len())
        .sort("status", "reason")
        .iter_rows(named=True)
    ):
        names = ", ".join(row["variable"][:LISTED]) + (" ..." if len(row["variable"]) > LISTED else "")
        lines.append(f"  {row['status']}, {row['reason']}: {row['len']:,} ({names})")
    return lines


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
