"""What a chain of tests says together, and what is told of it in a tracked run."""

from dataclasses import replace

import polars as pl
import pytest

from experiments.run_note import LEAST_SAID, MOST_CHARACTERS, NoteTable, fitted
from experiments.strata_contents import figures_of_tests, strata_note
from experiments.stratification.chain import table_of_tests
from experiments.stratification.verdict import CHAIN, CONTINUUM, Figure, Status, TestResult, verdict

REQUIRED = ("one_group", "number", "stability", "replication")


def _results(**status: Status) -> list[TestResult]:
    return [TestResult(name, status.get(name, "passed"), f"{name} as it is.") for name in CHAIN]


@pytest.mark.parametrize(
    ("k", "status", "required", "claim", "claimed"),
    [
        (3, {}, REQUIRED, "3 strata", True),
        (1, {"number": "failed"}, REQUIRED, CONTINUUM, False),
        (3, {"one_group": "failed"}, REQUIRED, CONTINUUM, False),
        (3, {"number": "failed"}, REQUIRED, CONTINUUM, False),
        (3, {"stability": "failed"}, REQUIRED, "3 strata, not stable", False),
        (2, {"replication": "failed"}, REQUIRED, "2 strata, not replicated elsewhere", False),
        # The first test that was not passed is named, whatever came later.
        (2, {"replication": "failed", "stability": "failed"}, REQUIRED, "2 strata, not stable", False),
        (3, {"value": "failed"}, REQUIRED, "3 strata", True),
        (3, {"value": "failed"}, CHAIN, "3 strata, no value beyond continuous scores of the same variables", False),
        (3, {"replication": "not_possible"}, REQUIRED, "3 strata (not tested here: replication)", True),
        (3, {"one_group": "failed", "number": "failed"}, CHAIN, CONTINUUM, False),
    ],
)  # fmt: skip
def test_what_is_claimed(
    k: int, status: dict[str, Status], required: tuple[str, ...], claim: str, claimed: bool
) -> None:
    found = verdict(k, _results(**status), required)
    assert (found.claim, found.claimed) == (claim, claimed)
    assert found.k == (1 if claim == CONTINUUM else k)
    assert [one.name for one in found.tests] == list(CHAIN)


STATES: tuple[Status, ...] = ("failed", "not_possible", "not_asked")


def test_a_continuum_is_claimed_whichever_of_the_first_tests_fails_and_whatever_is_required() -> None:
    for name in ("one_group", "number"):
        for state in STATES:
            assert (
                verdict(
                    4,
                    [replace(one, status=state) if one.name == name else one for one in _results()],
                    ("one_group", "number"),
                ).claim
                == CONTINUUM
            )


def test_tests_are_told_in_order_with_every_figure() -> None:
    results = [
        TestResult("number", "passed", "Three.", (Figure("prediction_strength", 0.9, 0.8, True, n=10),)),
        TestResult(
            "one_group",
            "failed",
            "One group gives this.",
            (
                Figure("p_copula", 0.01, 0.05, True, n=99),
                Figure("p_continuum", 0.3, 0.05, False, 0.2, 0.4, 99),
            ),
        ),
    ]
    found = verdict(3, results, REQUIRED)
    table = table_of_tests(found.tests)
    assert table.rows() == [
        ("number", "prediction_strength", 0.9, None, None, 0.8, True, 10),
        ("one_group", "p_continuum", 0.3, 0.2, 0.4, 0.05, False, 99),
        ("one_group", "p_copula", 0.01, None, None, 0.05, True, 99),
    ]
    summary = found.to_json()
    assert [item["test"] for item in summary["tests"]] == ["one_group", "number"]
    metrics = figures_of_tests(table, summary)
    assert metrics == {
        "k": 1.0,
        "claimed": 0.0,
        "number.prediction_strength": 0.9,
        "one_group.p_continuum": 0.3,
        "one_group.p_continuum.lower": 0.2,
        "one_group.p_continuum.upper": 0.4,
        "one_group.p_copula": 0.01,
    }
    note = strata_note(table, summary, "biology")
    assert f"Claim: {CONTINUUM}." in note
    assert "| one_group | failed | One group gives this. |" in note
    assert "| one_group | p_continuum | 0.300 | 0.050 | no | 99 |" in note


def test_figures_of_places_that_differ_in_punctuation_alone_are_both_tracked() -> None:
    places = tuple(
        Figure(f"agreement, {place}", value) for place, value in (("St. Anne", 0.5), ("St, Anne", 0.7))
    )
    found = verdict(2, [TestResult("replication", "passed", "Two.", places)], REQUIRED)
    metrics = figures_of_tests(table_of_tests(found.tests), found.to_json())
    assert sorted(value for name, value in metrics.items() if name.startswith("replication")) == [0.5, 0.7]
    tied = tuple(Figure(f"agreement, {place}", value) for place, value in (("A+", 0.5), ("A*", 0.7)))
    found = verdict(2, [TestResult("replication", "passed", "Two.", tied)], REQUIRED)
    metrics = figures_of_tests(table_of_tests(found.tests), found.to_json())
    assert sorted(value for name, value in metrics.items() if name.startswith("replication")) == [0.5, 0.7]


def test_no_figures_give_an_empty_table_of_the_same_columns() -> None:
    empty = table_of_tests([])
    assert empty.is_empty()
    assert empty.columns == table_of_tests([TestResult("number", "passed", "", (Figure("a", 1.0),))]).columns
    assert isinstance(empty, pl.DataFrame)


def test_a_note_longer_than_mlflow_keeps_ends_in_whole_sentences_and_says_what_is_left_out() -> None:
    beside = tuple(Figure(f"separation_{number}", number / 500) for number in range(300))
    decides = Figure("prediction_strength", 0.9, 0.8, True, n=10)
    found = verdict(2, [TestResult("number", "passed", "Two.", (*beside, decides))], REQUIRED)
    table = table_of_tests(found.tests)
    note = strata_note(table, found.to_json(), "biology")
    shown = sum("| separation_" in line for line in note.splitlines())
    assert MOST_CHARACTERS - 60 < len(note) <= MOST_CHARACTERS  # another row would not fit
    assert "| number | prediction_strength | 0.900 | 0.800 | yes | 10 |" in note
    assert note.endswith(
        f"{300 - shown} more rows stand in the tables among the artifacts. "
        f"Stratification card: artifacts, card/biology.html. {LEAST_SAID}"
    )


def test_a_table_of_which_no_row_fits_leaves_no_header_behind() -> None:
    first, second = NoteTable("| a |", ["| 1 |"] * 40), NoteTable("| b |", ["| 2 |"])
    whole = fitted(["Claim."], [first, second], "End.")
    assert "| b |\n|---|\n| 2 |" in whole
    assert "more row" not in whole
    cut = fitted(["Claim."], [first, second], "End.", most=200)
    assert "| 1 |" in cut
    assert "| b |" not in cut
    assert fitted(["Claim."], [first, second], "End.", most=1).startswith("Claim.\n\n41 more rows stand")
