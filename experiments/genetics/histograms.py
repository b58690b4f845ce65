"""Counts by interval, without intervals of few patients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells

Floats = NDArray[np.float64]
FEWEST = 3  # smallest cells that an interval holds on average, so that most of them are told


@dataclass(frozen=True)
class Histogram:
    """Counts by interval.

    Attributes:
        edges: shape (intervals + 1,).
        counts: shape (intervals,); intervals that are not told are 0.
        hidden: how many intervals with anybody in them are not told.
    """

    edges: Floats
    counts: NDArray[np.int64]
    hidden: int


def told_histogram(values: Floats, *, intervals: int, smallest_cell: int) -> Histogram | None:
    """Return counts of finite values by interval between their 1st and 99th percentile; None where nobody is told.

    Those beyond the percentiles count in the outermost intervals, so that no edge is one patient's value.

    Args:
        values: one per patient or sample.
        intervals: their number at most; fewer patients have fewer.
        smallest_cell: intervals with fewer are left out, and others with which they could be told; 0 leaves none out.
    """
    finite = values[np.isfinite(values)]
    if len(finite) < max(smallest_cell, 1):
        return None
    if smallest_cell:
        intervals = min(intervals, max(1, len(finite) // (FEWEST * smallest_cell)))
    edges = _edges(finite, intervals, smallest_cell)
    counts = np.histogram(np.clip(finite, edges[0], edges[-1]), edges)[0].astype(np.int64)
    there = np.flatnonzero(counts)
    hidden = there[hidden_cells(counts[there, None], smallest_cell)] if smallest_cell else there[:0]
    counts[hidden] = 0
    return Histogram(edges, counts, len(hidden)) if counts.any() else None


def _edges(values: Floats, intervals: int, smallest_cell: int) -> Floats:
    low, high = np.quantile(values, [0.01, 0.99]) if smallest_cell else (values.min(), values.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    # Round numbers of three digits, so that an edge is nobody's value.
    step = float(f"{(high - low) / intervals:.1e}") or 1.0
    first = np.floor(low / step) * step
    return np.asarray(first + step * np.arange(int(np.ceil((high - first) / step)) + 1), dtype=np.float64)
