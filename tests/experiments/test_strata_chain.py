"""Planted strata are found, one group stays one group, and the answer does not depend on the engine."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score, mutual_info_score

from experiments.cluster import close_workers
from experiments.compute import Compute, Engine
from experiments.stratification.null import draw_one_group, normal_score_correlation
from experiments.stratification.profile import profile, shared_with_centres
from experiments.stratification.stability import draw_within, largest_jaccard, mean_jaccard
from experiments.stratification.strata import NO_CLUSTERS, Stratified, claimed, not_asked_for, stratify
from features.errors import BadInput

N = 240


def _planted(separation: float, seed: int = 0, n: int = N) -> tuple[np.ndarray, pl.DataFrame]:
    """Three groups of unit variance around the corners of a triangle, in two of three columns."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, n)
    corners = separation * np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    values = generator.normal(size=(n, 3)) + corners[truth]
    return truth, pl.DataFrame({f"metabolic_{place}": values[:, place] for place in range(3)})


def _rows(n: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prediction_id": [f"baseline-{place}-1" for place in range(n)],
            "centre": ["A", "B", None] * (n // 3),
        }
    )


def _stratified(
    X: pl.DataFrame, seed: int = 1, compute: Compute | None = None, smallest_cell: int = 11
) -> Stratified:
    return stratify(
        _rows(len(X)),
        X,
        clusterer="gaussian_mixture",
        most_strata=3,
        bootstraps=8,
        stable_from=0.75,
        smallest_cell=smallest_cell,
        seed=seed,
        compute=compute or Compute(),
    )


def test_three_separated_strata_are_found_and_stable() -> None:
    truth, X = _planted(7.0)
    found = _stratified(X)
    assert found.summary["claim"] == "3 strata"
    assert adjusted_rand_score(truth, found.strata["stratum"]) > 0.97
    assert found.stability["mean_jaccard"].min() > 0.9  # type: ignore[operator]
    assert found.stability["n"].sum() == N
    assert found.selection.filter("chosen")["k"].to_list() == [3]
    assert abs(found.summary["centre"]["adjusted"]) < 0.05  # centres were dealt out in turn


@pytest.mark.parametrize("seed", range(10))
def test_a_single_gaussian_gives_no_clusters(seed: int) -> None:
    # Ten seeds out of ten, where nine are asked for: BIC's penalty makes a second component rare at this size.
    _, X = _planted(0.0, seed=seed)
    assert _stratified(X, seed=seed).summary["claim"] == NO_CLUSTERS


def test_a_single_skewed_group_gives_no_clusters() -> None:
    # Two components fit a log-normal better than one: the reference of one group with the same marginals says why.
    generator = np.random.default_rng(2)
    X = pl.DataFrame({f"inflammatory_{place}": np.exp(generator.normal(size=N)) for place in range(2)})
    found = _stratified(X)
    assert found.summary["k"] > 1
    assert found.summary["null"]["p"] > 0.05
    assert found.summary["claim"] == NO_CLUSTERS
    assert found.strata["stratum"].unique().to_list() == [1]


def test_stability_tells_real_strata_from_forced_ones() -> None:
    centres = ["A"] * N
    for separation, lowest, highest in ((7.0, 0.9, 1.0), (0.0, 0.0, 0.75)):
        truth, X = _planted(separation)
        strata = truth if separation else (X["metabolic_0"].to_numpy() * 7 % 3).astype(np.int64)
        order = np.argsort(-np.bincount(strata, minlength=3))
        found = mean_jaccard(
            X,
            np.argsort(order)[strata],
            centres,
            clusterer="gaussian_mixture",
            k=3,
            bootstraps=5,
            seed=1,
            compute=Compute(),
        )
        assert lowest <= found.min() <= found.max() <= highest


@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_every_engine_gives_the_same_bytes(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.stratification.strata.NULL_DRAWS", 3)
    _, X = _planted(7.0, n=150)
    first, second = _stratified(X), _stratified(X, compute=Compute(engine, 2, folder=tmp_path / "tmp"))
    close_workers()
    assert first.summary == second.summary
    for name in ("strata", "selection", "stability", "profile"):
        assert getattr(first, name).write_json() == getattr(second, name).write_json()


@pytest.mark.parametrize(
    ("k", "p_value", "stable", "claim"),
    [
        (1, None, [True], "no clusters"),
        (3, 0.2, [True, True, True], "no clusters"),
        (3, 0.05, [True, True, True], "3 strata"),
        (3, 0.05, [True, False, True], "3 strata, not stable"),
    ],
)
def test_what_is_claimed(k: int, p_value: float | None, stable: list[bool], claim: str) -> None:
    assert claimed(k, p_value, np.array(stable)) == claim


def test_nobody_to_stratify_is_refused() -> None:
    with pytest.raises(BadInput, match="nobody to stratify"):
        _stratified(pl.DataFrame({"a": [None, None, None]}, schema={"a": pl.Float64}))


def test_not_asked_for_has_the_same_files() -> None:
    nothing = not_asked_for()
    assert nothing.summary == {"claim": "not asked for"}
    assert nothing.strata.is_empty()
    assert nothing.profile.columns == ["stratum", "column", "level", "n", "mean", "effect"]


def test_jaccard_by_hand() -> None:
    first = np.array([0, 0, 0, 1, 1])
    second = np.array([1, 1, 0, 0, 0])
    # Stratum 0: {0,1,2} and {0,1}: 2 of 3. Stratum 1: {3,4} and {2,3,4}: 2 of 3. Stratum 2 is empty.
    np.testing.assert_allclose(largest_jaccard(first, second, 3), [2 / 3, 2 / 3, 0.0])


def test_a_bootstrap_keeps_each_centre_its_size() -> None:
    groups = np.array([0] * 5 + [1] * 20 + [2])
    drawn = draw_within(groups, np.random.default_rng(1))
    assert np.bincount(groups[drawn]).tolist() == [5, 20, 1]
    assert len(np.unique(drawn)) < len(drawn)


def test_the_single_group_has_the_cohorts_marginals_correlation_and_missing_values() -> None:
    generator = np.random.default_rng(4)
    normal = generator.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=3000)
    X = pl.DataFrame({"a": np.exp(normal[:, 0]), "b": normal[:, 1]}).with_columns(
        pl.when(pl.int_range(pl.len()) % 5 == 0).then(None).otherwise(pl.col("b")).alias("b")
    )
    drawn = draw_one_group(X, normal_score_correlation(X.drop_nulls()), generator)
    assert drawn["b"].is_null().to_list() == X["b"].is_null().to_list()
    assert drawn["a"].sort().to_list() == X["a"].sort().to_list()
    correlation = drawn.drop_nulls().select(pl.corr("a", "b", method="spearman")).item()
    assert correlation == pytest.approx(
        6 / np.pi * np.arcsin(0.8 / 2), abs=0.03
    )  # Pearson 1907, bivariate normal


def test_the_profile_by_hand() -> None:
    X = pl.DataFrame({"bmi": [20.0, 22.0, 30.0, None], "smoker": ["yes", "no", "yes", "yes"]})
    table = profile(X, np.array([1, 1, 2, 2]), smallest_cell=0)
    numbers = table.filter(pl.col("column") == "bmi")
    assert numbers.select("stratum", "n", "mean").rows() == [(1, 2, 21.0), (2, 1, 30.0)]
    assert numbers["effect"][0] == pytest.approx((21 - 24) / np.std([20, 22, 30]))
    assert table.filter(pl.col("level") == "yes").select("n", "mean").rows() == [(1, 0.5), (2, 1.0)]


def test_small_strata_are_suppressed_and_cannot_be_subtracted() -> None:
    X = pl.DataFrame({"bmi": np.arange(60.0), "sex": ["f", "m"] * 30})
    strata = np.array([1] * 35 + [2] * 20 + [3] * 5)
    table = profile(X, strata, smallest_cell=11)
    bmi = table.filter(pl.col("column") == "bmi").sort("stratum")
    assert bmi["mean"].is_null().to_list() == [False, True, True]  # the second too: the total gives the third
    assert table["n"].drop_nulls().min() >= 11  # type: ignore[operator]
    assert table.filter(pl.col("n").is_null())["mean"].is_null().all()


def test_mutual_information_equals_scikit_learn() -> None:
    strata = np.array([1, 1, 2, 2, 2, 1])
    centres = ["A", "A", "B", "B", None, "A"]
    found = shared_with_centres(strata, list(centres))
    assert found["mutual_information"] == pytest.approx(
        mutual_info_score(list(strata), [0, 0, 1, 1, 2, 0]), abs=1e-6
    )
    assert shared_with_centres(strata, [str(number) for number in strata])["adjusted"] == 1.0
