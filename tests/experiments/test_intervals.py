"""Intervals against published meta-analyses, the formulas of their papers, and planted truth."""

import numpy as np
import pytest
from scipy import stats

from experiments.evaluation.intervals import (
    Floats,
    Interval,
    corrected_resampling,
    patient_multiplicities,
    percentile_interval,
    prediction_interval,
    random_effects,
)
from experiments.evaluation.measures import measure
from experiments.evaluation.sample import Part
from experiments.evaluation.sampling_error import not_narrower

# Trials of BCG vaccine (Colditz 1994): tuberculosis and not, vaccinated; tuberculosis and not, control.
BCG = np.array(
    [
        (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
        (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232),
        (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
    ],
    dtype=float,
)  # fmt: skip


def bcg_log_risk_ratios() -> tuple[Floats, Floats]:
    a, b, c, d = BCG.T
    return np.log(a / (a + b)) - np.log(c / (c + d)), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_random_effects_give_the_published_figures_of_the_bcg_trials() -> None:
    # metafor: rma(yi, vi, method="REML", test="knha"): -0.7145, se 0.1808, tau2 0.3132, -1.1084 to -0.3206.
    found = random_effects(*bcg_log_risk_ratios())
    assert found.mean == pytest.approx(-0.7145, abs=5e-5)
    assert found.error == pytest.approx(0.1808, abs=5e-5)
    assert found.between == pytest.approx(0.3132, abs=5e-5)
    assert found.confidence() == pytest.approx((-1.1084, -0.3206), abs=5e-5)


def test_equal_effects_have_no_variance_between_them() -> None:
    found = random_effects(np.array([0.4, 0.4, 0.4]), np.array([0.1, 0.2, 0.3]))
    assert found.mean == pytest.approx(0.4)
    assert found.between == 0.0


def test_prediction_interval_is_wider_than_that_of_the_mean_and_moves_with_the_effects() -> None:
    effects, variances = bcg_log_risk_ratios()
    low, high = prediction_interval(effects, variances)
    lower, upper = random_effects(effects, variances).confidence()
    assert low < lower < upper < high
    assert prediction_interval(effects + 1, variances) == pytest.approx((low + 1, high + 1), abs=1e-6)


def test_prediction_interval_holds_new_units_where_the_plug_in_one_does_not() -> None:
    generator = np.random.default_rng(7)
    between, held = 0.04, []
    for _ in range(300):
        variances = generator.uniform(0.02, 0.12, 12)
        effects = generator.normal(0.7, np.sqrt(between + variances))
        low, high = prediction_interval(effects, variances)
        held.append(stats.norm.cdf(high, 0.7, np.sqrt(between)) - stats.norm.cdf(low, 0.7, np.sqrt(between)))
    assert 0.92 < np.mean(held) < 0.99


def test_corrected_resampling_is_nadeau_and_bengios_formula() -> None:
    values = np.array([0.70, 0.74, 0.66, 0.72, 0.68])
    found = corrected_resampling(values, 0.25)
    half = stats.t.ppf(0.975, 4) * values.std(ddof=1) * np.sqrt(1 / 5 + 0.25)
    assert (found.lower, found.upper) == pytest.approx((0.70 - half, 0.70 + half))
    assert found.kind == "corrected_resampling"


def test_repeats_bring_no_new_patients() -> None:
    values = np.array([0.70, 0.74, 0.66, 0.72, 0.68] * 3)
    found = corrected_resampling(values, 0.25)
    half = stats.t.ppf(0.975, 14) * values.std(ddof=1) * np.sqrt(1 / 5 + 0.25)
    assert found.upper == pytest.approx(0.70 + half)


def test_corrected_resampling_on_the_logit_scale_stays_inside_and_keeps_the_mean() -> None:
    found = corrected_resampling(np.array([1.0, 0.9, 0.95, 1.0]), 1 / 3, "logit")
    assert found.estimate == pytest.approx(0.9625)
    assert found.lower is not None
    assert found.upper is not None
    assert 0 < found.lower < 0.9625 < found.upper < 1


def test_folds_that_have_no_figure_are_counted() -> None:
    found = corrected_resampling(np.array([0.7, np.nan, 0.8]), 0.5)
    assert found.estimate == pytest.approx(0.75)
    assert found.note == "1 of 3 folds not estimable"


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [0.7], [np.nan, np.nan]])
def test_no_interval_where_folds_say_nothing_about_spread(values: list[float]) -> None:
    found = corrected_resampling(np.array(values), 0.5)
    assert (found.lower, found.upper, found.kind) == (None, None, "none")
    assert found.note


def test_resamples_keep_a_patients_rows_together_and_draw_as_many_patients() -> None:
    patient = np.array([4, 4, 9, 2, 9, 9])
    drawn = patient_multiplicities(patient, 500, np.random.default_rng(0))
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 2] == drawn[:, 5]).all()
    assert (drawn[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert drawn.mean() == pytest.approx(1, abs=0.1)


def test_percentile_interval_refuses_when_many_resamples_are_undefined() -> None:
    figures = np.linspace(0, 1, 1001)
    assert percentile_interval(figures) == pytest.approx((0.025, 0.975))
    figures[:200] = np.nan
    assert percentile_interval(figures) is None


def _tested(repeats: int) -> list[Part]:
    """Five folds of 40 patients with a quarter of events each and one risk, so that no fold differs but the last a little."""
    label = np.tile([1.0, 0.0, 0.0, 0.0], 50)
    parts = []
    for repeat in range(repeats):
        for fold in range(5):
            rows = np.arange(40 * fold, 40 * fold + 40)
            risk = np.full(40, 0.26 if fold == 4 else 0.25)
            parts.append(Part(repeat, fold, str(fold), label[rows], risk, np.ones(40), rows, {}))
    return parts


def test_folds_of_equal_shares_do_not_make_the_brier_score_certain() -> None:
    parts = _tested(1)
    values = np.array([measure(part, "brier") for part in parts])
    between = corrected_resampling(values, 0.25, "logit")
    found = not_narrower(between, parts, "brier", "logit")
    assert found.estimate == between.estimate
    assert (found.kind, found.note) == (between.kind, between.note)
    assert found.lower is not None
    assert found.upper is not None
    # One event in four, each scored 0.75 squared, the others 0.25 squared: the error of a mean over 200 patients.
    error = np.sqrt(0.25 * 0.75) * (0.75**2 - 0.25**2) / np.sqrt(200)
    assert (found.upper - found.lower) / (2 * 1.96) == pytest.approx(error, rel=0.03)


def test_repeats_do_not_lessen_the_sampling_error_and_wide_intervals_stay() -> None:
    parts = _tested(3)
    once = not_narrower(Interval(0.19, 0.19, 0.19, "corrected_resampling"), _tested(1), "brier", "logit")
    thrice = not_narrower(Interval(0.19, 0.19, 0.19, "corrected_resampling"), parts, "brier", "logit")
    assert (thrice.lower, thrice.upper) == pytest.approx((once.lower, once.upper))
    wide = Interval(0.19, 0.01, 0.6, "corrected_resampling")
    assert not_narrower(wide, parts, "brier", "logit") == wide
    assert not_narrower(Interval(0.19), parts, "brier", "logit") == Interval(0.19)
