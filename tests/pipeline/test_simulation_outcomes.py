"""Relapse asked at visits, and treatments begun later: what is planted, and what the outcomes make of it."""

from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.outcomes import BuiltOutcome, build_outcome
from features.prediction_times import build_prediction_times
from models.censoring import attendance_weights
from pipeline.commands.use import read_study
from pipeline.simulation.canonical import canonical_tables
from pipeline.simulation.cohort import SimulatedCohort, simulate_cohort
from pipeline.simulation.dials import Simulation
from pipeline.simulation.variables import RELAPSE_ASKED

SEED = 11
SEEN: dict[str, Any] = {
    "kind": "seen_at_visits",
    "index": "baseline",
    "variable": RELAPSE_ASKED,
    "positive": ("yes",),
    "negative": ("no",),
    "horizon_days": 365.0,
    "tolerance_days": 60.0,
    "attendance_covariates": ("country",),
}


@lru_cache(maxsize=4)
def drawn(**dials: float) -> SimulatedCohort:
    values = {"patients": 3000, "variants": 60, "missing_values": 0.0, **dials}
    return simulate_cohort(Simulation.model_validate(values), SEED)


def built(cohort: SimulatedCohort, settings: dict[str, Any]) -> BuiltOutcome:
    tables = canonical_tables(cohort)
    times = build_prediction_times(
        {settings["index"]: {"kind": "baseline_visit"}},
        patients=tables["patients"],
        visits=tables["visits"],
        stays=tables["stays"],
        events=tables["events"],
    )
    last = (cohort.world.dials.extract_date - date(1970, 1, 1)).days
    return build_outcome("o", settings, times, tables, extract_time=float(last))


def answered(cohort: SimulatedCohort) -> pl.DataFrame:
    """Each later visit with its answer, and whether a relapse came since the visit before."""
    visits = cohort.visits.with_columns(cohort.measurements[RELAPSE_ASKED]).with_columns(
        before=pl.col("time").shift(1).over("patient")
    )
    days = cohort.events.filter(pl.col("kind") == "relapse").group_by("patient").agg(days=pl.col("time"))
    joined = visits.filter(pl.col("number") > 0).join(days, on="patient", how="left")
    came = [
        any(before < day <= now for day in found or ())
        for before, now, found in joined.select("before", "time", "days").iter_rows()
    ]
    place = pl.Series(cohort.people["country"].to_numpy()[joined["patient"].to_numpy()])
    return joined.with_columns(relapsed=pl.Series(came), country=place)


def test_relapses_are_told_as_often_as_each_country_tells_them_and_never_invented() -> None:
    cohort = drawn(relapse_told=0.8, relapse_told_by_country=0.3, relapse_answer_unknown=0.1)
    found = answered(cohort)
    unknown = found[RELAPSE_ASKED] == "unknown"
    assert unknown.mean() == pytest.approx(0.1, abs=0.02)
    told = found.filter(~unknown)
    assert told.filter(pl.col(RELAPSE_ASKED) == "yes")["relapsed"].all()
    for country, expected in {"FR": 0.95, "DE": 0.65}.items():
        own = told.filter(pl.col("relapsed") & (pl.col("country") == country))
        assert own.height > 150
        assert (own[RELAPSE_ASKED] == "yes").mean() == pytest.approx(expected, abs=0.06)
        truth = cohort.truth.filter(pl.col("country") == country)["relapse_told"]
        assert truth.unique().to_list() == pytest.approx([expected])


def test_nobody_is_asked_at_the_baseline() -> None:
    cohort = drawn()
    assert cohort.measurements.filter(pl.col("number") == 0)[RELAPSE_ASKED].null_count() == 3000
    assert cohort.measurements.filter(pl.col("number") > 0)[RELAPSE_ASKED].null_count() == 0


def test_weighting_for_attendance_recovers_the_planted_rate_where_complete_cases_do_not() -> None:
    """The country that relapses more comes back less; within a country attendance tells nothing."""
    cohort = drawn(
        patients=6000, attendance_by_country=-2.5, country_baseline=1.2, dropout_by_severity=0.0,
        relapse_told=1.0, relapse_told_by_country=0.0, relapse_answer_unknown=0.0,
    )  # fmt: skip
    frame = built(cohort, SEEN).frame
    position = frame["prediction_id"].str.split("-").list.get(1).cast(pl.Int64).to_numpy()
    frame = frame.with_columns(planted=pl.Series(cohort.truth["relapse_365"].to_numpy()[position]))
    eligible = frame.filter(pl.col("excluded").is_null())
    planted = float(eligible["planted"].mean())  # type: ignore[arg-type]
    known = eligible["cause"].is_not_null().to_numpy()
    event = (eligible["cause"] == 1).fill_null(value=False).to_numpy()
    strata = eligible["attendance"].rank("dense").to_numpy()
    weighted = float(np.average(event, weights=attendance_weights(known, strata)))
    complete = float(event[known].mean())
    assert complete < planted - 0.05
    assert abs(weighted - planted) < 0.03


def test_a_country_that_tells_less_is_to_be_seen_in_the_flow() -> None:
    cohort = drawn(relapse_told=0.7, relapse_told_by_country=0.5, country_baseline=0.0)
    by_country = built(cohort, SEEN).flow["attendance"]["by_country"]  # type: ignore[index]
    german, french = ({**row, "rate": row["events"] / row["known"]} for row in by_country)
    assert (german["country"], french["country"]) == ("DE", "FR")
    assert french["rate"] - german["rate"] > 0.08
    assert 0.2 < german["never_returned_share"] < 0.5


def test_the_demos_relapse_has_dates_of_its_own_and_its_other_outcomes_can_be_built() -> None:
    cohort, study = drawn(), read_study("demo")
    own = study.outcomes["relapse_1y"].model_dump()
    single = built(cohort, own)
    several = {
        **{name: value for name, value in own.items() if name != "horizon_days"},
        "kind": "time_to_event", "horizons_days": (90.0, 365.0, 730.0), "main_horizon_days": 365.0,
        "treatments": ("N05AH02", "N05A:depot"),
    }  # fmt: skip
    found = built(cohort, several)
    assert found.frame.drop("treatment").equals(single.frame.drop("treatment"))
    counts = found.flow["treatments"]
    assert all(item["patients"] > 20 for item in counts.values())  # type: ignore[attr-defined]
    assert study.dictionary[RELAPSE_ASKED].role == "outcome"


def test_relapses_dated_by_their_visit_are_refused() -> None:
    """The same cohort, had its hospitals written the day of the visit that told of the relapse."""
    cohort = drawn()
    told = answered(cohort).filter(pl.col(RELAPSE_ASKED) == "yes")
    others = cohort.events.filter(pl.col("kind") != "relapse")
    dated = told.select("patient", "time", kind=pl.lit("relapse")).cast(others.schema)
    changed = SimulatedCohort(**{**vars(cohort), "events": pl.concat([others, dated])})
    with pytest.raises(Exception, match="100% of the events 'relapse' lie exactly on a visit"):
        built(changed, read_study("demo").outcomes["relapse_1y"].model_dump())


def test_the_severe_change_their_treatment_sooner_and_a_dial_says_how_often() -> None:
    cohort = drawn()
    baseline = cohort.people["baseline"].to_numpy()
    begun = cohort.medications.filter(
        pl.col("start") > pl.Series(baseline[cohort.medications["patient"].to_numpy()])
    )
    assert set(begun["atc"]) == {"N05AH02", "N05AX13"}
    changed = np.unique(begun["patient"].to_numpy())
    network = cohort.people["network"].to_numpy()
    open_to = np.flatnonzero(np.isin(network, ("schizophrenia", "bipolar")))
    severity = cohort.truth["severity"].to_numpy()
    assert severity[changed].mean() > severity[np.setdiff1d(open_to, changed)].mean() + 0.2
    never = drawn(treatment_changes=0.0).medications
    assert never["atc"].to_list() == [code for code in never["atc"] if code != "N05AX13"]
    assert set(never["route"]) == {"oral", "depot"}  # some depots began before the baseline
