"""What every registered feature set that reads only the canonical tables must hold."""

from typing import Any

import polars as pl
import pytest

from features.columns import NoColumns
from features.look_ahead import check_look_ahead
from features.registry import FEATURE_SETS
from features.schema import ColumnDescriptions
from tests.features.small_cohort import predictions, tables, value

NAMES = sorted(
    name
    for name, registered in FEATURE_SETS.items()
    if not (registered.reads_source or registered.reads_genotypes)
)
TEXTS = {"adherence": "poor", "substance_use": "yes", "smoking": "never", "fasting": "yes"}
VARIABLES = sorted(
    {
        need
        for name in NAMES
        for definition in FEATURE_SETS[name].definitions
        for need in definition.needs
        if "." not in need and need not in ("stays", "medications")
    }
    | {"fasting"}
)
PEOPLE = (1, 2, 3)
DAYS = (100.0, 465.0, 830.0)
COHORT = tables(
    patients=[
        {
            "patient": n,
            "sex": "male" if n % 2 else "female",
            "age": 40.0 + n,
            "education_years": 12.0,
            "network": "bipolar",
        }
        for n in PEOPLE
    ],
    visits=[{"patient": n, "visit": str(day), "time": day} for n in PEOPLE for day in DAYS],
    stays=[
        {"patient": n, "stay_id": str(day), "admission": day + 20, "discharge": day + 30 * n}
        for n in PEOPLE
        for day in DAYS
    ],
    events=[{"patient": n, "time": 500.0, "kind": "relapse"} for n in PEOPLE],
    medications=[{"patient": n, "atc": "N05AN01", "start": 400.0, "stop": 700.0} for n in PEOPLE],
    measurements=[
        value(n, name, day, TEXTS.get(name, float(place + 3 * n) + day / 50))
        for n in PEOPLE
        for place, name in enumerate(VARIABLES)
        for day in DAYS
    ],
)
TIMES = predictions(*((n, day + 0.5) for n in PEOPLE for day in DAYS))


def shifted(frame: Any, by: Any) -> Any:
    """Move every time of a table."""
    times = [
        name
        for name in ("time", "available", "admission", "discharge", "start", "stop")
        if name in frame.columns
    ]
    return frame.with_columns(pl.col(times) + by)


@pytest.fixture(params=NAMES)
def name(request: Any) -> Any:
    return request.param


def test_all_defined_columns_are_built_and_described(name: Any) -> None:
    built = FEATURE_SETS[name].build(TIMES, COHORT)
    defined = {f"{name}_{item.name}" for item in FEATURE_SETS[name].definitions}
    assert set(built.frame.columns) - {"prediction_id"} == defined - {"clinical_age_band"}
    assert built.columns["column"].to_list() == built.frame.columns[1:] == sorted(built.frame.columns[1:])
    ColumnDescriptions.validate(built.columns)
    kinds = dict(built.columns.select("column", "kind").iter_rows())
    types = {"number": pl.Float64, "category": pl.String}
    assert all(built.frame[column].dtype == types[kind] for column, kind in kinds.items())
    assert built.frame["prediction_id"].to_list() == TIMES["prediction_id"].to_list()


def test_no_column_sees_the_future(name: Any) -> None:
    def build(times: Any, cohort: Any) -> Any:
        return FEATURE_SETS[name].build(times, cohort)

    checked = check_look_ahead(build, build(TIMES, COHORT), TIMES, COHORT)
    assert checked.predictions == len(PEOPLE)


def test_moving_all_times_leaves_the_features(name: Any) -> None:
    moved = {key: shifted(frame, 11.0) for key, frame in COHORT.items()}
    before = FEATURE_SETS[name].build(TIMES, COHORT).frame
    assert FEATURE_SETS[name].build(shifted(TIMES, 11.0), moved).frame.equals(before)


def test_the_order_of_rows_does_not_matter(name: Any) -> None:
    mixed = {key: frame.sample(fraction=1.0, shuffle=True, seed=1) for key, frame in COHORT.items()}
    again = FEATURE_SETS[name].build(TIMES.reverse(), mixed).frame
    assert again.reverse().equals(FEATURE_SETS[name].build(TIMES, COHORT).frame)


def test_another_patient_does_not_change_anyone(name: Any) -> None:
    alone = TIMES.filter(pl.col("position") == 2)
    both = (
        FEATURE_SETS[name]
        .build(TIMES, COHORT)
        .frame.join(alone.select("prediction_id"), on="prediction_id", how="semi")
    )
    assert FEATURE_SETS[name].build(alone, COHORT).frame.equals(both)


def test_a_variable_that_the_study_lacks_drops_its_columns_and_says_so(name: Any) -> None:
    lost = next(item for item in FEATURE_SETS[name].definitions if set(item.needs) <= set(VARIABLES))
    cohort = {**COHORT, "measurements": COHORT["measurements"].filter(pl.col("variable") != lost.needs[0])}
    built = FEATURE_SETS[name].build(TIMES, cohort)
    assert f"{name}_{lost.name}" not in built.frame.columns
    assert lost.needs[0] in str(built.report["dropped"])
    assert not any(series.null_count() == len(series) for series in built.frame)


def test_a_set_that_the_study_cannot_fill_is_refused(name: Any) -> None:
    with pytest.raises(NoColumns, match=rf"feature_sets\.{name}: .*Drop the set"):
        FEATURE_SETS[name].build(TIMES, tables())
