"""Simulated courses, their Bayes rule, and what the ledger says of them."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from experiments.validity import strata_courses
from experiments.validity.strata_course_cohorts import (
    HAZARDS,
    NOISE,
    ONE_COURSE,
    SHARES,
    VARIABLES,
    PlantedCourses,
    bayes_rule,
    one_course,
    planted_courses,
    within,
)
from models.trajectories.sums import CourseSums


def test_the_bayes_rule_is_that_of_the_whole_density() -> None:
    asked, draw = PlantedCourses(3, 2.0), np.random.default_rng(1)
    years = [np.array([0.0, 0.9, 2.2]), np.array([0.0])]
    values = [np.array([25.0, 20.0, 18.0]), np.array([55.0])]
    where = np.repeat([0, 1], [3, 1])
    sums = CourseSums.of_values(
        (np.zeros(4, dtype=np.int64), where),
        np.concatenate(years),
        np.concatenate(values),
        shape=(1, 2),
        degree=1,
    )
    design = np.zeros((4, 4))
    for row, (at, time) in enumerate(zip(where, np.concatenate(years), strict=True)):
        design[row, 2 * at : 2 * at + 2] = 1, time
    covariance = design @ within() @ design.T + np.diag(NOISE[where] ** 2)
    for attended, left in ((2, True), (4, False)):
        told = [
            np.log(share)
            + stats.multivariate_normal.logpdf(np.concatenate(values), design @ mean, covariance)
            + attended * np.log1p(-hazard)
            + left * np.log(hazard)
            for share, mean, hazard in zip(SHARES[3], asked.centroids, HAZARDS[3], strict=True)
        ]
        assert bayes_rule(asked, sums, np.array([attended]), np.array([left])) == [int(np.argmax(told))]
    far = planted_courses(PlantedCourses(3, 8.0), 200, draw)
    assert adjusted_rand_score(far.truth, far.oracle) > 0.8
    gaps = asked.centroids[:, None] - asked.centroids[None]
    apart = np.sqrt(np.einsum("ijk,kl,ijl->ij", gaps, np.linalg.inv(within()), gaps))
    assert apart[np.triu_indices(3, 1)] == pytest.approx(2.0)


@pytest.mark.parametrize("name", sorted(ONE_COURSE))
def test_one_group_has_uneven_visits_and_those_who_leave(name: str) -> None:
    cohort = one_course(name, 120, np.random.default_rng(2))
    values, attendance = cohort.measures.values, cohort.measures.attendance
    assert set(values["variable"]) == set(VARIABLES)
    assert not cohort.truth.any()
    assert attendance["last_visit"].round().n_unique() >= 3
    assert values.filter(values["years"] > 0)["years"].n_unique() > 100


def test_the_ledger_tells_claims_indices_and_the_bayes_rule() -> None:
    scenario = "nobody differs in change, random_effects"
    (line,) = strata_courses.simulate_run((scenario, 0))
    assert line["claimed"] is False
    planted = next(name for name in strata_courses.SCENARIOS if name.startswith("planted: 2"))
    (given,) = strata_courses.simulate_run((planted, 1))
    assert 0.3 < given["index_given"] < given["oracle"] < 1
    assert "k" not in given
    left_out = strata_courses.simulate_run(("nobody differs in change, growth_mixture", 1))
    assert left_out[0]["left_out"] is True
    found = {"k": 2, "claimed": True, "one_group": True, "index": 0.5, "index_given": 0.6, "oracle": 0.8}
    lines = [{"scenario": planted, "run": run, **found} for run in (0, 10)]
    text = strata_courses.section([line, *lines, *left_out], "x")
    assert "| nobody differs in change | random effects | 0 of 1" in text
    assert "| random effects | 2 of 2" in text
    assert "0.800" in text
