"""Calibration curves show what was planted, in points of many patients."""

import numpy as np
import pytest

from experiments.evaluation.calibration import calibration_curve, smooth_curve
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part


def part(label: Floats, risk: Floats, fold: int = 0, first: int = 0) -> Part:
    size = len(label)
    return Part(0, fold, "", label, risk, np.ones(size), np.arange(first, first + size), {})


def drawn(size: int, seed: int, power: float = 1.0, fold: int = 0) -> Part:
    generator = np.random.default_rng(seed)
    risk = generator.uniform(0.05, 0.9, size)
    label = (generator.uniform(size=size) < risk**power).astype(float)
    return part(label, risk, fold, 10_000 * fold)


def test_a_calibrated_model_lies_on_the_diagonal() -> None:
    curve = calibration_curve([drawn(5000, 1)], 11)
    assert len(curve) == 10
    inside = [point.lower <= point.x <= point.upper for point in curve if point.lower and point.upper]
    assert sum(inside) >= 8


def test_risks_that_are_too_high_lie_below_it() -> None:
    curve = calibration_curve([drawn(5000, 2, power=2.0)], 11)
    assert all(point.y is not None and point.y < point.x for point in curve)


def test_points_are_the_mean_of_their_group() -> None:
    risk = np.repeat([0.2, 0.8], 50)
    label = np.tile([1.0, 0, 0, 0, 0], 20)
    curve = calibration_curve([part(label, risk)], 5)
    assert [point.x for point in curve] == pytest.approx([0.2, 0.8])
    assert [point.y for point in curve] == pytest.approx([0.2, 0.2])
    assert [point.n for point in curve] == [50, 50]


def test_groups_are_cut_within_fold_so_a_shifted_fold_keeps_all_points() -> None:
    low, high = drawn(1000, 3), drawn(1000, 4, fold=1)
    shifted = part(high.label, 0.9 + 0.1 * high.risk, 1, 10_000)
    curve = calibration_curve([low, shifted], 11)
    assert [point.n for point in curve] == [200] * 10


@pytest.mark.parametrize(("size", "points"), [(5000, 10), (100, 9), (15, 0)])
def test_groups_are_joined_until_each_has_enough_events_and_non_events(size: int, points: int) -> None:
    curve = calibration_curve([drawn(size, 5)], 11)
    assert len(curve) <= points
    for point in curve:
        assert point.n is not None
        assert point.y is not None
        assert 10.99 <= point.n * point.y <= point.n - 10.99


def test_one_risk_in_each_fold_has_no_smooth_curve() -> None:
    folds = [drawn(400, seed, fold=seed) for seed in range(12)]
    own_rate = [part(fold.label, np.full(400, 0.4 + 0.002 * fold.fold), fold.fold) for fold in folds]
    assert smooth_curve(folds, 0)
    assert smooth_curve(own_rate, 0) == []
