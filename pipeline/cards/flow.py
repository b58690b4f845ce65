"""Flow charts on cards: every exclusion counted, and no small count to be had by subtraction."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from experiments.disclosure import hidden_cells
from pipeline.cards.wording import horizon_words

Table = list[dict[str, str]]
HIDDEN = "suppressed"


def worded_count(value: int | None, smallest: int) -> str:
    """Word a count that stands alone."""
    if value is None:
        return HIDDEN
    return f"fewer than {smallest}" if 0 < value < smallest else f"{value:,}"


def patient_flow(flow: Mapping[str, Any], smallest: int) -> Table:
    """Word the patients' flow of intake: step, removed, remaining."""
    steps = flow["patients"]
    removed, left = worded_steps([int(step["patients"]) for step in steps], smallest)
    return [
        {"step": str(step["step"]), "removed": gone, "patients": remaining}
        for step, gone, remaining in zip(steps, removed, left, strict=True)
    ]


def prediction_flow(flow: Mapping[str, Any], smallest: int) -> Table:
    """Word the prediction times' flow of one outcome: step, times removed, and what is left in times and in patients."""
    steps = flow["steps"]
    removed, times = worded_steps([int(step["predictions"]) for step in steps], smallest)
    patients = worded_steps([int(step["patients"]) for step in steps], smallest)[1]
    return [
        {"step": str(step["step"]), "removed": gone, "prediction times": of_times, "patients": of_patients}
        for step, gone, of_times, of_patients in zip(steps, removed, times, patients, strict=True)
    ]


def file_flow(flow: Mapping[str, Any], smallest: int) -> Table:
    """Word the account of each source file: rows read, excluded, quarantined, kept."""
    table = []
    for item in flow["files"]:
        read, excluded, quarantined = int(item["read"]), int(item["excluded"]), int(item["quarantined"])
        removed, left = worded_steps([read, read - excluded, read - excluded - quarantined], smallest)
        table.append(
            {
                "source": str(item["source"]),
                "table": str(item["table"]),
                "rows read": left[0],
                "excluded": removed[1],
                "quarantined": removed[2],
                "kept": left[2],
            }
        )
    return table


def outcome_counts(flow: Mapping[str, Any], smallest: int) -> str:
    """Word how many eligible prediction times end in the event, in a competing event, censored, or are not known."""
    names = ["events"]
    if flow["competing"] or flow["censored"]:
        names += ["competing", "censored"]
    if flow.get("unknown"):
        names.append("unknown")
    counts = [int(flow[name]) for name in names]
    cells = np.array([[count] for count in [*counts, int(flow["eligible"]) - sum(counts)]], dtype=np.int64)
    hidden = hidden_cells(cells, smallest)
    words = {
        "events": "events",
        "competing": "a competing event first",
        "censored": "censored before the horizon",
        "unknown": "status not known, no visit told it",
    }
    return "; ".join(
        f"{words[name]}: {HIDDEN if hide and count else f'{count:,}'}"
        for name, count, hide in zip(names, counts, hidden, strict=False)
    )


HORIZON_COUNTS = {
    "events": "events",
    "competing": "a competing event first",
    "censored": "censored before",
    "free": "known to be without",
}


def horizon_flow(flow: Mapping[str, Any], smallest: int) -> Table:
    """Word what had happened by each horizon; a horizon is hidden whole where a count, or its step from another, is small.

    The main horizon is judged like the rest, and first: its counts stand elsewhere on the card.
    """
    entries = sorted(flow.get("horizons", ()), key=lambda entry: abs(entry["horizon"] - flow["main_horizon"]))
    shown: list[dict[str, int]] = []
    hidden = set()
    for entry in entries:
        counts = {name: int(entry[name]) for name in HORIZON_COUNTS}
        steps = [abs(counts[name] - other[name]) for other in shown for name in counts]
        if any(0 < number < smallest for number in (*counts.values(), *steps)):
            hidden.add(entry["horizon"])
        else:
            shown.append(counts)
    return [
        {
            "horizon": horizon_words(entry["horizon"]),
            **{
                words: HIDDEN if entry["horizon"] in hidden else f"{int(entry[name]):,}"
                for name, words in HORIZON_COUNTS.items()
            },
        }
        for entry in sorted(entries, key=lambda entry: float(entry["horizon"]))
    ]


def attendance_flow(flow: Mapping[str, Any], smallest: int) -> Table:
    """Word, of an event asked at visits, how many had a status known by country; a small cell hides its row."""
    rows: Table = []
    for entry in flow.get("attendance", {}).get("by_country", ()):
        counts = {name: int(entry[name]) for name in ("known", "unknown")}
        small = any(0 < number < smallest for number in counts.values())
        rows.append(
            {
                "country": str(entry["country"]),
                **{name: HIDDEN if small else f"{n:,}" for name, n in counts.items()},
            }
        )
    if sum(HIDDEN in row.values() for row in rows) == 1:  # one hidden row would follow from the total
        rows = [{**row, "known": HIDDEN, "unknown": HIDDEN} for row in rows]
    return rows


def worded_steps(left: Sequence[int], smallest: int) -> tuple[list[str], list[str]]:
    """Word what each step removed and left.

    The removals and the last count are one table whose total, the first count, is published: a small removal is hidden
    together with enough others, and the counts between hidden steps are not shown.

    Args:
        left: what is left after each step, not increasing; the first is the start.
        smallest: the smallest count that may be shown; 0 shows all.

    Returns:
        What each step removed, and what it left, in words.
    """
    removals = [before - after for before, after in pairwise(left)]
    cells = [count for count in removals if count] + list(left[-1:])
    hidden = hidden_cells(np.array([[count] for count in cells], dtype=np.int64), smallest)
    of_cells = iter(hidden[:-1])
    hidden_removals = [bool(count) and bool(next(of_cells)) for count in removals]
    removed = [
        worded_count(0, smallest),
        *(HIDDEN if hide else f"{n:,}" for n, hide in zip(removals, hidden_removals, strict=True)),
    ]
    shown, unclear = [], False
    for step, count in enumerate(left):
        unclear = unclear or (step > 0 and hidden_removals[step - 1])
        last = step == len(left) - 1
        shown.append(HIDDEN if (bool(hidden[-1]) if last else unclear) else f"{count:,}")
    return removed, shown
