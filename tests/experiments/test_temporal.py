"""The temporal scheme: later patients are tested, and nothing of what happened after the cut is learned."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.validation import certificate as certificates
from experiments.validation.cell import CellData, Fold
from experiments.validation.certificate import prove, scramble_after
from experiments.validation.nested import outer_folds, validate_cell
from experiments.validation.procedure import fit_fold
from experiments.validation.splits import SplitScheme, eligible_rows, make_splits
from experiments.validation.temporal import cuts_of
from features.errors import BadInput
from models.target import Target
from pipeline.settings.load import check_study
from tests.experiments.validation_cohort import frames, procedure
from tests.workplace import ROOT, demo_study

START = date(2018, 1, 1)
CUT = float((START - date(1970, 1, 1)).days)


def dated(*, times: bool = True) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A cohort whose patients came over six years; a patient's predictions lie 100 days apart."""
    rows, outcomes = frames(240, times=times)
    first = CUT - 4 * 365 + rows["position"].to_numpy() * 9.0 + 0.5
    return rows.with_columns(time=pl.Series(first + 100 * (rows["number"].to_numpy() - 1))), outcomes


def temporal_cell(*, times: bool = True) -> tuple[CellData, pl.DataFrame, list[dict[str, Any]]]:
    rows, outcomes = dated(times=times)
    horizon = 365.0 if times else None
    eligible, _ = eligible_rows(rows, outcomes, horizon)
    cause = eligible["cause"].to_numpy().astype(np.int64)
    target = (
        Target.from_times(eligible["time_to_event"].to_numpy(), cause, [horizon], causes=2)
        if horizon
        else Target.from_labels(cause)
    )
    splits, folds = make_splits(
        {"later": SplitScheme("temporal", start=START)}, rows, outcomes, 7, horizon=horizon
    )
    return CellData(eligible, eligible.select("a_0"), target), splits, folds


DATA, SPLITS, FOLDS = temporal_cell()
FOLD = outer_folds(DATA.rows, SPLITS, {"later": "temporal"}, cuts_of(FOLDS))[0]


def test_patients_are_tested_whole_from_the_cut_and_no_later_prediction_is_trained_on() -> None:
    time, position = DATA.rows["time"].to_numpy(), DATA.rows["position"].to_numpy()
    train = FOLD.train(DATA.rows.height)
    assert (time[FOLD.test] >= CUT).all()
    assert (time[train] < CUT).all()
    assert not set(position[train]) & set(position[FOLD.test])
    assert len(FOLD.unused) > 0  # later predictions of earlier patients
    assert set(position[FOLD.unused]) <= set(position[train])
    assert len(train) + len(FOLD.test) + len(FOLD.unused) == DATA.rows.height


def test_training_knows_what_was_over_by_the_evening_before_and_no_more() -> None:
    train = FOLD.train(DATA.rows.height)
    limit = CUT - 0.5 - DATA.rows["time"].to_numpy()[train]
    whole, known = DATA.take(train).target, FOLD.training_part(DATA).target
    assert known.time is not None
    assert whole.time is not None
    seen = whole.time <= limit
    assert 0 < seen.sum() < len(seen)
    assert (known.time[seen] == whole.time[seen]).all()
    assert (known.cause[seen] == whole.cause[seen]).all()
    assert (known.time[~seen] == limit[~seen]).all()
    assert (known.cause[~seen] == 0).all()


def test_an_event_on_the_day_of_the_cut_is_not_known() -> None:
    rows = pl.DataFrame({"time": [CUT - 10 + 0.5] * 3})
    days = np.array(
        [8.5, 9.5, 9.0]
    )  # the event the day before the cut, the event on it, followed to the day before
    data = CellData(rows, pl.DataFrame({"a": [0.0] * 3}), Target.from_times(days, [1, 1, 0], [365.0]))
    known = data.as_of(CUT).target
    assert known.cause.tolist() == [1, 0, 0]
    assert known.time is not None
    assert known.time.tolist() == [8.5, 9.0, 9.0]


def test_a_label_seen_at_a_later_visit_is_unknown_before_it() -> None:
    rows = pl.DataFrame({"time": [CUT - 100.5] * 2, "seen_after": [90.0, 110.0]})
    data = CellData(rows, pl.DataFrame({"a": [0.0] * 2}), Target.from_labels([1, 1]))
    assert data.as_of(CUT).target.seen().tolist() == [True, False]


def test_counts_of_the_training_rows_are_those_known_before_the_cut() -> None:
    entry = FOLDS[0]
    part = FOLD.training_part(DATA)
    assert entry["train"] == part.rows.height
    assert entry["train_events"] == int(part.status().event.sum())
    assert entry["test_events"] == int(DATA.take(FOLD.test).status().event.sum())
    assert entry["group"] == "from 2018-01-01"


@pytest.mark.parametrize("times", [True, False])
def test_the_whole_cell_passes_with_the_cut_on_its_certificate(times: bool) -> None:
    data, splits, folds = temporal_cell(times=times)
    result = validate_cell(
        data,
        splits,
        {"later": "temporal"},
        procedure(data, "elastic_net", trials=2),
        cuts=cuts_of(folds),
    )
    checks = {check["check"]: check["passed"] for check in result.certificate["checks"]}
    assert checks[certificates.FUTURE]
    assert all(checks.values())
    assert set(result.predictions["prediction_id"]) == set(splits["prediction_id"])


def test_a_fit_that_looks_beyond_the_cut_is_caught() -> None:
    inner = procedure(DATA, "elastic_net", trials=1)

    def leaky(data: Any, fold: Fold, **options: Any) -> Any:
        return fit_fold(data, replace(fold, cut=None), inner, **options)

    failed = [found.check for found in prove(DATA, FOLD, leaky(DATA, FOLD), leaky, 5) if not found.passed]
    assert certificates.FUTURE in failed
    assert certificates.REFIT not in failed  # nothing of the tested patients leaked


def test_the_noise_changes_every_outcome_that_was_open_and_none_that_was_known() -> None:
    before, noise = DATA.as_of(CUT).target, scramble_after(DATA, CUT, 3).target
    assert before.time is not None
    assert noise.time is not None
    assert DATA.target.time is not None
    open_then = DATA.target.time > before.time
    assert (noise.time[open_then] != DATA.target.time[open_then]).all()
    assert (noise.time[~open_then] == DATA.target.time[~open_then]).all()
    again = replace(DATA, target=noise).as_of(CUT).target
    assert again.time is not None
    assert (again.time == before.time).all()
    assert (again.cause == before.cause).all()


def test_the_latest_share_is_cut_at_the_first_of_a_month() -> None:
    rows, outcomes = dated()
    _, folds = make_splits({"later": SplitScheme("temporal", latest=0.3)}, rows, outcomes, 7, horizon=365.0)
    assert folds[0]["group"].endswith("-01")
    assert folds[0]["test_patients"] / 240 == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("day", [date(1990, 1, 1), date(2040, 1, 1)])
def test_a_cut_with_nobody_on_one_side_is_refused(day: date) -> None:
    rows, outcomes = dated()
    with pytest.raises(BadInput, match=f"eligible patients came from {day} on"):
        make_splits({"later": SplitScheme("temporal", start=day)}, rows, outcomes, 7, horizon=365.0)


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ({"kind": "temporal"}, "either from"),
        ({"kind": "temporal", "from": "2020-01-01", "latest": 0.3}, "either from"),
    ],
)
def test_settings_want_one_of_day_and_share(scheme: dict[str, Any], words: str) -> None:
    study = demo_study("demo")
    study["validation"]["later"] = scheme
    with pytest.raises(BadInput, match=words):
        check_study(study, ROOT / "study.yaml")


def test_a_cohort_without_dates_has_no_later_patients() -> None:
    study = demo_study("demo")
    study["validation"]["later"] = {"kind": "temporal", "latest": 0.3}
    study["cohort"]["time"] = "days"
    with pytest.raises(BadInput, match="nobody can say who came later"):
        check_study(study, ROOT / "study.yaml")
