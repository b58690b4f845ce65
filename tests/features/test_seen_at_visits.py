"""An event asked at visits: an interval where it was told, unknown where nobody came, never a negative."""

import math
from typing import Any

import polars as pl
import pytest

from features.errors import BadInput
from features.outcomes import BuiltOutcome, build_outcome
from tests.features.small_cohort import predictions, tables, value

SEEN: dict[str, Any] = {
    "kind": "seen_at_visits",
    "index": "index",
    "variable": "relapsed",
    "positive": ("yes",),
    "negative": ("no",),
    "horizon_days": 365.0,
    "tolerance_days": 60.0,
    "attendance_covariates": (),
}
YEAR, TWO_YEARS = 375.0, 740.0  # visits 365 and 730 days after the prediction of day 10
OTHERS = [(8, YEAR, "yes"), (9, YEAR, "no")]


def built(
    *answers: Any, asked: Any = ((1, 10.5),), extract: float | None = 2000.0, **more: Any
) -> BuiltOutcome:
    """Patients 8 and 9 are told to have and not to have relapsed."""
    told = [*answers, *OTHERS]
    people = sorted({number for number, *_ in (*told, *asked)})
    visits = {(number, day) for number, day, _ in told} | {(number, 10) for number in people}
    visits |= {(number, day) for number, day in more.get("came", ())}
    cohort = tables(
        patients=more.get("patients", [{"patient": number} for number in people]),
        visits=[{"patient": number, "visit": f"v{day:g}", "time": day} for number, day in sorted(visits)],
        measurements=[value(number, "relapsed", day, said, available=math.inf) for number, day, said in told],
        events=more.get("events", ()),
        stays=more.get("stays", ()),
    )
    settings = {**SEEN, **more.get("settings", {})}
    rows = predictions(*asked, (8, 10.5), (9, 10.5))
    return build_outcome("o", settings, rows, cohort, extract_time=extract)


def first(*answers: Any, **more: Any) -> tuple[Any, ...]:
    """Return excluded, cause, lower and upper of the test's own prediction."""
    return built(*answers, **more).frame.select("excluded", "cause", "lower", "upper").row(0)


def test_the_interval_lies_between_the_last_visit_without_it_and_the_first_with_it() -> None:
    assert first((1, YEAR, "yes")) == (None, 1, 0.0, 365.0)
    assert first((1, 110, "no"), (1, YEAR, "yes")) == (None, 1, 100.0, 365.0)
    assert first((1, YEAR, "no"), (1, TWO_YEARS, "yes")) == (None, 0, 365.0, 730.0)
    assert first((1, YEAR, "no"), (1, TWO_YEARS, "no")) == (None, 0, 730.0, None)


def test_the_first_positive_answer_counts_whatever_follows() -> None:
    assert first((1, 110, "yes"), (1, YEAR, "no"), (1, TWO_YEARS, "yes")) == (None, 1, 0.0, 100.0)


def test_who_did_not_come_back_is_unknown_and_not_negative() -> None:
    assert first() == (None, None, 0.0, None)
    assert first((1, 110, "no")) == (None, None, 100.0, None)
    # A relapse told after two years may have been in either.
    assert first((1, TWO_YEARS, "yes")) == (None, None, 0.0, 730.0)
    # To come without an answer tells nothing either.
    assert first(came=[(1, YEAR)]) == (None, None, 0.0, None)


@pytest.mark.parametrize(("day", "cause"), [(304, None), (305, 0), (365, 0), (425, 0)])
def test_a_negative_answer_tells_the_status_from_the_tolerance_before_the_horizon(
    day: int, cause: Any
) -> None:
    assert first((1, 10 + day, "no"))[1] == cause


@pytest.mark.parametrize(("day", "cause"), [(365, 1), (425, 1), (426, None)])
def test_a_positive_answer_counts_up_to_the_tolerance_after_it(day: int, cause: Any) -> None:
    assert first((1, 10 + day, "yes"))[1] == cause


def test_events_and_non_events_are_known_by_the_same_visit() -> None:
    # Who leaves after half a year is unknown either way, else events would be known more often than non-events ...
    assert first((1, 192, "yes")) == (None, None, 0.0, 182.0)
    assert first((1, 192, "no")) == (None, None, 182.0, None)
    assert first((1, 192, "yes"), (1, YEAR, "unknown"))[1] is None
    # ... as is who came later alone, else the non-events would be.
    assert first((1, TWO_YEARS, "yes"))[1] is None
    assert first((1, TWO_YEARS, "no"))[1] is None
    assert first((1, 192, "yes"), (1, YEAR, "no"))[1] == 1


def test_who_told_of_the_event_and_died_stands_for_nobody_else() -> None:
    found = built((1, 90, "yes"), events=[{"patient": 1, "time": 100, "kind": "death"}])
    assert found.frame["cause"][0] == 1
    assert found.frame["attendance"][0] == "died by the horizon"
    assert found.flow["competing"] == 0


def test_an_answer_that_is_not_known_leaves_open_what_came_before() -> None:
    assert first((1, YEAR, "unknown")) == (None, None, 0.0, None)
    assert first((1, YEAR, "unknown"), (1, TWO_YEARS, "no")) == (None, None, 0.0, None)
    assert first((1, 110, "no"), (1, YEAR, "unknown"), (1, TWO_YEARS, "yes")) == (None, None, 100.0, 730.0)


def test_answers_up_to_the_prediction_are_behind_it() -> None:
    assert first((1, 10, "yes"), (1, YEAR, "no")) == (None, 0, 365.0, None)


def test_death_before_the_horizon_is_an_observed_non_event_and_counted() -> None:
    found = built(events=[{"patient": 1, "time": 100, "kind": "death"}])
    assert found.frame.row(0, named=True)["cause"] == 0
    assert (found.flow["competing"], found.flow["unknown"], found.flow["events"]) == (1, 0, 1)
    assert found.frame["attendance"].to_list() == ["died by the horizon", "everybody", "everybody"]
    told = first((1, 90, "yes"), events=[{"patient": 1, "time": 100, "kind": "death"}])
    assert told[1] == 1
    later = first(events=[{"patient": 1, "time": 500, "kind": "death"}])
    assert later[1] is None


def test_who_is_not_at_risk_or_not_yet_due_is_not_eligible() -> None:
    gone = [{"patient": 1, "time": 10, "kind": "death"}]
    assert first(events=gone)[0] == "an event that competes lies at or before the prediction time"
    inside = [{"patient": 1, "stay_id": "a", "admission": 5, "discharge": 40}]
    assert first(stays=inside) == ("in hospital at the prediction time", None, None, None)
    due = 10 + 365 + 60
    assert first((1, YEAR, "no"), extract=float(due))[0] is None
    late = built((1, 400, "yes"), asked=((1, 60.5),), extract=float(due))
    assert late.frame["excluded"][0] == "the visit at the horizon was not due before the extract"
    assert late.flow["steps"][1]["step"].endswith("before the extract")  # type: ignore[index]


def test_several_predictions_of_a_patient_have_intervals_of_their_own() -> None:
    found = built((1, YEAR, "no"), (1, TWO_YEARS, "yes"), asked=((1, 10.5), (1, 375.5))).frame
    assert found.select("cause", "lower", "upper").rows()[:2] == [(0, 365.0, 730.0), (1, 0.0, 365.0)]


def test_attendance_strata_are_worded_by_the_declared_covariates() -> None:
    people = [
        {"patient": 1, "sex": "female", "country": "FR"},
        {"patient": 8, "sex": "male", "country": "DE"},
        {"patient": 9, "sex": "male"},
    ]
    frame = built(patients=people, settings={"attendance_covariates": ("country", "sex")}).frame
    assert frame["attendance"].to_list() == [
        "country: FR; sex: female",
        "country: DE; sex: male",
        "country: not recorded; sex: male",
    ]
    assert built().frame["attendance"].unique().to_list() == ["everybody"]


def test_who_came_and_what_was_told_is_counted_by_country() -> None:
    people = [{"patient": number, "country": "FR" if number < 4 else "DE"} for number in (1, 2, 3, 8, 9)]
    found = built(
        (2, YEAR, "yes"),
        asked=((1, 10.5), (2, 10.5), (3, 10.5)),
        patients=people,
        came=[(3, YEAR)],
        settings={"attendance_covariates": ("country",)},
    )
    told = found.flow["attendance"]
    assert isinstance(told, dict)
    assert [row["country"] for row in told["by_country"]] == ["DE", "FR"]
    french = told["by_country"][1]
    assert (french["eligible"], french["known"], french["unknown"], french["events"]) == (3, 1, 2, 1)
    assert (french["never_returned"], french["never_returned_share"]) == (1, pytest.approx(1 / 3))
    assert (told["known"], told["unknown"], told["strata_without_known"]) == (3, 2, 0)
    assert (found.flow["eligible"], found.flow["unknown"], found.flow["free"]) == (5, 2, 1)


def test_a_stratum_in_which_nobody_came_is_told() -> None:
    people = [{"patient": n, "country": "FR" if n == 1 else "DE"} for n in (1, 8, 9)]
    told = built(patients=people, settings={"attendance_covariates": ("country",)}).flow["attendance"]
    assert isinstance(told, dict)
    assert (told["strata"], told["strata_without_known"], told["eligible_in_strata_without_known"]) == (
        2,
        1,
        1,
    )


def test_times_are_needed_and_the_question_may_be_no_predictor() -> None:
    cohort = tables(measurements=[value(1, "relapsed", YEAR, "yes")])
    with pytest.raises(BadInput, match=r"may be used as a predictor\. Declare role: outcome"):
        build_outcome("o", SEEN, predictions((1, 10.5)), cohort)
    with pytest.raises(BadInput, match="needs times"):
        build_outcome("o", SEEN, predictions((1, 10.5)), cohort, time="order")


def test_an_outcome_that_nobody_was_told_is_refused() -> None:
    with pytest.raises(BadInput, match="no event among 3 eligible"):
        built(settings={"positive": ("perhaps",)})


def test_the_frame_has_no_times() -> None:
    frame = built((1, YEAR, "yes")).frame
    assert frame["time"].null_count() == frame.height
    assert frame.filter(pl.col("upper") < pl.col("lower")).is_empty()
