"""Mixed models of level and change against lme4, and the columns made of them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.errors import BadTarget
from models.trajectories.course_columns import CourseColumns
from models.trajectories.mixed_model import MixedModel
from models.trajectories.sums import CourseSums

GOLDEN = Path(__file__).parents[1] / "golden"


def sums_of(patient: np.ndarray, years: np.ndarray, value: np.ndarray, degree: int = 1) -> CourseSums:
    patient = np.asarray(patient, dtype=np.int64)
    place = patient, np.zeros_like(patient)
    return CourseSums.of_values(place, years, value, shape=(int(patient.max()) + 1, 1), degree=degree)


def straight(
    n: int = 400, seed: int = 0, change: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Patients with one to five visits; returns patient, years, value and each patient's true level and change."""
    draw = np.random.default_rng(seed)
    visits = draw.integers(1, 6, n)
    patient = np.repeat(np.arange(n), visits)
    years = np.concatenate([np.arange(count) for count in visits]) + draw.uniform(0, 0.2, len(patient))
    true = draw.normal(size=(n, 2)) * [4.0, change] + [50.0, -1.0]
    value = true[patient, 0] + true[patient, 1] * years + 2 * draw.normal(size=len(patient))
    return patient, years, value, true


def test_it_is_lme4s() -> None:
    golden = json.loads((GOLDEN / "courses.json").read_text())["linear"]
    rows = pl.read_csv(GOLDEN / "courses.csv")
    sums = sums_of(rows["patient"].to_numpy(), rows["years"].to_numpy(), rows["value"].to_numpy())
    model = MixedModel.fit(sums)
    assert model.fixed == pytest.approx(golden["fixed"], rel=1e-5)
    assert model.residual == pytest.approx(golden["residual"], rel=1e-5)
    assert model.covariance == pytest.approx(np.array(golden["covariance"]), rel=1e-4)
    assert model.log_likelihood == pytest.approx(golden["log_likelihood"], abs=1e-6)
    assert model.predicted(sums).effects[:5] == pytest.approx(np.array(golden["effects"]), abs=1e-4)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_likelihood_is_that_of_a_normal_and_at_its_top(degree: int) -> None:
    patient, years, value, _ = straight(80)
    sums = sums_of(patient, years, value, degree)
    model = MixedModel.fit(sums)

    def likelihood(one: MixedModel) -> float:
        total = 0.0
        for number in range(80):
            own = patient == number
            basis = np.vander(years[own], degree + 1, increasing=True)
            spread = basis @ one.covariance @ basis.T + one.residual * np.eye(own.sum())
            misses = value[own] - basis @ one.fixed
            total -= (np.linalg.slogdet(2 * np.pi * spread)[1] + misses @ np.linalg.solve(spread, misses)) / 2
        return total

    best = likelihood(model)
    assert best == pytest.approx(model.log_likelihood, abs=1e-4)
    draw = np.random.default_rng(1)
    for _ in range(5):
        near = MixedModel(
            model.fixed * (1 + 0.01 * draw.normal(size=degree + 1)),
            model.factor * (1 + 0.05 * draw.normal(size=model.factor.shape)),
            model.residual * float(np.exp(0.05 * draw.normal())),
            0.0,
        )
        assert likelihood(near) < best


def test_units_and_the_origin_of_values_change_nothing_but_units() -> None:
    patient, years, value, _ = straight()
    plain, scaled = (
        MixedModel.fit(sums_of(patient, years, value)),
        MixedModel.fit(sums_of(patient, years, 7000 + 10 * value)),
    )
    assert scaled.fixed == pytest.approx([7000 + 10 * plain.fixed[0], 10 * plain.fixed[1]], rel=1e-5)
    assert scaled.covariance == pytest.approx(100 * plain.covariance, rel=1e-3)


def test_predictors_are_best_and_their_reliability_is_told_truly() -> None:
    patient, years, value, true = straight(4000)
    sums = sums_of(patient, years, value)
    columns = CourseColumns.fit(sums, ["madrs"])
    effects = columns.predicted(sums)[0].effects[:, 1]
    told = columns.reliability(sums)[:, 1]
    visits = sums.counts[:, 0]
    for count in (2, 3, 5):
        own = visits == count
        found = np.corrcoef(effects[own], true[own, 1])[0, 1] ** 2
        assert found == pytest.approx(told[own].mean(), abs=0.06)
    assert told[visits == 5].mean() > 0.7
    assert told[visits == 2].mean() < 0.4


def test_the_spread_of_columns_does_not_tell_the_number_of_visits() -> None:
    patient, years, value, _ = straight(4000)
    sums = sums_of(patient, years, value)
    columns = CourseColumns.fit(sums, ["madrs"])
    change = columns.transform(sums)["course_madrs_change"].to_numpy()
    shrunken, visits = columns.predicted(sums)[0].effects[:, 1], sums.counts[:, 0]
    spread = [change[visits == count].std() for count in (3, 4, 5)]
    assert max(spread) / min(spread) < 1.1
    assert shrunken[visits == 5].std() / shrunken[visits == 2].std() > 1.4  # what would pile up in the middle


def test_a_change_that_follows_from_the_level_says_nothing_of_its_own() -> None:
    draw = np.random.default_rng(0)
    patient, years = np.repeat(np.arange(300), 4), np.tile(np.arange(4.0), 300)
    level = 5 * draw.normal(size=300)
    for slope in (0.0, 0.2):  # patients do not differ in change, or only by what their level says
        value = 20 + level[patient] * (1 + slope * years) + 2 * draw.normal(size=1200)
        sums = sums_of(patient, years, value)
        columns = CourseColumns.fit(sums, ["madrs"])
        made = columns.transform(sums)
        assert columns.own == ((0,),)
        assert made["course_madrs_change"].n_unique() == 1
        assert columns.reliability(sums)[:, 1].max() == 0
        assert np.corrcoef(made["course_madrs_level"], level)[0, 1] > 0.9
        # The course keeps the change that the level says.
        assert columns.loadings()[0][1, 0] == pytest.approx(5 * slope, abs=0.2)
    value = 20 + level[patient] / 3 * years + 2 * draw.normal(size=1200)
    assert CourseColumns.fit(sums_of(patient, years, value), ["madrs"]).own[0][0] == 1


def test_columns_have_one_covariance_whatever_the_visits() -> None:
    patient, years, value, _ = straight(4000)
    sums = sums_of(patient, years, value)
    columns = CourseColumns.fit(sums, ["madrs"])
    scores, visits = columns.scores(sums)[0], sums.counts[:, 0]
    for count in (3, 4, 5):
        assert np.cov(scores[visits == count].T) == pytest.approx(np.eye(2), abs=0.15)


def test_mean_courses_of_groups_leave_nobody_out() -> None:
    patient, years, value, true = straight(3000)
    # Who is getting worse at the first visits is not seen again.
    sums_all = sums_of(patient, years, value)
    first = np.full(3000, -np.inf)
    np.maximum.at(first, patient[years < 1.2], value[years < 1.2])
    seen = (years < 1.2) | (first[patient] < 52)
    sums = sums_of(patient[seen], years[seen], value[seen])
    columns = CourseColumns.fit(sums, ["madrs"])
    group = columns.mean_courses(sums, np.ones((len(sums.counts), 1)))[0, 0]
    assert group == pytest.approx(columns.models[0].fixed, rel=1e-4)
    assert group == pytest.approx(true.mean(axis=0), abs=0.25)
    late = value[seen & (years > 2.9)].mean() - value[years > 2.9].mean()
    assert late < -1.5  # the mean of those still seen is far off
    assert sums_all.counts.sum() > sums.counts.sum()


def test_columns_are_carried_without_refitting() -> None:
    patient, years, value, _ = straight()
    sums = sums_of(patient, years, value)
    columns = CourseColumns.fit(sums, ["madrs"])
    again = CourseColumns.from_state(json.loads(json.dumps(columns.to_state())))
    few = sums.taken(np.arange(30))
    assert again.transform(few).equals(columns.transform(sums).head(30))


def test_damaged_or_impossible_models_are_refused() -> None:
    patient, years, value, _ = straight()
    with pytest.raises(BadTarget, match="needs 20 patients with more than one value"):
        MixedModel.fit(sums_of(np.arange(50), np.zeros(50), np.arange(50.0)))
    with pytest.raises(BadTarget, match="do not vary"):
        MixedModel.fit(sums_of(patient, years, np.full(len(value), 3.0)))
    with pytest.raises(BadTarget, match="too few different times"):
        MixedModel.fit(sums_of(patient, np.zeros(len(years)), value))
    state = CourseColumns.fit(sums_of(patient, years, value), ["madrs"]).to_state()
    for damage in (
        {"residual": -1.0},
        {"fixed": [1.0]},
        {"factor": [[1.0, float("nan")], [0, 1]]},
        {"residual": None},
    ):
        with pytest.raises(BadTarget, match="damaged"):
            CourseColumns.from_state({**state, "models": [{**state["models"][0], **damage}]})
