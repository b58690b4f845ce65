"""When predictions are made: at the end of each baseline visit, or of each day on which a patient left hospital alive.

Where times are days (dates, or days since baseline), a prediction is made at the end of the day: its time is the day
plus a half. What was measured on that day is therefore behind it, and an event counts from the next day on. Where only
an order is known, a discharge's rank itself is the time: intake puts the measurements of a stay a quarter of a rank
before its discharge and the next admission half a rank after it. A visit's own measurements carry its rank, so the
prediction is made a quarter of a rank after it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import polars as pl

from features.errors import BadInput
from features.schema import PredictionTimes

TimeKind = Literal["date", "days", "order"]
END_OF_DAY = 0.5  # days
AFTER_A_RANKED_VISIT = 0.25  # ranks


def build_prediction_times(
    rules: Mapping[str, Mapping[str, Any]],
    *,
    patients: pl.DataFrame,
    visits: pl.DataFrame,
    stays: pl.DataFrame,
    events: pl.DataFrame,
    time: TimeKind = "date",
) -> pl.DataFrame:
    """Return one row per patient and index time of each rule, as in features.schema.PredictionTimes.

    Args:
        rules: name -> the rule's settings, of kind baseline_visit or discharge_alive.
        patients: the patients with consent; others have no prediction.
        visits: visits with their times.
        stays: hospital stays.
        events: events; a death ends what can be predicted.
        time: what a time is.

    Raises:
        BadInput: a rule is of an unknown kind or finds no index time, one sentence each.
    """
    tables = {"patients": patients, "visits": visits, "stays": stays, "events": events}
    frames, problems = [], []
    for name in sorted(rules):
        settings = dict(rules[name])
        kind = settings.pop("kind", None)
        if kind not in _RULES:
            raise BadInput(
                f"prediction_times.{name}.kind: {kind!r} is not known; known: {', '.join(sorted(_RULES))}."
            )
        index = _RULES[kind](tables, time, **settings)
        if index.is_empty():
            problems.append(f"prediction_times.{name}: {_NOTHING[kind]}")
        frames.append(_numbered(index, name, patients))
    if problems:
        raise BadInput(*problems)
    return PredictionTimes.validate(pl.concat(frames), cast=True)


def calendar_age() -> pl.Expr:
    """Return the year of `time`, a date, minus `birth_year`."""
    year = pl.col("time").floor().cast(pl.Int32).cast(pl.Date).dt.year()
    return (year - pl.col("birth_year")).cast(pl.Float64)


def _baseline_visit(tables: Mapping[str, pl.DataFrame], time: TimeKind) -> pl.DataFrame:
    after = AFTER_A_RANKED_VISIT if time == "order" else END_OF_DAY
    first = (
        tables["visits"]
        .sort("patient_id", "time", "visit")
        .unique("patient_id", keep="first", maintain_order=True)
    )
    return first.select(
        "patient_id", pl.col("time") + after, "visit", pl.lit(None, dtype=pl.String).alias("stay_id")
    )


def _discharge_alive(
    tables: Mapping[str, pl.DataFrame],
    time: TimeKind,
    *,
    stay_kinds: tuple[str, ...] | None = None,
    not_alive: tuple[str, ...] = (),
    first_only: bool = False,
) -> pl.DataFrame:
    deaths = (
        tables["events"]
        .filter(pl.col("kind") == "death")
        .group_by("patient_id")
        .agg(pl.col("time").min().alias("death"))
    )
    index = (
        tables["stays"]
        .filter(pl.col("discharge").is_not_null())
        .filter(~pl.col("discharged_to").is_in(list(not_alive)).fill_null(False))
        .join(deaths, on="patient_id", how="left")
        .filter(pl.col("death").is_null() | (pl.col("discharge") < pl.col("death")))
    )
    if stay_kinds is not None:
        index = index.filter(pl.col("kind").is_in(list(stay_kinds)))
    # Two stays that end at once are one discharge: the one that began last stands for it.
    index = index.sort("patient_id", "discharge", "admission", "stay_id").unique(
        ["patient_id", "discharge"], keep="last", maintain_order=True
    )
    if first_only:
        index = index.unique("patient_id", keep="first", maintain_order=True)
    after = 0.0 if time == "order" else END_OF_DAY
    return index.select(
        "patient_id",
        (pl.col("discharge") + after).alias("time"),
        pl.lit(None, dtype=pl.String).alias("visit"),
        "stay_id",
    )


def _numbered(index: pl.DataFrame, rule: str, patients: pl.DataFrame) -> pl.DataFrame:
    """Number each patient's predictions in time and name them independently of the pseudonyms."""
    numbered = (
        index.with_row_index("_order")
        .join(patients.select("patient_id", "position"), on="patient_id", how="inner")
        .sort("position", "time", "_order")
        .with_columns(pl.int_range(1, pl.len() + 1).over("position").cast(pl.Int32).alias("number"))
    )
    return numbered.select(
        pl.format("{}-{}-{}", pl.lit(rule), "position", "number").alias("prediction_id"),
        pl.lit(rule).alias("index_rule"),
        "patient_id",
        "position",
        "number",
        "time",
        "visit",
        "stay_id",
    )


_RULES: dict[str, Callable[..., pl.DataFrame]] = {
    "baseline_visit": _baseline_visit,
    "discharge_alive": _discharge_alive,
}
_NOTHING = {
    "baseline_visit": "no patient has a visit. Declare the visits' source file, or another rule.",
    "discharge_alive": "no patient was discharged alive. Check the stays' source file, stay_kinds and not_alive, "
    "or declare another rule.",
}
