"""The number of strata: consensus, prediction strength, gap and likelihood ratio, and the rule over them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from experiments.compute import Compute
from experiments.stratification.consensus import (
    WHOLLY_AMBIGUOUS,
    ambiguous_pairs,
    consensus_by_number,
    consensus_matrices,
    k_means_seed,
    subsamples,
)
from experiments.stratification.gap import evenly_spread, gap_statistic
from experiments.stratification.likelihood_ratio import drawn_from, likelihood_ratio_tests
from experiments.stratification.number import consensus_against_null, number_of_strata
from experiments.stratification.number_rule import Rule, chosen_number, gap_number
from experiments.stratification.prediction_strength import prediction_strength, smallest_share_together
from experiments.stratification.schemas import Draws
from models.clustering.contract import ClusterOptions
from models.clustering.gaussian_mixture import fit_mixture
from models.strata_model import Recipe

SERIAL = Compute()
RULE = Rule(prediction_strength=0.8, level=0.05, smallest_share=0.05)
Floats = NDArray[np.float64]


def _points(patients: int, strata: int, separation: float, seed: int = 3) -> Floats:
    generator = np.random.default_rng(seed)
    corners = separation / np.sqrt(2) * np.eye(3)
    return np.asarray(corners[np.arange(patients) % strata] + generator.normal(size=(patients, 3)))


def _frame(points: Floats) -> pl.DataFrame:
    return pl.DataFrame(points, schema=[f"x_{place}" for place in range(points.shape[1])])


def _recipe(X: pl.DataFrame) -> Recipe:
    return Recipe("k_means", tuple(X.columns), ClusterOptions(parameters={"n_init": 3}))


def _draws(observed: dict[int, float | None], null: dict[int, list[float]]) -> pl.DataFrame:
    own = [("observed", 0, k, 0.4, value) for k, value in observed.items()]
    drawn = [
        ("copula", place + 1, k, 0.1, value) for k, found in null.items() for place, value in enumerate(found)
    ]
    frame = pl.DataFrame([*own, *drawn], schema=Draws.column_names(), orient="row")
    return Draws.validate(frame, cast=True)


def test_consensus_is_that_of_a_plain_loop() -> None:
    points = _points(45, 3, 3.0)
    found = consensus_matrices(points, [2, 4], resamples=12, n_init=2, seed=5, compute=SERIAL)
    for k in (2, 4):
        together, held = np.zeros((45, 45)), np.zeros((45, 45))
        for number, rows in enumerate(subsamples(45, 12, 0.8, 5)):
            labels = KMeans(k, n_init=2, random_state=k_means_seed(5, number)).fit_predict(points[rows])
            for one, label in zip(rows, labels, strict=True):
                together[one, rows[labels == label]] += 1
                held[one, rows] += 1
        np.testing.assert_allclose(found[k], together / np.maximum(held, 1), rtol=1e-6)


def test_ambiguity_counts_pairs_between_a_tenth_and_nine_tenths() -> None:
    matrix = np.eye(4, dtype=np.float32)
    matrix[np.triu_indices(4, 1)] = [0.0, 0.1, 0.5, 0.89, 0.95, 1.0]
    matrix[0, 2] = 0.05
    assert ambiguous_pairs(matrix) == pytest.approx(2 / 6)


def test_pairs_are_least_ambiguous_at_the_planted_number() -> None:
    X = _frame(_points(90, 3, 5.0))
    asked = {"ks": [2, 3, 4], "resamples": 10, "smallest_share": 0.05, "seed": 1}
    found = consensus_by_number(X, _recipe(X), **asked)  # type: ignore[arg-type]
    assert found[3] < 0.05 < min(found[2], found[4])
    assert consensus_by_number(X, _recipe(X), **asked) == found  # type: ignore[arg-type]


def test_the_same_few_patients_split_off_every_time_are_no_consensus() -> None:
    points = _points(150, 1, 0.0)
    points[:4] += 30.0
    X = _frame(points)
    found = consensus_by_number(X, _recipe(X), ks=[2], resamples=10, smallest_share=0.05, seed=1)
    assert found[2] == WHOLLY_AMBIGUOUS


def test_strength_is_the_smallest_share_of_pairs_kept_together() -> None:
    strata = np.repeat([0, 1], [10, 6])
    foretold = np.array([0] * 10 + [1, 1, 1, 0, 0, 0])
    assert smallest_share_together(strata, strata) == 1.0
    assert smallest_share_together(strata, foretold) == pytest.approx(
        (3 + 3) / 15
    )  # of 15 pairs of the second
    assert smallest_share_together(strata[:12], strata[:12]) == 0.0  # two patients say nothing


def test_strength_is_high_at_the_planted_number_alone(tmp_path: Path) -> None:
    X = _frame(_points(240, 3, 5.0))
    asked = {"ks": range(1, 5), "splits": 4, "seed": 1, "compute": SERIAL}
    found = prediction_strength(X, _recipe(X), **asked, journal=tmp_path)  # type: ignore[arg-type]
    strength = dict(found.select("k", "mean").iter_rows())
    assert strength[1] == 1.0
    assert strength[3] > 0.9
    assert max(strength[2], strength[4]) < 0.8
    resumed = prediction_strength(X, _recipe(X), **asked, journal=tmp_path)  # type: ignore[arg-type]
    assert resumed.equals(found)


def test_more_strata_than_half_of_the_patients_allow_have_no_strength() -> None:
    X = _frame(_points(40, 1, 0.0))
    found = prediction_strength(X, _recipe(X), ks=[2, 6], splits=2, seed=1, compute=SERIAL)
    assert found["mean"].is_null().to_list()[-1]


def test_the_gap_finds_three_groups_and_none_in_an_even_cloud() -> None:
    for points, number in ((_points(200, 3, 6.0), 3), (np.random.default_rng(1).uniform(size=(200, 3)), 1)):
        found = gap_statistic(points, ks=range(1, 6), references=8, seed=1, compute=SERIAL)
        assert gap_number(found.rename({"error": "gap_error"})) == number


def test_reference_points_fill_the_box_of_the_principal_components() -> None:
    generator = np.random.default_rng(4)
    points = np.outer(generator.normal(size=500), [1.0, 1.0]) + generator.normal(0, 0.01, (500, 2))
    drawn = evenly_spread(points, generator)
    assert np.abs(drawn[:, 0] - drawn[:, 1]).max() < 0.1  # the box lies along the diagonal
    assert drawn[:, 0].min() >= points[:, 0].min() - 0.1


def test_a_second_component_is_told_from_one_by_draws_of_one() -> None:
    for separation, large in ((6.0, False), (0.0, True)):
        points = _points(90, 2, separation)[:, :2]
        p = likelihood_ratio_tests(points, ks=[2], metric=True, draws=19, seed=2, compute=SERIAL)
        assert (p["likelihood_ratio_p"][0] > 0.05) is large


def test_draws_of_a_mixture_have_its_moments() -> None:
    points = _points(150, 2, 4.0) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]])
    drawn = drawn_from(fit_mixture(points, 1, 1), 40_000, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), points.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(points.T), atol=0.15)


def test_consensus_is_held_against_the_same_number_in_draws_of_one_group() -> None:
    draws = _draws({2: 0.3, 3: 0.01, 4: None}, {2: [0.2, 0.25, 0.4], 3: [0.1] * 19})
    found = {row["k"]: row for row in consensus_against_null(draws).iter_rows(named=True)}
    assert found[2]["consensus_p"] == pytest.approx(3 / 4)
    assert found[3]["consensus_p"] == pytest.approx(1 / 20)
    assert found[3]["consensus_index"] == pytest.approx(1.0)
    assert found[4]["consensus_p"] is None


@pytest.mark.parametrize(("valley", "p"), [(0.1, 1 / 20), (0.4, 1.0), (0.9, 1.0), (None, 1 / 20)])
def test_where_both_are_stable_to_the_last_pair_the_valley_tells(valley: float | None, p: float) -> None:
    draws = _draws({2: 0.0}, {2: [0.0] * 19})  # the patients' valley is 0.4 deep
    draws = draws.with_columns(
        separation=pl.when(pl.col("null") == "copula").then(pl.lit(valley)).otherwise("separation")
    )
    assert consensus_against_null(draws)["consensus_p"][0] == pytest.approx(p)


def test_the_largest_number_that_meets_everything_is_chosen() -> None:
    table = pl.DataFrame(
        {
            "k": [1, 2, 3, 4, 5, 6],
            "prediction_strength": [1.0, 0.9, 0.85, 0.9, 0.9, None],
            "consensus_p": [None, 0.01, 0.05, 0.2, 0.01, 0.01],
            "smallest": [1.0, 0.4, 0.2, 0.1, 0.01, 0.1],
        }
    )
    assert chosen_number(table, RULE) == 3
    assert chosen_number(table.filter(pl.col("k").is_in([1, 4, 5, 6])), RULE) == 1


@pytest.mark.parametrize(("separation", "number"), [(5.0, 3), (0.0, 1)])
def test_the_number_of_planted_strata_and_of_one_group(separation: float, number: int) -> None:
    X = _frame(_points(180, 3, separation))
    draws = _draws({2: 0.5, 3: 0.01}, {2: [0.4] * 19, 3: [0.4] * 19})
    k, table, test = number_of_strata(
        X,
        _recipe(X),
        draws,
        prediction_strength=0.8,
        splits=3,
        level=0.05,
        smallest_share=0.05,
        seed=1,
        compute=SERIAL,
    )
    assert k == number
    assert table.filter("chosen")["k"].to_list() == [number]
    assert test.status == ("passed" if number > 1 else "failed")
    assert table["likelihood_ratio_p"].is_null().all()  # k-means has no likelihood
    if number == 1:
        assert "foretells" in test.reason
