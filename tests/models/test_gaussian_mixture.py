"""The Gaussian mixture: planted strata, none, and what it stores."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from models.errors import BadTarget
from models.clustering.gaussian_mixture import GaussianMixtureClusterer
from models.registry import CLUSTERERS


def planted(
    distance: float, n: int = 400, columns: int = 4, seed: int = 0
) -> tuple[pl.DataFrame, np.ndarray]:
    draws = np.random.default_rng(seed)
    stratum = draws.choice(2, n, p=[0.7, 0.3])
    values = draws.normal(size=(n, columns))
    values[:, :2] += distance * stratum[:, None] / np.sqrt(2)
    return pl.DataFrame(values, schema=[f"x{i:02}" for i in range(columns)]), stratum


def best_k(X: pl.DataFrame) -> int:
    return min((1, 2, 3), key=lambda k: CLUSTERERS["gaussian_mixture"].build(k, 3).fit(X).bic(X))


@pytest.mark.parametrize("columns", [4, 16])  # above ten: principal components
def test_planted_strata_are_found(columns: int) -> None:
    X, stratum = planted(5.0, columns=columns)
    probability = GaussianMixtureClusterer(2, 3).fit(X).predict_probability(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert adjusted_rand_score(stratum, probability.argmax(axis=1)) > 0.8
    assert probability[:, 0].mean() > probability[:, 1].mean()  # by falling size


def test_bic_counts_the_planted_strata() -> None:
    assert best_k(planted(5.0)[0]) == 2


@pytest.mark.parametrize("seed", range(3))
def test_one_cloud_is_no_two_strata(seed: int) -> None:
    assert best_k(planted(0.0, seed=seed)[0]) == 1


def test_heavy_tails_and_a_constant_share_are_no_strata() -> None:
    draws = np.random.default_rng(1)
    X = pl.DataFrame({"x": draws.normal(size=300), "y": draws.normal(size=300), "code": draws.choice(3, 300)})
    assert GaussianMixtureClusterer(2, 1).fit(X).columns == ("x", "y")
    outlying = X.with_columns(x=pl.when(pl.int_range(pl.len()) < 3).then(1e4).otherwise("x"))
    share = GaussianMixtureClusterer(1, 1).fit(outlying).predict_probability(outlying)
    np.testing.assert_array_equal(share, np.ones((300, 1)))


def test_bic_equals_scikit_learn() -> None:
    X, _ = planted(4.0)
    made = GaussianMixtureClusterer(2, 3).fit(X)
    state = json.loads(made.to_parts()["learner.json"])
    values = X.to_numpy()
    points = np.clip((values - values.mean(axis=0)) / values.std(axis=0), -3, 3)
    theirs = [
        GaussianMixture(2, covariance_type=kind, reg_covar=1e-3, n_init=3, random_state=3).fit(points)
        for kind in ("diag", "full")
    ]
    assert made.bic(X) == pytest.approx(min(model.bic(points) for model in theirs), rel=1e-9)
    assert state["covariance"] in {"diag", "full"}


def test_missing_values_order_and_extra_columns() -> None:
    X, _ = planted(5.0)
    X = X.with_columns(x00=pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("x00"))
    made = GaussianMixtureClusterer(2, 3).fit(X)
    other = X.select(sorted(X.columns, reverse=True)).with_columns(ward=pl.lit("A"))
    again = GaussianMixtureClusterer(2, 3).fit(other)
    assert again.to_parts() == made.to_parts()
    np.testing.assert_array_equal(again.predict_probability(other), made.predict_probability(X))


def test_stored_mixture_comes_back_without_patients() -> None:
    X, _ = planted(5.0)
    made = GaussianMixtureClusterer(2, 3).fit(X)
    parts = made.to_parts()
    again = CLUSTERERS["gaussian_mixture"].load(parts)
    np.testing.assert_array_equal(again.predict_probability(X), made.predict_probability(X))
    assert again.to_parts() == parts
    assert not any(repr(value).encode() in parts["learner.json"] for value in X.to_numpy().ravel())


@pytest.mark.parametrize("damage", ["kind", "weights", "means", "factors", "axes", "preprocessing", "k"])
def test_damaged_parts_are_refused(damage: str) -> None:
    state = json.loads(GaussianMixtureClusterer(2, 3).fit(planted(5.0)[0]).to_parts()["learner.json"])
    for broken in (
        {**state, damage: [1.0]},
        {name: value for name, value in state.items() if name != damage},
    ):
        with pytest.raises(BadTarget):
            GaussianMixtureClusterer.from_parts({"learner.json": json.dumps(broken).encode()})


@pytest.mark.parametrize("X", [planted(0.0, n=15)[0], pl.DataFrame({"ward": ["A", "B"] * 50})])
def test_too_few_rows_or_no_number_is_refused(X: pl.DataFrame) -> None:
    with pytest.raises(BadTarget, match="needs numeric columns"):
        GaussianMixtureClusterer(2, 3).fit(X)


def test_no_strata_at_all_is_refused() -> None:
    with pytest.raises(BadTarget, match="1 or more"):
        GaussianMixtureClusterer(0, 3)
