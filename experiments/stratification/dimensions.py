"""Continuous scores of the same columns: what later stages use where there are no strata, and what strata must add to."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.schemas import Dimensions, Loadings
from models.columns import is_category
from models.strata_model import StrataModel

Floats = NDArray[np.float64]


def dimensions(rows: pl.DataFrame, X: pl.DataFrame, model: StrataModel) -> pl.DataFrame:
    """Return schemas.Dimensions: the points' coordinates, each brought to mean 0 and standard deviation 1.

    Args:
        rows: prediction_id, one row per patient.
        X: their columns, in the same order.
        model: whose representation is used; it is the same for every number of strata.
    """
    scores = standardised(model.points(X))
    count = scores.shape[1]
    frame = pl.DataFrame(
        {
            "prediction_id": np.repeat(rows["prediction_id"].to_numpy(), count),
            "dimension": np.tile(np.arange(1, count + 1), len(rows)),
            "score": scores.ravel(),
        }
    )
    return Dimensions.validate(frame.sort("prediction_id", "dimension"), cast=True)


def loadings(X: pl.DataFrame, model: StrataModel) -> pl.DataFrame:
    """Return schemas.Loadings: the correlation of every adjusted column of numbers with every dimension, where it is known.

    Where categories make the points, their levels are the columns.
    """
    seen, scores = model.adjusted(X), standardised(model.points(X))
    representation = model.representation
    if representation.answers is None:
        names = sorted(name for name in seen.columns if not is_category(seen.schema[name]))
        seen = seen.select(pl.col(names).cast(pl.Float64))
    else:
        seen = representation.numbers(seen)
    parts = []
    for name in sorted(seen.columns):
        values = seen[name].fill_null(np.nan).to_numpy()
        known = ~np.isnan(values)
        column = standardised(values[known, None])
        correlation = (column.T @ standardised(scores[known]) / max(known.sum(), 1)).ravel()
        parts.append(
            pl.DataFrame(
                {
                    "dimension": np.arange(1, scores.shape[1] + 1),
                    "column": [name] * scores.shape[1],
                    "loading": np.clip(np.round(correlation, 6), -1, 1),
                }
            )
        )
    return Loadings.validate(pl.concat(parts).sort("dimension", "column"), cast=True)


def standardised(values: Floats) -> Floats:
    """Return columns of mean 0 and standard deviation 1; a constant column is 0, no row gives no row."""
    if not len(values):
        return values
    spread = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0), dtype=np.float64)
