"""Mixed distances, and the clusterers that divide by them."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from models.clustering.consensus_of_methods import agreed, matched
from models.clustering.contract import ClusterOptions
from models.clustering.distances import prepare_distances
from models.clustering.fusion import affinity, fused, prepare_network
from models.clustering.hierarchical import HierarchicalClusterer, branches, tree
from models.clustering.k_medoids import KMedoidsClusterer, built, swapped
from models.errors import BadTarget


def mixed(n: int = 120, seed: int = 0) -> pl.DataFrame:
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(n, 2))
    values[draws.random(values.shape) < 0.2] = np.nan
    words = np.array(["a", "b"])[draws.integers(0, 2, n)]
    frame = pl.DataFrame({"x": values[:, 0], "y": values[:, 1], "word": words}, nan_to_null=True)
    return frame.with_columns(word=pl.when(pl.Series(draws.random(n)) < 0.2).then(None).otherwise("word"))


def test_distances_are_gowers_over_what_both_have() -> None:
    X = mixed()
    prepared = prepare_distances(X, ClusterOptions(parameters={"scale": "range"}))
    ends = {name: np.sort(X[name].drop_nulls().to_numpy()) for name in ("x", "y")}
    limits = {name: (one[:11].mean(), one[-11:].mean()) for name, one in ends.items()}
    for i, j in ((0, 1), (3, 77), (50, 119), (8, 9), (20, 40)):
        parts = []
        for name, (low, high) in limits.items():
            pair = X[name][i], X[name][j]
            if None not in pair:
                parts.append(abs(np.clip(pair[0], low, high) - np.clip(pair[1], low, high)) / (high - low))
        if X["word"][i] is not None and X["word"][j] is not None:
            parts.append(float(X["word"][i] != X["word"][j]))
        assert prepared.matrix[i, j] == pytest.approx(np.mean(parts))
    assert (prepared.matrix == prepared.matrix.T).all()
    assert (np.diag(prepared.matrix) == 0).all()


def test_who_has_nothing_in_common_is_as_far_as_others_on_average() -> None:
    X = mixed().with_columns(pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise(pl.all()).name.keep())
    matrix = prepare_distances(X, ClusterOptions()).matrix
    others = np.delete(matrix[5], 5)
    assert np.isfinite(matrix).all()
    assert (others == others[0]).all()
    assert others[0] == pytest.approx(
        np.delete(np.delete(matrix, 5, 0), 5, 1)[~np.eye(119, dtype=bool)].mean(), rel=0.1
    )


def test_a_modality_counts_by_its_weight_however_many_columns_it_has() -> None:
    X = mixed().select("x", "word").with_columns(x2=pl.col("x"), x3=pl.col("x"))
    sets = {"x": "blood", "x2": "blood", "x3": "blood", "word": "tests"}
    alike = prepare_distances(X, ClusterOptions(sets, {"blood": 1.0, "tests": 1.0})).matrix
    fewer = prepare_distances(X.drop("x2", "x3"), ClusterOptions(sets, {"blood": 1.0, "tests": 1.0})).matrix
    known = np.outer(*[X.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()] * 2)
    np.testing.assert_allclose(alike[known], fewer[known])


def test_outlying_values_stretch_no_scale() -> None:
    X = mixed()
    wild = X.with_columns(x=pl.when(pl.int_range(pl.len()) == 1).then(1e6).otherwise("x"))
    before, after = (prepare_distances(one, ClusterOptions()).matrix for one in (X, wild))
    rest = np.delete(np.arange(120), 1)
    assert np.abs(before - after)[np.ix_(rest, rest)].max() < 0.05
    assert after.max() < 4


@pytest.mark.parametrize("seed", range(4))
def test_no_swap_of_a_medoid_is_better(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(40, 2))
    matrix = cdist(points, points)
    everybody = np.arange(40)
    begin = built(matrix, everybody, 3)
    medoids = swapped(matrix, everybody, begin)
    cost = matrix[:, medoids].min(axis=1).sum()
    assert cost <= matrix[:, begin].min(axis=1).sum()
    for place, candidate in product(range(3), range(40)):
        other = [*medoids[:place], candidate, *medoids[place + 1 :]]
        assert matrix[:, other].min(axis=1).sum() >= cost - 1e-9
    assert set(swapped(matrix, everybody[:20], built(matrix, everybody[:20], 3))) <= set(range(20))


def groups(separation: float, n: int = 300, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    draws = np.random.default_rng(seed)
    stratum = draws.choice(3, n, p=[0.5, 0.3, 0.2])
    values = (
        draws.normal(size=(n, 6)) + separation / 6**0.5 * np.array([[0] * 6, [1] * 6, [1, -1] * 3])[stratum]
    )
    values[draws.random(values.shape) < 0.1] = np.nan
    return pl.DataFrame(values, schema=list("abcdef"), nan_to_null=True), stratum


@pytest.mark.parametrize(("kind", "least"), [(KMedoidsClusterer, 0.9), (HierarchicalClusterer, 0.85)])
@pytest.mark.parametrize("separation", [3.0, 6.0])
def test_profiles_carry_the_division_over(kind: type, least: float, separation: float) -> None:
    X, _ = groups(separation)
    prepared = prepare_distances(X, ClusterOptions())
    made = kind(3, 0)
    labels = made.divide(prepared)
    found = made.fit(X, prepared).predict_probability(X)
    agreement = (found.argmax(axis=1) == labels).mean()
    assert agreement > (0.97 if separation == 6 else least)
    if kind is HierarchicalClusterer:  # a membership is how probable the original stratum is
        assert found[np.arange(len(labels)), labels].mean() == pytest.approx(
            found.max(axis=1).mean(), abs=0.06
        )


@pytest.mark.parametrize("separation", [3.0, 6.0])
def test_memberships_of_k_medoids_are_as_sure_as_they_are_right(separation: float) -> None:
    X, stratum = groups(separation, n=600)
    found = KMedoidsClusterer(3, 0).fit(X).predict_probability(X)
    right = (stratum == found.argmax(axis=1)).mean()  # strata are numbered by size, as planted
    assert found.max(axis=1).mean() == pytest.approx(right, abs=0.06)


def test_outlying_patients_are_no_branch() -> None:
    points = np.concatenate([np.random.default_rng(1).normal(size=(60, 2)) + shift for shift in (0, 12)])
    points[:3] = [[90, 90], [-80, 60], [70, -70]]
    matrix = cdist(points, points)
    labels = branches(tree(matrix, "average"), 2, 11)
    sizes = np.bincount(labels)
    assert np.sort(sizes)[-2:].tolist() == [57, 60]
    lost = branches(tree(matrix, "average"), 2, 61)  # no cut has two branches of that size
    assert (np.bincount(lost) >= 61).sum() == 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"scale": "rank"}, "robust or range"),
        ({"linkage": "ward"}, "average, complete, weighted"),
        ({"smallest_share": 0.9}, "from 0 to 0.5"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, object], words: str) -> None:
    with pytest.raises(BadTarget, match=words):
        HierarchicalClusterer(2, 0, ClusterOptions(parameters=parameters)).fit(mixed())


def test_networks_give_each_other_what_one_lacks() -> None:
    """One modality parts the first stratum from the rest, the other the last: only together they part all three."""
    draws = np.random.default_rng(3)
    stratum = np.repeat([0, 1, 2], 50)
    blood = draws.normal(size=(150, 3)) + 5 * (stratum == 0)[:, None]
    tests = draws.normal(size=(150, 3)) + 5 * (stratum == 2)[:, None]
    tests[::5] = np.nan
    columns = [*("b0", "b1", "b2"), *("t0", "t1", "t2")]
    X = pl.DataFrame(np.concatenate([blood, tests], axis=1), schema=columns, nan_to_null=True)
    options = ClusterOptions({name: name[0] for name in columns})
    network = prepare_network(X, options).network
    assert (network >= 0).all()
    np.testing.assert_allclose(network, network.T)
    within = np.mean([network[np.ix_(stratum == one, stratum == one)].mean() for one in range(3)])
    between = network[np.ix_(stratum == 1, stratum != 1)].mean()
    single = [affinity(cdist(one, one), 20) for one in (blood, np.nan_to_num(tests))]
    apart = [one[np.ix_(stratum == 1, stratum != 1)].mean() / one.mean() for one in single]
    assert within > 4 * between
    assert between / network.mean() < min(apart)
    np.testing.assert_allclose(fused([single[0]], np.ones(1), 20, 10).sum(axis=1).mean(), 1)


def test_methods_that_agree_make_the_consensus_and_one_that_does_not_is_outvoted() -> None:
    draws = np.random.default_rng(4)
    truth = draws.choice(3, 200, p=[0.5, 0.3, 0.2])
    noise = draws.integers(0, 3, 200)
    strata = agreed([truth, (truth + 1) % 3, noise], 3)
    assert adjusted_rand_score(truth, strata) == 1
    assert (np.diff(np.bincount(strata)) < 0).all()
    match = matched((truth + 1) % 3, strata, 3)
    assert np.sort(match, axis=None).tolist() == [0.0] * 6 + [1.0] * 3
    few = truth.copy()
    few[:5] = (few[:5] + 1) % 3
    assert set(matched(few, strata, 3).ravel()) <= {0.0, 1.0}  # groups of fewer than 11 leave no trace
