"""Writing the register of openings of a study, which lies beside its study file and outlives every rerun."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from experiments.openings import (
    Opened,
    Opening,
    count_openings,
    opening_sentence,
    read_register,
    register_text,
    with_openings,
)
from pipeline.choices import hashes_of_choices
from pipeline.files import read_json, write_json, write_text
from pipeline.settings.study import Study

REGISTER = "openings.jsonl"


def record_comparison(study: Study, outcome: str, splits: Path, register: Path | None, out: Path) -> None:
    """Note that the results of each left-out country were computed, and write the counts into `out`.

    Args:
        study: the settings.
        outcome: the outcome whose learners were compared.
        splits: folder of the outcome's folds.
        register: the study's register; None where none is kept.
        out: folder of the results, which gets openings.json for the card.
    """
    if register is None:
        return
    learners, schemes = next(
        ((cell.learners, cell.schemes) for cell in study.cells if cell.outcome == outcome), ((), ())
    )
    folds = [fold for fold in read_json(splits / "folds.json") if fold["scheme"] in schemes]
    countries = sorted({fold["group"] for fold in folds if fold["kind"] == "leave_country_out"})
    choices = {learner: hashes_of_choices(study, outcome, learner) for learner in learners}
    lines = add_openings(
        register,
        [
            Opened(outcome, learner, country, "compare", choices[learner])
            for country in countries
            for learner in learners
        ],
    )
    counts = [
        count
        for count in count_openings(lines, outcome)
        if count.learner in learners and count.left_out in countries
    ]
    write_json(
        [{**asdict(count), "sentence": opening_sentence(count)} for count in counts], out / "openings.json"
    )


def add_openings(register: Path, opened: Iterable[Opened]) -> list[Opening]:
    """Add what the register does not hold yet and return it; the file is not touched where nothing is new."""
    found = list(opened)
    if not found:
        return read_openings(register)
    with _locked(register.parent):
        before = read_openings(register)
        after = with_openings(before, found)
        if len(after) > len(before):
            write_text(register_text(after), register)
    return after


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder alone: two stages of one study may run at once."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_openings(register: Path) -> list[Opening]:
    """Read a register; one that is not there is empty."""
    if not register.is_file():
        return []
    return read_register(register.read_text(encoding="utf-8"), str(register))
