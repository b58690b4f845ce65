import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BadInput
from features.windows import open_window
from tests.features.small_cohort import predictions, tables, value


def latest(times: Any, rows: Any, variable: Any = "crp", **options: Any) -> Any:
    return open_window(times, tables(measurements=rows), **options).latest(variable)["number"].to_list()


def test_a_value_at_or_after_the_prediction_time_is_not_behind_it() -> None:
    rows = [value(1, "crp", 9.0, 1.0), value(1, "crp", 10.0, 2.0), value(1, "crp", 11.0, 3.0)]
    assert latest(predictions((1, 10.0)), rows) == [1.0]
    assert latest(predictions((1, 10.5)), rows) == [2.0]
    assert latest(predictions((1, 9.0)), rows) == [None]


def test_a_result_that_arrives_later_waits_until_it_is_available() -> None:
    rows = [value(1, "crp", 5.0, 1.0), value(1, "crp", 9.0, 2.0, available=12.0)]
    assert latest(predictions((1, 10.0), (1, 13.0)), rows) == [1.0, 2.0]


def test_the_late_result_of_an_old_sample_does_not_hide_a_newer_value() -> None:
    rows = [value(1, "crp", 5.0, 1.0, available=9.0), value(1, "crp", 8.0, 2.0)]
    assert latest(predictions((1, 10.0)), rows) == [2.0]


def test_the_look_behind_distance_includes_its_end() -> None:
    rows = [value(1, "crp", 5.0, 1.0)]
    assert latest(predictions((1, 15.0)), rows, look_behind_days=10.0) == [1.0]
    assert latest(predictions((1, 15.5)), rows, look_behind_days=10.0) == [None]


def test_a_negative_look_behind_is_refused() -> None:
    with pytest.raises(BadInput, match="look_behind_days must be 0 or more, got: -1"):
        open_window(predictions((1, 1.0)), tables(), look_behind_days=-1)


def test_of_replicates_the_last_holds() -> None:
    rows = [value(1, "crp", 5.0, 2.0, replicate=1), value(1, "crp", 5.0, 1.0, replicate=0)]
    assert latest(predictions((1, 6.0)), rows) == [2.0]


def test_an_outcome_variable_is_never_behind_anything() -> None:
    window = open_window(
        predictions((1, 1e9)), tables(measurements=[value(1, "readmitted", 1.0, "<30", available=math.inf)])
    )
    assert window.variables == ()
    assert window.latest("readmitted")["category"].to_list() == [None]


def test_values_of_other_patients_are_not_behind() -> None:
    assert latest(predictions((1, 10.0), (2, 10.0)), [value(2, "crp", 5.0, 7.0)]) == [None, 7.0]


whole = st.integers(0, 12).map(float)
rows_of_a_cohort = st.lists(
    st.tuples(st.integers(1, 3), whole, st.integers(0, 2), whole),
    max_size=25,
    unique_by=lambda row: row[:3],
)


@settings(max_examples=40, deadline=None)
@given(
    rows_of_a_cohort, st.lists(st.tuples(st.integers(1, 3), whole), min_size=1, max_size=8), st.none() | whole
)
def test_the_join_agrees_with_its_definition(measured: Any, asked: Any, distance: Any) -> None:
    rows = [
        value(number, "crp", time, float(place), replicate=replicate, available=max(time, late))
        for place, (number, time, replicate, late) in enumerate(measured)
    ]
    expected = []
    for number, now in asked:
        behind = [
            (row["time"], row["replicate"], row["number"])
            for row in rows
            if row["patient"] == number
            and row["available"] < now
            and (distance is None or row["time"] >= now - distance)
        ]
        expected.append(max(behind)[2] if behind else None)
    assert latest(predictions(*asked), rows, look_behind_days=distance) == expected


def test_rows_behind_are_counted_strictly_before() -> None:
    cohort = tables(
        stays=[
            {"patient": 1, "stay_id": name, "admission": day, "discharge": day + 1}
            for name, day in (("a", 1), ("b", 5), ("c", 9))
        ]
    )
    window = open_window(predictions((1, 5.0), (1, 9.5), (2, 9.5)), cohort)
    counted = window.per_prediction(window.behind(cohort["stays"], "admission"), pl.len(), empty=0.0)
    assert counted.to_list() == [1.0, 3.0, 0.0]
    near = window.per_prediction(window.behind(cohort["stays"], "admission", within=4.5), pl.len(), empty=0.0)
    assert near.to_list() == [1.0, 2.0, 0.0]
