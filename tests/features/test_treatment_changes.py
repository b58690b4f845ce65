"""The first start of a treatment after a prediction; what goes on is no change."""

from typing import Any

import pytest

from features.errors import BadInput
from features.outcomes import BuiltOutcome, build_outcome
from tests.features.small_cohort import predictions, tables
from tests.features.test_time_to_event import BOTH, COMMON


def drug(atc: str, start: float, stop: float | None = None, route: str = "oral") -> dict[str, Any]:
    return {"patient": 1, "atc": atc, "start": start, "stop": stop, "route": route}


def built(*medications: Any, treatments: Any = ("N05AH02", "N05A:depot"), **cohort: Any) -> BuiltOutcome:
    own = {**COMMON, "kind": "time_to_event", "horizons_days": (90.0,), "treatments": treatments}
    events = [{"patient": 8, "time": 20, "kind": "relapse"}, *cohort.get("events", ())]
    asked = predictions((1, 10.5), (1, 60.5), *BOTH)
    return build_outcome("o", own, asked, tables(events=events, medications=medications), extract_time=600.0)


def started(*medications: Any, **more: Any) -> list[float | None]:
    """Days from the two predictions of patient 1, at 10.5 and 60.5."""
    found: list[float | None] = built(*medications, **more).frame["treatment"].to_list()[:2]
    return found


OTHER = drug("C10AA01", 1)


def test_days_count_to_the_first_start_after_each_prediction() -> None:
    assert started(drug("N05AH02", 30), drug("N05AH02", 90)) == [19.5, None]
    assert started(drug("N05AH02", 30, stop=40), drug("N05AH02", 90)) == [19.5, 29.5]
    assert started(drug("N05AH02", 11)) == [0.5, None]
    assert started(drug("N05AH03", 30)) == [None, None]


def test_who_is_on_it_does_not_change_to_it() -> None:
    renewed = (drug("N05AH02", 1, stop=20), drug("N05AH02", 21))
    assert started(*renewed) == [None, None]
    assert started(drug("N05AH02", 10), drug("N05AH02", 30)) == [None, None]
    # It ended on the day of the prediction, and a new prescription took its place.
    assert started(drug("N05AH02", 1, stop=10), drug("N05AH02", 11, stop=30)) == [None, None]


def test_to_begin_again_is_a_change() -> None:
    assert started(drug("N05AH02", 1, stop=9), drug("N05AH02", 30, stop=40)) == [19.5, None]


def test_a_route_counts_only_where_it_is_asked_for() -> None:
    depot, tablets = drug("N05AX13", 40, route="depot"), drug("N05AX13", 1)
    assert started(tablets, depot) == [29.5, None]  # from tablets to the depot of the same substance
    assert started(tablets, depot, treatments=("N05AX13",)) == [None, None]
    assert started(tablets, OTHER) == [None, None]


def test_the_earliest_of_several_treatments_counts() -> None:
    assert started(drug("N05AH02", 50), drug("N05AX13", 30, route="depot")) == [19.5, None]
    assert started(drug("N05AH02", 1), drug("N05AX13", 80, route="depot")) == [69.5, 19.5]


def test_a_depot_and_its_tablets_may_begin_on_one_day() -> None:
    assert started(drug("N05AX13", 40), drug("N05AX13", 40, route="depot")) == [29.5, None]


def test_who_begins_while_at_risk_is_counted() -> None:
    late = built(
        drug("N05AH02", 40), drug("N05AX13", 80, route="depot"),
        events=[{"patient": 1, "time": 70, "kind": "relapse"}],
    )  # fmt: skip
    # The depot begins after the relapse of both predictions; its days stand in the table all the same.
    assert late.flow["treatments"] == {
        "N05AH02": {"predictions": 1, "patients": 1},
        "N05A:depot": {"predictions": 0, "patients": 0},
    }
    assert late.frame["treatment"].to_list() == [29.5, 19.5, None, None]


def test_an_excluded_prediction_has_no_treatment() -> None:
    gone = [{"patient": 1, "time": 30, "kind": "death"}]
    found = built(drug("N05AH02", 20), events=gone).frame
    assert found["excluded"].is_null().to_list() == [True, False, True, True]
    assert found["treatment"].to_list() == [9.5, None, None, None]


def test_what_the_tables_cannot_tell_is_refused() -> None:
    with pytest.raises(BadInput, match="the study has no prescriptions"):
        built()
    with pytest.raises(BadInput, match="N05A:depot asks for a route, but no prescription has one"):
        built(drug("N05AH02", 1, route="not_recorded"))
    assert built(treatments=()).frame["treatment"].null_count() == 4
