"""Counts of an outcome: who was left after each exclusion, and what became of the eligible at each horizon.

The counts are of predictions and, beside them, of the patients behind them: a patient with many discharges counts once
among the patients of each kind, and under several kinds where the discharges ended differently.
"""

from collections.abc import Mapping, Sequence

import polars as pl

Counts = dict[str, int]
EVENT, COMPETING, CENSORED, FREE, UNKNOWN = "events", "competing", "censored", "free", "unknown"


def exclusion_steps(rule: str, frame: pl.DataFrame, reasons: Sequence[str]) -> list[dict[str, object]]:
    """Return predictions and patients left after each reason for exclusion that held for anybody, in order."""
    left = frame
    steps = [_step(f"predictions of the rule {rule}", left)]
    for reason in reasons:
        remaining = left.filter(pl.col("excluded").ne_missing(reason))
        if len(remaining) < len(left):
            steps.append(_step(f"excluded: {reason}", remaining))
        left = remaining
    return [*steps, _step("eligible", left)]


def label_status(eligible: pl.DataFrame) -> pl.Series:
    """Return what became of each eligible row of a label, shape (n,): an event, free of it, or unknown."""
    cause = pl.col("cause")
    status = pl.when(cause.is_null()).then(pl.lit(UNKNOWN)).when(cause == 1).then(pl.lit(EVENT))
    return eligible.select(status.otherwise(pl.lit(FREE)).alias("status"))["status"]


def status_at(eligible: pl.DataFrame, horizon: float) -> pl.Series:
    """Return what became of each eligible row by the horizon, shape (n,): an event, competing, censored, or free of it."""
    happened = (pl.col("cause") > 0) & (pl.col("time") <= horizon)
    status = (
        pl.when(happened & (pl.col("cause") == 1))
        .then(pl.lit(EVENT))
        .when(happened)
        .then(pl.lit(COMPETING))
        .when((pl.col("cause") == 0) & (pl.col("time") < horizon))
        .then(pl.lit(CENSORED))
    )
    return eligible.select(status.otherwise(pl.lit(FREE)).alias("status"))["status"]


def counts(eligible: pl.DataFrame, status: pl.Series) -> tuple[Counts, Counts]:
    """Return how many predictions, and how many patients, are eligible and of each status."""
    kinds = (EVENT, COMPETING, CENSORED, FREE, UNKNOWN)
    patients = eligible["patient_id"]
    of_predictions = {"eligible": eligible.height, **{kind: int((status == kind).sum()) for kind in kinds}}
    of_patients = {
        "eligible": patients.n_unique(),
        **{kind: patients.filter(status == kind).n_unique() for kind in kinds},
    }
    return of_predictions, of_patients


def by_horizon(
    eligible: pl.DataFrame, horizons: Sequence[float], competing: Sequence[str]
) -> list[dict[str, object]]:
    """Return the counts at every horizon, those of each competing kind among them.

    Args:
        eligible: eligible rows with patient_id, time and cause.
        horizons: days.
        competing: the kinds with the causes 2, 3, ...
    """
    found: list[dict[str, object]] = []
    for horizon in horizons:
        of_predictions, of_patients = counts(eligible, status_at(eligible, horizon))
        happened = eligible.filter(pl.col("time") <= horizon)
        kinds = {
            kind: happened.filter(pl.col("cause") == cause) for cause, kind in enumerate(competing, start=2)
        }
        found.append(
            {
                "horizon": horizon,
                **of_predictions,
                "competing_kinds": {kind: rows.height for kind, rows in kinds.items()},
                "patients": {
                    **of_patients,
                    "competing_kinds": {kind: rows["patient_id"].n_unique() for kind, rows in kinds.items()},
                },
            }
        )
    return found


def treatment_counts(eligible: pl.DataFrame, starts: Mapping[str, pl.Series]) -> dict[str, Counts]:
    """Return how many eligible predictions and patients begin each treatment while they are at risk.

    `starts` are days of the rows of `eligible`, whose `time` ends them.
    """
    found = {}
    for entry, days in starts.items():
        began = (days.is_not_null() & (days <= eligible["time"])).fill_null(value=False)
        found[entry] = {
            "predictions": int(began.sum()),
            "patients": eligible["patient_id"].filter(began).n_unique(),
        }
    return found


def _step(words: str, left: pl.DataFrame) -> dict[str, object]:
    return {"step": words, "predictions": len(left), "patients": left["patient_id"].n_unique()}
