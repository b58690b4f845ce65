"""Who is at risk when an event happens: the denominators of Cox's partial likelihood and of its baseline hazard."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class RiskSets:
    """Rows in the order of their times, and the events among them; ties are Efron's (1977, doi 10.1080/01621459.1977.10480613).

    Of d events on one day the l-th (l from 0) sees the risk set without l/d of those d. "Place" counts distinct event days.

    Attributes:
        order: shape (n,), position of each sorted row in the data; every other array follows the sorted rows.
        happened: shape (n,), whether the row has the event.
        starts: shape (days,), the first sorted row still at risk on each event day.
        lived: shape (n,), how many event days each row saw, its last day included.
        place: shape (events,), the event day of each event.
        share: shape (events,), l/d.
        day: shape (events,), its time.
    """

    order: Integers
    happened: NDArray[np.bool_]
    starts: Integers
    lived: Integers
    place: Integers
    share: Floats
    day: Floats

    @classmethod
    def of(cls, time: Floats, event: NDArray[np.bool_]) -> Self:
        """Sort rows of the given times, shape (n,), with the event or without, shape (n,)."""
        order = np.argsort(time, kind="stable")
        sorted_time, happened = time[order], event[order]
        day = sorted_time[happened]
        days, place, ties = np.unique(day, return_inverse=True, return_counts=True)
        first = np.cumsum(ties) - ties
        return cls(
            order=order,
            happened=happened,
            starts=np.searchsorted(sorted_time, days, side="left"),
            lived=np.searchsorted(days, sorted_time, side="right"),
            place=place,
            share=(np.arange(len(day)) - first[place]) / ties[place],
            day=day,
        )

    def at_risk(self, amounts: Floats) -> Floats:
        """Return sums over each event's risk set, ties as Efron's, of amounts per sorted row, shape (n,) or (n, columns)."""
        if not len(self.place):
            return np.zeros((0, *amounts.shape[1:]))
        between = np.add.reduceat(amounts, self.starts, axis=0)
        sums = np.cumsum(between[::-1], axis=0)[::-1]
        first = np.searchsorted(self.place, np.arange(len(self.starts)))
        tied = np.add.reduceat(amounts[self.happened], first, axis=0)
        share = self.share.reshape(-1, *[1] * (amounts.ndim - 1))
        return np.asarray(sums[self.place] - share * tied[self.place], dtype=np.float64)

    def collected(self, amounts: Floats) -> Floats:
        """Return the sum over the events that each sorted row was at risk of, of amounts per event; both 1-dimensional."""
        days = len(self.starts)
        whole = np.concatenate([[0.0], np.cumsum(np.bincount(self.place, weights=amounts, minlength=days))])
        sums = whole[self.lived]
        own = np.bincount(self.place, weights=self.share * amounts, minlength=days)
        sums[self.happened] -= own[self.place]
        return np.asarray(sums, dtype=np.float64)

    def jumps(self, log_hazard: Floats) -> Floats:
        """Return the baseline hazard's jump at each event, shape (events,), given log hazards of rows as they came, (n,)."""
        top = float(log_hazard.max(initial=0.0))
        return np.asarray(np.exp(-top) / self.at_risk(np.exp(log_hazard[self.order] - top)), dtype=np.float64)
