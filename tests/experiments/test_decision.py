"""Decision curves against Vickers and Elkin's formula worked by hand."""

import numpy as np
import pytest

from experiments.evaluation.decision import decision_curve, thresholds, treat_all_curve
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part


def part(label: Floats, risk: Floats) -> Part:
    size = len(label)
    return Part(0, 0, "", label, risk, np.ones(size), np.arange(size), {})


TEN = part(
    np.array([1.0, 1, 1, 0, 0, 0, 0, 0, 0, 0]), np.array([0.9, 0.6, 0.1, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1])
)


def test_net_benefit_of_ten_patients() -> None:
    # At 0.25: flagged two events and two others: 2/10 - 2/10 * (0.25 / 0.75).
    (point,) = decision_curve([TEN], np.array([0.25]), 0)
    assert point.y == pytest.approx(0.2 - 0.2 / 3)


def test_treating_everybody_gains_the_prevalence_and_pays_for_the_rest() -> None:
    first, second = treat_all_curve([TEN], np.array([0.2, 0.3]), 0)
    assert first.y == pytest.approx(0.3 - 0.7 * 0.25)
    assert second.y == pytest.approx(0.0)


def test_a_model_that_flags_everybody_equals_treating_everybody() -> None:
    everybody = part(TEN.label, np.full(10, 0.6))
    at = thresholds(0.05, 0.5)
    model, all_of = decision_curve([everybody], at, 0), treat_all_curve([everybody], at, 0)
    assert [point.y for point in model] == pytest.approx([point.y for point in all_of])


def test_thresholds_with_few_flagged_events_are_not_published() -> None:
    generator = np.random.default_rng(0)
    risk = generator.uniform(0, 0.5, 400)
    many = part((generator.uniform(size=400) < risk).astype(float), risk)
    curve = decision_curve([many], np.array([0.2, 0.49]), 11)
    assert curve[0].y is not None
    assert (curve[1].y, curve[1].lower, curve[1].n) == (None, None, None)


def test_the_declared_range_is_kept() -> None:
    at = thresholds(0.1, 0.3)
    assert (at[0], at[-1]) == pytest.approx((0.1, 0.3))
    assert np.diff(at) == pytest.approx(np.diff(at)[0])
