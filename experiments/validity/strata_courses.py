"""How often are strata of change claimed where nobody's course is of another kind, and how well are planted courses found?"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from sklearn.metrics import adjusted_rand_score

from experiments.compute import Compute
from experiments.seeds import seed_for
from experiments.stratification.chain import search
from experiments.stratification.course import CoursePlan, CourseSource, course_recipe
from experiments.validity.ledger import mean_text, share_text, table
from experiments.validity.strata_course_cohorts import (
    ONE_COURSE,
    VARIABLES,
    PlantedCourses,
    SimulatedCourses,
    one_course,
    planted_courses,
)
from experiments.validity.strata_search import ALONE, CHEAP, CHEAPNESS, upper_bound
from models.strata_model import StrataModel

Record = dict[str, Any]
Method = Literal["random_effects", "growth_mixture"]

SEED = 20261208
PATIENTS, MORE = 400, 600  # of one group, and of planted courses
PLANTED = {
    f"planted: {asked.strata} courses, separation {asked.separation:g}": asked
    for asked in (PlantedCourses(2, 3.0), PlantedCourses(2, 4.0), PlantedCourses(3, 4.0))
}
METHODS: tuple[Method, ...] = ("random_effects", "growth_mixture")
EVERY = 10  # planted courses go through every test, and classes of growth cost the most: they are searched for in every 10th run
SCENARIOS = tuple(f"{name}, {method}" for method in METHODS for name in (*ONE_COURSE, *PLANTED))


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Return what is claimed of one cohort; costly designs are searched in every tenth run alone.

    In the others planted courses are divided with their number given, and one group is left out.
    """
    scenario, run = task
    name, _, asked = scenario.rpartition(", ")
    method = METHODS[METHODS.index(asked)]
    searched = run % EVERY == 0 or (name in ONE_COURSE and method == METHODS[0])
    if not searched and name in ONE_COURSE:
        return [{"scenario": scenario, "run": run, "left_out": True}]
    seed = seed_for(SEED, "strata_courses", name, run)  # both methods are given the same cohorts
    generator = np.random.default_rng(seed)
    if name in PLANTED:
        cohort = planted_courses(PLANTED[name], MORE, generator)
    else:
        cohort = one_course(name, PATIENTS, generator)
    plan = CoursePlan(VARIABLES, method, years=5.0)
    source = CourseSource(cohort.measures, cohort.patients, cohort.centres, plan, seed)
    told: Record = {"scenario": scenario, "run": run, "patients": source.X.height}
    if name in PLANTED:
        told |= divided(cohort, source, PLANTED[name].strata, seed)
    return [told | claim_of_courses(cohort, source, seed) if searched else told]


def divided(cohort: SimulatedCourses, source: CourseSource, strata: int, seed: int) -> Record:
    """Return the adjusted Rand index with the truth of strata of the true number, and of the Bayes rule, for those who take part."""
    truth = cohort.truth[source.kept]
    found = StrataModel.fit(source.X, course_recipe(source.plan), strata, seed).assign(source.X)
    return {
        "index_given": float(adjusted_rand_score(truth, found)),
        "oracle": float(adjusted_rand_score(truth, cohort.oracle[source.kept])),
    }


def claim_of_courses(cohort: SimulatedCourses, source: CourseSource, seed: int) -> Record:
    """Look for strata of change; claimed is without replication, as there is one country, and index is of the strata found."""
    kept = cohort.patients.filter(pl.Series(source.kept))
    rows = pl.DataFrame(
        {
            "prediction_id": kept,
            "patient_id": kept,
            "centre": [f"c{code:02d}" for code in source.centres],
            "country": "one",
        }
    )
    found = search(rows, source, course_recipe(source.plan), CHEAP, seed=seed, compute=Compute())
    passed = {one.name: one.status == "passed" for one in found.verdict.tests}
    k = found.verdict.k
    return {
        "k": k,
        "one_group": passed["one_group"],
        "claimed": k > 1 and all(passed.get(test, False) for test in ALONE),
        "index": float(adjusted_rand_score(cohort.truth[source.kept], found.model.assign(source.X))),
    }


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on strata of change."""
    seen = [line for line in records if not line.get("left_out", False)]
    rows, found = [], []
    for method in METHODS:
        none = [[line for line in seen if line["scenario"] == f"{name}, {method}"] for name in ONE_COURSE]
        words = method.replace("_", " ")
        rows += [_claims(name, words, own) for name, own in zip(ONE_COURSE, none, strict=True)]
        rows.append(_claims("**all of these**", words, [line for own in none for line in own]))
        for name, asked in PLANTED.items():
            own = [line for line in seen if line["scenario"] == f"{name}, {method}"]
            found.append(_power(name.removeprefix("planted: "), words, own, asked.strata))
    lines = [
        "## How often strata of change are claimed, and how well planted courses are found",
        "",
        f"Two scores at a baseline and up to four yearly visits, each up to 0.3 years early or late, 5 % of values missing, {PATIENTS} "
        f"patients of ten centres who leave at 12 % a year unless the design says otherwise. Of planted courses there are {MORE} patients "
        "with shares .6 and .4, or .4, .35 and .25; they leave at 8, 25 and 12 % a year; separation is the Mahalanobis distance of nearest "
        "means of the true level and change. The Bayes rule knows all parameters and sees the same visits and who left. Indices: the "
        "adjusted Rand index with the truth among those who take part (two values of each score for random effects, one of any for "
        f"growth mixtures). Claimed: without replication, as there is one country. {CHEAPNESS} Planted courses and growth mixtures are "
        f"searched in every {EVERY}th run; in the others planted ones are divided with their number given. Brackets: Wilson's 95 % interval, and of means the Monte-Carlo one (t).",
        "",
        f"Command: `{command}`",
        "",
        *table(
            ("nothing planted", "method", "test of one group passed", "claimed", "upper bound"),
            [row for row in rows if row],
        ),
        "",
        *table(
            (
                "planted",
                "method",
                "number right",
                "claimed with it",
                "index",
                "index, number given",
                "Bayes rule",
            ),
            [row for row in found if row],
        ),
    ]
    return "\n".join(lines) + "\n"


def _claims(name: str, method: str, own: Sequence[Record]) -> tuple[str, ...]:
    if not own:
        return ()
    claimed = [line["claimed"] for line in own]
    passed = share_text([line["one_group"] for line in own])
    return (name, method, passed, share_text(claimed), f"{upper_bound(sum(claimed), len(own)):.3f}")


def _power(name: str, method: str, own: Sequence[Record], strata: int) -> tuple[str, ...]:
    if not own:
        return ()
    if not own:
        return ()
    given, oracle = (mean_text([line[key] for line in own]) for key in ("index_given", "oracle"))
    searched = [line for line in own if "k" in line]
    found = ("not searched",) * 3
    if searched:
        right = [line["k"] == strata for line in searched]
        claimed = [line["k"] == strata and line["claimed"] for line in searched]
        found = (share_text(right), share_text(claimed), mean_text([line["index"] for line in searched]))
    return (name, method, *found, f"{given}, {len(own)} runs", oracle)
