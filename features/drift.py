"""Treatment by calendar year: whether what patients were given, and what happened to them, changed over the years.

Risk "under usual care" is the risk under the care of its years: where a treatment came or went, a model of early years
says little about late ones (Davis et al. 2017, doi 10.1093/jamia/ocx030).
"""

from collections.abc import Sequence

import dataframely as dy
import polars as pl

from features.prediction_times import TimeKind

ANY = "any"
GROUP_LENGTHS = (4, 5)  # ATC levels 3 and 4: N05A antipsychotics, N05AH diazepines and related
DAYS_OF_YEAR = 365.25


class TreatmentByYear(dy.Schema):
    """One row per year and ATC group, and one of the group `any` per year; counts are of eligible predictions."""

    year = dy.Int32(
        primary_key=True
    )  # of the calendar; else whole years since the patient's first prediction
    group = dy.String(primary_key=True)  # first characters of the ATC code; any: whatever prescription
    calendar = dy.Bool(nullable=False)  # year is a calendar year
    n = dy.Int64(nullable=False, min=1)
    patients = dy.Int64(nullable=False, min=1)
    known = dy.Int64(nullable=False, min=0)  # whose status at the horizon is known
    events = dy.Int64(nullable=False, min=0)  # known to have had the event by the horizon
    event_patients = dy.Int64(nullable=False, min=0)
    on = dy.Int64(
        nullable=True, min=0
    )  # on the group at the prediction time; null: the study has no prescriptions
    on_patients = dy.Int64(nullable=True, min=0)
    share = dy.Float64(nullable=True, min=0, max=1)  # on / n


def treatment_by_year(
    prediction_times: pl.DataFrame,
    medications: pl.DataFrame,
    outcomes: pl.DataFrame,
    *,
    horizon: float | None,
    time: TimeKind = "date",
    groups: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return what share of each year's eligible predictions was on each group of medications, and the events known.

    A patient is on a group where one of its prescriptions began before the prediction and had not stopped by then. Events
    are counted as they were seen, without weights for censoring: a late year may have fewer because it was followed for
    less time, which `known` beside `n` tells.

    Args:
        prediction_times: schema PredictionTimes; rows of other rules than the outcome's are left out.
        medications: schema Medications.
        outcomes: schema Outcomes, of one outcome.
        horizon: days, the outcome's main horizon; None for a label.
        time: what a time is: without dates years count from each patient's first eligible prediction, and where only an
            order is known nothing can be said of years.
        groups: beginnings of ATC codes; None: all groups of 4 and 5 characters that anybody was on.

    Returns:
        Schema TreatmentByYear, sorted by year and group; without rows where nobody is eligible or time is an order.
    """
    rows = _eligible(prediction_times, outcomes, horizon)
    if time == "order" or rows.is_empty():
        return TreatmentByYear.create_empty()
    years = _years(rows, time)
    current = _current(years, medications, groups)
    named = [ANY, *(sorted(current["group"].unique().to_list()) if groups is None else sorted(set(groups)))]
    table = _by_year(years).join(pl.DataFrame({"group": list(dict.fromkeys(named))}), how="cross")
    on = current.group_by("year", "group").agg(
        pl.col("prediction_id").n_unique().alias("on"), pl.col("patient_id").n_unique().alias("on_patients")
    )
    counted = table.join(on, on=["year", "group"], how="left").with_columns(
        pl.when(not medications.is_empty()).then(pl.col(name).fill_null(0)).alias(name)
        for name in ("on", "on_patients")
    )
    whole = counted.with_columns(share=pl.col("on") / pl.col("n"), calendar=pl.lit(time == "date"))
    return TreatmentByYear.validate(
        whole.sort("year", "group").select(TreatmentByYear.column_names()), cast=True
    )


def _eligible(prediction_times: pl.DataFrame, outcomes: pl.DataFrame, horizon: float | None) -> pl.DataFrame:
    eligible = outcomes.filter(pl.col("excluded").is_null()).select(
        "prediction_id", pl.col("time").alias("days"), "cause"
    )
    if horizon is None:
        known, event = pl.col("cause").is_not_null(), pl.col("cause") == 1
    else:
        happened = (pl.col("cause") > 0) & (pl.col("days") <= horizon)
        known, event = happened | (pl.col("days") >= horizon), happened & (pl.col("cause") == 1)
    return (
        prediction_times.select("prediction_id", "patient_id", "time")
        .join(eligible, on="prediction_id", how="inner")
        .with_columns(known=known.fill_null(value=False), event=event.fill_null(value=False))
    )


def _years(rows: pl.DataFrame, time: TimeKind) -> pl.DataFrame:
    if time == "date":
        year = pl.col("time").floor().cast(pl.Int32).cast(pl.Date).dt.year()
    else:
        since = pl.col("time") - pl.col("time").min().over("patient_id")
        year = (since / DAYS_OF_YEAR).floor().cast(pl.Int32)
    return rows.with_columns(year=year.cast(pl.Int32))


def _current(years: pl.DataFrame, medications: pl.DataFrame, groups: Sequence[str] | None) -> pl.DataFrame:
    """Return one row per prediction, prescription that is taken at it, and group of its code."""
    taken = years.join(medications.select("patient_id", "atc", "start", "stop"), on="patient_id").filter(
        (pl.col("start") < pl.col("time")) & (pl.col("stop").is_null() | (pl.col("stop") >= pl.col("time")))
    )
    if groups is None:
        parts = [
            taken.filter(pl.col("atc").str.len_chars() >= length).with_columns(
                group=pl.col("atc").str.slice(0, length)
            )
            for length in GROUP_LENGTHS
        ]
    else:
        parts = [
            taken.filter(pl.col("atc").str.starts_with(code)).with_columns(group=pl.lit(code))
            for code in sorted(set(groups))
        ]
    return pl.concat([taken.with_columns(group=pl.lit(ANY)), *parts])


def _by_year(years: pl.DataFrame) -> pl.DataFrame:
    return years.group_by("year").agg(
        pl.len().alias("n"),
        pl.col("patient_id").n_unique().alias("patients"),
        pl.col("known").sum(),
        pl.col("event").sum().alias("events"),
        pl.col("patient_id").filter(pl.col("event")).n_unique().alias("event_patients"),
    )
