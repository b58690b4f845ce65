"""Real rehospitalisations: from each discharge, the outcome is what the file's own intervals say."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.outcomes import BuiltOutcome, build_outcome
from tests.features.small_cohort import predictions, tables
from tests.features.test_time_to_event import COMMON

FILE = "recurrent/readmission.csv"
HORIZONS = (30.0, 90.0, 180.0, 365.0, 730.0)

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def intervals() -> pl.DataFrame:
    """One row per interval of a patient after surgery: from t.start to a readmission, a death or the end."""
    root = os.environ.get("PSYSTRATA_DATA")
    path = Path(root) / FILE if root else None
    if path is None or not path.is_file():
        pytest.skip(f"PSYSTRATA_DATA names no folder with {FILE}")
    return pl.read_csv(path).rename({"t.start": "start", "t.stop": "stop"}).sort("id", "start")


@pytest.fixture(scope="module")
def built(intervals: pl.DataFrame) -> BuiltOutcome:
    last = intervals.group_by("id", maintain_order=True).last()
    readmitted = intervals.filter(pl.col("event") == 1).select("id", "stop")
    events: list[dict[str, Any]] = [
        {"patient": number, "time": day, "kind": "readmission"} for number, day in readmitted.iter_rows()
    ]
    events += [
        {"patient": number, "time": day, "kind": "death" if dead else "end_of_follow_up"}
        for number, day, dead in last.select("id", "stop", pl.col("death") == 1).iter_rows()
    ]
    settings = {
        **COMMON,
        "kind": "time_to_event",
        "event": "readmission",
        "competing": ("death",),
        "horizons_days": HORIZONS,
    }
    asked = [(number, start + 0.5) for number, start in intervals.select("id", "start").iter_rows()]
    return build_outcome("readmission", settings, predictions(*asked), tables(events=events))


def test_each_interval_ends_as_the_file_says(intervals: pl.DataFrame, built: BuiltOutcome) -> None:
    frame = built.frame.with_columns(intervals.select("start", "stop", "event", "death", "id"))
    lasting = frame.filter(pl.col("excluded").is_null() & (pl.col("stop") > pl.col("start")))
    assert lasting.height > 800
    last = pl.col("start") == pl.col("start").max().over("id")
    expected = pl.when(pl.col("event") == 1).then(1).when(last & (pl.col("death") == 1)).then(2).otherwise(0)
    compared = lasting.with_columns(expected=expected)
    assert compared["cause"].to_list() == compared["expected"].to_list()
    ended = compared["cause"].to_numpy() > 0
    days = (compared["stop"] - compared["start"]).to_numpy()
    # An event counts on its own day, half a day from the end of the day it is counted from; an end at its day's end.
    np.testing.assert_allclose(compared["time"].to_numpy(), days - np.where(ended, 0.5, 0.0))


def test_counts_at_every_horizon_are_those_of_the_file(intervals: pl.DataFrame, built: BuiltOutcome) -> None:
    eligible = built.frame["excluded"].is_null()
    kept = intervals.filter(eligible)
    for counted in built.flow["horizons"]:  # type: ignore[attr-defined]
        within = (kept["stop"] - kept["start"] <= counted["horizon"]) & (kept["event"] == 1)
        assert counted["events"] == within.sum() > 0
        assert counted["patients"]["events"] == kept.filter(within)["id"].n_unique()
    assert built.flow["eligible"] == eligible.sum()
