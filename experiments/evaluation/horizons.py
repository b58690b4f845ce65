"""Counts at several horizons: the events between two horizons follow from the counts at both."""

import polars as pl

KEYS = ("learner", "scheme", "repeat", "fold", "group", "subgroup")


def hidden_steps(metrics: pl.DataFrame, main: float, smallest_cell: int) -> pl.DataFrame:
    """Return where the number of events may not be published, as subtracting that of another horizon gives a small count.

    The main horizon's count stands. The others are gone through from the nearest to the farthest: one whose events
    differ from those of a horizon already shown by 1 to `smallest_cell` - 1 is hidden. Where one fold or left-out group is
    hidden at a horizon, all of its scheme are: its count would follow from theirs and the total.

    Args:
        metrics: schema Metrics.
        main: the main horizon, in days.
        smallest_cell: the smallest count that may be published; 0 hides nothing.

    Returns:
        One row per hidden combination of learner, scheme, repeat, fold, group, subgroup and horizon.
    """
    names = [*KEYS, "horizon"]
    hidden: list[tuple[object, ...]] = []
    counts = metrics.select(*names, "events").unique(maintain_order=True).drop_nulls("events")
    for key, own in counts.group_by(KEYS, maintain_order=True) if smallest_cell > 0 else ():
        shown: list[int] = []
        for horizon, events in own.sort((pl.col("horizon") - main).abs()).select("horizon", "events").rows():
            if any(0 < abs(events - other) < smallest_cell for other in shown):
                hidden.append((*key, horizon))
            else:
                shown.append(events)
    found = pl.DataFrame(hidden, schema={name: metrics.schema[name] for name in names}, orient="row")
    of_folds = pl.col("fold").is_not_null()
    beside = (
        counts.filter(of_folds)
        .join(found.filter(of_folds), on=["learner", "scheme", "horizon"], how="semi", maintain_order="left")
        .select(names)
    )
    return pl.concat([found, beside]).unique(maintain_order=True)


def without_small_steps(metrics: pl.DataFrame, hidden: pl.DataFrame) -> pl.DataFrame:
    """Return the metrics with the number of events set to null where it is hidden; the estimates stay."""
    marked = hidden.with_columns(hide=pl.lit(value=True))
    joined = metrics.join(marked, on=hidden.columns, how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(events=pl.when(pl.col("hide").is_null()).then(pl.col("events"))).drop("hide")


def without_hidden_curves(curves: pl.DataFrame, hidden: pl.DataFrame) -> pl.DataFrame:
    """Return the curves without those of a scheme and horizon whose events are hidden: treating everybody tells them."""
    whole = hidden.filter(pl.col("fold").is_null() & pl.col("subgroup").is_null())
    return curves.join(whole, on=["learner", "scheme", "horizon"], how="anti", maintain_order="left")
