"""Rows per person and interval of time: what a discrete-time model of hazards learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.risk_sets import RiskSets

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class PersonPeriods:
    """One entry per row and interval that it was at risk in; all arrays have shape (periods,).

    Attributes:
        row: position of the row.
        interval: number of the interval.
        cause: what happened in it; 0 nothing.
        weight: 1, or for who was censored within the interval the share of its hazard that was lived through, so that the
            censored neither vanish from the risk set nor count as if they had been followed to its end.
    """

    row: Integers
    interval: Integers
    cause: Integers
    weight: Floats

    def rates(self, causes: Sequence[int], intervals: int) -> Floats:
        """Return the share of each interval's periods in which each cause happened, shape (causes, intervals)."""
        at_risk = np.bincount(self.interval, weights=self.weight, minlength=intervals)
        happened = [np.bincount(self.interval[self.cause == cause], minlength=intervals) for cause in causes]
        found = np.asarray(happened, dtype=np.float64).reshape(len(causes), intervals)
        return np.asarray(found / np.maximum(at_risk, 1.0), dtype=np.float64)


def person_periods(time: Floats, cause: Integers, edges: Sequence[float]) -> PersonPeriods:
    """Return the periods of rows with the given times and causes, shape (rows,), in intervals that end at `edges`."""
    ends = np.asarray(edges, dtype=np.float64)
    last = np.searchsorted(ends, time, side="left")
    counts = np.minimum(last + 1, len(ends))
    row = np.repeat(np.arange(len(time), dtype=np.int64), counts)
    interval = np.arange(len(row), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    ending = interval == last[row]
    happened = np.where(ending, cause[row], 0)
    part = _lived_share(time, cause, ends)
    weight = np.where(ending & (happened == 0), part[row], 1.0)
    kept = weight > 0
    return PersonPeriods(row[kept], interval[kept], happened[kept], weight[kept])


def _lived_share(time: Floats, cause: Integers, ends: Floats) -> Floats:
    """Return which share of its last interval's hazard each row lived through, shape (rows,), by Nelson-Aalen of all causes."""
    sets = RiskSets.of(time, cause > 0)
    summed = np.concatenate([[0.0], np.cumsum(sets.jumps(np.zeros(len(time))))])
    place = np.minimum(np.searchsorted(ends, time, side="left"), len(ends) - 1)
    starts = np.concatenate([[-1.0], ends[:-1]])

    def reached(day: Floats) -> Floats:
        return np.asarray(summed[np.searchsorted(sets.day, day, side="right")], dtype=np.float64)

    lived = reached(np.minimum(time, ends[place])) - reached(starts[place])
    whole = reached(ends[place]) - reached(starts[place])
    share = np.where(whole > 0, lived / np.where(whole > 0, whole, 1.0), 0.0)
    return np.where(time >= ends[place], 1.0, share)
