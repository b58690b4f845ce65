"""Sample sizes against published worked examples.

Development: Riley et al. 2020 (BMJ 368:m441) and the examples printed by the programs that go with it (pmsampsize):
24 parameters, prevalence 0.174, Cox-Snell R2 0.288; and 30 parameters, rate 0.065, mean follow-up 2.07 years, R2 0.051.
Evaluation: the mechanical heart valve example of Riley et al. 2021 (doi 10.1002/sim.9025; pmvalsampsize): prevalence
0.018, C 0.8, log-odds normal with mean -5 and standard deviation 2.5; and Pavlou et al. 2021 (doi
10.1177/09622802211007522; sampsizeval): prevalence 0.057, C 0.77, standard errors 0.025 and 0.15.
"""

from math import inf

import numpy as np
import pytest

from experiments.signals.sample_size import (
    NORMAL,
    area_needs,
    development_binary,
    development_times,
    evaluation_widths,
    largest_r2,
    linear_predictor,
    normal_predictor,
    ratio_needs,
    risk_interval,
    slope_needs,
)


def test_development_of_a_binary_outcome_as_published() -> None:
    found = development_binary(24, 0.174, r2=0.288)
    assert (found.shrinkage, found.optimism, found.overall, found.needed) == (623, 662, 221, 662)


def test_development_of_times_as_published() -> None:
    found = development_times(30, 0.065, 2.07, 2, r2=0.051)
    assert (found.shrinkage, found.optimism, found.needed) == (5143, 1039, 5143)
    assert risk_interval(0.065, 2.07, 2, 5143) == pytest.approx((0.113, 0.130), abs=0.0005)


def test_largest_r2_as_published() -> None:
    # Riley 2020, on the largest Cox-Snell R2
    assert [round(largest_r2(share), 2) for share in (0.05, 0.1, 0.2, 0.5)] == [0.33, 0.48, 0.63, 0.75]


def test_evaluation_as_published() -> None:
    assert ratio_needs(0.018, 1.0) == pytest.approx(905, abs=1)  # the program's search stops a little beyond
    assert slope_needs(normal_predictor(-5, 2.5), 0.2) == pytest.approx(4544, rel=0.01)  # theirs is simulated
    assert area_needs(0.8, 0.018, 0.1) == 4252


def test_evaluation_from_the_c_statistic_alone_is_near_other_authors() -> None:
    density = linear_predictor(0.057, 0.77)
    assert slope_needs(density, 2 * NORMAL * 0.15) == pytest.approx(934, rel=0.05)
    assert area_needs(0.77, 0.057, 2 * NORMAL * 0.025) == pytest.approx(1599, rel=0.05)


@pytest.mark.parametrize("area", [0.6, 0.75, 0.9])
def test_the_linear_predictor_has_its_prevalence_and_its_c(area: float) -> None:
    points, probability = linear_predictor(0.2, area)
    risk = 1 / (1 + np.exp(-points))
    assert (probability * risk).sum() == pytest.approx(0.2, abs=1e-3)
    events, others = probability * risk / 0.2, probability * (1 - risk) / 0.8
    below = np.cumsum(others) - others / 2
    assert (events * below).sum() == pytest.approx(area, abs=2e-3)


def test_more_patients_narrow_every_interval_and_one_class_has_none() -> None:
    small, large = evaluation_widths(200, 40, 0.7), evaluation_widths(2000, 400, 0.7)
    for name in ("observed_to_expected", "slope", "area"):
        assert getattr(large, name) < getattr(small, name)
    assert evaluation_widths(50, 0, 0.7).slope == inf
    assert development_binary(20, 0.3).needed > development_binary(10, 0.3).needed
