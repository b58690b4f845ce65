"""Suppression of small cells: no published count is small, and none follows from totals by subtraction."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

SUPPRESSED = "suppressed: a small cell, or one that would give a small cell away"


def smallest_published(level: str, smallest_cell: int) -> int:
    """Return the smallest count that may be published: `smallest_cell` when restricted, 0 when the data are public."""
    return 0 if level == "public" else smallest_cell


def hidden_cells(
    counts: NDArray[np.int64], smallest_cell: int, already: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return which cells of one table whose total is published must be hidden.

    A cell is hidden where any of its counts is below `smallest_cell`. Further cells, the smallest first, are hidden
    until there are at least two and each kind of count adds up to `smallest_cell` among them, so that subtracting the
    published cells from the total gives neither a cell nor a small sum (complementary suppression; Hundepool et al.,
    Statistical Disclosure Control, 2012, chapter 4).

    Args:
        counts: shape (cells, kinds), for example patients, events and non-events of each cell.
        smallest_cell: the smallest count that may be published.
        already: cells that are hidden for another reason, shape (cells,).

    Returns:
        Shape (cells,).
    """
    hidden = np.asarray((counts < smallest_cell).any(axis=1), dtype=np.bool_)
    if already is not None:
        hidden |= already
    by_size = [int(cell) for cell in np.argsort(counts[:, 0], kind="stable")] if len(counts) else []
    while hidden.any() and not hidden.all():
        if hidden.sum() > 1 and (counts[hidden].sum(axis=0) >= smallest_cell).all():
            break
        hidden[next(cell for cell in by_size if not hidden[cell])] = True
    return hidden


def hidden_in_linked_tables(
    counts: NDArray[np.int64], present: NDArray[np.bool_], smallest_cell: int
) -> NDArray[np.bool_]:
    """Return which cells must be hidden where a table and the same table of each part of the patients are published.

    A cell of one part is the cell of all less those of the other parts: so each column is a table too, and cells are
    hidden until neither a row nor a column gives one away.

    Args:
        counts: shape (1 + parts, cells, kinds): the table of all first.
        present: whether a part has a cell at all, shape (1 + parts, cells); what is not there is not published.
        smallest_cell: the smallest count that may be published; 0 hides nothing.

    Returns:
        Shape (1 + parts, cells).
    """
    hidden = np.zeros(present.shape, dtype=np.bool_)
    if smallest_cell <= 0:
        return hidden
    while True:
        before = hidden.copy()
        for row, there in enumerate(present):
            hidden[row, there] = hidden_cells(counts[row, there], smallest_cell, hidden[row, there])
        for column, there in enumerate(present.T):
            own = hidden_cells(counts[there, column], smallest_cell, hidden[there, column])
            hidden[there, column] = own
        if (hidden == before).all():
            return hidden


def suppress_counts(
    frame: pl.DataFrame,
    *,
    counts: Sequence[str],
    smallest_cell: int,
    within: Sequence[str] = (),
    blank: Sequence[str] = (),
    note: str | None = None,
) -> pl.DataFrame:
    """Return the frame with the counts and figures of small cells set to null.

    Args:
        frame: one row per cell; a count that is null is treated as hidden already, as 0.
        counts: the columns that are counts; the first decides which cell is hidden beside a small one.
        smallest_cell: the smallest count that may be published; 0 suppresses nothing.
        within: columns that name the table a row belongs to; each table's total is taken as published.
        blank: further columns to set to null in hidden rows, such as the estimate and its bounds.
        note: a text column that says why a figure is missing.
    """
    if smallest_cell <= 0 or frame.is_empty():
        return frame
    tables = (
        frame.select(pl.struct(within).rank("dense")).to_series().to_numpy()
        if within
        else np.zeros(frame.height, dtype=np.int64)
    )
    values = frame.select(pl.col(counts).fill_null(0).cast(pl.Int64)).to_numpy()
    hidden = np.zeros(frame.height, dtype=np.bool_)
    for table in np.unique(tables):
        rows = np.flatnonzero(tables == table)
        hidden[rows] = hidden_cells(values[rows], smallest_cell)
    mask = pl.lit(pl.Series(hidden))
    changed = [pl.when(mask).then(None).otherwise(pl.col(name)).alias(name) for name in (*counts, *blank)]
    if note is not None:
        changed.append(pl.when(mask).then(pl.lit(SUPPRESSED)).otherwise(pl.col(note)).alias(note))
    return frame.with_columns(changed)
