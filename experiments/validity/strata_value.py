"""How often do strata cut through a continuum seem to tell more than its continuous scores, and how often planted ones?"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.stratification.dimensions import dimensions
from experiments.stratification.related_cohort import RelatedCohort, related_cohort
from experiments.stratification.responses import Response
from experiments.stratification.value import tested
from experiments.validity.ledger import share_text, table
from models.numeric import logistic
from models.strata_model import Recipe, StrataModel, prepare_patients

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Record = dict[str, Any]

SEED = 20261213
CONTINUUM, PLANTED = "continuum", "planted"
PATIENTS = (300, 600)
SHAPES = ("elliptical", "skewed", "curved")  # of the two scores of a continuum, in turn over runs
COLUMNS, CENTRES, KNOTS = 10, 4, 4
SEPARATION, PLANTED_EFFECT = 4.0, 0.9  # of planted strata; what one of three brings
LEVEL = 0.05
EFFECTS: Mapping[str, str] = {
    "straight": "a straight line of one score",
    "s-shaped": "an s-shaped curve of it",
    "u-shaped": "a parabola of it",
    "product": "the product of both scores",
}
SCENARIOS = tuple(f"{design}, {size} patients" for design in (CONTINUUM, PLANTED) for size in PATIENTS)
ONE = "one stratum"
MODELS = {"cox": "time to event", "logistic": "label", "linear": "number"}


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Return the p-value of the value test for every effect and kind of outcome in one cohort.

    A continuum is cut into two or three in turn; both are the mixture's own choice of borders.
    """
    scenario, run = task
    design, size, _ = scenario.replace(",", "").split()
    generator = np.random.default_rng(seed_for(SEED, scenario, run))
    drawn = _planted(int(size), generator) if design == PLANTED else _continuum(int(size), run, generator)
    columns, means, shape = drawn
    k = 3 if design == PLANTED or run // len(SHAPES) % 2 else 2
    cohort = _cohort(columns, k, seed_for(SEED, scenario, run, "fit"), generator)
    found = []
    for (effect, mean), model in product(means.items(), MODELS):
        response = _response(model, mean + 0.3 * cohort.covariates[:, 0], generator)
        p = tested(cohort, response, KNOTS).test.p
        found.append(
            {
                "scenario": scenario,
                "run": run,
                "shape": shape,
                "k": k,
                "effect": effect,
                "model": model,
                "p": p,
            }
        )
    return found


def _continuum(
    patients: int, run: int, generator: np.random.Generator
) -> tuple[Floats, dict[str, Floats], str]:
    """Return columns, shape (patients, COLUMNS), log hazards by effect, and the shape of the continuum."""
    shape = SHAPES[run % len(SHAPES)]
    first, second = generator.normal(size=(2, patients))
    if shape == "skewed":
        first = (np.exp(0.6 * first) - np.exp(0.18)) / np.sqrt(np.exp(0.72) - np.exp(0.36))
    if shape == "curved":
        second = (0.5 * second + 0.6 * (first**2 - 1)) / np.sqrt(0.25 + 0.72)
    columns = np.column_stack([first, second]) @ generator.normal(size=(2, COLUMNS))
    means = {
        "straight": 0.8 * first,
        "s-shaped": 1.2 * np.tanh(1.5 * first),
        "u-shaped": 0.35 * (first**2 - 1),
        "product": 0.5 * first * second,
    }
    return columns + generator.normal(size=columns.shape), means, shape


def _planted(patients: int, generator: np.random.Generator) -> tuple[Floats, dict[str, Floats], str]:
    """Return the same of three strata in a triangle, of which one differs in outcome."""
    middles = SEPARATION * np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    group = generator.integers(0, 3, patients)
    turn = np.linalg.qr(generator.normal(size=(COLUMNS, COLUMNS)))[0]
    columns = generator.normal(size=(patients, COLUMNS))
    columns[:, :2] += middles[group]
    return columns @ turn, {ONE: PLANTED_EFFECT * (group == 1)}, "triangle"


def _cohort(columns: Floats, k: int, seed: int, generator: np.random.Generator) -> RelatedCohort:
    """Return the patients divided into k by a Gaussian mixture, with an age, a sex and centres."""
    n = len(columns)
    X = pl.DataFrame(columns, schema=[f"x_{place:02}" for place in range(columns.shape[1])])
    recipe = Recipe("gaussian_mixture", tuple(X.columns))
    model = StrataModel.fit(X, recipe, k, seed, prepare_patients(X, recipe))
    centre = generator.integers(0, CENTRES, n)
    ids = [f"p{number:05}" for number in range(n)]
    rows = pl.DataFrame(
        {
            "prediction_id": ids,
            "patient_id": ids,
            "centre": [f"C{one}" for one in centre],
            "country": [f"L{one % 2}" for one in centre],
        }
    )
    probability = model.predict_probability(X)
    strata = probability.shape[1]
    memberships = pl.DataFrame(
        {
            "prediction_id": np.repeat(ids, strata),
            "stratum": np.tile(np.arange(1, strata + 1), n),
            "probability": probability.ravel(),
        }
    )
    covariates = pl.DataFrame(
        {"age": generator.normal(size=n), "sex": generator.integers(0, 2, n).astype(float)}
    )
    return related_cohort(rows, memberships, dimensions(rows, X, model), X, covariates, knots=KNOTS)


def _response(model: str, mean: Floats, generator: np.random.Generator) -> Response:
    """Return an outcome that follows a log hazard, log odds or mean, shape (patients,)."""
    n = len(mean)
    rows, ones, whole = np.arange(n), np.ones(n), np.ones(n, dtype=np.int64)
    if model == "linear":
        return Response("y", "held_out", "", model, rows, mean + generator.normal(size=n), whole, ones)
    if model == "logistic":
        label = generator.random(n) < logistic(mean - 0.5)
        return Response("y", "label", "", model, rows, label.astype(np.float64), label.astype(np.int64), ones)
    event, censored = generator.exponential(600 / np.exp(mean)), generator.uniform(100, 1500, n)
    days, cause = np.ceil(np.minimum(event, censored)), (event <= censored).astype(np.int64)
    return Response("y", "time", "", model, rows, days, cause, ones, (365.0, 730.0))


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on the value test."""
    cut = [line for line in records if line["scenario"].startswith(CONTINUUM)]
    by_effect = [
        (words, str(size), *(_called([line for line in own if line["model"] == model]) for model in MODELS))
        for (effect, words), size in product(EFFECTS.items(), PATIENTS)
        if (own := _of(records, CONTINUUM, size, effect))
    ]
    by_shape = [
        (shape, str(k), _called([line for line in cut if line["shape"] == shape and line["k"] == k]))
        for shape, k in product(SHAPES, (2, 3))
    ]
    planted = [
        (str(size), *(_called([line for line in own if line["model"] == model]) for model in MODELS))
        for size in PATIENTS
        if (own := _of(records, PLANTED, size, ONE))
    ]
    lines = [
        "## How often strata of a continuum seem to tell more than its scores",
        "",
        f"{COLUMNS} columns made of two scores and noise, {CENTRES} centres, an age and a sex, of which age tells something. The continuum "
        f"({', '.join(SHAPES)}, in turn) is cut into two or three by a Gaussian mixture, and the outcome follows its scores alone: strata "
        f"have no value. Share of cohorts in which they seem to, at p of {LEVEL:g} or less (of one outcome, so without Holm); to be held: an "
        f"interval that does not lie above {LEVEL:g}. Power: three strata at separation {SEPARATION:g}, of which one has a log hazard, log odds or mean "
        f"{PLANTED_EFFECT:g} above the others; the scores of true strata tell most of it too, and only what they leave is tested. "
        "Brackets: Wilson's 95 % interval.",
        "",
        f"Command: `{command}`",
        "",
        *table(("the outcome follows", "patients", *MODELS.values()), by_effect),
        "",
        "All effects, sizes and outcomes together (the same cohort counts once for each, so the intervals are somewhat too narrow):",
        "",
        *table(("continuum", "cut into", "called"), [row for row in by_shape if row[-1]]),
        "",
        "Planted strata, found:",
        "",
        *table(("patients", *MODELS.values()), planted),
    ]
    return "\n".join(lines) + "\n"


def _called(own: Sequence[Record]) -> str:
    """Word in how many cohorts strata were said to tell more; a test that was not possible says nothing."""
    return share_text([line["p"] is not None and line["p"] <= LEVEL for line in own]) if own else ""


def _of(records: Sequence[Record], design: str, size: int, effect: str) -> list[Record]:
    scenario = f"{design}, {size} patients"
    return [line for line in records if line["scenario"] == scenario and line["effect"] == effect]
