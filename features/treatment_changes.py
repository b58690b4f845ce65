"""When a treatment that changes the course began after a prediction, for analyses that end follow-up there."""

from collections.abc import Sequence

import polars as pl

from features.errors import BadInput
from features.follow_up import first_after
from features.prediction_times import END_OF_DAY
from features.schema import NO_ROUTE


def treatment_starts(
    name: str, treatments: Sequence[str], index: pl.DataFrame, medications: pl.DataFrame
) -> dict[str, pl.Series]:
    """Return the days from each prediction to the first later start of each treatment, shape (predictions,) each.

    Null where no start follows, and where the patient is on that treatment at the prediction: what goes on, is renewed or
    changes its dose is no change. A prescription that ended on the prediction's own day goes on in this sense. One that
    ended earlier does not: to begin again later is a change.

    Args:
        name: the outcome's name, for messages.
        treatments: beginnings of ATC codes, each with its route where only one route counts: N05AH02, N05A:depot.
        index: the prediction times, with patient_id and time.
        medications: schema Medications.

    Raises:
        BadInput: there are no prescriptions, or none has a route although one is asked for.
    """
    if treatments and medications.is_empty():
        raise BadInput(
            f"outcomes.{name}.treatments: the study has no prescriptions, so nobody can say when one began. Map a source "
            "for the medications table, or take treatments out."
        )
    return {entry: _start(name, entry, index, medications) for entry in treatments}


def first_start(starts: dict[str, pl.Series], rows: int) -> pl.Series:
    """Return the earliest of all treatments' starts, shape (rows,); null where there is none."""
    if not starts:
        return pl.Series(values=[None] * rows, dtype=pl.Float64)
    return pl.DataFrame(list(starts.values())).select(pl.min_horizontal(pl.all())).to_series()


def _start(name: str, entry: str, index: pl.DataFrame, medications: pl.DataFrame) -> pl.Series:
    code, _, route = entry.partition(":")
    matching = medications.filter(pl.col("atc").str.starts_with(code))
    if route:
        if (medications["route"] == NO_ROUTE).all():
            raise BadInput(
                f"outcomes.{name}.treatments: {entry} asks for a route, but no prescription has one. Map the column route "
                "of the medications' source, or name the code without a route."
            )
        matching = matching.filter(pl.col("route").cast(pl.String) == route)
    start = first_after(index, matching, "start") - index["time"]
    times = index.select("prediction_id", "patient_id", "time")
    ongoing = (
        times.join(matching.select("patient_id", "start", "stop"), on="patient_id", how="inner")
        .filter(pl.col("start") <= pl.col("time"))
        .filter(pl.col("stop").is_null() | (pl.col("stop") >= pl.col("time") - END_OF_DAY))
    )
    on = times["prediction_id"].is_in(ongoing["prediction_id"].unique().to_list())
    return pl.select(pl.when(~on).then(start).alias(entry)).to_series()
