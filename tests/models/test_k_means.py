"""k-means: planted strata, soft membership, modality weights, and what it stores."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from models.clustering.contract import ClusterOptions
from models.clustering.k_means import KMeansClusterer
from models.clustering.representation import prepare
from models.errors import BadTarget
from models.registry import CLUSTERERS


def planted(shares: tuple[float, float] = (0.5, 0.5), n: int = 300) -> tuple[pl.DataFrame, np.ndarray]:
    draws = np.random.default_rng(4)
    stratum = draws.choice(2, n, p=shares)
    values = draws.normal(size=(n, 3))
    values[:, 0] += 4 * stratum
    return pl.DataFrame(values, schema=["x", "y", "z"]), stratum


def test_centroids_are_those_of_scikit_learn() -> None:
    X, stratum = planted()
    made = prepare(X, ClusterOptions())
    model = KMeansClusterer(2, 1).fit(X, made)
    assert model._mixture is not None
    with threadpool_limits(limits=1):
        theirs = KMeans(2, n_init=10, random_state=1).fit(made.points)
    order = np.argsort(-np.bincount(theirs.labels_))
    np.testing.assert_allclose(model._mixture.means, theirs.cluster_centers_[order], atol=1e-9)
    probability = model.predict_probability(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    nearest = (probability / model._mixture.weights).argmax(axis=1)  # without the shares: the plain rule
    np.testing.assert_array_equal(order[nearest], theirs.labels_)
    assert adjusted_rand_score(stratum, probability.argmax(axis=1)) > 0.75


def test_who_stands_in_the_middle_belongs_to_the_larger_cluster() -> None:
    X, _ = planted((0.8, 0.2))
    made = KMeansClusterer(2, 1).fit(X)
    state = json.loads(made.to_parts()["learner.json"])
    share, means = np.array(state["weights"]), np.array(state["means"])
    assert share[0] > 0.6
    precision = np.array(state["factors"])[0, 0, 0] ** 2
    point = means.mean(axis=0)
    joint = np.log(share) - precision * ((point - means) ** 2).sum(axis=1) / 2
    assert made._mixture is not None
    expected = np.exp(joint) / np.exp(joint).sum()
    np.testing.assert_allclose(made._mixture.probability(point[None])[0], expected)
    np.testing.assert_allclose(expected, share)
    assert not CLUSTERERS["k_means"].likelihood


def test_a_modality_divides_by_its_weight() -> None:
    draws = np.random.default_rng(9)
    by_blood, by_tests = draws.integers(0, 2, 240), draws.integers(0, 2, 240)
    values = draws.normal(size=(240, 4)) + 4 * np.column_stack([by_blood, by_blood, by_tests, by_tests])
    X = pl.DataFrame(values, schema=["b1", "b2", "t1", "t2"])
    modalities = {name: {"b": "blood", "t": "tests"}[name[0]] for name in X.columns}
    for clusterer in ("k_means", "gaussian_mixture"):
        for weights, expected in (({"blood": 4.0}, by_blood), ({"tests": 4.0}, by_tests)):
            options = ClusterOptions(modalities, weights)
            found = CLUSTERERS[clusterer].build(2, 3, options).fit(X).predict_probability(X).argmax(axis=1)
            assert adjusted_rand_score(expected, found) > 0.9, (clusterer, weights)


def test_stored_state_comes_back_without_patients() -> None:
    X, _ = planted()
    made = KMeansClusterer(2, 3).fit(X)
    parts = made.to_parts()
    again = CLUSTERERS["k_means"].load(parts)
    np.testing.assert_array_equal(again.predict_probability(X), made.predict_probability(X))
    assert again.to_parts() == parts
    assert KMeansClusterer(2, 3).fit(X).to_parts() == parts
    with pytest.raises(BadTarget):
        CLUSTERERS["gaussian_mixture"].load(parts)


def test_a_stratum_of_ten_patients_is_divided_but_not_stored() -> None:
    values = np.random.default_rng(6).normal(size=(150, 2))
    values[:10, 0] += 40
    X = pl.DataFrame(values, schema=["x", "y"])
    made = KMeansClusterer(2, 1).fit(X)
    assert np.bincount(made.predict_probability(X).argmax(axis=1)).tolist() == [140, 10]
    with pytest.raises(BadTarget, match="fewer than 11"):
        made.to_parts()


@pytest.mark.parametrize("starts", [0, 1.5, "ten", True, 1001])
def test_a_number_of_starts_that_is_none_is_refused(starts: object) -> None:
    with pytest.raises(BadTarget, match="n_init"):
        KMeansClusterer(2, 1, ClusterOptions(parameters={"n_init": starts}))
