"""Sensitivity analyses against planted truths: what happens after censoring, at a treatment, to first predictions."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.evaluation.combining import centre_units, combined
from experiments.evaluation.intervals import Interval
from experiments.evaluation.measures import measure
from experiments.evaluation.sample import Part, Sample, evaluated_sample
from experiments.examination.after_censoring import hazard_after_censoring, tipping_point
from experiments.examination.estimates import Estimate
from experiments.examination.hazards import completed, completion, event_after_censoring, risk_groups
from experiments.examination.schemas import Sensitivity
from experiments.examination.sensitivity import SensitivitySettings, sensitivity
from experiments.examination.setting import Evaluated, evaluated_of
from features.errors import BadInput
from features.outcomes import whole_outcomes
from models.censoring import inverse_probability_weights
from tests.experiments.evaluated_cohort import HORIZON, KINDS, cohort
from tests.experiments.examined_rows import examination

ONLY_HAZARD = SensitivitySettings(first_only=False, censor_at_treatment=False, complete_cases=False)


def scheme(data: dict[str, Any], name: str, outcomes: Any = None, chosen: Any = None) -> Evaluated:
    own = data["splits"].filter(pl.col("scheme") == name)
    if chosen is not None:
        own = own.filter(pl.col("prediction_id").is_in(chosen.to_list()))
    given = data["outcomes"] if outcomes is None else outcomes
    sample = evaluated_sample(
        data["rows"], given, own, scheme=name, kind=KINDS[name], horizon=data.get("horizon", HORIZON)
    )
    return evaluated_of(sample, data["predictions"]["model"], data["predictions"].get("clinical"), "model")


def all_rows(
    data: dict[str, Any], name: str = "kfold", settings: Any = None, smallest_cell: int = 0
) -> tuple[pl.DataFrame, dict[str, str]]:
    shared = examination(smallest_cell, data.get("horizon", HORIZON))
    rows, reasons = sensitivity(
        shared,
        scheme(data, name),
        data["outcomes"],
        lambda outcomes, chosen: scheme(data, name, outcomes, chosen),
        settings or SensitivitySettings(),
    )
    return shared.table(Sensitivity, rows), reasons


def figure(table: pl.DataFrame, level: str, metric: str) -> float:
    found = table.filter((pl.col("level") == level) & (pl.col("metric") == metric))["estimate"]
    assert len(found) == 1
    return float(found[0])


def test_an_unchanged_hazard_gives_the_events_of_censoring_weights_in_each_stratum() -> None:
    draw = np.random.default_rng(3)
    time, cause = np.ceil(draw.exponential(60, 900)), draw.choice([0, 1, 2], 900, p=[0.5, 0.4, 0.1])
    strata = draw.integers(3, size=900)
    chance = event_after_censoring(time, cause, 90.0, strata, np.array([1.0]))[0]
    weight = inverse_probability_weights(time, cause, 90.0, strata)
    happened = (cause == 1) & (time <= 90)
    for stratum in range(3):
        rows = strata == stratum
        assert happened[rows].sum() + np.nansum(chance[rows]) == pytest.approx(
            weight[rows] @ happened[rows], abs=1e-9
        )
    assert np.isnan(chance[(cause != 0) | (time >= 90)]).all()
    assert ((chance >= 0) & (chance <= 1))[(cause == 0) & (time < 90)].all()


def test_chances_rise_with_the_multiplier_and_stay_chances() -> None:
    draw = np.random.default_rng(4)
    time, cause = np.ceil(draw.exponential(20, 300)), draw.choice([0, 1, 2], 300)
    chance = event_after_censoring(
        time, cause, 60.0, np.zeros(300, np.int64), np.array([0.125, 1.0, 8.0, 99.0])
    )
    seen = chance[:, np.isfinite(chance[0])]
    assert (np.diff(seen, axis=0) >= -1e-12).all()
    assert seen.max() <= 1


@pytest.mark.parametrize("name", ["kfold", "countries"])
def test_independent_censoring_makes_multiplier_one_the_figures_as_evaluated(name: str) -> None:
    table, _ = all_rows(cohort(3000, seed=5), name, ONLY_HAZARD)
    for metric, within in (
        ("event_rate", 0.006),
        ("observed_to_expected", 0.02),
        ("auroc", 0.006),
        ("brier", 0.004),
        ("net_benefit", 0.006),
    ):
        main, same = (
            table.filter((pl.col("level") == level) & (pl.col("metric") == metric))["estimate"].to_numpy()
            for level in ("main", "1 times")
        )
        assert np.abs(main - same).max() < within, metric


def test_a_hazard_that_doubles_after_censoring_is_met_by_the_multiplier_two() -> None:
    draw = np.random.default_rng(6)
    rate, leaves = 1 / 500, draw.uniform(0, 700, 20000)
    event = draw.exponential(1 / rate, 20000)
    after = leaves + draw.exponential(1 / (2 * rate), 20000)  # what truly follows once nobody looks
    truth = float((np.where(event <= leaves, event, after) <= 365).mean())
    time, cause = np.minimum(event, leaves), (event <= leaves).astype(np.int64)
    chances = event_after_censoring(time, cause, 365.0, np.zeros(20000, np.int64), np.array([1.0, 2.0]))
    seen = ((cause == 1) & (time <= 365)).sum()
    once, twice = (seen + np.nansum(chance) for chance in chances)
    assert twice / 20000 == pytest.approx(truth, abs=0.01)
    assert once / 20000 < truth - 0.03


def test_an_unchanged_hazard_ranks_as_if_nobody_had_been_lost() -> None:
    draw, n = np.random.default_rng(8), 10000
    hazard = 0.35 * np.exp(1.3 * draw.normal(size=n))
    event, leaves = draw.exponential(1 / hazard), draw.exponential(1.5, n)
    frame = pl.DataFrame(
        {
            "repeat": [0] * n,
            "fold": [0] * n,
            "time": np.minimum(event, leaves),
            "cause": (event <= leaves).astype(np.int64),
        }
    )
    whole = Part(0, 0, "", (event <= 1).astype(float), 1 - np.exp(-hazard), np.ones(n), np.arange(n), {})
    chance = completion(Sample("kfold", "stratified_kfold", 1.0, frame, 0.25), [whole], np.array([1.0]))[0][0]
    seen = replace(whole, label=np.where(leaves < np.minimum(event, 1), 0.0, whole.label))
    assert np.isfinite(chance).mean() > 0.3
    for name, within in (("auroc", 0.005), ("calibration_slope", 0.04)):
        assert measure(completed(seen, chance), name) == pytest.approx(measure(whole, name), abs=within)


def test_the_tipping_point_is_the_first_multiplier_outside_and_none_is_said() -> None:
    grid = np.array([2.0, 4.0, 8.0])
    values = {1.0: 1.0, 2.0: 1.05, 4.0: 1.3, 8.0: 1.5}

    def found(scale: float) -> Any:
        return {
            at: {
                "observed_to_expected": [
                    Estimate(None, Interval(1 + (value - 1) * scale, 0.9, 1.1, "random_effects"))
                ],
                "auroc_difference": [Estimate(None, Interval(0.02 - (value - 1) * 0.05 * scale))],
            }
            for at, value in values.items()
        }

    tip = tipping_point("observed_to_expected", 0, found(1.0), grid, "up to 8").interval
    assert tip.estimate == 4.0
    calm = tipping_point("observed_to_expected", 0, found(0.1), grid, "up to 8").interval
    assert calm.estimate is None
    assert calm.note is not None
    assert calm.note.startswith("none up to 8")
    assert tipping_point("auroc_difference", 0, found(1.0), grid, "up to 8").interval.estimate == 8.0


def test_censoring_at_a_treatment_finds_the_risk_without_it() -> None:
    draw = np.random.default_rng(8)
    data = cohort(4000, seed=8)
    event, treated = draw.exponential(600, 4000), draw.exponential(400, 4000)
    protected = np.where(event > treated, event + 5000, event)  # nobody relapses once treated
    outcomes = data["outcomes"].with_columns(
        time=np.minimum(protected, 1000.0), cause=(protected <= 1000).astype(np.int8), treatment=treated
    )
    data["outcomes"] = whole_outcomes(outcomes.select(data["outcomes"].columns))
    table, reasons = all_rows(data, "kfold", SensitivitySettings(hazard_after_censoring=()))
    level = "censored at a treatment that changes the course"
    assert figure(table, level, "event_rate") == pytest.approx(1 - np.exp(-365 / 600), abs=0.03)
    assert figure(table, "main", "event_rate") < 1 - np.exp(-365 / 600) - 0.08
    assert "treatment" not in reasons
    assert reasons["hazard after censoring"] == "not asked for: examination.hazard_after_censoring is empty"


def repeated() -> dict[str, Any]:
    """Return a cohort where every third patient has three predictions, all with an event after the first."""
    data = cohort(900, seed=9, censored=False)
    ids = data["rows"]["prediction_id"].to_numpy()
    patient = np.arange(900) // 3 * 3
    data["rows"] = data["rows"].with_columns(
        position=pl.Series(patient), number=pl.Series(np.arange(900) % 3 + 1, dtype=pl.Int32)
    )
    late = np.arange(900) % 3 > 0
    data["outcomes"] = data["outcomes"].with_columns(
        time=pl.Series(np.where(late, 10.0, data["outcomes"]["time"])),
        cause=pl.Series(np.where(late, 1, data["outcomes"]["cause"]), dtype=pl.Int8),
    )
    fold = dict(zip(ids, patient // 3 % 5, strict=True))
    with_fold = [
        frame.filter(pl.col("scheme") == "kfold").with_columns(
            fold=pl.col("prediction_id").replace_strict(fold, return_dtype=pl.Int32)
        )
        for frame in (data["splits"], data["predictions"]["model"])
    ]
    group = pl.format("fold {}", "fold")
    return data | {
        "splits": with_fold[0].with_columns(group=group),
        "predictions": {"model": with_fold[1]},
    }


def test_first_predictions_alone_and_patients_counted_once() -> None:
    data = repeated()
    table, _ = all_rows(data, "kfold", SensitivitySettings(hazard_after_censoring=()))
    times, causes = (data["outcomes"][name].to_numpy() for name in ("time", "cause"))
    event = ((times <= HORIZON) & (causes == 1)).astype(np.float64)
    first = "the first of each patient"
    assert figure(table, first, "event_rate") == pytest.approx(event[::3].mean())
    assert table.filter(pl.col("level") == first)["n"].unique().to_list() == [300]
    assert figure(table, "each patient counted once", "event_rate") == pytest.approx(event.mean())
    assert figure(table, "main", "event_rate") > figure(table, first, "event_rate")
    notes = table.filter(pl.col("level") == "each patient counted once")["note"]
    assert all("may follow from the event" in note for note in notes)
    assert "auroc_difference" not in table["metric"].to_list()  # there is no clinical model beside it


def test_complete_cases_differ_where_attendance_follows_the_risk() -> None:
    draw = np.random.default_rng(10)
    data = cohort(4000, seed=10) | {"horizon": 0.0}
    sick = draw.random(4000) < 0.5
    label = draw.random(4000) < np.where(sick, 0.6, 0.2)
    there = draw.random(4000) < np.where(sick, 0.4, 0.9)
    outcomes = data["outcomes"].with_columns(
        time=pl.lit(None, dtype=pl.Float64),
        cause=pl.Series(
            [int(found) if seen else None for found, seen in zip(label, there, strict=True)], dtype=pl.Int8
        ),
        attendance=pl.Series(np.where(sick, "sick", "well")),
    )
    data["outcomes"] = outcomes
    data["predictions"] = {
        name: frame.with_columns(horizon=pl.lit(0.0)) for name, frame in data["predictions"].items()
    }
    table, reasons = all_rows(data)
    assert figure(table, "main", "event_rate") == pytest.approx(0.4, abs=0.03)
    complete = "complete cases, not weighted for visits missed"
    assert figure(table, complete, "event_rate") == pytest.approx(0.323, abs=0.03)
    assert reasons["hazard after censoring"] == "the outcome has no times: nobody is censored"


def test_units_of_centres_stay_those_of_what_was_seen() -> None:
    table, _ = all_rows(cohort(1200, seed=11), "centres", ONLY_HAZARD)
    notes = table.filter((pl.col("metric") == "auroc") & (pl.col("analysis") != "tipping point"))["note"]
    assert len({note.split(";")[0] for note in notes}) == 1
    counts = table.filter(pl.col("estimate").is_not_null()).select("n", "events").unique()
    assert counts.height == 1  # copies of censored rows are not counted


@pytest.mark.parametrize("name", ["kfold", "centres"])
def test_the_main_figures_are_those_of_stage_compare(name: str) -> None:
    data = cohort(600, seed=13)
    found, own = scheme(data, name), SensitivitySettings((), 8.0, False, False, False)
    table, _ = all_rows(data, name, own)
    units = centre_units(found.parts if name == "centres" else ())
    for metric in ("auroc", "brier", "observed_to_expected"):
        wanted = combined(KINDS[name], found.parts, metric, found.sample.test_to_train, units)[0]
        row = table.filter(pl.col("metric") == metric).row(0, named=True)
        assert (row["estimate"], row["lower"], row["upper"]) == (wanted.estimate, wanted.lower, wanted.upper)


def test_few_censored_patients_are_not_given_away() -> None:
    data = cohort(600, seed=12, censored=False)
    few = data["outcomes"].with_row_index("row").with_columns(
        cause=pl.when(pl.col("row") < 5).then(pl.lit(0, pl.Int8)).otherwise("cause"),
        time=pl.when(pl.col("row") < 5).then(50.0).otherwise("time"),
    )  # fmt: skip
    data["outcomes"] = few.drop("row")
    found = scheme(data, "kfold")
    rows, why = hazard_after_censoring(examination(11, HORIZON), found, (1.0,), 8.0)
    assert rows == []
    assert why == "too few patients are censored before the horizon to publish what follows from them"
    assert hazard_after_censoring(examination(0, HORIZON), found, (1.0,), 8.0)[0]


def test_equal_risks_stay_in_one_group() -> None:
    assert len(set(risk_groups(np.full(10, 0.3), 10))) == 1
    assert np.bincount(risk_groups(np.arange(30) / 30, 3)).tolist() == [10, 10, 10]


def test_a_learner_without_some_predictions_is_refused() -> None:

    data = cohort(200, seed=1)
    data["predictions"]["model"] = data["predictions"]["model"].head(5)
    with pytest.raises(BadInput, match=r"model has no prediction for \d+ of the 200 rows that kfold tests"):
        scheme(data, "kfold")


def test_the_copies_of_a_patient_stay_in_the_family() -> None:
    family = np.array([7, 7, 3, 4])
    part = Part(
        0, 0, "", np.zeros(4), np.full(4, 0.3), np.array([1.0, 0, 1, 0]), np.arange(4), {}, family=family
    )
    twice = completed(part, np.array([np.nan, 0.4, np.nan, 0.2]))
    assert twice.family is not None
    assert dict(zip(twice.patient.tolist(), twice.family.tolist(), strict=True)) == dict(
        enumerate(family.tolist())
    )
    assert completed(replace(part, family=None), np.full(4, np.nan)).family is None
