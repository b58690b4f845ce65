from datetime import date
from typing import Any

import polars as pl

from features.drift import ANY, TreatmentByYear, treatment_by_year
from features.outcomes import whole_outcomes
from tests.features.small_cohort import predictions, tables


def day(year: int, month: int = 1, number: int = 1) -> float:
    return float((date(year, month, number) - date(1970, 1, 1)).days)


def outcome(times: pl.DataFrame, *rows: tuple[str | None, float | None, int | None]) -> pl.DataFrame:
    """One (excluded, time, cause) per prediction."""
    return whole_outcomes(
        times.select("prediction_id", "patient_id").with_columns(
            excluded=pl.Series([row[0] for row in rows], dtype=pl.String),
            time=pl.Series([row[1] for row in rows], dtype=pl.Float64),
            cause=pl.Series([row[2] for row in rows], dtype=pl.Int8),
        )
    )


def drug(patient: int, atc: str, start: float, stop: float | None = None) -> dict[str, Any]:
    return {"patient": patient, "atc": atc, "start": start, "stop": stop}


TIMES = predictions(
    (1, day(2019) + 0.5), (2, day(2019, 12, 31) + 0.5), (3, day(2020) + 0.5), (3, day(2020, 6) + 0.5)
)
FOLLOWED = ((None, 100.0, 1), (None, 50.0, 0), (None, 400.0, 1), (None, 20.0, 2))


def cell(found: pl.DataFrame, year: int, group: str) -> dict[str, Any]:
    return found.row(
        by_predicate=(pl.col("year") == year) & (pl.col("group") == group), named=True
    )  # fails unless there is exactly one


def test_predictions_stand_in_their_calendar_year_with_what_was_taken_then() -> None:
    taken = tables(
        medications=[
            drug(1, "N05AH02", day(2018)),
            drug(1, "N05AX08", day(2018)),  # two of one group are one prediction on it
            drug(2, "N05AX08", day(2018), day(2019, 6)),  # stopped before
            drug(3, "N06AB10", day(2020, 2)),  # begins between the two predictions
        ]
    )["medications"]
    found = treatment_by_year(TIMES, taken, outcome(TIMES, *FOLLOWED), horizon=365.0)
    assert found.schema == TreatmentByYear.create_empty().schema
    assert found["calendar"].all()
    first = cell(found, 2019, "N05A")
    assert (first["n"], first["patients"], first["on"], first["share"]) == (2, 2, 1, 0.5)
    assert cell(found, 2019, "N05AX")["on"] == 1
    assert cell(found, 2020, "N05AH")["on"] == 0
    second = cell(found, 2020, "N06A")
    assert (second["n"], second["patients"], second["on"], second["on_patients"]) == (2, 1, 1, 1)
    assert cell(found, 2020, ANY)["share"] == 0.5


def test_events_are_those_known_by_the_horizon() -> None:
    found = treatment_by_year(TIMES, tables()["medications"], outcome(TIMES, *FOLLOWED), horizon=365.0)
    rows = found.select("year", "known", "events", "event_patients").rows()
    # 2019: an event and a censoring; 2020: free at the horizon, and a competing event.
    assert rows == [(2019, 1, 1, 1), (2020, 2, 0, 0)]


def test_a_label_counts_where_it_is_known() -> None:
    labels = outcome(TIMES, (None, None, 1), (None, None, None), (None, None, 0), ("why", None, None))
    found = treatment_by_year(TIMES, tables()["medications"], labels, horizon=None)
    assert found.select("year", "n", "known", "events").rows() == [(2019, 2, 1, 1), (2020, 1, 1, 0)]


def test_without_prescriptions_nothing_is_said_of_them() -> None:
    found = treatment_by_year(TIMES, tables()["medications"], outcome(TIMES, *FOLLOWED), horizon=365.0)
    assert found["group"].unique().to_list() == [ANY]
    assert found.select("on", "on_patients", "share").null_count().row(0) == (2, 2, 2)


def test_declared_groups_alone_are_counted_even_where_nobody_is_on_them() -> None:
    taken = tables(medications=[drug(1, "N05AH02", day(2018)), drug(2, "C10", day(2018))])["medications"]
    found = treatment_by_year(
        TIMES, taken, outcome(TIMES, *FOLLOWED), horizon=365.0, groups=("N05AN", "N05AH02")
    )
    assert found["group"].unique().sort().to_list() == ["N05AH02", "N05AN", ANY]
    assert cell(found, 2019, "N05AH02")["on"] == 1
    assert cell(found, 2019, "N05AN")["share"] == 0.0
    assert cell(found, 2019, ANY)["on"] == 2


def test_without_dates_years_count_from_the_patients_first_prediction() -> None:
    times = predictions((1, 500.5), (1, 500.5 + 366), (2, 0.5))
    found = treatment_by_year(
        times,
        tables()["medications"],
        outcome(times, *[(None, 400.0, 0)] * 3),
        horizon=365.0,
        time="days",
    )
    assert found.select("year", "n", "calendar").rows() == [(0, 2, False), (1, 1, False)]
    ranked = treatment_by_year(
        times, tables()["medications"], outcome(times, *[(None, None, 0)] * 3), horizon=None, time="order"
    )
    assert ranked.is_empty()
