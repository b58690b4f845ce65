"""Features against what the survey itself computed: NHANES 2017-March 2020, public domain."""

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features import inflammatory, metabolic
from tests.features.small_cohort import predictions, tables, value

FILE = "nhanes/nhanes_2017_2020_prepandemic.parquet"
MAPPED = {
    "weight": "BMXWT",
    "height": "BMXHT",
    "waist": "BMXWAIST",
    "triglycerides": "LBDSTRSI",
    "hdl": "LBDHDDSI",
    "total_cholesterol": "LBDTCSI",
    "glucose": "LBDGLUSI",
    "insulin": "LBXIN",
}
LIMIT = 0.15  # mg/L: the survey writes 0.11, the limit over the root of two, where hsCRP is under it

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def survey() -> Any:
    """Return 200 adults with every value, and ten whose hsCRP lies under the limit of detection."""
    root = os.environ.get("PSYSTRATA_DATA")
    path = Path(root) / FILE if root else None
    if path is None or not path.is_file():
        pytest.skip(f"PSYSTRATA_DATA names no folder with {FILE}")
    every = (
        pl.read_parquet(path)
        .filter(pl.col("RIDAGEYR") >= 18)
        .drop_nulls([*MAPPED.values(), "LBXHSCRP", "BMXBMI"])
    )
    under = every.filter(pl.col("LBDHRPLC") == 1).sort("SEQN").head(10)
    return pl.concat([every.filter(pl.col("LBDHRPLC") != 1).sort("SEQN").head(200), under])


@pytest.fixture(scope="module")
def built(survey: Any) -> Any:
    """Return the metabolic and inflammatory features of the people of the survey, in its order."""
    measured = []
    for number, row in enumerate(survey.iter_rows(named=True)):
        measured += [value(number, name, 0.0, row[column]) for name, column in MAPPED.items()]
        under = row["LBDHRPLC"] == 1
        measured.append(value(number, "crp", 0.0, LIMIT if under else row["LBXHSCRP"], below_limit=under))
    cohort = tables(patients=[{"patient": number} for number in range(len(survey))], measurements=measured)
    times = predictions(*((number, 0.5) for number in range(len(survey))))
    frames = [
        builder.build(times, cohort).frame.drop("prediction_id") for builder in (metabolic, inflammatory)
    ]
    return pl.concat(frames, how="horizontal")


def largest_difference(one: Any, other: Any) -> Any:
    return (one - other).abs().max()


def test_the_body_mass_index_is_the_surveys(survey: Any, built: Any) -> None:
    assert largest_difference(built["metabolic_bmi"], survey["BMXBMI"]) <= 0.0501  # printed to one decimal


def test_lipid_ratios_are_those_of_the_values_in_mg_dl(survey: Any, built: Any) -> None:
    theirs = survey["LBXSTR"] / survey["LBDHDD"]
    assert (
        largest_difference(built["metabolic_tg_hdl"] / theirs, pl.Series([1.0])) < 0.02
    )  # SI values are rounded


def test_indices_of_fasting_values_are_those_of_the_values_in_mg_dl(survey: Any, built: Any) -> None:
    homa = survey["LBXIN"] * survey["LBXGLU"] / 405
    assert largest_difference(built["metabolic_homa_ir"] / homa, pl.Series([1.0])) < 0.01
    tyg = (survey["LBXSTR"] * survey["LBXGLU"] / 2).log()
    assert largest_difference(built["metabolic_tyg"], tyg) < 0.02


def test_a_value_under_the_limit_is_replaced_as_the_survey_does(survey: Any, built: Any) -> None:
    assert largest_difference(built["inflammatory_crp_log"].exp(), survey["LBXHSCRP"]) < 0.005
    assert survey["LBXHSCRP"].min() == pytest.approx(0.11)
