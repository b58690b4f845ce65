"""The long frame of repeated measures: what counts as a value since the baseline, and who left."""

import math

import polars as pl
import pytest

from features.errors import BadInput
from features.repeated_measures import RepeatedMeasures, repeated_measures

YEAR = 365.0  # days
IN_YEARS = YEAR / 365.25


def measured(*rows: tuple[str, str, float, int, float, bool]) -> pl.DataFrame:
    names = ["patient_id", "variable", "time", "replicate", "number", "below_limit"]
    frame = pl.DataFrame(list(rows), schema=names, orient="row")
    return frame.with_columns(category=pl.lit(None, dtype=pl.String), available=pl.col("time"))


TABLES = {
    "measurements": measured(
        ("a", "madrs", -1.0, 0, 40.0, False),  # before the baseline
        ("a", "madrs", 0.0, 0, 30.0, False),
        ("a", "madrs", 0.0, 1, 32.0, False),  # the later replicate holds
        ("a", "madrs", YEAR, 0, 20.0, False),
        ("a", "madrs", 9 * YEAR, 0, 1.0, False),  # too late
        ("b", "madrs", 100.0, 0, 25.0, False),
        ("b", "crp", 100.0, 0, 2.0, True),
        ("b", "crp", 100.0 + 2 * YEAR, 0, 0.0, False),  # has no logarithm
        ("c", "madrs", 0.0, 0, 9.0, False),  # not among the baselines
    ),
    "visits": pl.DataFrame(
        {
            "patient_id": ["a", "a", "a", "b", "d"],
            "visit": ["V0", "V1", "V2", "V0", "V0"],
            "time": [0.0, YEAR, 2 * YEAR, 100.0, 50.0],
        }
    ),
    "events": pl.DataFrame(
        {
            "patient_id": ["b", "b", "d"],
            "kind": ["death", "relapse", "loss_to_follow_up"],
            "time": [100.0 + YEAR, 110.0, 60.0],
        }
    ),
}
BASELINES = pl.DataFrame({"patient_id": ["b", "a", "d"], "time": [100.5, 0.5, 50.5]})


def taken(**changed: object) -> RepeatedMeasures:
    asked = {"years": 5.0, "logarithm": ("crp",), "extract_time": 4 * YEAR} | changed
    return repeated_measures(TABLES, BASELINES, ["madrs", "crp"], **asked)  # type: ignore[arg-type]


def test_values_from_the_baseline_day_on() -> None:
    values = taken().values
    assert values.select("patient_id", "variable", "years").rows() == [
        ("a", "madrs", 0.0),
        ("a", "madrs", IN_YEARS),
        ("b", "crp", 0.0),
        ("b", "madrs", 0.0),
    ]
    assert values["value"].to_list() == [32.0, 20.0, pytest.approx(math.log(2 / math.sqrt(2))), 25.0]


def test_who_could_still_have_been_seen() -> None:
    attendance = taken().attendance
    assert attendance["patient_id"].to_list() == ["b", "a", "d"]
    assert attendance["last_visit"].to_list() == pytest.approx([0.0, 2 * IN_YEARS, 0.0])
    # b died after a year; d was lost, and is asked about until the data were extracted.
    assert attendance["observable"].to_list() == pytest.approx(
        [IN_YEARS, 4 * IN_YEARS, (4 * YEAR - 50) / 365.25]
    )


def test_follow_up_ends_with_the_years_and_with_the_last_visit_of_anybody() -> None:
    assert taken(years=0.5).attendance["observable"].max() == 0.5
    assert taken(extract_time=None).attendance["observable"].to_list() == pytest.approx(
        [IN_YEARS, 2 * IN_YEARS, (2 * YEAR - 50) / 365.25]
    )
    assert taken(extract_time=None, time="days").attendance["observable"].to_list() == pytest.approx(
        [IN_YEARS, 5.0, 5.0]
    )


def test_what_has_no_course_is_refused() -> None:
    with pytest.raises(BadInput, match="ranks"):
        taken(time="order")
    with pytest.raises(BadInput, match="'gaf'"):
        repeated_measures(TABLES, BASELINES, ["gaf"], years=5)
    with pytest.raises(BadInput, match=r"not among course\.variables"):
        repeated_measures(TABLES, BASELINES, ["madrs"], years=5, logarithm=["crp"])
    own = TABLES["measurements"]
    outcome = own.with_columns(available=pl.lit(float("inf")))
    with pytest.raises(BadInput, match="is an outcome"):
        repeated_measures(TABLES | {"measurements": outcome}, BASELINES, ["madrs"], years=5)
    category = own.with_columns(category=pl.lit("yes"), number=None)
    with pytest.raises(BadInput, match="holds categories"):
        repeated_measures(TABLES | {"measurements": category}, BASELINES, ["madrs"], years=5)
    none = own.with_columns(number=pl.lit(-1.0))
    with pytest.raises(BadInput, match="no value above 0"):
        repeated_measures(TABLES | {"measurements": none}, BASELINES, ["crp"], years=5, logarithm=["crp"])
