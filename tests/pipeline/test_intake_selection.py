"""Intake of chosen rows of a file (`where`), and of times in other units than days."""

from pathlib import Path

import pytest

from tests.trust.small_cohort import SmallCohort


@pytest.fixture
def cohort(tmp_path: Path) -> SmallCohort:
    """A counting-process file: each row ends with an admission (1), with death or with the end of follow-up (0)."""
    cohort = SmallCohort(tmp_path)
    cohort.files = {
        "course.csv": "id,n,from,to,event,death\n1,2,0,2,1,0\n1,3,2,5,0,1\n2,1,0,7,0,0\n3,1,0,,0,0\n",
    }
    cohort.sources = {
        "patients": {"path": "course.csv", "columns": {}, "first_by": "n", "ignore": ["*"]},
        "stays": {
            "path": "course.csv",
            "where": {"event": ["1"]},
            "columns": {
                "stay_id": "n",
                "admission": {"from": "to", "unit": "months"},
                "discharge": {"from": "to", "unit": "months"},
            },
            "ignore": ["*"],
        },
        "deaths": {
            "path": "course.csv",
            "table": "events",
            "where": {"death": ["1"]},
            "columns": {"time": {"from": "to", "unit": "months"}, "kind": {"constant": "death"}},
            "ignore": ["*"],
        },
        "late": {
            "path": "course.csv",
            "table": "events",
            "where": {"to": {"lower": 6}, "death": ["0"]},
            "columns": {"time": {"from": "to", "unit": "weeks"}, "kind": {"constant": "end_of_follow_up"}},
            "ignore": ["*"],
        },
    }
    cohort.dictionary = {}
    dated, changes = cohort.settings, {"time": "days", "extract_date": None}
    cohort.settings = lambda: dated().model_copy(update=changes)  # type: ignore[method-assign]
    return cohort


def test_rows_are_chosen_counted_and_their_times_converted(cohort: SmallCohort) -> None:
    result = cohort.examine()
    tables = result.good.tables
    assert tables["stays"].select("admission", "discharge").rows() == [(2 * 30.4375, 2 * 30.4375)]
    assert sorted(tables["events"].select("kind", "time").rows()) == [
        ("death", 5 * 30.4375),
        ("end_of_follow_up", 49.0),
    ]
    assert {name: result.account(name) for name in ("stays", "deaths", "late")} == {
        "stays": (4, 1, 0, 3),
        "deaths": (4, 1, 0, 3),
        "late": (4, 1, 0, 3),
    }
    assert tables["patients"].height == 3


def test_a_missing_number_lies_in_no_range(cohort: SmallCohort) -> None:
    cohort.sources["late"]["where"] = {"to": {"lower": -1e9}, "death": ["0"], "event": ["0"]}
    assert cohort.examine().account("late") == (4, 1, 0, 3)


@pytest.mark.parametrize(
    ("where", "words"),
    [({"evnt": ["1"]}, "'evnt' of where is not in the header"), ({"event": ["9"]}, "no row has the values")],
)
def test_a_where_that_selects_nothing_is_refused(
    cohort: SmallCohort, where: dict[str, list[str]], words: str
) -> None:
    cohort.sources["stays"]["where"] = where
    result = cohort.examine()
    assert result.intake is None
    assert any(
        words in problem.sentence() and "course.csv" in problem.sentence() for problem in result.problems
    )
