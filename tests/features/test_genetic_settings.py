"""Settings of the genetic set are refused before any file is opened."""

from typing import Any

import pytest

from features.errors import BadInput
from features.genetics.settings import GeneticSettings

SOUND = {"files": ["genotypes/fr"], "scores": {"bmi": "bmi.txt"}}
PANEL = {"reference": "genotypes/panel"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quality": {"sample_call_rat": 0.9}}, "quality.sample_call_rat is not a threshold"),
        ({"quality": {"sample_call_rate": float("nan")}}, "quality.sample_call_rate must be from 0 to 1"),
        ({"quality": {"pruning_window": 10**400}}, "quality.pruning_window must be a whole number"),
        ({"quality": {"hardy_weinberg": "1e-6", "x": 1}}, "quality.x is not a threshold"),
        ({"quality": {"kinship_relative": 0.4}}, "must rise"),
        ({"quality": {"controls": {"variable": None, "levels": ["no"]}}}, "all of them text"),
        ({"quality": {"controls": {"variable": "diagnosis", "levels": [False]}}}, "all of them text"),
        ({"ancestry": PANEL | {"in_fold": "yes"}}, "ancestry.in_fold must be true or false"),
        ({"ancestry": {"in_fold": 1}}, "ancestry.in_fold must be true or false"),
        ({"files": ["genotypes/fr\n"]}, "all printable"),
        ({"scores": {"a" * 61: "a.txt"}}, "at most 60"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        GeneticSettings.from_study(SOUND | settings)
    assert said in " ".join(caught.value.problems)


@pytest.mark.parametrize(
    "name",
    [
        "component_1",
        "variants",
        "variants_rare",
        "genotypes",
        "ancestry",
        "family",
        "bmi_raw",
        "bmi_missing",
        "bmi_ancestry_mean",
        "bmi_ancestry_mean_variance",
    ],
)
def test_a_score_cannot_take_the_name_of_another_column(name: str) -> None:
    with pytest.raises(BadInput, match=f"a score cannot be named {name}:"):
        GeneticSettings.from_study(SOUND | {"scores": {"bmi": "bmi.txt", name: "other.txt"}})


def test_names_that_only_look_like_those_of_other_columns_are_scores() -> None:
    names = ("raw", "familial_bmi", "ancestry_mean_bmi", "component")
    assert set(GeneticSettings.from_study(SOUND | {"scores": dict.fromkeys(names, "bmi.txt")}).scores) == {
        *names
    }


def test_thresholds_are_kept_as_numbers() -> None:
    assert GeneticSettings.from_study(SOUND | {"quality": {"pruning_window": 20}}).quality == {
        "pruning_window": 20.0
    }
