"""Formulas and thresholds against values worked by hand or printed in the papers named."""

import math
from typing import Any

import polars as pl
import pytest

from features import inflammatory, metabolic
from features.diagnosis_groups import icd9_group
from features.metabolic import CRITERIA, syndrome
from tests.features.small_cohort import predictions, tables, value

TIMES = predictions((1, 10.5))


def built(builder: Any, measured: Any, *, sex: str = "male", medications: Any = (), **settings: Any) -> Any:
    cohort = tables(
        patients=[{"patient": 1, "sex": sex}],
        measurements=[value(1, name, 10.0, number) for name, number in measured.items()],
        medications=medications,
    )
    return builder(TIMES, cohort, **settings).frame.row(0, named=True)


def test_inflammatory_values() -> None:
    found = built(
        inflammatory.build,
        {"crp": 3.2, "il6": 1.0, "neutrophils": 6.0, "lymphocytes": 1.5, "platelets": 300.0},
    )
    assert found["inflammatory_crp_log"] == pytest.approx(1.1631508)
    assert (found["inflammatory_crp_above_3"], found["inflammatory_crp_above_10"]) == (1.0, 0.0)
    assert found["inflammatory_il6_log"] == 0.0
    assert found["inflammatory_nlr"] == 4.0
    assert found["inflammatory_plr"] == 200.0
    assert found["inflammatory_sii"] == 1200.0


@pytest.mark.parametrize(("crp", "above"), [(3.0, 0.0), (3.01, 1.0)])
def test_low_grade_inflammation_begins_above_three(crp: Any, above: Any) -> None:
    assert built(inflammatory.build, {"crp": crp})["inflammatory_crp_above_3"] == above


def test_a_value_under_the_limit_becomes_the_limit_over_the_root_of_two_and_is_flagged() -> None:
    cohort = tables(
        patients=[{"patient": 1}],
        measurements=[value(1, "il6", 10, 0.06, below_limit=True), value(1, "il10", 10, 0.06)],
    )
    found = inflammatory.build(TIMES, cohort).frame.row(0, named=True)
    assert found["inflammatory_il6_log"] == pytest.approx(math.log(0.06 / math.sqrt(2)))
    assert (found["inflammatory_il6_below_limit"], found["inflammatory_il10_below_limit"]) == (1.0, 0.0)


def test_a_ratio_to_no_lymphocytes_is_not_known() -> None:
    found = built(inflammatory.build, {"crp": 1.0, "neutrophils": 4.0, "lymphocytes": 0.0})
    assert "inflammatory_nlr" not in found


def test_metabolic_indices() -> None:
    found = built(
        metabolic.build,
        {
            "weight": 81.0, "height": 180.0, "systolic": 120.0, "diastolic": 80.0, "triglycerides": 1.69, "hdl": 1.2,
            "glucose": 5.0, "insulin": 9.0, "total_cholesterol": 5.0, "fasting": "yes",
        },
    )  # fmt: skip
    assert found["metabolic_bmi"] == pytest.approx(25.0)
    assert found["metabolic_mean_arterial_pressure"] == pytest.approx(93.3333, abs=1e-4)
    # 1.69 mmol/L is 149.7 mg/dL, 5.0 mmol/L is 90.1 mg/dL: ln(149.7 * 90.1 / 2) = 8.817
    assert found["metabolic_tyg"] == pytest.approx(8.817, abs=1e-3)
    assert found["metabolic_tg_hdl"] == pytest.approx(149.7 / 46.4, abs=2e-3)
    assert found["metabolic_homa_ir"] == pytest.approx(2.0)
    assert found["metabolic_non_hdl"] == pytest.approx(3.8)


def test_both_forms_of_homa_agree() -> None:
    by_mmol = built(metabolic.build, {"insulin": 12.0, "glucose": 100 / metabolic.GLUCOSE_MG_DL})[
        "metabolic_homa_ir"
    ]
    assert by_mmol == pytest.approx(12.0 * 100 / 405, rel=2e-3)


def test_indices_of_fasting_values_need_a_fasting_sample() -> None:
    fed = {"triglycerides": 2.5, "glucose": 7.0, "insulin": 9.0, "hdl": 1.5, "waist": 90.0, "fasting": "no"}
    found = built(metabolic.build, fed)
    assert not {"metabolic_tyg", "metabolic_homa_ir"} & set(found)
    assert found["metabolic_glucose"] == 7.0


NORMAL = {
    "waist": 80.0,
    "triglycerides": 1.0,
    "hdl": 1.6,
    "systolic": 115.0,
    "diastolic": 75.0,
    "glucose": 5.0,
}


@pytest.mark.parametrize(
    ("sex", "changed", "met"),
    [
        ("male", {}, 0),
        ("male", {"waist": 102.0}, 1),
        ("male", {"waist": 101.9}, 0),
        ("female", {"waist": 88.0}, 1),
        ("female", {"waist": 87.9}, 0),
        ("male", {"triglycerides": 1.7}, 1),
        ("male", {"hdl": 1.03}, 0),
        ("male", {"hdl": 1.02}, 1),
        ("female", {"hdl": 1.29}, 1),
        ("female", {"hdl": 1.30}, 0),
        ("male", {"systolic": 130.0}, 1),
        ("male", {"diastolic": 85.0}, 1),
        ("male", {"systolic": 130.0, "diastolic": 85.0}, 1),
        ("male", {"glucose": 5.6}, 1),
        ("male", {"glucose": 5.59}, 0),
        ("male", {"waist": 110.0, "glucose": 6.0, "systolic": 140.0}, 3),
    ],
)
def test_each_criterion_of_the_metabolic_syndrome_has_its_threshold(sex: Any, changed: Any, met: Any) -> None:
    found = built(metabolic.build, {**NORMAL, **changed}, sex=sex)
    assert found["metabolic_criteria_met"] == met
    assert found["metabolic_metabolic_syndrome"] == float(met >= 3)


def test_a_treated_criterion_is_met() -> None:
    drugs = [{"patient": 1, "atc": code, "start": 1.0} for code in ("C09AA05", "A10BA02", "C10AB05")]
    found = built(metabolic.build, NORMAL, medications=drugs)
    assert found["metabolic_criteria_met"] == 4  # fibrates treat triglycerides and HDL
    assert found["metabolic_metabolic_syndrome"] == 1.0


@pytest.mark.parametrize(
    ("met", "present"),
    [
        ((True, True, True, None, None), 1.0),
        ((False, False, False, None, None), 0.0),
        ((True, True, False, None, False), None),
        ((True, True, False, False, None), None),
        ((True, True, False, False, False), 0.0),
        ((None, None, None, None, None), None),
    ],
)
def test_missing_criteria_leave_the_syndrome_open_only_while_they_could_decide(
    met: Any, present: Any
) -> None:
    frame = pl.DataFrame([met], schema=dict.fromkeys(CRITERIA, pl.Boolean), orient="row")
    assert syndrome(frame).to_list() == [present]


@pytest.mark.parametrize(
    ("code", "group"),
    [
        ("250.83", "diabetes"), ("250", "diabetes"), ("251", "other"), ("428", "circulatory"), ("785", "circulatory"),
        ("486", "respiratory"), ("786", "respiratory"), ("535", "digestive"), ("787", "digestive"),
        ("820", "injury"), ("999", "injury"), ("715", "musculoskeletal"), ("599", "genitourinary"),
        ("788", "genitourinary"), ("197", "neoplasms"), ("240", "other"), ("295", "mental"), ("296.3", "mental"),
        ("V57", "other"), ("E878", "other"), ("8", "other"), (None, None),
    ],
)  # fmt: skip
def test_icd9_groups_follow_strack(code: Any, group: Any) -> None:
    assert icd9_group(pl.Series([code], dtype=pl.String)).to_list() == [group]
