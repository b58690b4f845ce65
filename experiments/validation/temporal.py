"""The temporal scheme: trained on what was known before a day, tested on the patients who came from that day on."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.validation.draws import UNKNOWN, Status
from features.errors import BadInput
from features.prediction_times import END_OF_DAY

EPOCH = date(1970, 1, 1)
KIND = "temporal"


def cut_day(name: str, start: date | None, latest: float | None, rows: pl.DataFrame) -> float:
    """Return the day of the cut in days since 1970-01-01, refused where it has nobody on one of its sides.

    Args:
        name: of the scheme, for messages.
        start: the declared day; None: it follows from `latest`.
        latest: the share of patients to be tested. The cut is then the first day of that month which comes nearest to
            the share (of equals the earlier), so that it is not the date of a patient.
        rows: eligible predictions with position and time.
    """
    first = rows.group_by("position").agg(pl.col("time").min())["time"].to_numpy().astype(np.float64)
    if start is not None:
        day = float((start - EPOCH).days)
    else:
        assert latest is not None
        shares = {month: float((first >= month).mean()) for month in _months(first)}
        day = min(shares, key=lambda month: (abs(shares[month] - latest), month))
    if not (first >= day).any() or not (first < day).any():
        raise BadInput(
            f"validation.{name}: {int((first >= day).sum())} of {len(first)} eligible patients came from {day_name(day)} "
            "on; some must, and some before. Declare another day (from), or a share (latest)."
        )
    return day


def tested_patients(rows: pl.DataFrame, cut: float) -> list[int]:
    """Return the positions of the patients whose first prediction lies at or after the cut, sorted."""
    first = rows.group_by("position").agg(pl.col("time").min())
    return first.filter(pl.col("time") >= cut)["position"].sort().to_list()


def day_name(cut: float) -> str:
    """Return the day of the cut as 2019-01-01."""
    return (EPOCH + timedelta(days=cut)).isoformat()


def status_before(rows: pl.DataFrame, cut: float, horizon: float | None) -> Status:
    """Return what was known of eligible rows before the cut; a row predicted at or after it is neither.

    Args:
        rows: as splits.eligible_rows returns them.
        cut: in days since 1970-01-01.
        horizon: days; None for a label.
    """
    limit = cut - END_OF_DAY - rows["time"].to_numpy().astype(np.float64)
    cause = rows["cause"].fill_null(UNKNOWN).to_numpy().astype(np.int64)
    if horizon is None:
        seen = rows["seen_after"].to_numpy().astype(np.float64) <= limit
        return Status.at(None, np.where(seen, cause, UNKNOWN), 0.0)
    time = rows["time_to_event"].to_numpy().astype(np.float64)
    later = time > limit
    known = Status.at(np.where(later, np.maximum(limit, 0.0), time), np.where(later, 0, cause), horizon)
    there = limit >= 0
    return Status(event=known.event & there, none=known.none & there)


def cuts_of(folds: list[dict[str, Any]]) -> dict[str, float]:
    """Return the cut of each temporal scheme from the entries of folds.json."""
    return {str(entry["scheme"]): float(entry["cut"]) for entry in folds if entry["kind"] == KIND}


def cut_of_fold(
    rows: pl.DataFrame,
    test: NDArray[np.int64],
    scheme: str,
    kinds: Mapping[str, str],
    cuts: Mapping[str, float],
) -> tuple[float | None, NDArray[np.int64]]:
    """Return the cut of a fold, and which rows it neither tests nor trains on; None and nobody for other schemes."""
    if kinds[scheme] != KIND:
        return None, np.empty(0, dtype=np.int64)
    if scheme not in cuts:
        raise BadInput(
            f"The folds of {scheme} name no cut: they are from another version. Run dvc repro from splits."
        )
    later = np.flatnonzero(rows["time"].to_numpy() >= cuts[scheme])
    return cuts[scheme], np.setdiff1d(later, test).astype(np.int64)


def _months(times: NDArray[np.float64]) -> list[float]:
    """Return the first days of the months from the one after the earliest time to the one of the latest."""
    first, last = (EPOCH + timedelta(days=float(np.floor(edge))) for edge in (times.min(), times.max()))
    months = range(first.year * 12 + first.month, last.year * 12 + last.month)
    days = [date(month // 12, month % 12 + 1, 1) for month in months]
    return [float((day - EPOCH).days) for day in days] or [
        float((date(last.year, last.month, 1) - EPOCH).days)
    ]
