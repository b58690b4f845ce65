"""Repeated scores and markers since a baseline: the long frame that strata of change are made of.

Unlike a feature set it looks ahead of the baseline: what it holds describes a course and predicts nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from features.contract import Tables
from features.errors import BadInput
from features.history import DAYS_PER_YEAR
from features.prediction_times import TimeKind

ENDINGS = ("death", "transfer", "end_of_follow_up")  # no visit could follow; that none did is no drop-out


@dataclass(frozen=True)
class RepeatedMeasures:
    """What was measured of each patient since the baseline, and how long the patient stayed.

    Attributes:
        values: patient_id, variable, years (since the baseline), value (a logarithm where asked for); one row per patient,
            variable and time, sorted by them. Of several replicates the last holds.
        attendance: patient_id, last_visit (years; 0 where only the baseline was attended), observable (years until which a
            visit would have been seen); one row per patient of the baselines, in their order.
    """

    values: pl.DataFrame
    attendance: pl.DataFrame


def repeated_measures(
    tables: Tables,
    baselines: pl.DataFrame,
    variables: Sequence[str],
    *,
    years: float,
    logarithm: Sequence[str] = (),
    time: TimeKind = "date",
    extract_time: float | None = None,
) -> RepeatedMeasures:
    """Return every value of some variables from the day of the baseline on, for so many years.

    A value under the limit of detection stands at LOD / sqrt(2); one that has no logarithm is left out. Values before the
    baseline day are left out too.

    Args:
        tables: canonical tables measurements, visits and events.
        baselines: patient_id and time, one row per patient; a time within a day means that day.
        variables: measured variables that hold numbers.
        years: how long after the baseline values count.
        logarithm: those of the variables that are followed on the logarithm.
        time: what a time is.
        extract_time: when the data were extracted; None: the last visit of anybody, where times are dates, else no end.

    Raises:
        BadInput: times are ranks, or a variable is unknown, holds categories, is an outcome or has no positive value.
    """
    if time == "order":
        raise BadInput(
            "course: times of this cohort are ranks, and a course needs years. Declare dates or days since baseline."
        )
    measurements = tables["measurements"].filter(pl.col("variable").is_in(list(variables)))
    _check(measurements, variables, logarithm)
    day = baselines.select("patient_id", pl.col("time").floor().alias("day"))
    since = ((pl.col("time").floor() - pl.col("day")) / DAYS_PER_YEAR).alias("years")
    raw = pl.when("below_limit").then(pl.col("number") / math.sqrt(2)).otherwise("number")
    on_logarithm = pl.col("variable").is_in(list(logarithm))
    value = pl.when(~on_logarithm).then(raw).when(raw > 0).then(raw.log()).alias("value")
    inside = pl.col("years").is_between(0, years)
    values = (
        measurements.join(day, on="patient_id", how="inner")
        .select("patient_id", "variable", since, value, "time", "replicate")
        .filter(inside & pl.col("value").is_not_null())
        .sort("patient_id", "variable", "years", "time", "replicate")
        .unique(["patient_id", "variable", "years"], keep="last", maintain_order=True)
        .select("patient_id", "variable", "years", "value")
    )
    visits = (
        tables["visits"].join(day, on="patient_id", how="inner").select("patient_id", since).filter(inside)
    )
    end = _end_of_data(tables["visits"], time, extract_time)
    attendance = _attendance(
        day, pl.concat([visits, values.select("patient_id", "years")]), tables["events"], years, end
    )
    return RepeatedMeasures(values, attendance)


def _check(measurements: pl.DataFrame, variables: Sequence[str], logarithm: Sequence[str]) -> None:
    found = measurements.group_by("variable").agg(
        pl.col("category").is_not_null().any().alias("categories"),
        (pl.col("available") == float("inf")).any().alias("outcome"),
        (pl.col("number") > 0).any().alias("positive"),
    )
    known = {row["variable"]: row for row in found.iter_rows(named=True)}
    problems = [
        f"course.variables: no value of {name!r} was measured. Name a variable of the measurements."
        for name in variables
        if name not in known
    ]
    for name in (name for name in variables if name in known):
        if known[name]["categories"]:
            problems.append(
                f"course.variables: {name!r} holds categories, which have no course. Name numbers."
            )
        elif known[name]["outcome"]:
            problems.append(
                f"course.variables: {name!r} is an outcome. Strata are never made of one; name another."
            )
        elif name in logarithm and not known[name]["positive"]:
            problems.append(f"course.logarithm: {name!r} has no value above 0. Take it out of `logarithm`.")
    problems += [
        f"course.logarithm: {name!r} is not among course.variables. Name it there too."
        for name in logarithm
        if name not in variables
    ]
    if problems:
        raise BadInput(*problems)


def _end_of_data(visits: pl.DataFrame, time: TimeKind, extract_time: float | None) -> float | None:
    if extract_time is not None or time == "days" or visits.is_empty():
        return extract_time
    last = visits["time"].max()
    return float(last) if isinstance(last, int | float) else None


def _attendance(
    day: pl.DataFrame, seen: pl.DataFrame, events: pl.DataFrame, years: float, end: float | None
) -> pl.DataFrame:
    last = seen.group_by("patient_id").agg(pl.col("years").max().alias("last_visit"))
    ended = (
        events.filter(pl.col("kind").is_in(list(ENDINGS)))
        .group_by("patient_id")
        .agg(pl.col("time").min().alias("ended"))
    )
    until = pl.min_horizontal(pl.col("ended"), pl.lit(end, dtype=pl.Float64))
    within = ((until - pl.col("day")) / DAYS_PER_YEAR).fill_null(years).clip(0, years)
    return (
        day.join(last, on="patient_id", how="left", maintain_order="left")
        .join(ended, on="patient_id", how="left", maintain_order="left")
        .select("patient_id", pl.col("last_visit").fill_null(0.0), within.alias("observable"))
        .with_columns(pl.max_horizontal("observable", "last_visit"))
    )
