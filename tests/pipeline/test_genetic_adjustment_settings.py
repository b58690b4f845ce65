"""Genetic steps of adjustments in the study file: what is understood, what is refused, and what goes with the genetic set."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.adjustment.genetic_plan import AncestryPlan, ComponentPlan, FrequencyPlan, GeneticPlan
from pipeline.errors import BadSettings
from pipeline.settings.adjustment import kind_of, plan_of, with_composites
from pipeline.settings.load import check_study
from pipeline.settings.study import Study
from pipeline.strata_inputs import plan_for
from tests.workplace import demo_study

IN_FOLD = {"ancestry": {"in_fold": True}}
COHORT = {"missing": {"frequencies": "cohort", "imputation": "mean"}}
FILLED = {"frequencies": {"scores": ["genetic_bmi"]}}


def study(genetics: dict[str, Any] | None, genetic_set: dict[str, Any], **learner: Any) -> Study:
    """Return the demo with one score, genetic steps for the elastic net, and no other learner that uses the score."""
    values = demo_study("demo", stratifications={})
    values["feature_sets"]["genetic"] = {"files": ["fr"], "scores": {"bmi": "bmi.txt"}, **genetic_set}
    values["adjustments"] = {} if genetics is None else {"own": {"genetics": genetics}}
    for item in values["learners"].values():
        (item or {}).pop("adjustment", None)
    values["learners"] = {
        name: {"feature_sets": ["clinical"], **(item or {})} for name, item in values["learners"].items()
    }
    own = {"feature_sets": ["genetic"], **({} if genetics is None else {"adjustment": "own"})}
    values["learners"]["elastic_net"] = own | learner
    return check_study(values, Path("study.yaml"))


def test_genetic_steps_become_a_plan_and_name_the_columns_they_need() -> None:
    asked = {**FILLED, "components": {"number": 3, "as_predictors": False}, "ancestry": {"how": "mean"}}
    made = study(asked, IN_FOLD | COHORT)
    plan = plan_of(made, "elastic_net")
    assert plan is not None
    assert plan.genetics == GeneticPlan(
        FrequencyPlan(("genetic_bmi",)),
        ComponentPlan(3, False, families="genetic_family"),
        AncestryPlan(None, "mean"),
    )
    expected = ("genetic_bmi_missing", "genetic_family", "genetic_genotypes", "genetic_variants")
    assert kind_of(made, "elastic_net").context == expected
    assert kind_of(made, "lightgbm").context == ()
    assert plan_for(plan, ["clinical_age"]).genetics is None


@pytest.mark.parametrize(
    ("genetics", "genetic_set", "sentence"),
    [
        ({}, {}, "nothing is asked for"),
        ({"pcs": {}}, {}, "genetics.pcs"),
        ({"components": {"number": 0}}, IN_FOLD, "genetics.components.number"),
        ({"components": {"as_predictors": False}}, IN_FOLD, "nothing uses them"),
        ({"ancestry": {"how": "median"}}, IN_FOLD, "genetics.ancestry.how"),
        ({"frequencies": {"scores": []}}, COHORT, "genetics.frequencies.scores"),
        (FILLED, {}, "feature_sets.genetic fills them already"),
        (None, COHORT, "genetic_bmi must stand under genetics.frequencies.scores"),
        ({"components": {}}, COHORT | IN_FOLD, "genetic_bmi must stand under genetics.frequencies.scores"),
        ({"frequencies": {"scores": ["genetic_bmi"], "imputation": "hardy_weinberg"}}, COHORT, "give both the same"),
        ({"components": {}}, {}, "gives no genotypes to fit them on"),
        ({"ancestry": {"projected": 4}}, IN_FOLD, "projects fewer than 4 components"),
        ({"ancestry": {"projected": 4}}, {"ancestry": {"reference": "panel", "components": 3}}, "fewer than 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_out_is_refused_in_a_sentence(
    genetics: dict[str, Any] | None, genetic_set: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadSettings, match=sentence):
        study(genetics, genetic_set)


def test_learners_that_use_no_score_need_no_frequencies() -> None:
    panel = {"ancestry": {"reference": "panel", "components": 4}}
    accepted = [
        study(None, COHORT, feature_sets=["clinical"]),
        study(FILLED, COHORT),
        study({"ancestry": {"projected": 4}}, panel),
    ]
    assert [one.learners["elastic_net"].adjustment for one in accepted] == [None, "own", "own"]


def test_strata_of_scores_need_frequencies_too() -> None:
    values = study(FILLED, COHORT).model_dump(mode="json", by_alias=True)
    asked = {"index": "baseline", "feature_sets": ["genetic"], "adjustment": "own"}
    values["stratifications"] = {"genes": asked}
    check_study(values, Path("study.yaml"))
    values["stratifications"] = {"genes": {**asked, "adjustment": None}}
    with pytest.raises(BadSettings, match=r"stratifications.genes.adjustment: .* must stand under"):
        check_study(values, Path("study.yaml"))
    values["stratifications"] = {"genes": {**asked, "adjustment": None, "columns": ["genetic_ancestry*"]}}
    check_study(values, Path("study.yaml"))


def test_components_and_raw_scores_are_described() -> None:
    plan = plan_of(
        study({"components": {"number": 2, "as_predictors": True}, "ancestry": {"keep_raw": True}}, IN_FOLD),
        "elastic_net",
    )
    roles, kinds = pl.Enum(["predictor", "context"]), pl.Enum(["number", "category"])
    columns = pl.DataFrame(
        {
            "column": ["clinical_sex", "genetic_bmi"],
            "feature_set": ["clinical", "genetic"],
            "kind": pl.Series(["category", "number"], dtype=kinds),
            "description": ["sex", "polygenic score of BMI"],
            "unit": [None, "weight"],
            "source": ["s", "PGS"],
            "role": pl.Series(["predictor", "predictor"], dtype=roles),
        }
    )
    found = with_composites(columns, plan)
    assert found["column"].to_list() == [
        "clinical_sex",
        "genetic_bmi",
        "genetic_bmi_raw",
        "genetic_component_1",
        "genetic_component_2",
    ]
    assert found["feature_set"].to_list() == ["clinical", *["genetic"] * 4]
    assert found["kind"].to_list() == ["category", *["number"] * 4]
    assert found["description"][2] == "polygenic score of BMI, before ancestry was taken out"
    assert found["description"][4] == "principal component 2 of the genotypes"
    assert found["description"][1].startswith("polygenic score of BMI, less what ancestry")
    assert found["unit"].to_list() == [None, "SD given ancestry", "weight", "score", "score"]
    assert with_composites(columns, None)["unit"].to_list() == [None, "weight"]
