"""Targets and censoring weights, against hand-worked tables and scikit-survival."""

import numpy as np
import pytest
from sksurv.nonparametric import CensoringDistributionEstimator
from sksurv.util import Surv

from models.censoring import censoring_survival, inverse_probability_weights
from models.errors import BadTarget
from models.target import Target

# day    1      2         3         3      4         5
# what   event  censored  censored  event  event     censored
# leave  G: day 2: 5 at risk, 1 lost: 4/5. Day 3: 4 at risk, the event first: 3 left, 1 lost: 4/5 * 2/3 = 8/15.
TIME = np.array([1.0, 2.0, 3.0, 3.0, 4.0, 5.0])
CAUSE = np.array([1, 0, 0, 1, 2, 0])


def test_censoring_survival_of_a_hand_worked_table() -> None:
    found = censoring_survival(TIME, CAUSE, np.array([0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 5.0, 6.0]))
    np.testing.assert_allclose(found, [1, 1, 1, 4 / 5, 4 / 5, 8 / 15, 8 / 15, 0], atol=1e-12)


def test_weights_of_a_hand_worked_table() -> None:
    target = Target.from_times(TIME, CAUSE, [3.5, 4.5])
    np.testing.assert_array_equal(target.labels(3.5), [1, 0, 0, 1, 0, 0])
    np.testing.assert_allclose(target.weights(3.5), [1, 0, 0, 5 / 4, 15 / 8, 15 / 8])
    np.testing.assert_array_equal(target.labels(4.5), [1, 0, 0, 1, 0, 0])
    np.testing.assert_allclose(target.weights(4.5), [1, 0, 0, 5 / 4, 15 / 8, 15 / 8])


def test_death_before_the_horizon_is_an_observed_non_event() -> None:
    target = Target.from_times([10.0, 20.0, 400.0], [2, 1, 0], [365.0])
    np.testing.assert_array_equal(target.labels(), [0, 1, 0])
    np.testing.assert_array_equal(target.labels(cause=2), [1, 0, 0])
    np.testing.assert_array_equal(target.weights(), [1, 1, 1])
    assert target.causes == 2


def test_censoring_at_the_horizon_counts_as_followed() -> None:
    np.testing.assert_array_equal(Target.from_times([365.0, 10.0], [0, 1], [365.0]).weights(), [1, 1])


@pytest.mark.parametrize("days", [20, 10_000])  # many ties, nearly none
def test_censoring_survival_equals_scikit_survival_just_before(days: int) -> None:
    draws = np.random.default_rng(3)
    time, cause = draws.integers(1, days, 300).astype(float), draws.integers(0, 3, 300)
    theirs = CensoringDistributionEstimator().fit(Surv.from_arrays(cause > 0, time))
    at = np.unique(time)
    np.testing.assert_allclose(
        censoring_survival(time, cause, at), theirs.predict_proba(at - 0.5), atol=1e-12
    )


def test_weights_sum_to_the_number_of_rows_where_censoring_is_by_chance() -> None:
    # Every term of the sum is an unbiased estimate of 1 (Robins and Rotnitzky 1992); with a Kaplan-Meier G the sum is
    # exact, as no row of the largest time is lost before the horizon.
    draws = np.random.default_rng(5)
    event, lost = draws.exponential(400, 500), draws.exponential(500, 500)
    time, cause = np.minimum(event, lost), (event <= lost).astype(int)
    assert inverse_probability_weights(time, cause, 365.0).sum() == pytest.approx(500, abs=1e-6)


def test_weights_undo_the_bias_of_dropping_the_censored() -> None:
    draws = np.random.default_rng(4)
    event, lost = draws.exponential(500, 20_000), draws.exponential(300, 20_000)
    target = Target.from_times(np.minimum(event, lost), (event <= lost).astype(int), [365.0])
    truth = 1 - np.exp(-365 / 500)
    assert np.average(target.labels(), weights=target.weights()) == pytest.approx(truth, abs=0.015)
    assert abs(target.labels()[target.weights() > 0].mean() - truth) > 0.05


def test_strata_have_their_own_censoring() -> None:
    strata = np.array(["a", "a", "a", "b", "b", "b"])
    whole = inverse_probability_weights(TIME, CAUSE, 3.5, strata)
    apart = [inverse_probability_weights(TIME[rows], CAUSE[rows], 3.5) for rows in (slice(0, 3), slice(3, 6))]
    np.testing.assert_array_equal(whole, np.concatenate(apart))


def test_rows_keep_horizons_and_reweigh() -> None:
    part = Target.from_times(TIME, CAUSE, [3.5]).rows(np.array([3, 4, 5]))
    assert (len(part), part.horizons, part.causes) == (3, (3.5,), 2)
    np.testing.assert_array_equal(part.weights(), [1, 1, 1])


@pytest.mark.parametrize(
    ("time", "cause", "horizons", "sentence"),
    [
        ([1.0, 2.0], [1], [5.0], "one length"),
        ([1.0, float("nan")], [1, 0], [5.0], "finite"),
        ([1.0, -2.0], [1, 0], [5.0], "not negative"),
        ([1.0, 2.0], [1, -1], [5.0], "whole numbers from 0"),
        ([1.0, 2.0], [1, 0.5], [5.0], "whole numbers from 0"),
        ([1.0, 2.0], [1, float("nan")], [5.0], "whole numbers from 0"),
        ([1.0, 2.0], [1, 0], [], "Horizons"),
        ([1.0, 2.0], [1, 0], [5.0, 5.0], "Horizons"),
        ([1.0, 2.0], [1, 0], [0.0], "Horizons"),
    ],
)
def test_impossible_times_are_refused(
    time: list[float], cause: list[float], horizons: list[float], sentence: str
) -> None:
    with pytest.raises(BadTarget, match=sentence):
        Target.from_times(time, np.array(cause), horizons)


@pytest.mark.parametrize("labels", [[0, 2], [0.0, 0.5], [[0, 1]], [0.0, float("nan")]])
def test_impossible_labels_are_refused(labels: list[float]) -> None:
    with pytest.raises(BadTarget, match="0 and 1"):
        Target.from_labels(np.array(labels))


def test_one_class_among_rows_that_count_is_refused() -> None:
    with pytest.raises(BadTarget, match="no event"):
        Target.from_times([400.0, 500.0], [1, 1], [365.0]).require_two_classes()
    with pytest.raises(BadTarget, match="events only"):
        Target.from_times([1.0, 2.0], [1, 0], [365.0]).require_two_classes()


def test_unknown_horizon_is_refused() -> None:
    with pytest.raises(BadTarget, match="not among"):
        Target.from_times([400.0, 500.0], [1, 1], [365.0]).weights(100.0)
