"""Outcomes: what happened strictly after each prediction time, and who is not eligible and why.

For an event within a horizon a prediction is eligible when the patient is at risk and followed: not in hospital, no
episode of the event is open, none began within the wash-out, and follow-up goes on after it. The first event or competing event ends the time
at risk; else follow-up does, and the patient is censored there, never counted as event-free beyond it. An event and a
competing event of one day count as the event. Follow-up lasts to the end of its last day, as a prediction is made at the
end of its own: who was followed for exactly the horizon is known to be without the event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from features.errors import BadInput
from features.follow_up import earliest, event_episodes, first_after, stay_episodes
from features.labels import NO_VALUE, OTHER_VALUE, build_label
from features.prediction_times import END_OF_DAY, TimeKind
from features.schema import Outcomes

OPEN = "an episode of the event is open at the prediction time"
SAME_EPISODE = "the stay goes on elsewhere: a transfer, not a discharge"
IN_HOSPITAL = "in hospital at the prediction time"
WASHOUT = "an event within the wash-out"
ENDED = "an event that competes lies at or before the prediction time"
NOT_FOLLOWED = "follow-up ends at or before the prediction time"
REASONS = (ENDED, SAME_EPISODE, IN_HOSPITAL, OPEN, WASHOUT, NOT_FOLLOWED, NO_VALUE, OTHER_VALUE)


@dataclass(frozen=True)
class BuiltOutcome:
    """An outcome of every prediction of its index rule.

    Attributes:
        frame: as in features.schema.Outcomes, in the order of the prediction times.
        flow: "steps" with predictions and patients left after each exclusion, and counts of eligible, events,
            competing (by the horizon) and censored (before it).
    """

    frame: pl.DataFrame
    flow: dict[str, object]


def build_outcome(
    name: str,
    settings: Mapping[str, Any],
    prediction_times: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    *,
    extract_time: float | None = None,
    time: TimeKind = "date",
) -> BuiltOutcome:
    """Build one outcome.

    Args:
        name: the outcome's name in the study file, for messages.
        settings: the outcome's settings, as pipeline.settings.outcome dumps them.
        prediction_times: of all rules; those of settings["index"] are used.
        tables: the canonical tables.
        extract_time: the time of the extract, where follow-up ends for all; None: not declared.
        time: what a time is.

    Raises:
        BadInput: nobody is eligible, all have the same outcome, or the tables cannot tell it.
    """
    index = prediction_times.filter(pl.col("index_rule") == settings["index"]).sort("position", "number")
    if index.is_empty():
        raise BadInput(
            f"outcomes.{name}.index: no prediction time of the rule {settings['index']}. Check that rule."
        )
    if settings["kind"] == "label":
        labelled = build_label(name, settings, index, tables["measurements"])
        return _checked(name, settings, index, labelled, horizon=None)
    if time == "order":
        raise BadInput(
            f"outcomes.{name}: an event within a horizon of days needs times, but the study declares an order only. "
            "Use an outcome of kind label, or declare times."
        )
    timed = _event(name, settings, index, tables, extract_time)
    return _checked(name, settings, index, timed, horizon=float(settings["horizon_days"]))


def _event(
    name: str,
    settings: Mapping[str, Any],
    index: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    extract_time: float | None,
) -> pl.DataFrame:
    events, kind = tables["events"], settings["event"]
    competing = [item for item in settings["competing"] if item != kind]
    _refuse_death_as_censoring(name, kind, competing, events)
    merge = float(settings["merge_within_days"])
    if kind == "stay":
        episodes = stay_episodes(tables["stays"], kinds=settings["stay_kinds"], merge_within_days=merge)
    else:
        episodes = event_episodes(events, kind)
    rows = index.with_columns(
        first_after(index, episodes, "start").alias("event"),
        earliest(index, events, [*competing, *(["death"] if kind != "death" else [])]).alias("ended"),
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
        IN_HOSPITAL: _in_hospital(rows, stays),
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


def _in_hospital(rows: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Return the predictions made during a stay of any kind."""
    joined = rows.select("prediction_id", "patient_id", "time").join(
        stays.select("patient_id", "admission", "discharge"), on="patient_id", how="inner"
    )
    there = pl.col("discharge").is_null() | (pl.col("discharge") > pl.col("time"))
    return joined.filter((pl.col("admission") <= pl.col("time")) & there)


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


def _checked(
    name: str, settings: Mapping[str, Any], index: pl.DataFrame, frame: pl.DataFrame, *, horizon: float | None
) -> BuiltOutcome:
    """Validate, count and refuse what nobody can learn from."""
    eligible = frame.filter(pl.col("excluded").is_null())
    by_horizon = eligible if horizon is None else eligible.filter(pl.col("time") <= horizon)
    events = by_horizon.filter(pl.col("cause") == 1)
    competing = by_horizon.filter(pl.col("cause") > 1)
    censored = by_horizon.filter(pl.col("cause") == 0) if horizon is not None else by_horizon.clear()
    if horizon is not None:
        censored = censored.filter(pl.col("time") < horizon)
    flow: dict[str, object] = {
        "steps": _steps(settings["index"], frame),
        "eligible": len(eligible),
        "events": len(events),
        "competing": len(competing),
        "censored": len(censored),
    }
    if eligible.is_empty():
        counted = frame.group_by("excluded").len().sort("excluded")
        reasons = "; ".join(f"{reason} ({number})" for reason, number in counted.iter_rows())
        raise BadInput(
            f"outcomes.{name}: none of {len(frame)} predictions is eligible: {reasons}. Mend its settings."
        )
    negatives = len(eligible) - len(events) - len(censored)
    if len(events) == 0 or negatives == 0:
        found = "no event" if len(events) == 0 else "nobody known to be without the event"
        raise BadInput(
            f"outcomes.{name}: {found} among {len(eligible)} eligible predictions; a model needs both. Check the "
            "event, codes and horizon in the study file."
        )
    return BuiltOutcome(frame=whole_outcomes(frame), flow=flow)


def whole_outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame of schema Outcomes; columns that this kind of outcome does not have are null."""
    filled = frame.with_columns(
        pl.lit(None).alias(name) for name in Outcomes.column_names() if name not in frame.columns
    )
    return Outcomes.validate(filled.select(Outcomes.column_names()), cast=True)


def _steps(rule: str, frame: pl.DataFrame) -> list[dict[str, object]]:
    left = frame
    steps = [_step(f"predictions of the rule {rule}", left)]
    for reason in REASONS:
        remaining = left.filter(pl.col("excluded").ne_missing(reason))
        if len(remaining) < len(left):
            steps.append(_step(f"excluded: {reason}", remaining))
        left = remaining
    return [*steps, _step("eligible", left)]


def _step(words: str, left: pl.DataFrame) -> dict[str, object]:
    return {"step": words, "predictions": len(left), "patients": left["patient_id"].n_unique()}
