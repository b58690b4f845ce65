"""An event that is known only between visits, such as relapse since the last visit: interval-censored, asked of who came.

Where the question was answered, the event lies after the last visit known to be without it and by the first known to have
had it. Who did not come back is not free of it: the status at the horizon is unknown, and stays in as such, to be weighted
for by those of the same attendance stratum who came (Robins, Rotnitzky and Zhao 1995, doi 10.2307/2291134). What a visit
fails to tell, because patients or raters of one country report less, no weight can mend: it is to be read from the events
among those known, by country.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from features.follow_up import earliest, in_hospital
from features.labels import outcome_values
from features.prediction_times import END_OF_DAY
from features.timed_outcome import ENDED, IN_HOSPITAL

NOT_DUE = "the visit at the horizon was not due before the extract"
NOT_RECORDED = "not recorded"
EVERYBODY = "everybody"
DIED = "died by the horizon"  # known whether or not they came: they stand for nobody else


def build_seen(
    name: str,
    settings: Mapping[str, Any],
    index: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    extract_time: float | None,
) -> pl.DataFrame:
    """Return what visits told of each prediction's horizon, in the order of `index`.

    With the horizon h and the tolerance t, the status is known of who answered at a visit from h - t to h + t: the event (1)
    where the first positive answer came by h + t, else without it (0). Everybody else's is unknown (null), also of who told
    of the event at an earlier visit and came no more, or only came later: else events and non-events would not be known
    equally often, which no weight for attendance mends. (With visits at half a year, one and two, a risk of 0.30 came out
    as 0.33 where 22 % left before each, and as 0.29 where 25 % missed each.) An answer that is neither, such as "unknown",
    leaves open what happened since the visit before: negative answers after it tell nothing. Who died by the horizon is
    known without a visit: with the event where a positive answer had come, else an observed non-event, as for events with
    dates, and marked. An event between the last visit and death stays unseen, so the risk is that of an event that a visit
    told.

    Returns:
        prediction_id, patient_id, excluded, time (null), cause, lower and upper (days from the prediction to the end of
        the visit's day; lower 0 without a negative answer), attendance, and beside the columns of schema Outcomes `died`,
        `returned` (any later visit) and `country`.

    Raises:
        BadInput: the variable was not measured, may be a predictor, or the codes overlap.
    """
    horizon, tolerance = float(settings["horizon_days"]), float(settings["tolerance_days"])
    after = _after(index, _answers(name, settings, tables["measurements"]))
    due = after.filter(
        pl.col("answer").is_not_null() & pl.col("days").is_between(horizon - tolerance, horizon + tolerance)
    )
    rows = (
        index.select("prediction_id", "patient_id", "time")
        .join(_intervals(after), on="prediction_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("lower").fill_null(0.0),
            (earliest(index, tables["events"], ["death"]) - index["time"]).alias("death"),
            _returned(index, tables["visits"]).alias("returned"),
        )
        .with_columns(
            _excluded(in_hospital(index, tables["stays"]), extract_time, horizon + tolerance).alias(
                "excluded"
            )
        )
    )
    event = (pl.col("upper") <= horizon + tolerance).fill_null(value=False)
    dead = (pl.col("death") <= horizon).fill_null(value=False)
    died = dead & ~event
    without = (pl.col("lower") >= horizon - tolerance).fill_null(value=False)
    answered = pl.col("prediction_id").is_in(due["prediction_id"].to_list())
    cause = pl.when(event & (answered | dead)).then(1).when(died | (without & answered)).then(0)
    places = _strata(index, tables["patients"], settings["attendance_covariates"])
    eligible = pl.col("excluded").is_null()
    return pl.concat([rows, places], how="horizontal").select(
        "prediction_id",
        "patient_id",
        "excluded",
        pl.lit(None, dtype=pl.Float64).alias("time"),
        *(
            pl.when(eligible).then(value).alias(column)
            for column, value in {
                "cause": cause.cast(pl.Int8),
                "lower": pl.col("lower"),
                "upper": pl.col("upper"),
                "attendance": pl.when(dead).then(pl.lit(DIED)).otherwise("attendance"),
            }.items()
        ),
        died.alias("died"),
        "returned",
        "country",
    )


def attendance_flow(eligible: pl.DataFrame) -> dict[str, object]:
    """Count whose status the visits told, in all and by country; `eligible` as build_seen returns them."""
    strata = (
        eligible.filter(pl.col("attendance") != DIED)
        .group_by("attendance")
        .agg(pl.len().alias("rows"), pl.col("cause").is_not_null().sum().alias("known"))
    )
    silent = strata.filter(pl.col("known") == 0)
    return {
        **_told(eligible),
        "by_country": [
            {"country": str(country), **_told(rows)}
            for (country,), rows in eligible.sort("country").group_by("country", maintain_order=True)
        ],
        "strata": strata.height,
        # Nobody stands for these: the figures are of the others.
        "strata_without_known": silent.height,
        "eligible_in_strata_without_known": int(silent["rows"].sum()),
    }


def _told(rows: pl.DataFrame) -> dict[str, object]:
    unknown = rows["cause"].null_count()
    never = int((~rows["returned"] & ~rows["died"]).sum())
    return {
        "eligible": rows.height,
        "patients": rows["patient_id"].n_unique(),
        "known": rows.height - unknown,
        "unknown": unknown,
        "events": int((rows["cause"] == 1).sum()),
        "died": int(rows["died"].sum()),
        "never_returned": never,
        "never_returned_share": never / rows.height if rows.height else None,
    }


def _answers(name: str, settings: Mapping[str, Any], measurements: pl.DataFrame) -> pl.DataFrame:
    """Return patient_id, time and answer of each visit: 1 positive, 0 negative, null neither."""
    value = pl.col("value")
    answer = (
        pl.when(value.is_in(list(settings["positive"])))
        .then(1)
        .when(value.is_in(list(settings["negative"])))
        .then(0)
    )
    last = outcome_values(name, settings, measurements).unique(
        ["patient_id", "time"], keep="last", maintain_order=True
    )
    return last.select("patient_id", pl.col("time").alias("asked"), answer.alias("answer"))


def _after(index: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Return prediction_id, answer and days of the answers that follow each prediction."""
    return (
        index.select("prediction_id", "patient_id", "time")
        .join(answers, on="patient_id", how="inner")
        .filter(pl.col("asked") > pl.col("time"))
        .with_columns(days=pl.col("asked") + END_OF_DAY - pl.col("time"))
    )


def _intervals(after: pl.DataFrame) -> pl.DataFrame:
    """Return prediction_id, lower and upper of the predictions that any answer follows."""
    days, answer = pl.col("days"), pl.col("answer")
    return (
        after.with_columns(
            upper=days.filter(answer == 1).min().over("prediction_id"),
            open=days.filter(answer.is_null()).min().over("prediction_id"),
        )
        .with_columns(until=pl.min_horizontal("upper", "open").fill_null(float("inf")))
        .group_by("prediction_id")
        .agg(
            days.filter((answer == 0) & (days < pl.col("until"))).max().alias("lower"),
            pl.col("upper").first(),
        )
    )


def _excluded(inside: pl.DataFrame, extract_time: float | None, due: float) -> pl.Expr:
    """Return why a prediction is not eligible, from its time and days to `death`; the first reason that holds."""
    not_due = (
        pl.lit(value=False) if extract_time is None else pl.col("time") + due > extract_time + END_OF_DAY
    )
    return (
        pl.when((pl.col("death") <= 0).fill_null(value=False))
        .then(pl.lit(ENDED))
        .when(pl.col("prediction_id").is_in(inside["prediction_id"].to_list()))
        .then(pl.lit(IN_HOSPITAL))
        .when(not_due)
        .then(pl.lit(NOT_DUE))
    )


def _returned(index: pl.DataFrame, visits: pl.DataFrame) -> pl.Series:
    last = visits.group_by("patient_id").agg(pl.col("time").max().alias("last"))
    joined = index.select("patient_id", "time").join(last, on="patient_id", how="left", maintain_order="left")
    return joined.select((pl.col("last") > pl.col("time")).fill_null(value=False).alias("returned"))[
        "returned"
    ]


def _strata(index: pl.DataFrame, patients: pl.DataFrame, covariates: Sequence[str]) -> pl.DataFrame:
    """Return country and the attendance stratum, worded by its covariates, of each prediction's patient."""
    own = index.select("patient_id").join(patients, on="patient_id", how="left", maintain_order="left")
    known = own.with_columns(
        pl.col(name).cast(pl.String).fill_null(NOT_RECORDED) for name in {"country", *covariates}
    )
    words = [pl.format("{}: {}", pl.lit(name), pl.col(name)) for name in covariates]
    label = pl.concat_str(words, separator="; ") if words else pl.lit(EVERYBODY)
    return known.select("country", label.alias("attendance"))
