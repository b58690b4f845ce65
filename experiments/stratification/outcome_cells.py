"""What of outcomes by stratum may be shown: small cells, and curves of which no point is a patient's day."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells
from experiments.stratification.outcomes import aalen_johansen
from experiments.stratification.responses import Response, Row
from experiments.stratification.uncertainty import Classified
from models.incidence import interval_edges

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

SUPPRESSED = "suppressed: a small cell, or one that would give a small cell away"


def assigned_counts(response: Response, classified: Classified, horizon: float) -> Integers:
    """Return patients, those with the event by the horizon, and the others, by assigned stratum, shape (k, 3)."""
    inside = response.cause == 1
    if response.kind == "time" and horizon > 0:
        inside = inside & (response.value <= horizon)
    n = np.bincount(classified.assigned, minlength=classified.k)
    events = np.bincount(classified.assigned[inside], minlength=classified.k)
    return np.stack([n, events, n - events], axis=1).astype(np.int64)


def untold_sizes(known: Integers, sizes: Integers, smallest_cell: int) -> Flags:
    """Return which strata's numbers of patients with a value must not be told, shape (k,).

    The strata's sizes stand elsewhere: less the patients with a value they are those without, and these may be few.

    Args:
        known: patients of each stratum with a value, shape (k,).
        sizes: patients of each stratum, shape (k,).
        smallest_cell: the smallest count that may be published; 0 hides nothing.
    """
    lacking = sizes - known
    few = (lacking > 0) & (lacking < smallest_cell)
    return hidden_cells(lacking[:, None], smallest_cell) if few.any() else few


def hidden_strata(response: Response, classified: Classified, smallest_cell: int) -> dict[float, Flags]:
    """Return which strata must be hidden at each horizon, and at 0 (a label, or the whole follow-up as at the last horizon).

    From the last horizon to the first: where events of a horizon, or those between it and the next that is shown, are few.
    """
    steps = sorted(response.horizons, reverse=True) or [0.0]
    found: dict[float, Flags] = {}
    later: Integers | None = None
    for step in steps:
        counts = assigned_counts(response, classified, step)
        few = np.zeros(classified.k, dtype=np.bool_)
        if later is not None:
            between = later - counts[:, 1]
            few = (between > 0) & (between < smallest_cell)
        found[step] = hidden_cells(counts, smallest_cell, few) if smallest_cell > 0 else few & False
        later = counts[:, 1] if later is None else np.where(found[step], later, counts[:, 1])
    return found | {0.0: found[steps[0]]}


def hidden_competing(response: Response, classified: Classified, horizon: float, smallest_cell: int) -> Flags:
    """Return which strata had so few competing events by a horizon that their incidence would give the number away."""
    inside = (response.cause > 1) & (response.value <= horizon)
    counts = np.bincount(classified.assigned[inside], minlength=classified.k)
    return np.asarray(
        hidden_cells(counts[:, None].astype(np.int64), smallest_cell) & counts.any(), dtype=np.bool_
    )


def drawn_curves(
    response: Response, classified: Classified, weights: Floats, hidden: Flags, hidden_others: Flags
) -> list[Row]:
    """Return points of the curves, rows of schema Curves: at ends of intervals with 11 events or more, and never falling.

    Args:
        response: an outcome in time.
        classified: of its patients.
        weights: shape (n, k).
        hidden: strata that are not drawn.
        hidden_others: strata whose competing events are not.
    """
    steps = aalen_johansen(response.value, response.cause, weights)
    found: list[Row] = []
    for stratum in range(classified.k):
        own = classified.assigned == stratum
        if hidden[stratum] or not own.any():
            continue
        edges = interval_edges(response.value[own], response.cause[own] > 0, response.horizons, most=24)
        event, competing, _ = (
            np.stack([figure[stratum] for figure in figures])
            for figures in zip(*(steps.at(day) for day in edges), strict=True)
        )
        points = zip(
            (0.0, *edges), [0.0, *never_falling(event)], [0.0, *never_falling(competing)], strict=True
        )
        found += [
            {
                "outcome": response.name,
                "stratum": stratum + 1,
                "day": day,
                "event": one,
                "competing": None if hidden_others[stratum] else other,
            }
            for day, one, other in points
        ]
    return found


def never_falling(values: Sequence[float] | Floats) -> list[float]:
    """Return the nearest values that never fall (pool adjacent violators), within 0 and 1."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    return [min(max(mean, 0.0), 1.0) for mean, size in blocks for _ in range(size)]
