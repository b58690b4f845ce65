"""Flow charts on cards: every exclusion counted, and no small count to be had by subtraction."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from experiments.disclosure import hidden_cells

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
