"""Uno's concordance and the integrated Brier score: worked by hand, laws, and influence against derivatives."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.evaluation.combining import resampled, variance
from experiments.evaluation.measures import figures, measure, names_of
from experiments.evaluation.sample import Part
from experiments.evaluation.time_measures import TIME_INFLUENCES, TIME_MEASURES
from tests.experiments.followed_up import followed_part

HORIZONS = (100.0, 300.0)


def drawn(n: int = 150, seed: int = 0, visits: int = 1) -> Part:
    generator = np.random.default_rng(seed)
    marker = generator.normal(size=n)
    first = generator.exponential(400 / np.exp(marker))
    second, leaves = generator.exponential(900, n), generator.uniform(20, 600, n)
    time = np.ceil(np.minimum(np.minimum(first, second), leaves))
    cause = np.where(first <= np.minimum(second, leaves), 1, np.where(second <= leaves, 2, 0))
    risks = 1 - np.exp(
        -np.array(HORIZONS) / 500 * np.exp(0.8 * marker + generator.normal(0, 0.3, n))[:, None]
    )
    return followed_part(time, cause, risks, HORIZONS, np.arange(n) // visits)


def test_the_concordance_of_five_patients() -> None:
    # The case at 10 against all others: it lies above 20, 30 and 50 and ties with the competing event at 5 (1/2). The
    # case at 20 against those at 30 and 50 (above 50 alone) and the competing event (below).
    time = np.array([10.0, 20, 30, 50, 5])
    cause = np.array([1, 1, 0, 0, 2])
    part = followed_part(time, cause, np.array([[0.8], [0.3], [0.4], [0.1], [0.8]]), [25.0])
    assert measure(part, "concordance") == pytest.approx((3.5 + 1) / (4 + 3))


def test_who_died_first_stays_a_comparison_for_every_later_case() -> None:
    time, risks = np.array([10.0, 20, 30]), np.array([[0.2], [0.6], [0.4]])
    died = followed_part(time, np.array([2, 1, 0]), risks, [25.0])
    lost = followed_part(time, np.array([0, 1, 0]), risks, [25.0])
    assert measure(died, "concordance") == 1.0
    high = replace(died, risk=np.array([0.9, 0.6, 0.4]))
    assert measure(high, "concordance") == pytest.approx(0.5)  # of two pairs of equal weight
    assert measure(replace(lost, risk=high.risk), "concordance") == 1.0  # lost before the case: no pair


def test_ranking_by_the_time_itself_is_perfect_and_one_risk_for_all_is_one_half() -> None:
    part = drawn()
    follow_up = part.follow_up
    assert follow_up is not None
    ahead = np.where(follow_up.cause == 2, 1e6, follow_up.time + 0.5 * (follow_up.cause == 0))
    assert measure(replace(part, risk=1 / ahead), "concordance") == 1.0
    assert measure(replace(part, risk=-1 / ahead), "concordance") == 0.0
    assert measure(replace(part, risk=np.full(150, 0.3)), "concordance") == 0.5


def test_the_integrated_brier_score_is_the_area_under_straight_lines_from_zero() -> None:
    part = drawn()
    first = measure(followed_part_at(part, 0), "brier")
    last = measure(followed_part_at(part, 1), "brier")
    expected = (100 * first / 2 + 200 * (first + last) / 2) / 300
    assert measure(part, "integrated_brier") == pytest.approx(expected)


def followed_part_at(part: Part, number: int) -> Part:
    follow_up = part.follow_up
    assert follow_up is not None
    assert follow_up.risks is not None
    return replace(
        part,
        label=follow_up.labels[:, number],
        weight=follow_up.weights[:, number],
        risk=follow_up.risks[:, number],
    )


def test_the_null_has_no_integrated_skill() -> None:
    part = drawn()
    follow_up = part.follow_up
    assert follow_up is not None
    shares = (follow_up.weights * follow_up.labels).sum(axis=0) / follow_up.weights.sum(axis=0)
    null = replace(part, follow_up=follow_up.predicted(np.tile(shares, (150, 1))))
    assert measure(null, "integrated_brier_skill") == pytest.approx(0, abs=1e-12)
    assert measure(part, "integrated_brier_skill") > 0.05


@pytest.mark.parametrize("name", TIME_MEASURES)
def test_influence_is_the_derivative_by_how_often_a_row_counts(name: str) -> None:
    part, step = drawn(90), 1e-5
    found = TIME_INFLUENCES[name](part)
    for row in (0, 17, 40, 89):
        more, less = np.ones(90), np.ones(90)
        more[row], less[row] = 1 + step, 1 - step
        slope = (TIME_MEASURES[name](part, more) - TIME_MEASURES[name](part, less)) / (2 * step)
        assert found[row] == pytest.approx(float(slope), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("name", TIME_MEASURES)
def test_a_row_counted_twice_is_as_two_rows(name: str) -> None:
    part = drawn(60)
    counts = np.random.default_rng(1).integers(0, 3, size=(4, 60))
    together = figures(part, (name,), counts.astype(float))[name]
    for figure, count in zip(together, counts, strict=True):
        rows = np.repeat(np.arange(60), count)
        follow_up = part.follow_up
        assert follow_up is not None
        assert follow_up.risks is not None
        several = replace(
            part,
            label=part.label[rows],
            risk=part.risk[rows],
            weight=part.weight[rows],
            patient=part.patient[rows],
            places={},
            follow_up=replace(
                follow_up,
                time=follow_up.time[rows],
                cause=follow_up.cause[rows],
                uncensored=follow_up.uncensored[rows],
                level=follow_up.level[rows],
                population=follow_up.population[rows],
                labels=follow_up.labels[rows],
                weights=follow_up.weights[rows],
                risks=follow_up.risks[rows],
            ),
        )
        assert measure(several, name) == pytest.approx(float(figure), abs=1e-12)


@pytest.mark.parametrize("name", TIME_MEASURES)
def test_the_variance_by_influence_is_that_of_a_patient_bootstrap(name: str) -> None:
    part = drawn(400, visits=2)
    bootstrap = resampled(part, (name,), 600, 1)[name].var(ddof=1)
    assert variance(part, name) == pytest.approx(bootstrap, rel=0.2)


def test_a_label_has_no_measure_of_time_and_one_horizon_nothing_integrated() -> None:
    part = drawn()
    assert set(TIME_MEASURES) < set(names_of([part]))
    assert not set(TIME_MEASURES) & set(names_of([replace(part, follow_up=None)]))
    assert part.follow_up is not None
    alone = replace(part, follow_up=part.follow_up.predicted(None))
    assert [name for name in names_of([alone]) if name in TIME_MEASURES] == ["concordance"]
