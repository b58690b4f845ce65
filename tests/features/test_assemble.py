from typing import Any

import polars as pl
import pytest

from features import clinical, inflammatory
from features.assemble import assemble
from features.errors import BadInput
from tests.features.small_cohort import predictions, tables, value

TIMES = predictions((2, 10.5), (1, 10.5), (1, 400.5))
COHORT = tables(
    patients=[
        {"patient": 1, "sex": "male", "age": 17.9, "centre": "A", "country": "FR"},
        {"patient": 2, "birth_year": 1920, "centre": "B", "country": "DE"},
    ],
    measurements=[value(1, "crp", 10.0, 4.0), value(2, "gaf", 10.0, 60.0)],
)


def parts(builder: Any, times: Any = TIMES) -> Any:
    built = builder(times, COHORT)
    return built.frame, built.columns


SETS = {"clinical": parts(clinical.build), "inflammatory": parts(inflammatory.build)}


def test_rows_and_matrix_stand_in_the_order_of_rule_position_and_number() -> None:
    found = assemble(TIMES, COHORT["patients"], SETS)
    ids = ["index-1-1", "index-1-2", "index-2-1"]
    assert found.rows["prediction_id"].to_list() == found.matrix["prediction_id"].to_list() == ids
    assert found.matrix.columns[1:] == sorted(found.matrix.columns[1:]) == found.columns["column"].to_list()
    assert found.matrix["inflammatory_crp_above_3"].to_list() == [1.0, 1.0, None]
    assert found.rows["centre"].to_list() == ["A", "A", "B"]


def test_the_matrix_does_not_depend_on_the_order_of_rows_or_sets() -> None:
    turned = {name: (frame.reverse(), columns) for name, (frame, columns) in reversed(SETS.items())}
    one, other = (
        assemble(times, COHORT["patients"], sets)
        for times, sets in ((TIMES, SETS), (TIMES.reverse(), turned))
    )
    assert one.matrix.equals(other.matrix)
    assert one.rows.equals(other.rows)


def test_age_bands_come_from_the_age_or_the_year_of_birth() -> None:
    bands = assemble(TIMES, COHORT["patients"], SETS).rows["age_band"].to_list()
    assert bands == ["under 18", "under 18", "50-64"]
    by_order = assemble(TIMES, COHORT["patients"], SETS, time="order").rows["age_band"].to_list()
    assert by_order[2] is None


@pytest.mark.parametrize(
    ("age", "band"), [(18.0, "18-34"), (34.9, "18-34"), (35.0, "35-49"), (65.0, "65 and over")]
)
def test_a_band_begins_at_its_age(age: Any, band: Any) -> None:
    patients = COHORT["patients"].with_columns(pl.lit(age).alias("age"))
    assert set(assemble(TIMES, patients, SETS).rows["age_band"]) == {band}


@pytest.mark.parametrize(
    ("years", "band"),
    [(0.0, "9 years or less"), (9.0, "9 years or less"), (9.5, "10-12 years"), (12.0, "10-12 years"),
     (12.5, "more than 12 years"), (None, None)],
)  # fmt: skip
def test_education_is_given_in_bands_of_years(years: Any, band: Any) -> None:
    patients = COHORT["patients"].with_columns(pl.lit(years, dtype=pl.Float64).alias("education_years"))
    assert set(assemble(TIMES, patients, SETS).rows["education"]) == {band}


def test_a_column_in_two_sets_is_refused() -> None:
    frame, columns = SETS["inflammatory"]
    with pytest.raises(BadInput, match="inflammatory_crp_log stands in the sets blood and inflammatory"):
        assemble(TIMES, COHORT["patients"], {"blood": (frame, columns), **SETS})


def test_a_column_without_description_is_refused() -> None:
    frame, columns = SETS["inflammatory"]
    with pytest.raises(
        BadInput, match="inflammatory and its column descriptions differ: inflammatory_crp_above_10"
    ):
        assemble(TIMES, COHORT["patients"], {"inflammatory": (frame, columns.tail(-1))})


def test_a_set_of_other_prediction_times_is_refused() -> None:
    with pytest.raises(BadInput, match="The set clinical was built for other prediction times"):
        assemble(TIMES.head(2), COHORT["patients"], {"clinical": SETS["clinical"]})


FIVE = tables(
    patients=[{"patient": number, "sex": "male", "centre": "A", "country": "FR"} for number in range(1, 6)],
    measurements=[value(1, "crp", 10.0, 4.0), value(2, "gaf", 10.0, 60.0)],
)


def family_of(families: list[tuple[int, int]], person: dict[int, int] | None = None) -> list[int | None]:
    """Return the family of each of five patients, as assembled: pairs of patient and label."""
    patients = FIVE["patients"].with_columns(
        person=pl.col("position").replace_strict(person or {}, default=None, return_dtype=pl.Int64)
    )
    name = dict(patients.select("position", "patient_id").iter_rows())
    labelled = pl.DataFrame(
        [(name[patient], label) for patient, label in families],
        schema={"patient_id": pl.String, "family": pl.Int64},
        orient="row",
    )
    times = predictions(*((number, 10.5) for number in name))
    built = clinical.build(times, FIVE)
    rows = assemble(times, patients, {"clinical": (built.frame, built.columns)}, families=labelled).rows
    by_patient = dict(rows.select("patient_id", "family").iter_rows())
    return [by_patient[name[patient]] for patient in sorted(name)]


def test_a_family_is_named_by_its_first_patient_and_strangers_have_none() -> None:
    first = FIVE["patients"]["position"].min()
    found = family_of([(int(str(first)) + 1, 90), (int(str(first)) + 3, 90)])
    assert found == [None, int(str(first)) + 1, None, int(str(first)) + 1, None]
    assert family_of([]) == [None] * 5


def test_two_identifiers_of_one_person_join_their_families() -> None:
    one = int(str(FIVE["patients"]["position"].min()))
    # The first is of one family, the fourth of another; both identifiers are one person.
    found = family_of([(one, 7), (one + 1, 7), (one + 3, 8), (one + 4, 8)], {one: one, one + 3: one})
    assert found == [one, one, None, one, one]


def test_one_person_alone_is_no_family() -> None:
    one = int(str(FIVE["patients"]["position"].min()))
    assert family_of([(one, 7), (one + 1, 7)], {one: one, one + 1: one}) == [None] * 5


def test_families_of_other_patients_are_refused() -> None:
    stranger = pl.DataFrame({"patient_id": ["f" * 32], "family": [3]})
    with pytest.raises(BadInput, match="hold 1 patients who are not in the patients table"):
        assemble(TIMES, COHORT["patients"], SETS, families=stranger)
