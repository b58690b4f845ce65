"""Classes of growth: against flexmix, on planted classes, and where drop-out hangs on the class."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from models.clustering.contract import ClusterOptions
from models.errors import BadTarget
from models.strata_model import Recipe, StrataModel
from models.trajectories.course_columns import CourseColumns
from models.trajectories.growth_clusterer import ATTENDED, LEFT, GrowthMixtureClusterer
from models.trajectories.growth_mixture import Growth, Stay, fit_growth, proportional_odds
from models.trajectories.mixed_model import MixedModel
from models.trajectories.sums import CourseSums

GOLDEN = Path(__file__).parents[1] / "golden"
PARAMETERS = {"variables": ["madrs"], "degree": 1, "random_intercept": False}
SLOPES, HAZARDS, SHARE = (-1.5, 2.5), (0.1, 0.5), 0.35


@cache
def planted(n: int = 600, seed: int = 0) -> tuple[np.ndarray, CourseSums, Stay]:
    """Two classes of one level at baseline: one gets better, the other worse and leaves five times as often."""
    draw = np.random.default_rng(seed)
    group = (np.arange(n) < SHARE * n).astype(np.int64)
    stays = draw.random((n, 4)) > np.array(HAZARDS)[group][:, None]
    attended = np.where(stays.all(axis=1), 4, stays.argmin(axis=1))
    patient = np.repeat(np.arange(n), attended + 1)
    years = np.concatenate([np.arange(count + 1.0) for count in attended])
    value = 20 + np.array(SLOPES)[group][patient] * years + 2.5 * draw.normal(size=len(years))
    sums = CourseSums.of_values((patient, np.zeros_like(patient)), years, value, shape=(n, 1), degree=1)
    return group, sums, Stay(attended, attended < 4)


def columns_of(sums: CourseSums, stay: Stay) -> pl.DataFrame:
    places = CourseColumns.fit(sums, ["madrs"]).transform(sums)
    own = sums.to_columns(["madrs"]) | {ATTENDED: stay.attended.astype(float), LEFT: stay.left.astype(float)}
    return places.with_columns(pl.Series(name, values) for name, values in own.items())


def random_start(n: int, k: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.5), n)


def golden_rows() -> CourseSums:
    rows = pl.read_csv(GOLDEN / "courses.csv")
    patient = rows["patient"].to_numpy()
    place = patient, np.zeros_like(patient)
    years, value = rows["years"].to_numpy(), rows["value"].to_numpy()
    return CourseSums.of_values(place, years, value, shape=(patient.max() + 1, 1), degree=1)


def test_the_likelihood_is_flexmixs_and_the_maximum_is_no_lower() -> None:
    golden = json.loads((GOLDEN / "courses.json").read_text())["growth"]
    sums = golden_rows()
    theirs = Growth(
        np.array(golden["shares"]),
        np.array(golden["courses"])[:, None, :],
        np.array(golden["residuals"])[:, None],
        np.zeros(1),
        np.empty((2, 0)),
    )
    assert theirs.log_likelihood(sums, None) == pytest.approx(golden["log_likelihood"], abs=1e-4)
    ours = max(
        fit_growth(sums, None, random_start(120, 2, seed), random_intercept=False)[1] for seed in range(4)
    )
    # flexmix divides by degrees of freedom, so its variances lie a little beside the maximum.
    assert golden["log_likelihood"] <= ours < golden["log_likelihood"] + 0.2


def test_one_class_with_a_random_intercept_is_a_mixed_model() -> None:
    draw = np.random.default_rng(1)
    patient = np.repeat(np.arange(200), draw.integers(1, 6, 200))
    years = draw.uniform(0, 4, len(patient))
    value = 10 + 3 * draw.normal(size=200)[patient] + years + draw.normal(size=len(patient))
    sums = CourseSums.of_values((patient, np.zeros_like(patient)), years, value, shape=(200, 1), degree=1)
    growth, likelihood = fit_growth(sums, None, np.ones((200, 1)), random_intercept=True, steps=5000)
    level_only = MixedModel(
        growth.courses[0, 0],
        np.diag([float(np.sqrt(growth.intercepts[0] / growth.residuals[0, 0])), 0.0]),
        float(growth.residuals[0, 0]),
        likelihood,
    )
    total = 0.0
    for number in range(200):
        own = patient == number
        basis = np.vander(years[own], 2, increasing=True)
        spread = basis @ level_only.covariance @ basis.T + level_only.residual * np.eye(own.sum())
        misses = value[own] - basis @ level_only.fixed
        total -= (np.linalg.slogdet(2 * np.pi * spread)[1] + misses @ np.linalg.solve(spread, misses)) / 2
    assert likelihood == pytest.approx(total, abs=1e-6)
    assert growth.intercepts[0] == pytest.approx(9, rel=0.25)
    assert growth.residuals[0, 0] == pytest.approx(1, rel=0.15)


def test_every_step_raises_the_likelihood() -> None:
    _, sums, stay = planted()
    start = random_start(600, 3)
    likelihoods = [
        fit_growth(sums, stay, start, random_intercept=True, steps=steps)[1] for steps in range(1, 12)
    ]
    assert (np.diff(likelihoods) > -1e-6).all()


def test_ignoring_drop_out_gives_the_course_of_those_who_stayed() -> None:
    group, sums, stay = planted()
    truth = 20 + 4 * np.array(SLOPES)[group].mean()
    at_four: dict[bool, float] = {}
    for modelled in (False, True):
        fits = [
            fit_growth(sums, stay if modelled else None, random_start(600, 2, seed), random_intercept=False)
            for seed in range(3)
        ]
        growth = max(fits, key=lambda one: one[1])[0]
        at_four[modelled] = float(growth.shares @ growth.mean_course(np.array([4.0]))[:, 0, 0])
        assert growth.courses[:, 0, 1] == pytest.approx(SLOPES, abs=0.4)
    assert at_four[False] < truth - 2  # too good by more than two points
    assert at_four[True] == pytest.approx(truth, abs=1.0)
    assert growth.shares[1] == pytest.approx(SHARE, abs=0.06)
    assert growth.hazards.mean(axis=1) == pytest.approx(HAZARDS, abs=0.08)


def test_the_odds_of_leaving_differ_by_one_factor_and_fit_the_counts() -> None:
    stayed, left = np.array([[90.0, 70, 60], [40.0, 15, 4]]), np.array([[10.0, 20, 10], [60.0, 25, 11]])
    hazards = proportional_odds(np.full((2, 3), 0.5), stayed, left)
    logits = np.log(hazards / (1 - hazards))
    assert np.ptp(logits[1] - logits[0]) < 1e-6
    counts = stayed + left
    assert (counts * hazards).sum(axis=0) == pytest.approx(left.sum(axis=0), rel=2e-3)
    assert (counts * hazards).sum(axis=1) == pytest.approx(left.sum(axis=1), rel=2e-3)


def test_stay_is_counted_by_interval_and_late_ones_share_the_last() -> None:
    stay = Stay(np.array([0, 2, 4, 4]), np.array([True, False, True, False]))
    stayed, left = stay.table(3)
    assert stayed.tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 2], [1, 1, 2]]
    assert left.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_planted_classes_are_found_stored_and_assigned() -> None:
    group, sums, stay = planted()
    X = columns_of(sums, stay)
    recipe = Recipe("growth_mixture", tuple(X.columns), ClusterOptions(parameters=PARAMETERS))
    bics = {k: StrataModel.fit(X, recipe, k, 1).bic(X) for k in (1, 2, 3)}
    assert min(bics, key=lambda k: bics[k] or 0.0) == 2
    model = StrataModel.fit(X, recipe, 2, 1)
    changing = stay.attended >= 2
    assert adjusted_rand_score(group[changing], model.assign(X)[changing]) > 0.85
    assert model.points(X).shape == (600, 1)  # levels do not differ
    again = StrataModel.from_parts(model.to_parts())
    few = X.sample(50, seed=1)
    assert np.array_equal(again.predict_probability(few), model.predict_probability(few))


def test_wrong_parameters_columns_and_stored_classes_are_refused() -> None:
    _, sums, stay = planted()
    X = columns_of(sums, stay)
    options = ClusterOptions(parameters=PARAMETERS)
    for wrong in (
        {},
        {"variables": "madrs"},
        {**PARAMETERS, "degree": 4},
        {**PARAMETERS, "dropout": 1},
        {**PARAMETERS, "x": 1},
    ):
        with pytest.raises(BadTarget):
            GrowthMixtureClusterer(2, 1, ClusterOptions(parameters=wrong))
    with pytest.raises(BadTarget, match="sum_madrs_yy"):
        GrowthMixtureClusterer(2, 1, options).fit(X.drop("sum_madrs_yy"))
    with pytest.raises(BadTarget, match="stay_left"):
        GrowthMixtureClusterer(2, 1, options).fit(X.drop(LEFT))
    with pytest.raises(BadTarget, match="needs 22 patients"):
        GrowthMixtureClusterer(2, 1, options).fit(X.head(21))
    parts = GrowthMixtureClusterer(2, 1, options).fit(X).to_parts()
    (name, content), *_ = parts.items()
    damages: tuple[dict[str, object], ...] = (
        {"shares": [1.0]},
        {"residuals": [[-1.0], [1.0]]},
        {"hazards": [[], []]},
        {"parameters": {}},
    )
    for damage in damages:
        with pytest.raises(BadTarget):
            GrowthMixtureClusterer.from_parts({name: json.dumps({**json.loads(content), **damage}).encode()})
