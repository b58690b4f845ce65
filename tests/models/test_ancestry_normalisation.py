"""Scores normalised for ancestry: equal in mean and spread where they differed, with what they foretell kept."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import GammaRegressor, LinearRegression

from models.ancestry.normalisation import AncestryNormalisation, How
from models.errors import BadTarget

Floats = NDArray[np.float64]
MEANS, SPREADS = np.array([0.0, 2.0, -1.0]), np.array([1.0, 0.5, 1.8])


def planted(people: int, seed: int) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
    """Return scores, components, ancestries, and what the scores foretell within ancestry."""
    draws = np.random.default_rng(seed)
    ancestry = draws.integers(0, 3, people)
    components = np.array([[0.0, 0.0], [3.0, 0.0], [1.0, 2.0]])[ancestry] + draws.normal(0, 0.1, (people, 2))
    effect = draws.normal(size=people)
    return 5 + MEANS[ancestry] + SPREADS[ancestry] * effect, components, ancestry, effect


@pytest.mark.parametrize("how", ["mean", "mean_variance"])
def test_ancestries_come_to_one_mean_and_keep_the_effect(how: How) -> None:
    scores, components, _, _ = planted(6000, 1)
    normalisation = AncestryNormalisation.fit(scores, components, how=how)
    new, places, ancestry, effect = planted(6000, 2)
    made = normalisation.apply(new, places)
    spreads = []
    for one in range(3):
        mine = ancestry == one
        assert abs(new[mine].mean() - 5 - MEANS[one]) < 0.15  # planted
        assert abs(made[mine].mean()) < 0.12
        assert np.corrcoef(made[mine], effect[mine])[0, 1] > 0.97
        spreads.append(made[mine].std())
    ratio = max(spreads) / min(spreads)
    assert ratio < 1.1 if how == "mean_variance" else ratio > 3


def test_scores_are_those_of_linear_and_gamma_regression() -> None:
    scores, components, _, _ = planted(900, 3)
    linear = LinearRegression().fit(components, scores)
    residuals = scores - linear.predict(components)
    mean = AncestryNormalisation.fit(scores, components, how="mean").apply(scores, components)
    np.testing.assert_allclose(mean, residuals / residuals.std(ddof=3), atol=1e-9)
    gamma = GammaRegressor(alpha=0, tol=1e-9, max_iter=10_000).fit(components, residuals**2)
    both = AncestryNormalisation.fit(scores, components, how="mean_variance")
    theirs = residuals / np.sqrt(gamma.predict(components) * len(scores) / (len(scores) - 3))
    assert ((theirs**2) < 14).all()  # within the limit both are maximum likelihood
    assert both.bounds is not None
    inside = (np.log(gamma.predict(components)) > both.bounds[0]) & (
        np.log(gamma.predict(components)) < both.bounds[1] - 0.01
    )
    assert inside.sum() > 860
    np.testing.assert_allclose(both.apply(scores, components)[inside], theirs[inside], atol=1e-4)


def test_one_gross_error_neither_moves_nor_widens_an_ancestry() -> None:
    scores, components, ancestry, _ = planted(3000, 4)
    clean = AncestryNormalisation.fit(scores, components, how="mean_variance").apply(scores, components)
    spoilt = scores.copy()
    spoilt[0] += 1e4
    made = AncestryNormalisation.fit(spoilt, components, how="mean_variance").apply(scores, components)
    for one in range(3):
        mine = (ancestry == one) & (np.arange(len(scores)) > 0)
        assert abs(made[mine].mean() - clean[mine].mean()) < 0.06
        assert abs(made[mine].std() / clean[mine].std() - 1) < 0.06


def test_unit_and_origin_of_scores_and_components_change_nothing() -> None:
    scores, components, _, _ = planted(500, 5)
    plain = AncestryNormalisation.fit(scores, components, how="mean_variance").apply(scores, components)
    moved = components @ np.array([[0.001, 0.002], [0.0, 0.003]]) + 40
    other = AncestryNormalisation.fit(7e-6 * scores - 3, moved, how="mean_variance").apply(
        7e-6 * scores - 3, moved
    )
    np.testing.assert_allclose(other, plain, atol=1e-6)


def test_variance_stays_within_what_was_seen() -> None:
    scores, components, _, _ = planted(2000, 6)
    normalisation = AncestryNormalisation.fit(scores, components, how="mean_variance")
    along = normalisation.log_variance[1:] * normalisation.scale
    far = np.stack([-1e3 * along, 1e3 * along])
    centre = (
        np.hstack([np.ones((2, 1)), (far - normalisation.centre) / normalisation.scale]) @ normalisation.mean
    )
    made = normalisation.apply(centre + 1.0, far)
    assert normalisation.bounds is not None
    np.testing.assert_allclose(-2 * np.log(made), normalisation.bounds, rtol=1e-6)


def test_alone_as_in_a_batch_and_missing_values_stay_missing() -> None:
    scores, components, _, _ = planted(400, 7)
    scores[0], components[1, 1] = np.nan, np.nan
    normalisation = AncestryNormalisation.fit(scores, components, how="mean_variance")
    again = AncestryNormalisation.fit(scores[2:], components[2:], how="mean_variance")
    assert normalisation.to_state() == again.to_state()
    made = normalisation.apply(scores, components)
    assert np.isnan(made[:2]).all()
    assert np.isfinite(made[2:]).all()
    for person in (2, 17, 399):
        assert normalisation.apply(scores[[person]], components[[person]]).tobytes() == made[person].tobytes()


def test_a_constant_score_is_nothing() -> None:
    _, components, _, _ = planted(50, 8)
    for scores in (np.full(50, 0.3), 2.0 + components @ np.array([0.5, -1.0])):
        normalisation = AncestryNormalisation.fit(scores, components, how="mean_variance")
        np.testing.assert_array_equal(normalisation.apply(scores, components), 0)


def test_states_come_back_and_damaged_ones_are_refused() -> None:
    scores, components, _, _ = planted(60, 9)
    normalisation = AncestryNormalisation.fit(scores, components, how="mean_variance")
    state: dict[str, Any] = json.loads(json.dumps(normalisation.to_state()))
    again = AncestryNormalisation.from_state(state)
    assert again.apply(scores, components).tobytes() == normalisation.apply(scores, components).tobytes()
    for damaged in (
        state | {"mean": [1.0]},
        state | {"bounds": [1.0]},
        {k: v for k, v in state.items() if k != "scale"},
    ):
        with pytest.raises(BadTarget, match="damaged"):
            AncestryNormalisation.from_state(damaged)


def test_what_cannot_be_fitted_is_said() -> None:
    scores, components, _, _ = planted(10, 10)
    with pytest.raises(BadTarget, match="with 10 people; at least 11"):
        AncestryNormalisation.fit(scores, components, how="mean")
    with pytest.raises(BadTarget, match="'median' is neither"):
        AncestryNormalisation.fit(scores, components, how="median")  # type: ignore[arg-type]
