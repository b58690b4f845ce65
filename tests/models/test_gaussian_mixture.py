"""The Gaussian mixture: planted strata, none, and what it stores."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from models.clustering.expectation_maximisation import SMALLEST_VARIANCE, ascend
from models.clustering.gaussian_mixture import GaussianMixtureClusterer, fit_mixture
from models.clustering.mixture import DIAGONAL, FULL, SHARED, SHARED_SPHERICAL, STRUCTURES
from models.errors import BadTarget
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
    found = np.array([GaussianMixtureClusterer(k, 3).fit(X).bic(X) for k in (1, 2, 3)], dtype=np.float64)
    return 1 + int(found.argmin())


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


@pytest.mark.parametrize(("structure", "theirs"), [(SHARED, "tied"), (DIAGONAL, "diag"), (FULL, "full")])
def test_likelihood_and_bic_are_those_of_scikit_learn(structure: str, theirs: str) -> None:
    X, stratum = planted(4.0)
    points = X.to_numpy()
    climb = ascend(points, np.eye(2)[stratum], structure, 2000, 1e-12)
    model = GaussianMixture(
        2,
        covariance_type=theirs,
        reg_covar=SMALLEST_VARIANCE,
        tol=1e-12,
        max_iter=2000,
        means_init=climb.mixture.means,
        weights_init=climb.mixture.weights,
    ).fit(points)
    assert climb.likelihood == pytest.approx(model.score(points) * len(points), rel=1e-7)
    assert climb.mixture.bic(points) == pytest.approx(model.bic(points), rel=1e-7)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_structure_is_what_its_name_says_and_climbing_never_falls(structure: str) -> None:
    X, stratum = planted(2.0)
    points = X.to_numpy() * [1.0, 2.0, 3.0, 1.0]
    climbs = [ascend(points, np.eye(2)[stratum], structure, rounds) for rounds in (1, 2, 4, 8, 16)]
    assert np.all(np.diff([climb.likelihood for climb in climbs]) > 0)
    factors = climbs[-1].mixture.factors
    precisions = factors @ factors.transpose(0, 2, 1)
    off = np.abs(precisions * (1 - np.eye(4))).max()
    assert (structure in {SHARED, FULL}) == bool(off > 1e-3)
    assert structure.startswith("shared") == np.array_equal(precisions[0], precisions[1])
    free = {tuple(np.round(np.diagonal(one), 6)) for one in precisions}
    assert (structure == SHARED_SPHERICAL) == all(len(set(one)) == 1 for one in free)


def test_the_structure_follows_the_strata() -> None:
    draws = np.random.default_rng(5)
    label = np.repeat([0, 1], 250)
    points = draws.normal(size=(500, 3)) + 5 * label[:, None] * [1, 0, 0]
    assert fit_mixture(points, 2, 1).structure == SHARED_SPHERICAL
    stretched = points * np.where(label[:, None] == 1, [1, 3, 0.3], 1.0)
    assert fit_mixture(stretched, 2, 1).structure == DIAGONAL
    assert fit_mixture(points @ [[1, 0, 0], [0.9, 0.4, 0], [0.5, 0.2, 0.3]], 2, 1).structure == SHARED


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


@pytest.mark.parametrize(
    "damage", ["kind", "weights", "means", "factors", "structure", "representation", "k"]
)
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
    with pytest.raises(BadTarget, match=r"needs 22 rows|No column is a number"):
        GaussianMixtureClusterer(2, 3).fit(X)


def test_no_strata_at_all_is_refused() -> None:
    with pytest.raises(BadTarget, match="1 or more"):
        GaussianMixtureClusterer(0, 3)
