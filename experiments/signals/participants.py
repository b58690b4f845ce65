"""Signals of the participants: who they are, how often and how long they were seen, and whether their care changed."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.signals.signal import (
    NOT_RECORDED,
    PROBAST,
    Material,
    Signal,
    count,
    graded,
    patients_with,
)
from models.censoring import censoring_survival

SCHEMPER = "Schemper and Smith 1996, doi 10.1016/0197-2456(96)00075-X"
DAVIS = "Davis 2017, doi 10.1093/jamia/ocx030"
FEWEST_A_YEAR = 30  # predictions; years with fewer are not compared


def participants(material: Material) -> list[Signal]:
    """Return the signals of this domain."""
    return [
        _places(material),
        _several(material),
        *_follow_up(material),
        *_care(material),
    ]


def _places(material: Material) -> Signal:
    names = material.rows["centre"].to_list()
    centres = len({name for name in names if name is not None})
    missing = float(np.mean([name is None for name in names]))
    countries = material.rows["country"].drop_nulls().n_unique()
    words = f"centres: {centres}; countries: {countries or NOT_RECORDED}"
    return Signal(
        "participants",
        "centres and countries",
        f"{words}; centre missing for {100 * missing:.0f} % of predictions" if missing else words,
        "several centres, each patient's recorded: else nothing is known of patients elsewhere",
        "high" if missing > 0.05 else "low" if centres > 1 else "unclear",
        PROBAST,
        value=float(centres),
    )


def _several(material: Material) -> Signal:
    patients = len(np.unique(material.position))
    mean = material.rows.height / patients
    return Signal(
        "participants",
        "predictions per patient",
        f"{material.rows.height:,} predictions of {count(patients, material.smallest_cell)} patients, {mean:.2f} each",
        "one each; with several, patients are kept whole and one with many predictions weighs more",
        "low" if mean == 1 else "unclear",
        PROBAST,
        value=mean,
    )


def _follow_up(material: Material) -> list[Signal]:
    if material.target.time is None:
        return []
    centre = material.rows["centre"].fill_null(NOT_RECORDED).to_numpy()
    medians = {}
    for name in sorted(set(centre.tolist())):
        rows = centre == name
        if patients_with(material.position, rows) >= max(1, material.smallest_cell):
            medians[name] = median_follow_up(material.target.time[rows], material.target.cause[rows])
    whole = median_follow_up(material.target.time, material.target.cause)
    told = [value for value in medians.values() if value is not None]
    ratio = max(told) / max(min(told), 1.0) if len(told) > 1 else None
    words = f"median {_days(whole)}"
    if told:
        words += f"; {_days(min(told))} to {_days(max(told))} over {len(told)} of {len(set(centre.tolist()))} centres"
    return [
        Signal(
            "participants",
            "follow-up by centre",
            words,
            "alike: the longest median at most twice the shortest",
            "unclear" if ratio is None else graded(ratio, 2, 4),
            SCHEMPER,
            value=ratio,
        )
    ]


def median_follow_up(time: NDArray[np.float64], cause: NDArray[np.int64]) -> float | None:
    """Return the median time under observation by the reverse Kaplan-Meier estimate; None where it is not reached.

    Schemper and Smith 1996: events end the observation of follow-up as censoring does that of events.
    """
    points = np.unique(time)
    after = np.nextafter(points, np.inf)
    below = points[censoring_survival(time, cause, after) <= 0.5]
    return float(below[0]) if len(below) else None


def _days(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.0f} days"


def _care(material: Material) -> list[Signal]:
    changes = largest_changes(material.drift)
    if changes.is_empty():
        return []
    group, change = changes.row(0)
    return [
        Signal(
            "participants",
            "treatment by calendar year",
            f"largest change of a year's share: {100 * change:.0f} points (ATC {group})",
            'below 10 points: the risk "under usual care" is that of its years',
            graded(change, 0.1, 0.2),
            DAVIS,
            value=change,
        )
    ]


def largest_changes(drift: pl.DataFrame) -> pl.DataFrame:
    """Return `group` and `change`, the largest less the smallest share over years with 30 predictions; largest first."""
    years = drift.filter(pl.col("calendar") & (pl.col("n") >= FEWEST_A_YEAR) & pl.col("share").is_not_null())
    return (
        years.group_by("group")
        .agg((pl.col("share").max() - pl.col("share").min()).alias("change"), pl.len().alias("years"))
        .filter(pl.col("years") > 1)
        .sort("change", "group", descending=[True, False])
        .select("group", "change")
    )
