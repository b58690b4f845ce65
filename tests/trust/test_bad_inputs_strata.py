"""Bad input 110, of a search for strata: every hostile setting is refused in a sentence before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadSettings
from pipeline.settings.load import check_study
from tests.workplace import demo_study

NAN, HUGE = float("nan"), 10**30
ASKED: dict[str, Any] = {"index": "baseline", "feature_sets": ["metabolic"], "clusterer": "k_means"}

COURSE: dict[str, Any] = {"feature_sets": []}
GROWTH: dict[str, Any] = {"variables": ["gaf"], "method": "growth_mixture"}


def told(changes: dict[str, Any]) -> tuple[str, ...]:
    values = demo_study("demo", stratifications={"planted": {**ASKED, **changes}})
    try:
        check_study(values, Path("study.yaml"))
    except BadSettings as refused:
        return refused.problems
    return ()


def test_the_unchanged_settings_are_taken() -> None:
    assert told({}) == ()
    both = {"variables": ["gaf", "madrs"]}
    assert told({**COURSE, "course": both, "weights": {"gaf": 2.0}, "parameters": {"n_init": 2}}) == ()
    assert told({**COURSE, "course": {**GROWTH, **both}, "clusterer": "gaussian_mixture"}) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clusterer": "no_such"}, "clusterer"),
        ({"feature_sets": ["metabolic", "metabolic"]}, "feature_sets: 'metabolic' stands twice"),
        ({"required": ["one_group", "number", "number"]}, "required: 'number' stands twice"),
        ({"value": {"outcomes": ["relapse_1y", "relapse_1y"]}}, "value.outcomes: 'relapse_1y' stands twice"),
        ({"value": {"held_out": ["x", "x"]}}, "value.held_out: 'x' stands twice"),
        ({"columns": ["a_*", "a_*"]}, "columns: 'a_*' stands twice"),
        ({"columns": []}, "columns"),
        ({"course": {"variables": ["gaf"]}}, "either feature_sets"),
        (
            {**COURSE, "course": {"variables": ["gaf"], "logarithm": ["crp"]}},
            "'crp' is none of the course's variables",
        ),
        ({**COURSE, "course": {"variables": ["gaf"], "interval": HUGE}}, "course.interval"),
        ({**COURSE, "course": {"variables": ["gaf"], "years": NAN}}, "course.years"),
        ({**COURSE, "course": {"variables": ["gaf", "gaf"]}}, "course.variables: 'gaf' stands twice"),
        (
            {**COURSE, "course": {"variables": ["gaf"]}, "weights": {"crp": 2.0}},
            "weights: 'crp' is not known",
        ),
        ({**COURSE, "course": {"variables": ["gaf"]}, "parameters": {"nit": 1}}, "'nit' is no parameter"),
        ({**COURSE, "course": GROWTH}, "clusterer: a course of method growth_mixture takes none"),
        ({**COURSE, "course": GROWTH, "weights": {"gaf": 2.0}}, "weights: a course of method growth_mixture"),
        ({**COURSE, "course": GROWTH, "parameters": {"n_init": 2}}, "parameters: a course of method"),
        ({"parameters": {"n_init": -1}}, "n_init is -1"),
        ({"parameters": {"n_init": NAN}}, "n_init is nan"),
        ({"parameters": {"n_init": HUGE}}, "n_init is"),
        ({"parameters": {"reduce": "some"}}, "reduce is 'some'"),
        ({"parameters": {"reduce": ["none"]}}, "reduce is"),
        ({"parameters": {"nit": 1}}, "'nit' is no parameter of k_means"),
        ({"parameters": 7}, "parameters"),
        ({"weights": {"metabolic": NAN}}, "weights"),
        ({"weights": {"other": 1.0}}, "weights: 'other' is not known"),
        ({"most_strata": HUGE}, "most_strata"),
        ({"most_strata": 2.5}, "most_strata"),
        ({"smallest_share": 0}, "smallest_share"),
        ({"one_group": {"draws": -1}}, "one_group.draws"),
        ({"one_group": {"level": NAN}}, "one_group.level"),
        ({"number": {"splits": "many"}}, "number.splits"),
        ({"stability": {"jaccard": 1.5}}, "stability.jaccard"),
        ({"replication": {"between": "ward"}}, "replication.between"),
        ({"replication": {"fewest": 0}}, "replication.fewest"),
        ({"required": []}, "required must hold"),
        ({"panel": None}, "panel"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_110_settings_of_a_search_for_strata(changes: dict[str, Any], said: str) -> None:
    problems = told(changes)
    matching = [one for one in problems if said in one]
    assert matching, problems
    assert all("\n" not in one and "stratifications.planted" in one for one in matching)
