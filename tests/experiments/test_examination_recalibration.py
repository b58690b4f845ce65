"""Local updates of a new centre: planted shifts are recovered, planted slope failures are named, noise is not."""

from typing import Any

import numpy as np
import pytest

from experiments.evaluation.metrics import expit, logit
from experiments.examination.local_updates import (
    EXACT,
    HALF,
    SHRUNK,
    SLOPE,
    centre_errors,
    shrunk_intercept,
    updates,
)
from experiments.examination.recalibration import OE, recalibrated, slope_failures, usable_centres
from experiments.examination.schemas import Recalibration
from tests.experiments.examined_rows import Arrays, examination, planted, scheme_of


def centres(shifts: Any, slope: float = 1.0, size: int = 300, seed: int = 1) -> Arrays:
    """Return centres of one size whose true log-odds are shifted, or have another slope."""
    number = np.repeat(np.arange(len(shifts)), size)
    data = planted(len(number), seed, shift=np.asarray(shifts)[number], slope=slope, spread=1.5)
    return data | {"fold": number % 3, "centre": np.array([f"c{place:02d}" for place in number])}


def summary(data: Arrays, patients: Any = (0, 10, 20, 50, 100), smallest_cell: int = 0) -> Any:
    return recalibrated(examination(smallest_cell), scheme_of(data, "leave_centre_out"), patients, 20)


def figure(rows: Any, method: str, measure: str, patients: int | None) -> float:
    found = [
        row for row in rows if (row["method"], row["measure"], row["patients"]) == (method, measure, patients)
    ]
    return float(found[0]["estimate"])


def test_an_update_recovers_a_planted_shift_and_a_planted_slope() -> None:
    data = centres([0.8], size=20000)
    part = scheme_of(data | {"fold": np.zeros(20000, np.int64)}, "leave_centre_out").parts[0]
    found = updates(part, part.weight[None, :], between=0.5)
    assert found[EXACT][0][0] == pytest.approx(0.8, abs=0.05)
    assert found[SHRUNK][0][0] == pytest.approx(0.8, abs=0.05)
    slanted = centres([0.0], slope=0.5, size=20000)
    part = scheme_of(slanted | {"fold": np.zeros(20000, np.int64)}, "leave_centre_out").parts[0]
    intercept, slope = updates(part, part.weight[None, :], between=0.5)[SLOPE]
    assert slope[0] == pytest.approx(0.5, abs=0.05)
    assert intercept[0] == pytest.approx(0.0, abs=0.05)


def test_a_shrunk_intercept_is_the_mode_of_its_posterior() -> None:
    draw = np.random.default_rng(2)
    risk, label, weight = draw.uniform(0.1, 0.9, 40), draw.integers(0, 2, 40).astype(float), np.ones((1, 40))
    found = float(shrunk_intercept(label, risk, weight, 0.3)[0])
    grid = np.linspace(-3, 3, 6001)
    fitted = expit(grid[:, None] + logit(risk))
    posterior = np.where(label == 1, np.log(fitted), np.log1p(-fitted)).sum(axis=1) - grid**2 / 0.6
    assert found == pytest.approx(grid[posterior.argmax()], abs=2e-3)
    assert (shrunk_intercept(label, risk, weight, 0.0) == 0).all()


def test_shifted_centres_are_mended_by_local_patients_and_no_slope_is_asked_for() -> None:
    shifts = np.tile([-1.2, 1.2], 6)
    rows, found, why = summary(centres(shifts))
    assert why == ""
    start, some, half = (figure(rows, EXACT, OE, k) for k in (0, 50, None))
    assert start > 0.4
    assert some < start / 2
    assert half < some * 1.05
    assert found["intercept"]["local_patients"] in (20, 50, 100)
    assert found["slope"]["helps_from"] is None
    assert found["centres"] == 12


def test_slopes_fail_no_more_often_than_by_chance_where_only_intercepts_differ() -> None:
    data = centres(np.tile([-1.0, 1.0], 60), size=150, seed=11)
    found = slope_failures(usable_centres(scheme_of(data, "leave_centre_out").parts, 0))
    assert found["centres"] == 120
    assert found["share_failing"] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def test_only_zero_local_patients_is_no_choice_of_method() -> None:
    _, found, _ = summary(centres(np.zeros(4)), (0,))
    assert found["intercept"]["mean_error"] == {EXACT: None, SHRUNK: None}
    assert found["intercept"]["method"] == EXACT
    assert found["slope"]["helps_from"] is None


def test_a_slope_that_fails_everywhere_is_named_apart() -> None:
    _, found, _ = summary(centres(np.zeros(8), slope=0.25, size=500, seed=3), (0, 20, 50, 100, 200))
    assert found["slope"]["share_failing"] == 1.0
    assert found["slope"]["helps_from"] in (20, 50)


def test_where_centres_agree_shrinking_loses_less_than_the_exact_update() -> None:
    rows, found, _ = summary(centres(np.zeros(8), seed=4))
    assert found["intercept"]["method"] == SHRUNK
    assert figure(rows, EXACT, OE, 10) > figure(rows, SHRUNK, OE, 10)
    assert found["intercept"]["local_patients"] == 0


def test_the_judges_are_never_the_patients_of_the_update() -> None:
    """A centre's halves are apart: with labels that say nothing, an update on the judges would show as a lower loss."""
    data = centres([0.0], size=60, seed=5)
    patient = np.repeat(np.arange(20), 3)
    part = scheme_of(data | {"fold": np.zeros(60, np.int64), "patient": patient}, "leave_centre_out").parts[0]
    errors = centre_errors(part, (0, 5, 10, 50), 30, 1.0, 9)
    assert errors.local == 10
    assert (EXACT, 50) not in errors.log_loss
    assert np.array_equal(errors.log_loss[EXACT, 10], errors.log_loss[EXACT, HALF])
    again = centre_errors(part, (0, 5, 10, 50), 30, 1.0, 9)
    assert all(np.array_equal(errors.log_loss[key], again.log_loss[key]) for key in errors.log_loss)


def test_a_draw_without_events_adds_nothing_and_a_separated_slope_falls_back() -> None:
    data = centres([0.0], size=40, seed=6)
    part = scheme_of(data | {"fold": np.zeros(40, np.int64)}, "leave_centre_out").parts[0]
    without = np.where(part.label == 0, 1.0, 0.0)[None, :]
    assert [float(found[0][0]) for found in updates(part, without, 1.0).values()][::2] == [0.0, 0.0]
    low, high = part.risk.argmin(), part.risk.argmax()
    part.label[[low, high]] = 0.0, 1.0
    two = np.zeros((1, 40))
    two[0, [low, high]] = 1.0
    found = updates(part, two, 1.0)
    assert float(found[SLOPE][1][0]) == 1.0
    assert float(found[SLOPE][0][0]) == float(found[EXACT][0][0])


def test_small_centres_and_other_schemes_have_no_rows_but_a_reason() -> None:
    rows, found, why = summary(centres(np.zeros(4), size=15))
    assert (rows, found) == ([], {})
    assert why.startswith("fewer than three centres have ten events")
    data = centres(np.zeros(4))
    assert recalibrated(examination(), scheme_of(data, "stratified_kfold"), (0,), 10)[2] == (
        "the scheme leaves no centre out"
    )
    table = examination().table(Recalibration, summary(data)[0])
    assert table["centres"].unique().to_list() == [4]
    parts = scheme_of(data, "leave_centre_out").parts
    assert usable_centres(parts, 300) == {}
