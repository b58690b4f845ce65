"""Climbs of many starts at once: the same as one by one, and as the densities of the mixture say."""

import numpy as np
import pytest
from scipy.special import logsumexp

from models.clustering import expectation_maximisation
from models.clustering.expectation_maximisation import ascend, ascend_all
from models.clustering.gaussian_mixture import fit_mixture
from models.clustering.mixture import FULL, STRUCTURES
from models.clustering.starts import Views, partitions

K = 3


def points_of(rows: int = 150, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    mixed = draws.normal(size=(rows, 4)) @ (np.eye(4) + 0.4 * draws.normal(size=(4, 4)))
    return mixed + 2.5 * draws.normal(size=(K, 4))[draws.integers(0, K, rows)]


def starts_of(points: np.ndarray) -> list[np.ndarray]:
    return [np.eye(K)[label] for label in partitions(Views(points), K, 1)]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_membership_and_likelihood_are_those_of_the_mixture(structure: str) -> None:
    points = points_of()
    for climb in ascend_all(points, starts_of(points), structure, 6):
        np.testing.assert_allclose(climb.membership, climb.mixture.probability(points), atol=1e-10)
        assert climb.likelihood == pytest.approx(
            logsumexp(climb.mixture.log_joint(points), axis=1).sum(), rel=1e-12
        )


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("tolerance", [0.0, 0.02])  # with the larger one starts end in different rounds
def test_starts_climb_together_as_they_do_alone(
    structure: str, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = points_of()
    starts = starts_of(points)
    together = ascend_all(points, starts, structure, 12, tolerance)
    monkeypatch.setattr(expectation_maximisation, "AT_ONCE", points.shape[0] * K * 5)  # in parts of five
    in_parts = ascend_all(points, starts, structure, 12, tolerance)
    for start, one, other in zip(starts, together, in_parts, strict=True):
        alone = ascend(points, start, structure, 12, tolerance)
        for climb in (one, other):
            np.testing.assert_allclose(climb.membership, alone.membership, atol=1e-9)
            np.testing.assert_allclose(climb.mixture.factors, alone.mixture.factors, atol=1e-9)
            assert climb.likelihood == pytest.approx(alone.likelihood, rel=1e-12)


def test_products_made_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points = points_of()
    start = starts_of(points)[0]
    whole = ascend(points, start, FULL, 10)
    monkeypatch.setattr(expectation_maximisation, "MOST_KEPT", 10 * 37)  # 37 rows at once
    np.testing.assert_allclose(ascend(points, start, FULL, 10).membership, whole.membership, atol=1e-9)


def test_the_maximum_is_that_of_weighted_moments() -> None:
    points = points_of()
    share = np.random.default_rng(2).dirichlet(np.ones(K), len(points))
    mixture = ascend(points, share, FULL, 1).mixture
    for number in range(K):
        covariance = np.cov(points, rowvar=False, aweights=share[:, number], ddof=0)
        found = np.linalg.inv(mixture.factors[number] @ mixture.factors[number].T)
        np.testing.assert_allclose(found, covariance + 1e-3 * np.eye(4), atol=2e-3)
    np.testing.assert_allclose(mixture.means, share.T @ points / share.sum(axis=0)[:, None], atol=1e-3)


@pytest.mark.parametrize("rows", [150, 520])  # the second has more rows than a tree is built of
def test_views_shared_between_numbers_change_nothing(rows: int) -> None:
    points = points_of(rows)
    views = Views(points)
    for k in (2, 3):
        mine, shared = fit_mixture(points, k, 5), fit_mixture(points, k, 5, views=views)
        assert mine.structure == shared.structure
        np.testing.assert_array_equal(mine.means, shared.means)
        np.testing.assert_array_equal(mine.factors, shared.factors)
