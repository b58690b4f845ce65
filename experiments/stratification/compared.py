"""Strata beside columns that they were never made of or tuned to, such as a diagnosis."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import hidden_in_linked_tables
from experiments.stratification.outcome_schemas import Compared
from experiments.stratification.responses import table
from models.columns import is_category

NOTE = "The strata were neither made of this column nor tuned to it; agreement with it is no aim, and disagreement no fault."
MOST_VALUES = 12  # of a number: beyond it, fifths of the patients
Integers = NDArray[np.int64]


def compared_table(columns: pl.DataFrame, assigned: Integers, *, smallest_cell: int) -> pl.DataFrame:
    """Return schema Compared: patients of each level in each stratum, shares of the stratum; small cells are suppressed.

    Args:
        columns: one row per patient.
        assigned: each patient's stratum, from 1, shape (n,).
        smallest_cell: 0 for public data.
    """
    found = []
    for column in columns.iter_columns():
        frame = pl.DataFrame({"level": levels_of(column), "stratum": assigned}).drop_nulls("level")
        counted = frame.group_by("level", "stratum").agg(n=pl.len().cast(pl.Int64))
        grid = frame.select(pl.col("level").unique()).join(
            pl.DataFrame({"stratum": np.unique(assigned)}), how="cross"
        )
        whole = grid.join(counted, on=["level", "stratum"], how="left").with_columns(pl.col("n").fill_null(0))
        shares = whole.with_columns(total=pl.col("n").sum().over("stratum")).with_columns(
            column=pl.lit(column.name),
            share=pl.when(pl.col("total") > 0).then(pl.col("n") / pl.col("total")),
        )
        found += shares.drop("total").sort("level", "stratum").to_dicts()
    shown = table(Compared, found)
    hidden = [_hidden(own, smallest_cell) for _, own in shown.group_by("column", maintain_order=True)]
    if hidden:
        mask = pl.Series(np.concatenate(hidden))
        shown = shown.with_columns(pl.when(~mask).then(pl.col(name)).alias(name) for name in ("n", "share"))
    return Compared.validate(shown, cast=True)


def _hidden(own: pl.DataFrame, smallest_cell: int) -> NDArray[np.bool_]:
    """Return which cells of one column's table are hidden: neither a level nor a stratum gives one away by its total."""
    grid = own["n"].to_numpy().reshape(own["level"].n_unique(), -1)
    whole = np.vstack([grid.sum(axis=0), grid])[:, :, None].astype(np.int64)
    present = np.ones(whole.shape[:2], dtype=np.bool_)
    return hidden_in_linked_tables(whole, present, smallest_cell)[1:].ravel()


def agreement(columns: pl.DataFrame, assigned: Integers, *, smallest_cell: int) -> list[dict[str, Any]]:
    """Return the mutual information of strata and each column, adjusted for chance (Vinh 2010, JMLR 11), with its note.

    0 is what independent labels give, 1 complete agreement; over the patients with a value. Where small cells are suppressed
    it has two digits: more of them would tell a hidden cell of a small table.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    found = []
    for column in columns.iter_columns():
        levels = levels_of(column)
        known = levels.is_not_null().to_numpy()
        shared = (
            adjusted_mutual_info_score(levels.drop_nulls().to_list(), assigned[known])
            if known.any()
            else None
        )
        figure = None if shared is None else round(float(shared), 2 if smallest_cell else 6)
        found.append({"column": column.name, "adjusted_mutual_information": figure, "note": NOTE})
    return found


def levels_of(column: pl.Series) -> pl.Series:
    """Return a column's levels as text; a number of more than 12 values is cut into fifths."""
    if is_category(column.dtype) or column.dtype == pl.Boolean:
        return column.cast(pl.String)
    values = column.cast(pl.Float64).fill_nan(None)
    if values.drop_nulls().n_unique() <= MOST_VALUES:
        return values.cast(pl.String)
    cuts: Sequence[float] = sorted({float(values.quantile(share) or 0.0) for share in (0.2, 0.4, 0.6, 0.8)})
    known = values.to_numpy().astype(np.float64)
    place = np.searchsorted(cuts, known, side="left")
    names = [f"fifth {number + 1}" for number in place]
    return pl.Series(
        column.name, [None if np.isnan(value) else name for value, name in zip(known, names, strict=True)]
    )
