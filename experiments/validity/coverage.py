"""Do the intervals cover? Simulated studies, the project's own intervals, and the truth they should hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from experiments.evaluation.combining import bootstrap_interval, centre_units, combined, resampled
from experiments.evaluation.measures import measure
from experiments.evaluation.metrics import expit
from experiments.evaluation.sample import Part
from experiments.seeds import seed_for
from experiments.validity.truth import (
    INTERCEPT,
    Patients,
    centre_effects,
    draw_centres,
    draw_patients,
    exact_auroc,
    fit_ridge,
)

Floats = NDArray[np.float64]
Record = dict[str, Any]

SEED = 20261122  # not the seed under which the intervals were chosen
FOLDS = 5
CENTRES, GROUPS, COHORT = 24, 6, 2400
SPREAD = 0.25  # standard deviation of baseline risk and of each effect between centres, log-odds
TRUTH_DRAWS = 400


@dataclass(frozen=True)
class Scenario:
    """One simulated study design.

    Attributes:
        name: its key in the file of runs.
        kind: kfold, centres or external.
        patients: cohort size.
        repeats: of the k-fold split.
        estimand: what the interval should hold, in words.
    """

    name: str
    kind: str
    patients: int
    repeats: int
    estimand: str


@dataclass(frozen=True)
class Coverage:
    """How often an interval held the truth, with the 95 % Monte-Carlo interval and the mean width."""

    scenario: Scenario
    interval: str
    runs: int
    coverage: float
    lower: float
    upper: float
    width: float
    truth: float
    mean_estimate: float


_PROCEDURE = "mean AUROC, in new patients of the same population, of the procedure trained on {} patients"
SCENARIOS: tuple[Scenario, ...] = (
    *(
        Scenario(f"kfold_{n}_{repeats}", "kfold", n, repeats, _PROCEDURE.format(n))
        for n in (150, 300, 600)
        for repeats in (1, 5)
    ),
    Scenario("centres_24", "centres", COHORT, 1, "mean logit AUROC over new centres; a new centre's AUROC"),
    *(
        Scenario(f"external_{n}", "external", n, 1, "AUROC of one frozen model in the other population")
        for n in (150, 600)
    ),
)


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Simulate one study and return its intervals, as lines of the file of runs.

    Args:
        task: the scenario's name and the run's number; with the study's fixed seed they decide everything.
    """
    name, run = task
    scenario = next(item for item in SCENARIOS if item.name == name)
    generator = np.random.default_rng(seed_for(SEED, "coverage", name, run))
    found = {"kfold": _kfold, "centres": _centres, "external": _external}[scenario.kind](scenario, generator)
    return [{"scenario": name, "run": run, **line} for line in found]


def coverage_of(scenario: Scenario, records: Iterable[Record]) -> list[Coverage]:
    """Return the coverage of each kind of interval of a scenario from its runs."""
    lines = [line for line in records if line["scenario"] == scenario.name and line["lower"] is not None]
    truth = true_values(scenario)
    rows = []
    for kind in sorted({line["interval"] for line in lines}):
        own = sorted((line for line in lines if line["interval"] == kind), key=lambda line: line["run"])
        pool = truth[1:] if kind == "prediction_interval" else truth[:1]
        held = np.array([np.mean((line["lower"] <= pool) & (pool <= line["upper"])) for line in own])
        rows.append(_row(scenario, kind, own, held, float(pool.mean())))
    return rows


def true_values(scenario: Scenario) -> Floats:
    """Return the truth first, and for centres the AUROC of many new centres after it."""
    if scenario.kind == "external":
        return np.array([exact_auroc(_frozen_model()[1:])])
    generator = np.random.default_rng(seed_for(SEED, "truth", scenario.kind, scenario.patients))
    if scenario.kind == "kfold":
        values = []
        for _ in range(TRUTH_DRAWS):
            patients = draw_patients(scenario.patients, generator)
            values.append(exact_auroc(fit_ridge(patients.values, patients.label)[1:]))
        return np.array([float(np.mean(values))])
    values = []
    for _ in range(TRUTH_DRAWS // 10):
        patients = draw_centres(_centre_sizes(CENTRES, generator), SPREAD, generator)
        kept = patients.centre >= CENTRES // GROUPS  # trained without one group, as in the validation
        model = fit_ridge(patients.values[kept], patients.label[kept])
        intercepts = INTERCEPT + SPREAD * generator.normal(size=50)
        for effects, intercept in zip(centre_effects(50, SPREAD, generator), intercepts, strict=True):
            values.append(exact_auroc(model[1:], effects, float(intercept)))
    areas = np.array(values)
    return np.concatenate([[float(expit(np.mean(np.log(areas / (1 - areas)))))], areas])


def _kfold(scenario: Scenario, generator: np.random.Generator) -> list[Record]:
    patients = draw_patients(scenario.patients, generator)
    parts = []
    for repeat in range(scenario.repeats):
        fold = _stratified_folds(patients.label, generator)
        parts += [_tested(patients, fold == number, repeat, number) for number in range(FOLDS)]
    interval = combined("stratified_kfold", parts, "auroc", 1 / (FOLDS - 1), centre_units(()))[0]
    return [{"interval": interval.kind, **_bounds(interval)}]


def _centres(scenario: Scenario, generator: np.random.Generator) -> list[Record]:
    patients = draw_centres(_centre_sizes(CENTRES, generator), SPREAD, generator)
    group = patients.centre % GROUPS
    parts = [_tested(patients, group == number, 0, number) for number in range(GROUPS)]
    found = combined("leave_centre_out", parts, "auroc", 1 / (GROUPS - 1), centre_units(parts))
    return [{"interval": interval.kind, **_bounds(interval)} for interval in found]


def _external(scenario: Scenario, generator: np.random.Generator) -> list[Record]:
    patients = draw_patients(scenario.patients, generator)
    part = _part(patients, np.ones(scenario.patients, dtype=np.bool_), _frozen_model(), 0, 0)
    figures = resampled(part, ("auroc",), 1000, int(generator.integers(2**32)))["auroc"]
    interval = bootstrap_interval(measure(part, "auroc"), figures)
    return [{"interval": interval.kind, **_bounds(interval)}]


def _bounds(interval: Any) -> Record:
    return {"estimate": interval.estimate, "lower": interval.lower, "upper": interval.upper}


def _frozen_model() -> Floats:
    patients = draw_patients(300, np.random.default_rng(seed_for(SEED, "frozen")))
    return fit_ridge(patients.values, patients.label)


def _stratified_folds(label: Floats, generator: np.random.Generator) -> NDArray[np.int64]:
    fold = np.zeros(len(label), dtype=np.int64)
    for value in (0.0, 1.0):
        rows = generator.permutation(np.flatnonzero(label == value))
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def _tested(patients: Patients, tested: NDArray[np.bool_], repeat: int, fold: int) -> Part:
    model = fit_ridge(patients.values[~tested], patients.label[~tested])
    return _part(patients, tested, model, repeat, fold)


def _part(patients: Patients, rows: NDArray[np.bool_], model: Floats, repeat: int, fold: int) -> Part:
    risk = expit(model[0] + patients.values[rows] @ model[1:])
    size = int(rows.sum())
    places = {"centre": patients.centre[rows].astype(np.str_), "country": np.full(size, "one")}
    return Part(
        repeat, fold, str(fold), patients.label[rows], risk, np.ones(size), np.flatnonzero(rows), places
    )


def _centre_sizes(centres: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw unequal centre sizes, 20 patients or more, COHORT together but for rounding."""
    shares = generator.lognormal(0.0, 0.5, size=centres)
    sizes = np.maximum(20, np.round(COHORT * shares / shares.sum()))
    return np.asarray(sizes, dtype=np.int64)


def _row(scenario: Scenario, kind: str, lines: Sequence[Record], held: Floats, truth: float) -> Coverage:
    runs = len(held)
    if set(np.unique(held)) <= {0.0, 1.0}:  # Wilson's interval of a share
        found = stats.binomtest(int(held.sum()), runs).proportion_ci(method="wilson")
        lower, upper = float(found.low), float(found.high)
    else:
        half = float(stats.t.ppf(0.975, runs - 1) * held.std(ddof=1) / np.sqrt(runs))
        lower, upper = float(held.mean()) - half, float(held.mean()) + half
    width = float(np.mean([line["upper"] - line["lower"] for line in lines]))
    estimate = float(np.mean([line["estimate"] for line in lines]))
    return Coverage(scenario, kind, runs, float(held.mean()), lower, upper, width, truth, estimate)
