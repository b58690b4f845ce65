"""Smooth calibration recovers planted shapes; ICI, E50 and E90 are distances along it."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.evaluation.calibration import smooth_curve
from experiments.evaluation.combining import resampled, variance
from experiments.evaluation.measures import measure, measured
from experiments.evaluation.metrics import Floats, expit, logit
from experiments.evaluation.sample import Part
from experiments.evaluation.smooth import GROUPS, calibration_errors, grouped, ici_influence

ERRORS = ("ici", "e50", "e90")


def part(size: int, seed: int, slope: float = 1.0, bend: float = 0.0) -> Part:
    """Return risks whose true log-odds are slope times the predicted ones, bent by a square term."""
    generator = np.random.default_rng(seed)
    risk = expit(generator.normal(-0.8, 1.1, size))
    truth = expit(slope * logit(risk) + bend * logit(risk) ** 2)
    label = (generator.uniform(size=size) < truth).astype(float)
    return Part(0, 0, "", label, risk, np.ones(size), np.arange(size), {})


def truth_at(x: Floats, slope: float, bend: float) -> Floats:
    return expit(slope * logit(x) + bend * logit(x) ** 2)


@pytest.mark.parametrize(("slope", "bend"), [(1.0, 0.0), (0.5, 0.0), (1.0, 0.25)])
def test_the_curve_has_the_planted_shape(slope: float, bend: float) -> None:
    curve = smooth_curve([part(10_000, 1, slope, bend)], 11)
    x, y, lower, upper = (
        np.array([getattr(point, name) for point in curve]) for name in ("x", "y", "lower", "upper")
    )
    truth = truth_at(x, slope, bend)
    assert np.abs(y - truth).max() < 0.06
    assert ((lower < y) & (y < upper)).all()


def test_the_band_holds_the_truth_in_nineteen_of_twenty_samples() -> None:
    held = []
    for seed in range(120):
        curve = smooth_curve([part(500, seed, 0.7)], 0, points=9)
        truth = truth_at(np.array([point.x for point in curve]), 0.7, 0.0)
        held.append([p.lower <= t <= p.upper for p, t in zip(curve, truth, strict=True)])
    assert 0.90 < np.mean(held) < 0.985


def test_errors_are_the_planted_distances() -> None:
    own = part(20_000, 3, 0.5)
    gap = np.abs(truth_at(own.risk, 0.5, 0.0) - own.risk)
    found = measured(own, ERRORS)
    assert found["ici"] == pytest.approx(gap.mean(), abs=0.01)
    assert found["e50"] == pytest.approx(np.quantile(gap, 0.5), abs=0.012)
    assert found["e90"] == pytest.approx(np.quantile(gap, 0.9), abs=0.02)


def test_a_calibrated_model_has_small_errors_and_fewer_events_larger_ones() -> None:
    assert measure(part(20_000, 4), "ici") < 0.01
    many, few = (np.mean([measure(part(size, seed), "ici") for seed in range(10)]) for size in (2000, 200))
    assert few > 2 * many


def test_weights_count_as_copies() -> None:
    own = part(300, 5)
    counts = np.random.default_rng(0).integers(1, 4, 300)
    doubled = replace(own, weight=np.full(300, 2.0))
    assert measured(doubled, ERRORS) == pytest.approx(measured(own, ERRORS), abs=1e-6)
    alone = calibration_errors(own.label, own.risk, counts.astype(float))
    both = calibration_errors(own.label, own.risk, np.stack([counts.astype(float), np.ones(300)]))
    assert [both[name][0] for name in ERRORS] == pytest.approx(
        [float(alone[name]) for name in ERRORS], abs=1e-6
    )


def test_influence_of_the_ici_is_the_derivative_by_the_weight() -> None:
    own, step = part(400, 6, 0.5), 1e-5
    found = ici_influence(own.label, own.risk, own.weight)
    for row in (0, 50, 399):
        more, less = own.weight.copy(), own.weight.copy()
        more[row], less[row] = 1 + step, 1 - step
        figures = [float(calibration_errors(own.label, own.risk, weight)["ici"]) for weight in (more, less)]
        assert found[row] == pytest.approx((figures[0] - figures[1]) / (2 * step), rel=1e-3, abs=1e-7)


def test_the_variance_of_an_error_is_near_that_of_a_patient_bootstrap() -> None:
    own = part(1500, 7, 0.4)
    bootstrap = resampled(own, ("ici",), 500, 1)["ici"].var(ddof=1)
    assert variance(own, "ici") == pytest.approx(bootstrap, rel=0.3)
    assert 0 < variance(own, "e50") < 0.05**2


def test_equal_risks_stand_in_one_group_and_many_are_gathered() -> None:
    risk = np.random.default_rng(8).uniform(size=5000).round(3)
    groups = grouped(risk)
    assert groups is not None
    assert len(groups.risk) <= GROUPS
    assert all(len(np.unique(groups.place[risk == value])) == 1 for value in (0.1, 0.5, 0.9))
    few = grouped(np.array([0.1, 0.1, 0.4, 0.2]))
    assert few is not None
    assert few.risk == pytest.approx([0.1, 0.2, 0.4])


def test_one_risk_for_all_or_one_class_has_no_curve() -> None:
    own = part(200, 9)
    for changed in (replace(own, risk=np.full(200, 0.3)), replace(own, label=np.ones(200))):
        assert np.isnan(list(measured(changed, ERRORS).values())).all()
        assert smooth_curve([changed], 0) == []


def test_few_events_have_no_curve_and_it_ends_before_the_last_patients() -> None:
    own = part(600, 10)
    rare = replace(own, label=np.where(np.cumsum(own.label) <= 10, own.label, 0.0))
    assert smooth_curve([rare], 11) == []
    curve = smooth_curve([own], 30)
    assert (own.risk < curve[0].x).sum() >= 29
    assert (own.risk > curve[-1].x).sum() >= 29
    assert all(point.n is None for point in curve)
