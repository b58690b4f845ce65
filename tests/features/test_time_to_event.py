"""An event in time at several horizons: the same rows as at one horizon, in order, with causes that never change."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BadInput
from features.outcomes import BuiltOutcome, build_outcome
from tests.features.small_cohort import predictions, tables

COMPETING = ("death", "emigration")
ENDS = ("loss_to_follow_up", "transfer", "end_of_follow_up")
COMMON: dict[str, Any] = {
    "index": "index",
    "event": "relapse",
    "stay_kinds": None,
    "washout_days": 0.0,
    "merge_within_days": 1.0,
    "competing": COMPETING,
    "follow_up_ends": ENDS,
}
HORIZONS = (30.0, 90.0, 365.0)
# An early and a late patient, so that both classes are there at every horizon.
BOTH = ((8, 10.5), (9, 10.5))


def at(rows: Any, asked: Any, **changes: Any) -> BuiltOutcome:
    own = {"kind": "time_to_event", "horizons_days": HORIZONS, "main_horizon_days": None}
    return build({**COMMON, **own, **changes}, rows, asked)


def at_one(horizon: float, rows: Any, asked: Any) -> BuiltOutcome:
    return build({**COMMON, "kind": "event_within_horizon", "horizon_days": horizon}, rows, asked)


def build(settings: Any, rows: Any, asked: Any) -> BuiltOutcome:
    cohort = tables(
        events=[
            {"patient": number, "time": day, "kind": kind}
            for number, day, kind in [(8, 20, "relapse"), *rows]
        ]
    )
    return build_outcome("o", settings, predictions(*asked, *BOTH), cohort, extract_time=600.0)


happenings = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.integers(1, 500).map(float),
        st.sampled_from(["relapse", *COMPETING, "transfer", "end_of_follow_up"]),
    ),
    max_size=14,
    unique=True,
)
ASKED = tuple((number, day) for number in (1, 2, 3, 4) for day in (10.5, 150.5))


@settings(max_examples=6, deadline=None)
@given(happenings)
def test_each_horizon_has_the_rows_and_counts_of_an_outcome_of_that_horizon_alone(rows: Any) -> None:
    several = at(rows, ASKED)
    for counted in several.flow["horizons"]:  # type: ignore[attr-defined]
        alone = at_one(counted["horizon"], rows, ASKED)
        assert alone.frame.equals(several.frame)  # nothing is cut off at a horizon
        for name in ("eligible", "events", "competing", "censored"):
            assert counted[name] == alone.flow[name]
        assert counted["competing"] == sum(counted["competing_kinds"].values())
        parts = ("events", "competing", "censored", "free", "unknown")
        assert sum(counted[name] for name in parts) == counted["eligible"]


@settings(max_examples=20, deadline=None)
@given(happenings)
def test_what_comes_first_counts_and_nothing_after_it(rows: Any) -> None:
    """Against a plain walk through each patient's days."""
    causes = {"relapse": 1, "death": 2, "emigration": 3}
    frame = at(rows, ASKED).frame
    for row in frame.filter(frame["excluded"].is_null()).iter_rows(named=True):
        number, day = int(row["patient_id"], 16), 10.5 if row["prediction_id"].endswith("-1") else 150.5
        own = sorted((when, causes.get(kind, 9)) for who, when, kind in rows if who == number and when > day)
        own = own if number < 8 else [(20.0, 1)] * (number == 8)
        expected = (600.5 - day, 0)
        if own:
            when, cause = own[0]
            expected = (when - day, cause) if cause < 9 else (when + 0.5 - day, 0)
        assert (row["time"], row["cause"]) == expected


def test_causes_are_numbered_as_declared_whether_or_not_anybody_had_them() -> None:
    seen = at([(1, 50, "emigration")], [(1, 10.5)])
    assert seen.frame.row(0, named=True)["cause"] == 3
    swapped = at([(1, 50, "emigration")], [(1, 10.5)], competing=("emigration", "death"))
    assert swapped.frame.row(0, named=True)["cause"] == 2
    assert seen.flow["horizons"][1]["competing_kinds"] == {"death": 0, "emigration": 1}  # type: ignore[index]


def test_the_keys_of_the_main_horizon_stand_at_the_top() -> None:
    rows = [(1, 60, "relapse"), (2, 200, "relapse"), (3, 50, "transfer")]
    asked = [(number, 10.5) for number in (1, 2, 3)]
    longest = at(rows, asked).flow
    assert (longest["main_horizon"], longest["events"], longest["censored"]) == (365.0, 3, 1)
    assert [item["events"] for item in longest["horizons"]] == [1, 2, 3]  # type: ignore[attr-defined]
    middle = at(rows, asked, main_horizon_days=90.0).flow
    assert (middle["main_horizon"], middle["events"], middle["censored"]) == (90.0, 2, 1)


def test_counts_are_per_discharge_and_per_patient() -> None:
    rows = [(1, 40, "relapse"), (1, 180, "relapse")]
    flow = at(rows, [(1, 10.5), (1, 150.5), (1, 190.5)]).flow
    assert (flow["eligible"], flow["events"]) == (5, 3)
    patients = flow["patients"]
    assert (patients["eligible"], patients["events"], patients["free"]) == (3, 2, 2)  # type: ignore[index]


def test_a_horizon_without_events_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="no event by 5 days among 2 eligible"):
        at([], [], horizons_days=(5.0, 365.0))
    with pytest.raises(BadInput, match="nobody known to be without the event by 700 days"):
        at([], [], horizons_days=(30.0, 700.0))


def test_wash_out_and_merged_episodes_hold() -> None:
    stays = [
        {"patient": 1, "stay_id": "a", "admission": 1, "discharge": 10},
        {"patient": 1, "stay_id": "b", "admission": 11, "discharge": 30},
        {"patient": 1, "stay_id": "c", "admission": 60, "discharge": 70},
        {"patient": 8, "stay_id": "x", "admission": 20, "discharge": 25},
    ]
    own = {**COMMON, "kind": "time_to_event", "horizons_days": HORIZONS, "event": "stay"}
    asked = predictions((1, 10.5, "a"), (1, 30.5, "b"), (1, 70.5, "c"), *BOTH)
    found = build_outcome("o", own, asked, tables(stays=stays), extract_time=600.0)
    assert found.frame["excluded"].to_list()[0] == "the stay goes on elsewhere: a transfer, not a discharge"
    assert found.frame["time"].to_list()[1:3] == [29.5, 530.0]
    washed = build_outcome(
        "o", {**own, "washout_days": 100.0}, asked, tables(stays=stays), extract_time=600.0
    )
    assert washed.frame["excluded"].to_list()[2] == "an event within the wash-out"


def visited(share: float, events: int = 20) -> Any:
    """Patients with a relapse each, so many of them on the day of their own visit."""
    people = range(1, events + 1)
    on = round(share * events)
    return tables(
        visits=[{"patient": n, "visit": "v1", "time": 375} for n in people],
        events=[{"patient": n, "time": 375 if n <= on else 200 + n, "kind": "relapse"} for n in people],
    )


def guarded(cohort: Any, people: int = 22, **changes: Any) -> BuiltOutcome:
    own = {**COMMON, "kind": "time_to_event", "horizons_days": (400.0,), **changes}
    asked = predictions(*((number, 10.5) for number in range(1, people + 1)))
    return build_outcome("o", own, asked, cohort, extract_time=900.0)


def test_dates_that_are_those_of_visits_are_refused_until_signed_off() -> None:
    with pytest.raises(
        BadInput,
        match=r"60% of the events 'relapse' lie exactly on a visit.*seen_at_visits.*dates_are_exact: true",
    ):
        guarded(visited(0.6))
    assert guarded(visited(0.6), dates_are_exact=True).flow["events"] == 20
    assert guarded(visited(0.6), visit_dates_limit=0.6).flow["events"] == 20
    assert guarded(visited(0.5)).flow["events"] == 20


def test_few_events_say_nothing_of_visits() -> None:
    assert guarded(visited(1.0, events=10)).flow["events"] == 10
    with pytest.raises(BadInput, match="100% of the events"):
        guarded(visited(1.0, events=11))
