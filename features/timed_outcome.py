"""The time from each prediction to an event, to what competes with it, or to the end of follow-up.

A prediction is eligible when the patient is at risk and followed: not in hospital, no episode of the event is open, none
began within the wash-out, and follow-up goes on after it. The first event or competing event ends the time at risk; else
follow-up does, and the patient is censored there, never counted as event-free beyond it. An event and a competing event of
one day count as the event. Follow-up lasts to the end of its last day, as a prediction is made at the end of its own: who
was followed for exactly the horizon is known to be without the event.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from features.errors import BadInput
from features.follow_up import earliest, event_episodes, first_after, in_hospital, stay_episodes
from features.prediction_times import END_OF_DAY
from features.visit_dates import USUAL_LIMIT, refuse_visit_dates

OPEN = "an episode of the event is open at the prediction time"
SAME_EPISODE = "the stay goes on elsewhere: a transfer, not a discharge"
IN_HOSPITAL = "in hospital at the prediction time"
WASHOUT = "an event within the wash-out"
ENDED = "an event that competes lies at or before the prediction time"
NOT_FOLLOWED = "follow-up ends at or before the prediction time"


def build_timed(
    name: str,
    settings: Mapping[str, Any],
    index: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    extract_time: float | None,
) -> pl.DataFrame:
    """Return prediction_id, patient_id, excluded, time and cause of every prediction.

    `time` spans the whole follow-up, whatever the horizons: an event beyond the last one keeps its own day, as weights of
    censoring at a horizon need those who left later. Causes are numbered as declared: 1 the event, 2 the first kind under
    `competing`, and so on, whether or not anybody had one.

    Raises:
        BadInput: a death would be censoring, the event's dates are those of visits, or follow-up has no end.
    """
    events, kind = tables["events"], settings["event"]
    competing = [item for item in settings["competing"] if item != kind]
    _refuse_death_as_censoring(name, kind, competing, events)
    if not settings.get("dates_are_exact", False):
        limit = float(settings.get("visit_dates_limit", USUAL_LIMIT))
        refuse_visit_dates(name, kind, events, tables["visits"], limit=limit)
    merge = float(settings["merge_within_days"])
    if kind == "stay":
        episodes = stay_episodes(tables["stays"], kinds=settings["stay_kinds"], merge_within_days=merge)
    else:
        episodes = event_episodes(events, kind)
    rows = index.with_columns(
        first_after(index, episodes, "start").alias("event"),
        earliest(index, events, [*competing, "death"]).alias("ended"),
        earliest(index, events, settings["follow_up_ends"]).alias("left"),
        *[earliest(index, events, [item]).alias(f"competing_{item}") for item in competing],
    ).with_columns(pl.min_horizontal("left", pl.lit(extract_time, dtype=pl.Float64)).alias("left"))
    washout = float(settings["washout_days"])
    reasons = _reasons(rows, episodes, tables["stays"], washout=washout, merge=merge, of_stays=kind == "stay")
    timed = _first(rows, competing).with_columns(reasons)
    unknown = timed.filter(pl.col("excluded").is_null() & pl.col("time").is_null())
    if len(unknown):
        raise BadInput(
            f"outcomes.{name}: {unknown['patient_id'].n_unique()} patients have neither the event nor an end of "
            f"follow-up ({', '.join(settings['follow_up_ends'])}). Map those events, or declare cohort.extract_date."
        )
    seen = pl.col("excluded").is_null()
    return timed.select(
        "prediction_id",
        "patient_id",
        "excluded",
        pl.when(seen).then("time").alias("time"),
        pl.when(seen).then("cause").alias("cause"),
    )


def _first(rows: pl.DataFrame, competing: Sequence[str]) -> pl.DataFrame:
    """Return time and cause: the event, else what competes, else the end of follow-up; nothing counts after that."""
    causes = ["event", *(f"competing_{item}" for item in competing)]
    seen = rows.with_columns(
        pl.when(pl.col("left").is_null() | (pl.col(name) <= pl.col("left"))).then(pl.col(name)).alias(name)
        for name in causes
    ).with_columns(pl.min_horizontal(causes).alias("first"))
    cause = pl.lit(0)
    for number, name in reversed(list(enumerate(causes, start=1))):
        cause = pl.when(pl.col(name) == pl.col("first")).then(pl.lit(number)).otherwise(cause)
    return seen.select(
        "prediction_id",
        "patient_id",
        (pl.coalesce("first", pl.col("left") + END_OF_DAY) - pl.col("time")).alias("time"),
        cause.cast(pl.Int8).alias("cause"),
    )


def _reasons(
    rows: pl.DataFrame,
    episodes: pl.DataFrame,
    stays: pl.DataFrame,
    *,
    washout: float,
    merge: float,
    of_stays: bool,
) -> pl.Series:
    """Return why a prediction is not eligible, the first reason that holds; null where it is."""
    begun = (
        rows.select("prediction_id", "patient_id", pl.col("time").alias("now"), "stay_id")
        .join(
            stays.select("patient_id", "stay_id", "admission", "discharge"),
            on=["patient_id", "stay_id"],
            how="left",
        )
        .join(episodes, on="patient_id", how="inner")
    )
    past = begun.filter(pl.col("start") <= pl.col("now"))
    index_episode = (
        (pl.col("start") <= pl.col("admission")) & (pl.col("end") >= pl.col("discharge"))
        if of_stays
        else pl.lit(False)
    ).fill_null(False)
    held = {
        SAME_EPISODE: begun.filter(_transfer(index_episode, merge)) if of_stays else begun.clear(),
        IN_HOSPITAL: in_hospital(rows, stays),
        OPEN: past.filter((pl.col("end") > pl.col("now")) & ~index_episode),
        WASHOUT: past.filter((pl.col("now") - pl.col("start") < washout) & ~index_episode),
    }
    conditions = {
        ENDED: pl.col("ended") <= pl.col("time"),
        **{
            reason: pl.col("prediction_id").is_in(found["prediction_id"].to_list())
            for reason, found in held.items()
        },
        NOT_FOLLOWED: pl.col("left") <= pl.col("time"),
    }
    reason = pl.lit(None, dtype=pl.String)
    for words, condition in reversed(conditions.items()):
        reason = pl.when(condition.fill_null(False)).then(pl.lit(words)).otherwise(reason)
    return rows.select(reason.alias("excluded"))["excluded"]


def _transfer(index_episode: pl.Expr, merge: float) -> pl.Expr:
    """The index stay's own episode goes on after its discharge, or another begins at once."""
    goes_on = index_episode & (pl.col("end") > pl.col("now"))
    follows = pl.col("start").is_between(pl.col("discharge"), pl.col("discharge") + merge)
    return goes_on | (follows & ~index_episode & (pl.col("start") > pl.col("now"))).fill_null(False)


def _refuse_death_as_censoring(name: str, kind: str, competing: Sequence[str], events: pl.DataFrame) -> None:
    deaths = events.filter(pl.col("kind") == "death")
    if kind != "death" and "death" not in competing and len(deaths):
        raise BadInput(
            f"outcomes.{name}.competing lacks death, but the events table has deaths: a death is not censoring. "
            "Add death to competing."
        )
