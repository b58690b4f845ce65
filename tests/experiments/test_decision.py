"""Decision curves against Vickers and Elkin's formula worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.evaluation.decision import decision_curve, thresholds, treat_all_curve
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part
from tests.experiments.followed_up import followed_part


def part(label: Floats, risk: Floats) -> Part:
    size = len(label)
    return Part(0, 0, "", label, risk, np.ones(size), np.arange(size), {})


TEN = part(
    np.array([1.0, 1, 1, 0, 0, 0, 0, 0, 0, 0]), np.array([0.9, 0.6, 0.1, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1])
)


def test_net_benefit_of_ten_patients() -> None:
    # At 0.25: flagged two events and two others: 2/10 - 2/10 * (0.25 / 0.75).
    (point,) = decision_curve([TEN], np.array([0.25]), 0, 0)
    assert point.y == pytest.approx(0.2 - 0.2 / 3)


def test_treating_everybody_gains_the_prevalence_and_pays_for_the_rest() -> None:
    first, second = treat_all_curve([TEN], np.array([0.2, 0.3]), 0)
    assert first.y == pytest.approx(0.3 - 0.7 * 0.25)
    assert second.y == pytest.approx(0.0)


def test_a_model_that_flags_everybody_equals_treating_everybody() -> None:
    everybody = part(TEN.label, np.full(10, 0.6))
    at = thresholds(0.05, 0.5)
    model, all_of = decision_curve([everybody], at, 0, 0), treat_all_curve([everybody], at, 0)
    assert [point.y for point in model] == pytest.approx([point.y for point in all_of])


def test_thresholds_with_few_flagged_events_are_not_published() -> None:
    generator = np.random.default_rng(0)
    risk = generator.uniform(0, 0.5, 400)
    many = part((generator.uniform(size=400) < risk).astype(float), risk)
    curve = decision_curve([many], np.array([0.2, 0.49]), 11)
    assert curve[0].y is not None
    assert (curve[1].y, curve[1].lower, curve[1].n) == (None, None, None)


def test_ten_flagged_events_are_too_few_where_data_are_public_too() -> None:
    label, risk = (np.arange(60) < 11).astype(float), np.linspace(0.9, 0.1, 60)
    just, fewer = (float(risk[number - 1]) for number in (11, 10))
    enough, too_few = decision_curve([part(label, risk)], np.array([just, fewer]), 0)
    assert enough.y is not None
    assert (too_few.y, too_few.lower, too_few.n) == (None, None, None)


def test_the_declared_range_is_kept() -> None:
    at = thresholds(0.1, 0.3)
    assert (at[0], at[-1]) == pytest.approx((0.1, 0.3))
    assert np.diff(at) == pytest.approx(np.diff(at)[0])


def censored(size: int, seed: int, by_risk: bool) -> tuple[Part, Floats]:
    """Return patients of whom those at high risk leave early where `by_risk`, and their true risks by day 365."""
    generator = np.random.default_rng(seed)
    marker = generator.normal(size=size)
    hazard = np.exp(-7.5 + 0.9 * marker)
    event, died = generator.exponential(1 / hazard), generator.exponential(4000, size)
    leaves = generator.exponential(np.where((marker > 0) & by_risk, 200, 1500))
    time = np.minimum(np.minimum(event, died), leaves)
    cause = np.where(time == event, 1, np.where(time == died, 2, 0))
    total = hazard + 1 / 4000
    truth = hazard / total * (1 - np.exp(-total * 365))
    return followed_part(time, cause, truth[:, None], [365.0]), truth


def test_everybody_flagged_is_the_weighted_sum_and_so_is_a_cohort_without_censoring() -> None:
    own, _ = censored(500, 1, by_risk=False)
    share = float(own.weight @ own.label / own.weight.sum())
    (point,) = treat_all_curve([own], np.array([0.2]), 0)
    assert point.y == pytest.approx(share - (1 - share) * 0.25)
    plain = part(own.label, own.risk)
    assert own.follow_up is not None
    cause = np.where(own.label == 1, 1, 2)
    whole = followed_part(own.follow_up.time, cause, own.risk[:, None], [1e6])
    for model, alike in zip(
        decision_curve([whole], np.array([0.2, 0.4]), 0),
        decision_curve([plain], np.array([0.2, 0.4]), 0),
        strict=True,
    ):
        assert model.y == pytest.approx(alike.y)


def test_net_benefit_is_the_true_one_where_the_flagged_leave_early() -> None:
    at = 0.19  # nearly all flagged have a high marker: censoring differs between them and the rest, not among them
    differences, plain = [], []
    for seed in range(12):
        own, truth = censored(3000, seed, by_risk=True)
        flagged = truth >= at
        true = float((flagged * (truth - (1 - truth) * at / (1 - at))).mean())
        (point,) = decision_curve([own], np.array([at]), 0)
        (simple,) = decision_curve([replace(own, follow_up=None)], np.array([at]), 0)
        assert point.y is not None
        assert simple.y is not None
        differences.append(point.y - true)
        plain.append(simple.y - true)
    assert abs(np.mean(differences)) < 3 * np.std(differences) / np.sqrt(12) + 0.002
    assert abs(np.mean(plain)) > 2 * abs(np.mean(differences))


def test_populations_are_kept_apart_unless_few_are_followed_to_the_horizon() -> None:
    own, _ = censored(400, 2, by_risk=False)
    assert own.follow_up is not None
    apart = replace(own.follow_up, population=np.arange(400) % 2)
    lone = replace(own.follow_up, population=(np.arange(400) < 3).astype(np.int64))
    at = np.array([0.2])
    together, halves, three = (
        decision_curve([replace(own, follow_up=follow_up)], at, 0)[0].y
        for follow_up in (own.follow_up, apart, lone)
    )
    assert halves != together
    assert halves == pytest.approx(together, abs=0.01)
    # Three patients have no curve of their own; 397 have.
    assert three is not None
    assert np.isfinite(three)
