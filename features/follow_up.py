"""When the event came, what competed with it, and until when a patient was seen."""

from collections.abc import Sequence

import polars as pl


def stay_episodes(
    stays: pl.DataFrame, *, kinds: Sequence[str] | None, merge_within_days: float
) -> pl.DataFrame:
    """Merge stays into episodes: one that begins at most `merge_within_days` after the last ended is a transfer.

    Overlapping stays are one episode. Returns patient_id, start, end (infinite: still in hospital), sorted.
    """
    counted = stays if kinds is None else stays.filter(pl.col("kind").is_in(list(kinds)))
    ordered = counted.select(
        "patient_id",
        pl.col("admission").alias("start"),
        pl.col("discharge").fill_null(float("inf")).alias("end"),
    ).sort("patient_id", "start", "end")
    so_far = pl.col("end").cum_max().shift(1).over("patient_id")
    new = (pl.col("start") > so_far + merge_within_days).fill_null(True)
    return (
        ordered.with_columns(new.cum_sum().over("patient_id").alias("episode"))
        .group_by("patient_id", "episode", maintain_order=True)
        .agg(pl.col("start").min(), pl.col("end").max())
        .select("patient_id", "start", "end")
    )


def event_episodes(events: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Return the events of a kind as episodes that end when they begin: patient_id, start, end, sorted."""
    found = events.filter(pl.col("kind") == kind).sort("patient_id", "time")
    return found.select("patient_id", pl.col("time").alias("start"), pl.col("time").alias("end"))


def first_after(prediction_times: pl.DataFrame, rows: pl.DataFrame, time: str) -> pl.Series:
    """Return the first time strictly after each prediction, null where there is none; shape (predictions,)."""
    ordered = rows.select("patient_id", pl.col(time).alias("found")).sort("found")
    joined = (
        prediction_times.select("patient_id", "time")
        .with_row_index("row")
        .sort("time")
        .join_asof(
            ordered,
            left_on="time",
            right_on="found",
            by="patient_id",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
    )
    return joined.sort("row")["found"]


def earliest(prediction_times: pl.DataFrame, events: pl.DataFrame, kinds: Sequence[str]) -> pl.Series:
    """Return each prediction's patient's earliest event of the kinds, before or after it; shape (predictions,)."""
    first = (
        events.filter(pl.col("kind").is_in(list(kinds)))
        .group_by("patient_id")
        .agg(pl.col("time").min().alias("found"))
    )
    joined = prediction_times.select("patient_id").join(
        first, on="patient_id", how="left", maintain_order="left"
    )
    return joined["found"]


def in_hospital(rows: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Return the predictions made during a stay of any kind."""
    joined = rows.select("prediction_id", "patient_id", "time").join(
        stays.select("patient_id", "admission", "discharge"), on="patient_id", how="inner"
    )
    there = pl.col("discharge").is_null() | (pl.col("discharge") > pl.col("time"))
    return joined.filter((pl.col("admission") <= pl.col("time")) & there)
