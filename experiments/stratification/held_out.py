"""Means and shares of held-out columns by stratum: as assigned, and corrected for class uncertainty by BCH and by ML."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import suppress_counts
from experiments.stratification.outcome_cells import untold_sizes
from experiments.stratification.outcome_schemas import HeldOut
from experiments.stratification.outcomes import NORMAL, SIGNED, TOLD_APART
from experiments.stratification.related_cohort import RelatedCohort
from experiments.stratification.responses import Response, Row, table
from experiments.stratification.uncertainty import Classified, mean_influence, mixed_means, weighted_means

Floats = NDArray[np.float64]

CELLS = ("with", "without")  # patients with the level (or a 1) and without; of a number those with a value
UNTOLD = "patients are not told: the number without a value is small"
DECIMALS = 2  # of a share whose patients are not told: more would tell them
ML_NOTE = "no proper maximum of the likelihood"


def held_out_table(cohort: RelatedCohort, responses: Sequence[Response], smallest_cell: int) -> pl.DataFrame:
    """Return schemas.HeldOut; figures of small cells are suppressed.

    Args:
        cohort: all patients.
        responses: held-out columns.
        smallest_cell: the smallest count that may be published; 0 suppresses nothing.
    """
    rows = [row for response in responses for row in _rows(cohort, response)]
    inner = (*CELLS, "known", "binary")
    frame = table(HeldOut, [{name: row[name] for name in row if name not in inner} for row in rows])
    if not rows:
        return frame
    counted = frame.with_columns(
        pl.Series(name, [row[name] for row in rows], dtype=pl.Int64) for name in CELLS
    )
    untold = _untold(cohort, rows, smallest_cell)
    shown = suppress_counts(
        counted,
        counts=["n", *CELLS],
        smallest_cell=smallest_cell,
        within=["column", "level", "correction"],
        blank=["estimate", "lower", "upper"],
        note="note",
    )
    blurred = untold & pl.Series([row["binary"] for row in rows])
    told = shown.drop(CELLS).with_columns(
        pl.when(pl.lit(untold)).then(None).otherwise(pl.col("n")).alias("n"),
        pl.when(pl.lit(untold))
        .then(pl.col("note").fill_null(UNTOLD))
        .otherwise(pl.col("note"))
        .alias("note"),
        *(
            pl.when(pl.lit(blurred)).then(pl.col(name).round(DECIMALS)).otherwise(pl.col(name)).alias(name)
            for name in ("estimate", "lower", "upper")
        ),
    )
    return HeldOut.validate(told, cast=True)


def _untold(cohort: RelatedCohort, rows: Sequence[Row], smallest_cell: int) -> pl.Series:
    """Return the rows whose number of patients must not be told; all strata of a figure stand one after the other."""
    k = cohort.classified.k
    sizes = np.bincount(cohort.classified.assigned, minlength=k)
    known = np.array([row["known"] for row in rows], dtype=np.int64).reshape(-1, k)
    found = [untold_sizes(own, sizes, smallest_cell) for own in known]
    return pl.Series(np.concatenate(found))


def _rows(cohort: RelatedCohort, response: Response) -> list[Row]:
    classified = cohort.classified.take(response.rows)
    binary = response.model == "logistic"
    inside = response.cause == 1 if binary and response.level else np.ones(len(response.rows), dtype=np.bool_)
    n = np.bincount(classified.assigned[inside], minlength=classified.k)
    whole = np.bincount(classified.assigned, minlength=classified.k)
    at = np.bincount(classified.assigned[response.cause == 1], minlength=classified.k)
    found: list[Row] = []
    for correction in ("none", "bch", "ml"):
        figures, note = _figures(response, classified, correction, binary=binary)
        found += [
            {
                "column": response.name,
                "level": response.level,
                "correction": correction,
                "stratum": stratum + 1,
                "n": int(n[stratum]),
                "with": int(at[stratum]),
                "known": int(whole[stratum]),
                "binary": binary,
                "without": int(whole[stratum] - at[stratum]) if binary else int(whole[stratum]),
                "note": note,
                **(
                    dict(zip(("estimate", "lower", "upper"), figures[stratum], strict=True))
                    if figures
                    else {}
                ),
            }
            for stratum in range(classified.k)
        ]
    return found


def _figures(
    response: Response, classified: Classified, correction: str, *, binary: bool
) -> tuple[list[tuple[float | None, float | None, float | None]], str | None]:
    """Return estimate and bounds of each stratum, and a note; no figures where there are none."""
    if correction == "ml":
        mixed = mixed_means(response.value, classified, binary=binary)
        if mixed is None:
            return [], ML_NOTE
        ends = np.stack([mixed.scaled - NORMAL * mixed.errors, mixed.scaled + NORMAL * mixed.errors])
        lower, upper = 1 / (1 + np.exp(-ends)) if binary else ends
        return _known(mixed.means, lower, upper), None
    if correction == "bch" and not classified.correctable:
        return [], TOLD_APART
    weights = classified.weights() if correction == "bch" else classified.naive_weights()
    means = weighted_means(response.value, weights)
    moved = mean_influence(response.value, classified, weights, means)
    width = NORMAL * np.sqrt((moved**2).sum(axis=0))
    ends = np.stack([means, means - width, means + width])
    known = np.clip(ends, 0.0, 1.0) if binary else ends
    return _known(*known), SIGNED if correction == "bch" and binary else None


def _known(*figures: Floats) -> list[tuple[float | None, float | None, float | None]]:
    rows = np.stack(figures, axis=1).tolist()
    return [tuple(value if np.isfinite(value) else None for value in row) for row in rows]  # type: ignore[misc]
