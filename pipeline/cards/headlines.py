"""The rungs of the validation ladder, and the one figure of each that is read first."""

import polars as pl

from pipeline.cards.flow import Table
from pipeline.cards.wording import INTERVALS, SCHEMES, interval, number
from pipeline.settings.study import Study


def rungs_of(study: Study, metrics: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Return the figures of each rung of the validation ladder, in the study's order, with its name.

    A country left out is a rung of its own: two directions are not a sample of countries, so none is combined.
    """
    everybody = metrics.filter(pl.col("subgroup").is_null())
    rungs = []
    for scheme, settings in study.validation.items():
        rows = everybody.filter(pl.col("scheme") == scheme)
        if settings.kind == "leave_country_out":
            by_country = rows.filter(pl.col("group").is_not_null())
            for country in by_country["group"].unique(maintain_order=True):
                rungs.append(
                    (f"{SCHEMES[settings.kind]}: {country}", by_country.filter(pl.col("group") == country))
                )
        else:
            combined = rows.filter(pl.col("fold").is_null() & pl.col("group").is_null())
            rungs.append((SCHEMES[settings.kind], combined))
    return [(name, rows) for name, rows in rungs if rows.height]


def headlines(study: Study, metrics: pl.DataFrame, *, digits: int = 3) -> Table:
    """Word the AUROC of one cell on each rung of the ladder, with its interval and what that is of."""
    rows = []
    for rung, figures in rungs_of(study, metrics):
        for row in figures.filter(pl.col("metric") == "auroc").iter_rows(named=True):
            rows.append(
                {
                    "validation": rung,
                    "estimate": number(row["estimate"], digits=digits),
                    "interval": interval(row["lower"], row["upper"], digits=digits) or "no interval",
                    "interval is of": INTERVALS[row["interval_kind"]],
                    "note": row["note"] or "",
                }
            )
    return rows
