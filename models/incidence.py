"""From hazards of several causes to absolute risks, by baselines that hold no patient's day."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.errors import BadTarget

Floats = NDArray[np.float64]

FEWEST_EVENTS = 11  # counts of 10 and fewer patients are never told


def interval_edges(
    time: Floats, event: NDArray[np.bool_], horizons: Sequence[float], *, most: int
) -> tuple[float, ...]:
    """Return the ends of intervals that start at 0, end at the last horizon and have every horizon among their ends.

    Each holds 11 events or more, unless fewer happened between two horizons. An end that is no horizon lies half-way between
    two observed times that follow each other, so that it is nobody's time.

    Args:
        time: shape (rows,), days to event or censoring.
        event: shape (rows,), whether any cause happened then.
        horizons: days, increasing.
        most: about so many intervals at most, beside the horizons.
    """
    observed, days = np.unique(time), np.sort(time[event & (time <= horizons[-1])])
    size = max(FEWEST_EVENTS, -(-len(days) // most))
    edges: list[float] = []
    for horizon in horizons:
        inside = days[days <= horizon]
        days = days[len(inside) :]
        done = 0
        while len(inside) - done >= 2 * size:
            last = inside[done + size - 1]
            done = int(np.searchsorted(inside, last, side="right"))
            if len(inside) - done < size:
                break
            following = observed[np.searchsorted(observed, last, side="right")]
            edges.append(float((last + following) / 2))
        edges.append(float(horizon))
    return tuple(edges)


def summed_jumps(day: Floats, jumps: Floats, edges: Sequence[float]) -> Floats:
    """Return the sum of jumps within each interval, shape (intervals,); later ones are left out."""
    place = np.searchsorted(edges, day, side="left")
    sums = np.bincount(place, weights=jumps, minlength=len(edges))[: len(edges)]
    return np.asarray(sums, dtype=np.float64)


def cumulative_incidence(
    edges: Sequence[float], hazards: Callable[[int], Floats], horizons: Sequence[float]
) -> Floats:
    """Return the risk of each cause by each horizon, shape (rows, causes, horizons).

    Within an interval the hazards of the causes keep their proportions, so of those still event-free a share of
    h_k / h * (1 - exp(-h)) has cause k in it, h being the sum over causes: risks and event-free survival sum to 1 (the
    cause-specific combination of Benichou and Gail 1990, doi 10.2307/2532098). Inside an interval the hazard is even.

    Args:
        edges: ends of the intervals, as of `interval_edges`.
        hazards: gives the cumulative hazard of each cause over one interval, shape (rows, causes), from its number.
        horizons: days above 0 and not after the last edge; others raise BadTarget.
    """
    outside = [horizon for horizon in horizons if not 0 < horizon <= edges[-1]]
    if outside:
        raise BadTarget(f"The model tells risks up to day {edges[-1]:g} after its index, not for {outside}.")
    found: dict[float, Floats] = {}
    start, free, reached = 0.0, np.ones(1), np.zeros((1, 1))
    for number, end in enumerate(edges):
        of_causes = hazards(number)
        total = of_causes.sum(axis=1)
        share = of_causes / np.where(total > 0, total, 1.0)[:, None]
        for horizon in {horizon for horizon in horizons if start < horizon < end}:
            part = -np.expm1(-total * (horizon - start) / (end - start))
            found[horizon] = reached + (free * part)[:, None] * share
        reached = reached + (free * -np.expm1(-total))[:, None] * share
        free = free * np.exp(-total)
        if end in horizons:
            found[end] = reached
        start = end
    return np.minimum(np.stack([found[horizon] for horizon in horizons], axis=2), 1.0)
