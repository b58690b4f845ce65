"""Monte-Carlo intervals and tables of the validity ledger."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def share_bounds(held: Floats) -> tuple[float, float]:
    """Return the 95 % Monte-Carlo interval of a mean of runs: Wilson's for yes and no, else by t."""
    runs = len(held)
    if set(np.unique(held)) <= {0.0, 1.0}:
        found = stats.binomtest(int(held.sum()), runs).proportion_ci(method="wilson")
        return float(found.low), float(found.high)
    return mean_bounds(held)


def mean_bounds(values: Floats) -> tuple[float, float]:
    """Return the 95 % Monte-Carlo interval of a mean over runs (t)."""
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def mean_text(values: Sequence[float] | Floats, digits: int = 3) -> str:
    """Word a mean over runs with its Monte-Carlo interval; runs without a figure are left out."""
    seen = np.asarray(values, dtype=np.float64)
    seen = seen[np.isfinite(seen)]
    if len(seen) < 2:
        return "not estimable"
    lower, upper = mean_bounds(seen)
    return f"{seen.mean():.{digits}f} [{lower:.{digits}f}, {upper:.{digits}f}]"


def share_text(held: Sequence[bool] | Floats) -> str:
    """Word a share of runs with Wilson's interval."""
    seen = np.asarray(held, dtype=np.float64)
    lower, upper = share_bounds(seen)
    return f"{int(seen.sum())} of {len(seen)} [{lower:.3f}, {upper:.3f}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
