from typing import Any

import polars as pl
import pytest

from features.errors import BadInput
from features.prediction_times import build_prediction_times
from tests.features.small_cohort import tables

BASELINE = {"baseline": {"kind": "baseline_visit"}}
DISCHARGE = {"discharge": {"kind": "discharge_alive"}}


def times_of(cohort: Any, rules: Any, time: Any = "date") -> Any:
    used = {name: cohort[name] for name in ("patients", "visits", "stays", "events")}
    return build_prediction_times(rules, **used, time=time)


def stay(number: Any, name: Any, admission: Any, discharge: Any, **more: Any) -> Any:
    return {"patient": number, "stay_id": name, "admission": admission, "discharge": discharge, **more}


def test_a_baseline_prediction_is_made_at_the_end_of_the_first_visits_day() -> None:
    cohort = tables(
        patients=[{"patient": 1}],
        visits=[
            {"patient": 1, "visit": "year 1", "time": 465},
            {"patient": 1, "visit": "baseline", "time": 100},
        ],
    )
    found = times_of(cohort, BASELINE)
    assert found.select("prediction_id", "time", "visit").rows() == [("baseline-1-1", 100.5, "baseline")]


@pytest.mark.parametrize(("time", "expected"), [("date", 10.5), ("days", 10.5), ("order", 10.0)])
def test_a_discharge_is_predicted_at_its_days_end_or_at_its_rank(time: Any, expected: Any) -> None:
    cohort = tables(patients=[{"patient": 1}], stays=[stay(1, "a", 9.5, 10)])
    assert times_of(cohort, DISCHARGE, time)["time"].to_list() == [expected]


def test_where_only_an_order_is_known_the_next_admission_lies_after_the_discharge_and_its_measurements_before() -> (
    None
):
    cohort = tables(patients=[{"patient": 1}], stays=[stay(1, "a", 0.5, 1), stay(1, "b", 1.5, 2)])
    first = times_of(cohort, DISCHARGE, "order")["time"][0]
    assert 1 - 0.25 < first < 1.5


def test_only_those_who_left_alive_are_predicted() -> None:
    cohort = tables(
        patients=[{"patient": number} for number in range(1, 6)],
        stays=[
            stay(1, "home", 1, 10, discharged_to="home"),
            stay(2, "hospice", 1, 10, discharged_to="hospice"),
            stay(3, "died that day", 1, 10),
            stay(4, "still there", 1, None),
            stay(5, "not said where to", 1, 10),
        ],
        events=[{"patient": 3, "time": 10, "kind": "death"}],
    )
    rules = {"discharge": {"kind": "discharge_alive", "not_alive": ("hospice", "death")}}
    assert times_of(cohort, rules)["stay_id"].to_list() == ["home", "not said where to"]


def test_kinds_of_stay_and_first_only_narrow_the_discharges() -> None:
    cohort = tables(
        patients=[{"patient": 1}],
        stays=[
            stay(1, "a", 1, 2, kind="somatic"),
            stay(1, "b", 3, 4, kind="psychiatric"),
            stay(1, "c", 5, 6, kind="psychiatric"),
        ],
    )
    rule = {"kind": "discharge_alive", "stay_kinds": ("psychiatric",)}
    assert times_of(cohort, {"d": rule})["stay_id"].to_list() == ["b", "c"]
    assert times_of(cohort, {"d": {**rule, "first_only": True}})["stay_id"].to_list() == ["b"]


def test_two_stays_that_end_on_one_day_are_one_discharge() -> None:
    cohort = tables(patients=[{"patient": 1}], stays=[stay(1, "a", 1, 10), stay(1, "b", 10, 10)])
    assert times_of(cohort, DISCHARGE)["stay_id"].to_list() == ["b"]


def test_ids_do_not_depend_on_the_order_of_rows_or_the_pseudonyms() -> None:
    stays = [stay(n, f"{n}{k}", 10 * k, 10 * k + 5) for n in (1, 2) for k in (1, 2, 3)]
    cohort = tables(patients=[{"patient": 1}, {"patient": 2}], stays=stays)
    turned = tables(patients=[{"patient": 2}, {"patient": 1}], stays=stays[::-1])
    assert times_of(cohort, DISCHARGE).equals(times_of(turned, DISCHARGE))
    renamed = {
        name: frame.with_columns(pl.col("patient_id").str.replace("^0", "f"))
        for name, frame in cohort.items()
    }
    ids = times_of(cohort, DISCHARGE)["prediction_id"].to_list()
    assert times_of(renamed, DISCHARGE)["prediction_id"].to_list() == ids
    assert ids[:2] == ["discharge-1-1", "discharge-1-2"]


def test_a_rule_that_finds_nothing_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"prediction_times\.baseline: no patient has a visit") as refused:
        times_of(tables(patients=[{"patient": 1}]), {**BASELINE, **DISCHARGE})
    assert len(refused.value.problems) == 2


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="known: baseline_visit, discharge_alive"):
        times_of(tables(), {"x": {"kind": "birthday"}})
