"""Whether an event's dates are the dates of visits: then it was asked at visits, and its own day is not known."""

import polars as pl

from features.errors import BadInput

FEWEST = 11  # events, below which nothing can be said of them
USUAL_LIMIT = 0.5  # share of events on visits' days; of exact dates a few per cent fall there by chance


def refuse_visit_dates(
    name: str, kind: str, events: pl.DataFrame, visits: pl.DataFrame, *, limit: float
) -> None:
    """Refuse an event most of whose dates fall exactly on the patient's own visits.

    Such an event lies somewhere between two visits. Taken as exact it would be late by months, and who missed the visit
    would count as free of it.

    Args:
        name: the outcome's name, for the message.
        kind: a kind of the events table; "stay", an admission, has dates of its own.
        events: schema Events.
        visits: schema Visits.
        limit: the share of events on visits' days above which they are refused.

    Raises:
        BadInput: more than that share of at least 11 events lies on such a day.
    """
    if kind == "stay":
        return
    own = events.filter(pl.col("kind") == kind).select("patient_id", pl.col("time").floor().alias("day"))
    days = visits.select("patient_id", pl.col("time").floor().alias("day")).unique()
    on_visits = own.join(days, on=["patient_id", "day"], how="semi").height
    if own.height < FEWEST or on_visits <= limit * own.height:
        return
    raise BadInput(
        f"outcomes.{name}.event: {on_visits / own.height:.0%} of the events {kind!r} lie exactly on a visit of their "
        "patient, as where relapse is asked at visits and only known to lie between two. Measure it at visits and declare "
        "an outcome of kind seen_at_visits, or sign it off with dates_are_exact: true."
    )
