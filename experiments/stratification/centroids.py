"""Strata of two cohorts side by side: which is which, and how much alike their mean profiles are."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.columns import is_category

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST_COLUMNS = 3  # a correlation over two columns is 1 or -1


@dataclass(frozen=True)
class Matched:
    """The strata of one division matched one to one with those of another.

    Attributes:
        partner: for each stratum of the first, the stratum of the second, shape (k,).
        correlation: of all cells (stratum, column) of the matched profiles; None where they do not vary.
        each: of each stratum of the first over its columns; None with fewer than three columns.
    """

    partner: Integers
    correlation: float | None
    each: tuple[float | None, ...]


def profiles(seen: pl.DataFrame, labels: Integers, k: int, levels: pl.DataFrame | None = None) -> Floats:
    """Return each stratum's mean of the standardised columns, shape (k, columns); NaN where a stratum has no value.

    Standardised among the given patients themselves: what is compared is how a stratum differs from the others of its own
    cohort, not how the cohorts differ. A category gives a column for each of its levels.

    Args:
        seen: columns as the clusterer saw them, one row per patient.
        labels: shape (patients,), 0 to k - 1.
        k: number of strata.
        levels: another cohort's columns, whose levels of categories count too.
    """
    values = np.column_stack([_numbers(seen, name, levels) for name in sorted(seen.columns)])
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count)
    scores = np.where(known, (values - mean) / np.where(spread > 0, spread, 1.0), 0.0)
    members = (labels[:, None] == np.arange(k)).astype(np.float64)
    counts = members.T @ known
    empty = np.full((k, values.shape[1]), np.nan)
    return np.asarray(np.divide(members.T @ scores, counts, out=empty, where=counts > 0), dtype=np.float64)


def match_profiles(first: Floats, second: Floats) -> Matched:
    """Return the matching of least squared distance (Kuhn 1955, doi 10.1002/nav.3800020109) and the correlations within it.

    One correlation over all strata and columns decides, not the least of them: the profile of a stratum between two others is
    that of everybody, so its own correlation is chance.

    Args:
        first: shape (k, columns).
        second: of the other cohort, the same shape.
    """
    gap = np.nan_to_num(first[:, None, :] - second[None, :, :])
    partner = np.asarray(linear_sum_assignment((gap**2).sum(axis=2))[1], dtype=np.int64)
    ordered = second[partner]
    wide = first.shape[1] >= FEWEST_COLUMNS
    each = tuple(correlation(one, other) if wide else None for one, other in zip(first, ordered, strict=True))
    return Matched(partner, correlation(first.ravel(), ordered.ravel()), each)


def correlation(first: Floats, second: Floats) -> float | None:
    """Return Pearson's correlation of the pairs that are both known, or None where one of them does not vary."""
    known = ~(np.isnan(first) | np.isnan(second))
    one, other = first[known], second[known]
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.clip(np.corrcoef(one, other)[0, 1], -1.0, 1.0))


def _numbers(seen: pl.DataFrame, name: str, levels: pl.DataFrame | None) -> Floats:
    column = seen[name]
    if not is_category(column.dtype):
        return column.cast(pl.Float64).fill_null(np.nan).to_numpy()[:, None].astype(np.float64)
    both = (
        [column.cast(pl.String)] if levels is None else [column.cast(pl.String), levels[name].cast(pl.String)]
    )
    found = sorted(pl.concat(both).drop_nulls().unique())
    text = column.cast(pl.String)
    marks = [(text == level).cast(pl.Float64).fill_null(np.nan).to_numpy() for level in found]
    return np.column_stack(marks) if marks else np.full((len(column), 1), np.nan)
