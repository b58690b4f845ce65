"""The register of openings: how often a left-out country's results were computed, and under how many sets of choices.

A model found in one country is confirmed in the other, once. Whoever looks, changes a setting and looks again has tuned
on the other country without a tuning trial to show for it. So each opening leaves a line: what was opened, and the hash
of every choice behind it. The same choices again, as after a lost cache, are the same opening.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from features.errors import BadInput

HASH_LENGTH = 16  # hex digits: enough to tell choices apart, short enough to read
CODE = "code"  # the one section of choices that is not a setting


@dataclass(frozen=True)
class Opened:
    """What was opened, under which choices.

    Attributes:
        outcome, learner: the cell.
        left_out: the country whose results were computed, or the site that a frozen model was carried to.
        by: compare or validate.
        choices: one hash per section of the choices: learner, feature_sets, outcome, ..., code.
    """

    outcome: str
    learner: str
    left_out: str
    by: str
    choices: Mapping[str, str]

    @property
    def settings(self) -> str:
        """The hash of all choices but the code."""
        return _hash({name: value for name, value in self.choices.items() if name != CODE})


@dataclass(frozen=True)
class Opening:
    """One line of the register: the how-manieth opening of the study it is; no date, so that a rerun changes nothing."""

    ordinal: int
    opened: Opened


@dataclass(frozen=True)
class OpeningCount:
    """How often the results of one left-out country were opened for one learner of one outcome."""

    outcome: str
    learner: str
    left_out: str
    openings: int
    sets_of_choices: int


def hashed_choices(sections: Mapping[str, Any]) -> dict[str, str]:
    """Return one hash per section of choices, each a value that JSON can hold."""
    return {name: _hash(value) for name, value in sorted(sections.items())}


def with_openings(register: Sequence[Opening], opened: Iterable[Opened]) -> list[Opening]:
    """Return the register with what it does not hold yet; what was opened before under the same choices adds nothing."""
    found = list(register)
    known = {_key(line.opened) for line in found}
    for one in opened:
        if _key(one) not in known:
            known.add(_key(one))
            found.append(Opening(len(found) + 1, one))
    return found


def count_openings(register: Sequence[Opening], outcome: str | None = None) -> list[OpeningCount]:
    """Count openings by outcome, learner and left-out country, in the order of their first opening."""
    cells: dict[tuple[str, str, str], list[Opened]] = {}
    for line in register:
        one = line.opened
        if outcome in (None, one.outcome):
            cells.setdefault((one.outcome, one.learner, one.left_out), []).append(one)
    return [OpeningCount(*cell, len(own), len({one.settings for one in own})) for cell, own in cells.items()]


def opening_sentence(count: OpeningCount) -> str:
    """Say in one sentence how often results were opened; a card prints it."""
    times = "once" if count.openings == 1 else f"{count.openings} times"
    sets = "one set" if count.sets_of_choices == 1 else f"{count.sets_of_choices} different sets"
    said = f"The results of {count.left_out} were opened {times} for {count.learner}, under {sets} of choices"
    if count.openings == 1:
        return f"{said}."
    if count.sets_of_choices == 1:
        return f"{said}: the code was changed in between."
    return f"{said}: only the first is a confirmation."


def changed_sections(register: Sequence[Opening], line: Opening) -> list[str] | None:
    """Return the sections of choices that differ from the opening before of the same results; None for the first."""
    one = line.opened
    place = (one.outcome, one.learner, one.left_out)
    before = [
        item.opened.choices
        for item in register
        if item.ordinal < line.ordinal
        and (item.opened.outcome, item.opened.learner, item.opened.left_out) == place
    ]
    if not before:
        return None
    names = sorted({*before[-1], *one.choices})
    return [name for name in names if before[-1].get(name) != one.choices.get(name)]


def register_text(register: Sequence[Opening]) -> str:
    """Return the register as JSON lines, to be kept under version control."""
    lines = [{"ordinal": line.ordinal, **asdict(line.opened)} for line in register]
    return "".join(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n" for line in lines)


def read_register(text: str, path: str) -> list[Opening]:
    """Read a register from JSON lines; raises BadInput on a line that is not one, or out of order."""
    return [_read_line(line, number, path) for number, line in enumerate(text.splitlines(), start=1)]


def _read_line(line: str, number: int, path: str) -> Opening:
    try:
        values = json.loads(line)
        ordinal = values.pop("ordinal")
        well_formed = set(values) == {item.name for item in fields(Opened)} and ordinal == number
    except (ValueError, AttributeError, KeyError, TypeError):
        well_formed = False
    texts = well_formed and all(isinstance(values[name], str) for name in values if name != "choices")
    if not texts or not isinstance(values["choices"], dict):
        raise BadInput(
            f"{path}, line {number}: this is not opening number {number} of the register. Lines are added by psystrata "
            "alone; take the file back from version control, both sides of a merge renumbered."
        )
    return Opening(ordinal, Opened(**values))


def _key(one: Opened) -> tuple[str, str, str, str, str]:
    return (one.outcome, one.learner, one.left_out, one.by, _hash(one.choices))


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"A choice must be a JSON value, got {type(value).__name__}.")
