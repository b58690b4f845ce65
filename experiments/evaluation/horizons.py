"""Counts at several horizons: the events between two horizons follow from the counts at both."""

import polars as pl

KEYS = ("learner", "scheme", "repeat", "fold", "group", "subgroup")


def without_small_steps(metrics: pl.DataFrame, main: float, smallest_cell: int) -> pl.DataFrame:
    """Return the metrics with the number of events hidden where subtracting that of another horizon gives a small count.

    The main horizon's count stands. The others are gone through from the nearest to the farthest: one whose events
    differ from those of a horizon already shown by 1 to `smallest_cell` - 1 is set to null.

    Args:
        metrics: schema Metrics.
        main: the main horizon, in days.
        smallest_cell: the smallest count that may be published; 0 hides nothing.
    """
    if smallest_cell <= 0 or metrics["horizon"].n_unique() < 2:
        return metrics
    counts = metrics.select(*KEYS, "horizon", "events").unique(maintain_order=True).drop_nulls("events")
    hidden = []
    for key, own in counts.group_by(KEYS, maintain_order=True):
        shown: list[int] = []
        for horizon, events in own.sort((pl.col("horizon") - main).abs()).select("horizon", "events").rows():
            if any(0 < abs(events - other) < smallest_cell for other in shown):
                hidden.append((*key, horizon))
            else:
                shown.append(events)
    if not hidden:
        return metrics
    names = [*KEYS, "horizon"]
    marked = pl.DataFrame(
        hidden, schema={name: metrics.schema[name] for name in names}, orient="row"
    ).with_columns(hide=pl.lit(value=True))
    joined = metrics.join(marked, on=names, how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(events=pl.when(pl.col("hide").is_null()).then(pl.col("events"))).drop("hide")
