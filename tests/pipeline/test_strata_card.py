"""What a stratification card says of figures, scores and one group, read from small tables."""

from pathlib import Path
from typing import Any

import polars as pl

from experiments.disclosure import SUPPRESSED
from experiments.stratification.chain import table_of_tests
from experiments.stratification.hazards import NOT_ESTIMABLE
from experiments.stratification.outcome_schemas import (
    Associations,
    Compared,
    Contrasts,
    HeldOut,
    Incidence,
    Medication,
)
from experiments.stratification.outcomes import TOLD_APART
from experiments.stratification.schemas import Profile
from experiments.stratification.verdict import Figure, TestResult, verdict
from pipeline.cards.strata_chain import chain_section
from pipeline.cards.strata_described import compared_section, profile_section
from pipeline.cards.strata_incidence import incidence_section
from pipeline.cards.strata_outcomes import MOST_SCORES, medication_section, outcome_sections
from pipeline.files import write_table
from pipeline.settings.stratification import Stratification

ONE_GROUP = {
    "k": 1,
    "claimed": False,
    "compared": [{"column": "diagnosis", "adjusted_mutual_information": 0.0}],
}


def told_figures(*results: TestResult) -> dict[str, dict[str, str]]:
    found = verdict(2, results, ("one_group", "number"))
    asked = Stratification(title="Planted", index="baseline", feature_sets=("metabolic",))
    section = chain_section(asked, found.to_json(), table_of_tests(found.tests), Path("nowhere"))
    return {row["figure"]: row for row in section.tables[1][1]}


def test_a_figure_says_which_way_its_threshold_lies_and_what_it_stands_on() -> None:
    figures = told_figures(
        TestResult("one_group", "passed", "", (Figure("p_copula", 0.0001, 0.05, True, n=9999),)),
        TestResult(
            "number",
            "failed",
            "",
            (
                Figure("number_by_bic", 4.0),
                Figure("prediction_strength", 0.6849, 0.8, False),
                Figure("consensus_p", None, 0.05, n=0),
            ),
        ),
    )
    copula = figures["p against one group as a copula"]
    assert (copula["estimate"], copula["threshold"], copula["stands on"]) == (
        "< 0.001",
        "at most 0.05",
        "9,999 draws",
    )
    strength = figures["prediction strength"]
    assert (strength["estimate"], strength["threshold"], strength["passed"]) == (
        "0.685",
        "at least 0.8",
        "FAILED",
    )
    consensus = figures["p of the consensus against one group"]
    assert (consensus["estimate"], consensus["stands on"]) == ("not computed", "")
    assert figures["number by BIC"]["estimate"] == "4"


def test_figures_stand_in_the_order_of_the_chain_and_those_that_decide_come_first() -> None:
    figures = told_figures(
        TestResult("number", "passed", "", (Figure("gap", 1.0), Figure("smallest_share", 0.2, 0.05, True))),
        TestResult(
            "one_group", "passed", "", (Figure("separation", 0.5), Figure("p_continuum", 0.01, 0.05, True))
        ),
    )
    assert [row["test"] for row in figures.values()] == ["one_group", "one_group", "number", "number"]
    assert [bool(row["threshold"]) for row in figures.values()] == [True, False, True, False]


def associations(number: int) -> pl.DataFrame:
    rows: list[dict[str, Any]] = [
        {
            "name": "score",
            "kind": "held_out",
            "level": "",
            "dimension": one + 1,
            "effect": "slope",
            "estimate": 0.5,
            "lower": 0.4,
            "upper": 0.6,
            "p_spline": 1.0 - one / number,
            "p_adjusted": 1.0 if one < number - 1 else 0.0001,
            "n": 100,
            "events": None,
            "note": None,
        }
        for one in range(number)
    ]
    return Associations.validate(pl.DataFrame(rows), cast=True)


def test_of_many_scores_the_clearest_are_told_with_how_many_there_are(tmp_path: Path) -> None:
    write_table(associations(40), tmp_path / "associations.parquet", Associations)
    (section,) = outcome_sections(tmp_path, ONE_GROUP)
    assert section is not None
    ((caption, rows),) = section.tables
    assert caption.startswith(f"The {MOST_SCORES} of 40 with the smallest p")
    assert [row["dimension"] for row in rows] == [str(one) for one in range(40, 40 - MOST_SCORES, -1)]
    assert rows[0]["p, Holm"] == "< 0.001"
    assert "40 that were tested: 1 of them lie" in section.words[0]


def test_one_group_agrees_with_nothing(tmp_path: Path) -> None:
    rows = [
        {"column": "diagnosis", "level": level, "stratum": 1, "n": n, "share": n / 100}
        for level, n in (("a", 60), ("b", 40))
    ]
    write_table(Compared.validate(pl.DataFrame(rows), cast=True), tmp_path / "compared.parquet", Compared)
    section = compared_section(tmp_path, ONE_GROUP)
    assert section is not None
    ((caption, levels),) = section.tables
    assert caption == "Patients by diagnosis (share of the one group)"
    assert [row["level"] for row in levels] == ["a", "b"]
    assert not any("mutual information" in words for words in section.words)


def test_a_profile_tells_means_in_the_unit_of_the_column(tmp_path: Path) -> None:
    rows = [
        {
            "stratum": stratum,
            "column": column,
            "level": level,
            "n": 50,
            "mean": mean,
            "effect": sign * 0.8,
            "effect_lower": sign * 0.8 - 0.1,
            "effect_upper": sign * 0.8 + 0.1,
            "made": True,
        }
        for column, level, mean in (("metabolic_bmi", "", 31.25), ("clinical_sex", "female", 0.6))
        for stratum, sign in ((1, 1), (2, -1))
    ]
    write_table(Profile.validate(pl.DataFrame(rows), cast=True), tmp_path / "profile.parquet", Profile)
    section = profile_section(tmp_path, {"k": 2}, {"metabolic_bmi": "kg/m^2"})
    assert section is not None
    told = {row["column"]: row["stratum 1"] for row in section.tables[0][1]}
    assert told == {
        "metabolic bmi (kg/m^2)": "+0.80 (0.70 to 0.90); 31.25",
        "clinical sex: female": "+0.80 (0.70 to 0.90); 60 %",
    }


def test_medication_is_told_with_its_intervals_and_hidden_cells_stay_hidden(tmp_path: Path) -> None:
    known = {
        "on": 30,
        "patients": 100,
        "share": 0.3,
        "lower": 0.22,
        "upper": 0.4,
        "difference": -0.1,
        "difference_lower": -0.21,
        "difference_upper": 0.001,
    }
    rows = [
        {"group": "lithium", "codes": "N05AN", "stratum": 1, **known, "warning": "Description only."},
        {
            "group": "lithium",
            "codes": "N05AN",
            "stratum": 2,
            **dict.fromkeys(known),
            "warning": "Description only.",
        },
    ]
    table = Medication.validate(pl.DataFrame(rows, infer_schema_length=None), cast=True)
    write_table(table, tmp_path / "medication.parquet", Medication)
    section = medication_section(tmp_path)
    assert section is not None
    (_, (shares,)), (_, (differences,)) = section.tables
    assert (shares["stratum 1"], shares["stratum 2"]) == ("30 % (22 to 40 %) of 100", "suppressed")
    assert (differences["stratum 1"], differences["stratum 2"]) == ("-10 (-21 to +0)", "suppressed")


def test_contrasts_are_told_with_uncertainty_carried_on_and_a_note_of_all_rows_once(tmp_path: Path) -> None:
    figures = {"outcome": "relapse", "lower": 1.0, "upper": 9.0, "note": None}
    contrasts = [
        {**figures, **one, "stratum": 2, "reference": 1, "adjusted": False}
        for one in (
            {"measure": "free_time_difference", "horizon": 365.0, "correction": "none", "estimate": 5.0},
            {"measure": "free_time_difference", "horizon": 365.0, "correction": "bch", "estimate": 7.04},
            {"measure": "hazard_ratio", "horizon": 0.0, "correction": "none", "estimate": 3.0},
        )
    ]
    incidence = [
        {
            **figures,
            "measure": "risk",
            "horizon": 365.0,
            "correction": "bch",
            "stratum": stratum,
            "estimate": 0.5,
        }
        | {"n": 40, "events": 20, "note": "weights are held"}
        for stratum in (1, 2)
    ]
    for name, schema, rows in (("contrasts", Contrasts, contrasts), ("incidence", Incidence, incidence)):
        frame = pl.DataFrame(rows, infer_schema_length=None)
        write_table(schema.validate(frame, cast=True), tmp_path / f"{name}.parquet", schema)
    section = incidence_section(tmp_path)
    assert section is not None
    (_, differences), (_, strata) = section.tables
    told = {row["figure"]: (row["estimate"], row["counted"]) for row in differences}
    assert told == {
        "difference in mean days without the event": ("7.0 (1.0 to 9.0)", "as probable"),
        "hazard ratio": ("3.000 (1.000 to 9.000)", "as assigned"),
    }
    assert section.words[1] == "weights are held."
    assert "note" not in strata[0]


def test_strata_too_uncertain_to_carry_on_are_told_as_assigned_and_nothing_missing_is_called_suppressed(
    tmp_path: Path,
) -> None:
    plain = {"outcome": "relapse", "correction": "none", "horizon": 365.0}
    incidence = [
        {**plain, "measure": "risk", "stratum": stratum, "estimate": 0.3, "lower": 0.2, "upper": 0.4, "n": 90, "events": 30, "note": TOLD_APART}
        for stratum in (1, 2)
    ]  # fmt: skip
    contrasts = [
        {**plain, "measure": measure, "stratum": 2, "reference": 1, "estimate": None, "lower": None, "upper": None, "adjusted": True, "note": note}
        for measure, note in (("hazard_ratio", NOT_ESTIMABLE), ("risk_difference", SUPPRESSED))
    ]  # fmt: skip
    held_out = [
        {"column": "bmi", "level": "", "correction": "bch", "stratum": stratum, "estimate": None, "lower": None, "upper": None, "n": 90, "note": TOLD_APART}
        for stratum in (1, 2)
    ]  # fmt: skip
    for name, schema, rows in (
        ("incidence", Incidence, incidence),
        ("contrasts", Contrasts, contrasts),
        ("held_out", HeldOut, held_out),
    ):
        frame = pl.DataFrame(rows, infer_schema_length=None)
        write_table(schema.validate(frame, cast=True), tmp_path / f"{name}.parquet", schema)
    found, columns = outcome_sections(tmp_path, {"k": 2})
    assert found is not None
    assert "as far as it is probable" not in found.words[0]
    assert found.words[1] == f"{TOLD_APART}."
    (_, differences), (_, strata) = found.tables
    assert [row["patients"] for row in strata] == ["90", "90"]
    assert [row["estimate"] for row in differences] == ["not computed", "suppressed"]
    assert columns is not None
    assert columns.words[1] == f"Not computed: {TOLD_APART}."
    assert columns.tables[0][1][0]["stratum 1"] == "not computed"
