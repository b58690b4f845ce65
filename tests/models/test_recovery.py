"""What points are made of, and whether planted strata are found again as well as by the Bayes rule with the true parameters."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from experiments.validity.strata_recovery import (
    COLUMNS,
    CORRELATED,
    PATIENTS,
    SCENARIOS,
    SEPARATIONS,
    SPREAD,
    TWO,
    Planting,
    plant_strata,
    recovered,
    section,
    share_of_oracle,
)
from models.clustering.contract import ClusterOptions
from models.clustering.gaussian_mixture import GaussianMixtureClusterer
from models.clustering.reduction import components_above_noise, gains_of_two
from models.clustering.representation import Representation, prepare
from models.errors import BadTarget


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(
    ("columns", "shape"), [(5, "line"), (10, "triangle"), (30, "triangle"), (30, "line")]
)
def test_strata_at_separation_four_are_found_as_by_the_oracle(
    scenario: str, columns: int, shape: str
) -> None:
    planted = plant_strata(Planting(scenario, columns, 4.0, shape), 600, np.random.default_rng(columns))
    oracle = adjusted_rand_score(planted.label, planted.oracle)
    assert (
        recovered(planted, "gaussian_mixture", 1) >= 0.93 * oracle
    )  # of one draw; the mean is in docs/validity.md


@pytest.mark.parametrize("separation", [2.0, 3.0, 4.0])
def test_the_oracle_has_the_index_that_the_normal_distribution_says(separation: float) -> None:
    wrong = stats.norm.cdf(-separation / 2)  # of three equal strata on a line: over one border
    far = stats.norm.cdf(-3 * separation / 2)
    shares = np.array(
        [
            [1 - wrong, wrong - far, far],
            [wrong, 1 - 2 * wrong, wrong],
            [far, wrong - far, 1 - wrong],
        ]
    )
    together = ((shares / 3) ** 2).sum()
    expected = ((shares.sum(axis=0) / 3) ** 2).sum() / 3
    index = (together - expected) / ((1 / 3 + 3 * expected) / 2 - expected)
    line = plant_strata(Planting(CORRELATED, 4, separation, "line"), 40_000, np.random.default_rng(2))
    assert adjusted_rand_score(line.label, line.oracle) == pytest.approx(index, abs=0.015)
    triangle = plant_strata(Planting(SPREAD, 4, separation), 40_000, np.random.default_rng(1))
    assert adjusted_rand_score(triangle.label, triangle.oracle) < index


def test_strata_of_two_columns_make_no_component_but_their_columns_are_kept() -> None:
    planted = plant_strata(Planting(TWO, 30, 4.0), 600, np.random.default_rng(3))
    axes = Representation.fit(planted.frame, ClusterOptions()).axes
    assert axes.shape[1] <= 5
    assert (axes[:2] ** 2).sum() == pytest.approx(2.0)  # both columns lie within the directions that are kept
    principal = Representation.fit(
        planted.frame, ClusterOptions(parameters={"reduce": "principal_components"})
    )
    assert (principal.axes[:2] ** 2).sum() < 1.7


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("factors", [0, 1, 3])
def test_components_above_noise_are_the_planted_factors(factors: int, scaled: bool) -> None:
    """Scaling every column to one variance, as a representation does, leaves noise of unequal variances."""
    draws = np.random.default_rng(factors)
    loadings = np.linalg.qr(draws.normal(size=(20, 3)))[0][:, :factors] * 3
    found = []
    for _ in range(40):
        points = draws.normal(size=(300, factors)) @ loadings.T + draws.normal(size=(300, 20))
        if scaled:
            points = points / points.std(axis=0)
        variances, directions = np.linalg.eigh(np.cov(points, rowvar=False))
        found.append(components_above_noise(variances[::-1], directions[:, ::-1], 300))
    assert np.mean(np.array(found) == factors) >= 0.85


def test_columns_that_follow_from_others_make_no_component() -> None:
    """What rounding leaves beside them would otherwise count, and change with the order of the rows."""
    draws = np.random.default_rng(4)
    points = np.hstack([draws.normal(size=(500, 6))] * 2)
    for _ in range(5):
        variances, directions = np.linalg.eigh(np.cov(draws.permutation(points), rowvar=False))
        assert components_above_noise(np.maximum(variances[::-1], 0), directions[:, ::-1], 500) == 6


def test_two_groups_gain_where_there_are_two() -> None:
    draws = np.random.default_rng(8)
    values = draws.normal(size=(400, 6))
    values[:, 0] += 4 * draws.integers(0, 2, 400)
    values[:, 5] = 3.0
    gains = gains_of_two(values)
    assert gains[0] > 30
    assert gains[1:5].max() < 10
    assert gains[5] == 0


@pytest.mark.parametrize(("rule", "kept"), [("none", 12), ("principal_components", 9), ("automatic", 4)])
def test_axes_are_orthonormal_and_of_the_rows_alone(rule: str, kept: int) -> None:
    X = pl.DataFrame(np.random.default_rng(2).normal(size=(200, 12)), schema=[f"x{i:02}" for i in range(12)])
    options = ClusterOptions(parameters={"reduce": rule})
    made = Representation.fit(X, options)
    np.testing.assert_allclose(made.axes.T @ made.axes, np.eye(made.axes.shape[1]), atol=1e-9)
    assert made.axes.shape[1] == kept
    again = Representation.from_state(made.to_state())
    np.testing.assert_array_equal(again.transform(X), made.transform(X))
    np.testing.assert_allclose(made.transform(X[:5]), made.transform(X)[:5], atol=1e-12)


def test_an_unknown_rule_is_refused() -> None:
    X = pl.DataFrame({"x": np.arange(50.0)})
    with pytest.raises(BadTarget, match="umap"):
        Representation.fit(X, ClusterOptions(parameters={"reduce": "umap"}))


def test_patients_without_a_modality_are_no_stratum_and_keep_theirs() -> None:
    draws = np.random.default_rng(11)
    label = draws.integers(0, 2, 400)
    values = draws.normal(size=(400, 6)) + 4 * label[:, None] / np.sqrt(6)
    gone = draws.random(400) < 0.3
    values[np.ix_(gone, np.arange(6) > 2)] = np.nan
    X = pl.DataFrame(values, schema=list("abcdef")).fill_nan(None)
    found = GaussianMixtureClusterer(2, 1).fit(X).predict_probability(X).argmax(axis=1)
    assert abs(adjusted_rand_score(gone, found)) < 0.05
    assert adjusted_rand_score(label[~gone], found[~gone]) > 0.8
    assert (
        adjusted_rand_score(label[gone], found[gone]) > 0.6
    )  # the Bayes rule has 0.71 with half of the columns
    points = prepare(X, ClusterOptions(parameters={"reduce": "none"})).points
    lacking = points[gone & (label == 1)][:, 3:].mean() - points[gone & (label == 0)][:, 3:].mean()
    whole = points[~gone & (label == 1)][:, 3:].mean() - points[~gone & (label == 0)][:, 3:].mean()
    assert lacking > 0.5 * whole  # they stand on the side of their stratum, not in the middle


def test_the_section_holds_every_design_and_the_share_of_the_oracle() -> None:
    records = [
        {
            "scenario": scenario,
            "run": run,
            "columns": columns,
            "separation": separation,
            "patients": patients,
            "oracle": 0.8 + 0.01 * run,
            "gaussian_mixture": 0.97 * (0.8 + 0.01 * run),
            "k_means": 0.4,
        }
        for scenario, columns, separation, patients, run in product(
            SCENARIOS, COLUMNS, SEPARATIONS, PATIENTS, range(3)
        )
    ]
    assert share_of_oracle(records, "gaussian_mixture") == pytest.approx((0.97, 0.97, 0.97))
    text = section(records, "psystrata validity strata_recovery")
    assert text.count("0.97 [0.97, 0.97]") == 135
    assert text.count("15 of 15") == 9
    assert text.count("0 of 15") == 9
