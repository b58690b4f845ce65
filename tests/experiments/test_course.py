"""Strata of change: who takes part, one group at the same visits, and courses by stratum."""

import json
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.figures import svg_text
from experiments.stratification.course import CoursePlan, CourseSource, course_frame, course_recipe
from experiments.stratification.course_draws import transport
from experiments.stratification.course_dropout import dropout_comparison
from experiments.stratification.course_state import FrozenCourse
from experiments.stratification.course_stay import latest_interval, stay_of
from experiments.stratification.course_tables import course_figure, course_tables, without_small_steps
from experiments.stratification.separation import depth
from features.repeated_measures import RepeatedMeasures
from models.adjustment.plan import AdjustmentPlan
from models.errors import BadTarget
from models.strata_model import StrataModel
from models.trajectories.growth_clusterer import ATTENDED, LEFT

VARIABLES = ("madrs", "gaf")


def cohort(n: int, gap: float, seed: int = 1) -> tuple[np.ndarray, RepeatedMeasures, pl.Series, np.ndarray]:
    """Two scores over up to four yearly visits; change per year differs by `gap` between two groups, and drives drop-out."""
    draw = np.random.default_rng(seed)
    group = (np.arange(n) < 0.4 * n).astype(np.int64)
    centre = draw.integers(0, 5, n)
    shift = np.array([0.0, 0, 0, 0, 6])[centre]
    level = 20 + shift + 4 * draw.normal(size=n)
    change = 0.7 * draw.normal(size=n) + gap * (group - 0.4)
    stays = draw.random((n, 3)) < 1 / (1 + np.exp(0.5 * change - 1.5))[:, None]
    attended = np.where(stays.all(axis=1), 3, stays.argmin(axis=1))
    patient = np.repeat(np.arange(n), attended + 1)
    visit = np.concatenate([np.arange(count + 1.0) for count in attended])
    years = np.where(visit > 0, visit + draw.uniform(-0.07, 0.07, len(visit)), 0.0)
    names = [f"p{number:04d}" for number in range(n)]
    frames = []
    for variable, own_level, own_change in (
        ("madrs", level, change),
        ("gaf", 80 - 1.2 * level, -1.5 * change),
    ):
        noise = 2 * draw.gamma(1.0, size=len(years)) - 2
        value = own_level[patient] + own_change[patient] * years + noise
        frames.append(
            pl.DataFrame(
                {
                    "patient_id": [names[at] for at in patient],
                    "variable": variable,
                    "years": years,
                    "value": value,
                }
            ).filter(pl.Series(draw.random(len(years)) > 0.05))
        )
    last = np.zeros(n)
    np.maximum.at(last, patient, years)
    attendance = pl.DataFrame({"patient_id": names, "last_visit": last, "observable": np.full(n, 5.0)})
    return group, RepeatedMeasures(pl.concat(frames), attendance), pl.Series(names), centre


@cache
def source(gap: float = 6.0, method: str = "random_effects") -> tuple[np.ndarray, CourseSource]:
    group, measures, patients, centres = cohort(400, gap)
    made = CourseSource(measures, patients, centres, CoursePlan(VARIABLES, method), 1)  # type: ignore[arg-type]
    return group[made.kept], made


def test_patients_without_enough_values_take_no_part() -> None:
    _, measures, patients, centres = cohort(200, 0.0)
    counts = measures.values.group_by("patient_id", "variable").len()
    enough = (
        counts.filter(pl.col("len") >= 2)
        .group_by("patient_id")
        .len()
        .filter(pl.col("len") == 2)["patient_id"]
    )
    made = CourseSource(measures, patients, centres, CoursePlan(VARIABLES), 1)
    assert set(patients.filter(pl.Series(made.kept))) == set(enough)
    assert made.X.height == len(made.centres) == made.kept.sum()
    assert made.X.null_count().sum_horizontal().item() == 0
    assert (
        made.X.columns
        == list(made.described)
        == list(course_recipe(made.plan).columns)[:0] + list(made.described)
    )
    assert sorted(made.X.columns) == list(course_recipe(made.plan).columns)
    with pytest.raises(BadTarget, match="has 20 values"):
        CourseSource(measures, patients, centres, CoursePlan(VARIABLES, fewest_visits=20), 1)


def test_planted_change_is_found_by_both_methods() -> None:
    from sklearn.metrics import adjusted_rand_score

    for method in ("random_effects", "growth_mixture"):
        group, made = source(method=method)
        model = StrataModel.fit(made.X, course_recipe(made.plan), 2, 1)
        repeated = made.stay["stay_attended"].to_numpy() >= 1
        assert adjusted_rand_score(group[repeated], model.assign(made.X)[repeated]) > 0.6
        assert model.points(made.X).shape == (len(group), 4)


@pytest.mark.parametrize("null", ["copula", "continuum"])
def test_one_group_has_the_same_patients_and_no_valley(null: str) -> None:
    _, made = source()
    columns = list(made.described)
    drawn = made.draw(null, np.random.default_rng(3))
    assert drawn.columns == made.X.columns
    assert drawn.height == made.X.height
    again = made.draw(null, np.random.default_rng(3))
    assert again.equals(drawn)
    was, now = made.X.select(columns).to_numpy(), drawn.select(columns).to_numpy()
    assert now.mean(axis=0) == pytest.approx(was.mean(axis=0), abs=0.9)
    assert now.std(axis=0) == pytest.approx(was.std(axis=0), rel=0.35)
    assert np.corrcoef(now.T) == pytest.approx(np.corrcoef(was.T), abs=0.3)
    # The fifth centre's level lies apart and stays so; who gets worse still leaves early.
    apart = [frame[made.centres == 4, 0].mean() - frame[made.centres != 4, 0].mean() for frame in (was, now)]
    assert apart[1] == pytest.approx(apart[0], rel=0.5)
    recipe = course_recipe(made.plan)
    depths = []
    for frame in (made.X, drawn):
        model = StrataModel.fit(frame, recipe, 2, 1)
        depths.append(depth(model.points(frame), model.assign(frame)))
    assert depths[0] > depths[1] + 0.1


@pytest.mark.parametrize("null", ["copula", "continuum"])
def test_patients_who_do_not_differ_in_change_are_drawn_as_they_are(null: str) -> None:
    draw = np.random.default_rng(2)
    patient, years = np.repeat(np.arange(300), 3), np.tile(np.arange(3.0), 300)
    names = [f"p{number:03d}" for number in range(300)]
    level = 20 + 5 * draw.normal(size=300)
    values = pl.concat(
        pl.DataFrame(
            {
                "patient_id": [names[at] for at in patient],
                "variable": variable,
                "years": years,
                "value": sign * level[patient] + 2 * draw.normal(size=900),
            }
        )
        for variable, sign in (("madrs", 1.0), ("gaf", -1.0))
    )
    attendance = pl.DataFrame({"patient_id": names, "last_visit": 2.0, "observable": 5.0})
    made = CourseSource(
        RepeatedMeasures(values, attendance),
        pl.Series(names),
        draw.integers(0, 3, 300),
        CoursePlan(VARIABLES),
        1,
    )
    drawn = made._draws.draw(null, draw)
    for variable in (0, 1):
        own = made.visits.variable == variable
        assert drawn.value[own].std() == pytest.approx(made.visits.value[own].std(), rel=0.1)
        at_edge = np.isin(drawn.value[own], [drawn.value[own].min(), drawn.value[own].max()])
        assert at_edge.mean() < 0.02


def test_draws_of_growth_keep_visits_and_stay() -> None:
    _, made = source(method="growth_mixture")
    drawn = made.draw("copula", np.random.default_rng(3))
    same = [name for name in made.X.columns if "_t" in name and "_y_" not in name] + [
        "stay_attended",
        "stay_left",
    ]
    assert drawn.select(same).equals(made.X.select(same))
    assert not drawn["sum_gaf_yy"].equals(made.X["sum_gaf_yy"])
    described = list(made.described)
    assert drawn.select(described).null_count().rows() == made.X.select(described).null_count().rows()


def test_the_map_gives_the_covariance_that_is_asked_for() -> None:
    draw = np.random.default_rng(0)
    first, second = (root @ root.T for root in draw.normal(size=(2, 4, 4)))
    found = transport(first, second)
    assert found @ first @ found.T == pytest.approx(second, rel=1e-3, abs=1e-3)
    assert transport(first, first) == pytest.approx(np.eye(4), abs=1e-6)


def test_a_frozen_course_makes_the_same_columns_of_other_patients() -> None:
    _, made = source(method="growth_mixture")
    sums = made.visits.sums(1)
    again = course_frame(sums, made.columns, made.plan, made.stay)
    assert again.equals(made.X)


SPOILT_PLANS: list[dict[str, Any]] = [
    {"years": "5"},
    {"years": float("nan")},
    {"years": -1.0},
    {"interval": 0},
    {"interval": 1e300},
    {"degree": True},
    {"method": "other"},
    {"method": []},
    {"fewest_visits": "2"},
    {"fewest_visits": 10**30},
    {"dropout": 1},
    {"variables": "madrs"},
    {"variables": [["madrs"], "gaf"]},
]


def without_spread(columns: dict[str, Any]) -> dict[str, Any]:
    """Return stored columns whose first variable does not vary in the parts that are said to be its own."""
    first, *others = columns["models"]
    return {**columns, "models": [{**first, "factor": [[0.0, 0.0], [0.0, 0.0]]}, *others]}


def test_the_stored_course_places_other_patients() -> None:
    _, made = source(method="growth_mixture")
    model = StrataModel.fit(made.X, course_recipe(made.plan), 2, 1)
    frozen = FrozenCourse(made.plan, (), made.columns, made.latest)
    again = FrozenCourse.from_bytes(frozen.to_bytes())
    assert again.to_bytes() == frozen.to_bytes()
    few = np.arange(60)
    X = again.frame(made.visits.sums(1).taken(few), made.stay.head(60))
    loaded = StrataModel.from_parts(model.to_parts())
    assert (loaded.assign(X) == model.assign(made.X)[few]).all()
    state = json.loads(frozen.to_bytes())
    damages: list[dict[str, Any]] = [
        {"version": 3},
        {"plan": {}},
        {"latest": None},
        {"latest": 10**30},
        {"logarithm": [[]]},
        *({"plan": {**state["plan"], **spoilt}} for spoilt in SPOILT_PLANS),
        {"columns": without_spread(state["columns"])},
        {"logarithm": ["crp"]},
        {"columns": {**state["columns"], "own": [[0, 0], [0, 1]]}},
    ]
    for damage in damages:
        with pytest.raises(BadTarget, match="stored course is damaged"):
            FrozenCourse.from_bytes(json.dumps(state | damage).encode())


@pytest.mark.parametrize("method", ["random_effects", "growth_mixture"])
def test_patients_are_assigned_by_their_own_visits_alone(method: str) -> None:
    _, measures, patients, _ = cohort(400, 6.0)
    _, made = source(method=method)
    frozen = FrozenCourse.from_bytes(FrozenCourse(made.plan, (), made.columns, made.latest).to_bytes())
    again = frozen.described(measures, patients)
    assert (again.kept == made.kept).all()
    assert again.X.equals(made.X)  # those that the strata were made of: to the last bit
    assert set(again.X.columns) == set(frozen.made)
    assert again.reliability == made.reliability()

    few = [7, 3, 30]
    alone = frozen.described(measures, patients.gather(np.flatnonzero(made.kept)[few]))
    assert alone.X.to_numpy() == pytest.approx(made.X[few].to_numpy(), rel=1e-9)
    with pytest.raises(BadTarget, match="so none can be assigned"):
        frozen.described(measures, pl.Series(["nobody of them"]))


def test_a_predicted_course_says_how_far_the_true_one_may_be() -> None:
    draw = np.random.default_rng(5)
    n = 300
    true = np.column_stack([20 + 4 * draw.normal(size=n), 1 + 2 * draw.normal(size=n)])
    often = np.arange(n) % 2 == 0
    patient = np.concatenate([np.repeat(np.flatnonzero(often), 6), np.repeat(np.flatnonzero(~often), 2)])
    years = draw.uniform(0, 3, len(patient))
    value = true[patient, 0] + true[patient, 1] * years + 2 * draw.normal(size=len(patient))
    names = pl.Series("patient_id", [f"p{at:03d}" for at in range(n)])
    values = pl.DataFrame(
        {"patient_id": names.gather(patient), "variable": "madrs", "years": years, "value": value}
    )
    attendance = pl.DataFrame({"patient_id": names, "last_visit": 3.0, "observable": 3.0})
    measures = RepeatedMeasures(values, attendance)
    plan = CoursePlan(("madrs",))
    made = CourseSource(measures, names, np.zeros(n, dtype=np.int64), plan, 1)
    courses = FrozenCourse(plan, (), made.columns, made.latest).described(measures, names).courses
    for at, part in enumerate(("level", "change")):
        own = courses.filter(part=part)
        error = own["standard_error"].to_numpy()
        away = (own["predicted"].to_numpy() - true[:, at]) / error
        assert 0.85 < away.std() < 1.15
        assert error[often].mean() < 0.8 * error[~often].mean()
    assert set(courses["values"]) == {2, 6}


def test_one_late_visit_is_no_planned_one() -> None:
    known = pl.DataFrame({ATTENDED: [3] * 20 + [2] * 20 + [9], "observable": 10.0})
    assert latest_interval(known) == 3
    assert latest_interval(known.head(10)) == 0
    stay = stay_of(known, 1.0, 10.0, 3)
    assert stay[LEFT].to_list() == [False] * 20 + [True] * 20 + [False]


def test_a_course_is_harmonised_by_centre() -> None:
    _, measures, patients, centres = cohort(400, 0.0)
    context = pl.DataFrame({"context_centre": [f"c{code}" for code in centres]})
    plan = AdjustmentPlan(harmonise=("centring",))
    made = CourseSource(measures, patients, centres, CoursePlan(VARIABLES), 1, context=context)
    recipe = course_recipe(made.plan, adjustment=plan)
    adjusted = StrataModel.fit(made.X, recipe, 2, 1).adjusted(made.X)["course_madrs_level"].to_numpy()
    raw = made.X["course_madrs_level"].to_numpy()
    apart = [
        values[made.centres == 4].mean() - values[made.centres != 4].mean() for values in (raw, adjusted)
    ]
    assert apart[0] > 3
    assert abs(apart[1]) < 0.5
    assert made.draw("copula", np.random.default_rng(1)).columns == made.X.columns


def test_a_growth_mixture_takes_no_adjustment() -> None:
    with pytest.raises(BadTarget, match="takes no adjustment"):
        course_recipe(CoursePlan(("madrs",), "growth_mixture"), adjustment=AdjustmentPlan())
    with pytest.raises(BadTarget, match="no parameters"):
        course_recipe(CoursePlan(("madrs",), "growth_mixture"), parameters={"starts": 2})


def test_courses_and_staying_by_stratum() -> None:
    group, made = source(method="growth_mixture")
    memberships = np.eye(2)[group]
    courses, staying = course_tables(made, memberships, smallest_cell=0)
    seen = made.visits.value[(made.visits.variable == 0) & (made.visits.years > 2.5)]
    who = made.visits.patient[(made.visits.variable == 0) & (made.visits.years > 2.5)]
    row = courses.row(
        by_predicate=(pl.col("stratum") == 2) & (pl.col("variable") == "madrs") & (pl.col("years") == 3),
        named=True,
    )
    assert row["n"] == (group[who] == 1).sum()
    assert row["mean"] == pytest.approx(seen[group[who] == 1].mean())
    assert row["lower"] < row["mean"] < row["upper"]
    ended = staying.filter(years=3)["staying"]
    attended = made.stay["stay_attended"].to_numpy()
    assert ended.to_list() == pytest.approx([(attended[group == one] == 3).mean() for one in (0, 1)])
    text = svg_text(course_figure(courses, staying, "Courses", labels={"gaf": "GAF"}))
    assert "stratum 2" in text
    assert "GAF" in text


def test_small_cells_of_courses_are_hidden() -> None:
    group, made = source(method="growth_mixture")
    memberships = np.eye(2)[np.where(np.arange(len(group)) < 15, 1, 0)]
    courses, staying = course_tables(made, memberships, smallest_cell=11)
    for frame, figures in ((courses, ("mean", "lower", "upper", "expected")), (staying, ("staying",))):
        shown = frame.filter(pl.col("n").is_not_null())
        assert (shown["n"] >= 11).all()
        assert frame.filter(pl.col("n").is_null()).select(
            figures
        ).null_count().sum_horizontal().item() == len(figures) * (frame.height - shown.height)
        assert shown.height < frame.height
    assert "Courses" in svg_text(course_figure(courses, staying, "Courses"))


def test_no_small_number_of_leavers_follows_from_two_that_are_shown() -> None:
    rows = [
        (1, 0.0, 200, 200),
        (1, 1.0, 200, 195),
        (1, 2.0, 195, 170),
        (1, 3.0, 165, 140),
        (1, 4.0, 140, 100),
    ]
    frame = pl.DataFrame(rows, schema=["stratum", "years", "n", "came"], orient="row").with_columns(
        staying=pl.lit(0.5)
    )
    shown = without_small_steps(frame, 11)
    assert shown["n"].to_list() == [200, None, None, 165, 140]
    assert without_small_steps(frame, 0).equals(frame)


def test_what_modelling_drop_out_changes_is_told() -> None:
    _, made = source(method="growth_mixture")
    found = dropout_comparison(made, 2, 1).filter(variable="madrs", years=3.0)
    means = {(row["modelled"], row["stratum"]): row["mean"] for row in found.to_dicts()}
    assert found.filter(stratum=0)["share"].to_list() == [1.0, 1.0]
    # Those who get worse leave early, so that without drop-out in the model all patients look better.
    assert means[True, 0] > means[False, 0]
    with pytest.raises(ValueError, match="only classes of growth"):
        dropout_comparison(source()[1], 2, 1)
