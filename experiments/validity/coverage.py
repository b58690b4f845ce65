"""Do the intervals cover? Simulated studies, the project's own intervals, and the truth they should hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.combining import bootstrap_interval, centre_units, combined, resampled
from experiments.evaluation.comparison import centre_difference
from experiments.evaluation.intervals import Interval, corrected_resampling
from experiments.evaluation.measures import measure
from experiments.evaluation.metrics import expit
from experiments.evaluation.sample import Part
from experiments.seeds import seed_for
from experiments.validity.truth import (
    EFFECTS,
    INTERCEPT,
    Patients,
    draw_centres,
    draw_patients,
    exact_figures,
    fit_ridges,
    known_labels,
    seen_by_the_horizon,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Record = dict[str, Any]

SEED = 20261123  # not the seeds under which the intervals were chosen
FOLDS = 5
CENTRES, GROUPS = 24, 6
SPREAD = 0.25  # standard deviation of baseline risk and of each effect between centres, log-odds
RESAMPLES = 300
EVENTS = (25, 50, 100, 200, 400)
FIGURES = ("auroc", "calibration_slope", "observed_to_expected", "brier")
DIFFERENCE = "auroc_difference"
SMALL = 2  # predictors of the model that the full one is compared with
OTHER_EFFECTS, OTHER_INTERCEPT = 0.8 * EFFECTS, INTERCEPT + 0.3  # of the other country


@dataclass(frozen=True)
class Scenario:
    """One simulated study design.

    Attributes:
        name: its key in the file of runs.
        kind: kfold, centres, external or countries.
        events: expected number in the evaluated patients.
        repeats: of the k-fold split.
        censored: with competing death and censoring, else every label is known.
    """

    name: str
    kind: str
    events: int
    repeats: int = 1
    censored: bool = False

    @property
    def patients(self) -> int:
        """Number of evaluated patients: those that have so many events on average."""
        return round(self.events / EVENT_SHARE)


@dataclass(frozen=True)
class Cohort:
    """Patients with what was seen of them: labels and weights, shape (n,) each."""

    patients: Patients
    label: Floats
    weight: Floats
    time: Floats
    cause: NDArray[np.int64]

    def fitted(self, trained: Flags) -> tuple[Floats, Floats]:
        """Return the models of all and of SMALL predictors on each training set, shape (sets, 11) each.

        Weights for censoring come from the training rows alone.

        Args:
            trained: shape (sets, n).
        """
        weights = trained.astype(np.float64)
        for rows, own in zip(trained, weights, strict=True):
            if (self.weight != 1).any():
                own[rows] = known_labels(self.time[rows], self.cause[rows])[1]
        full = fit_ridges(self.patients.values, self.label, weights)
        small = np.zeros_like(full)
        small[:, : 1 + SMALL] = fit_ridges(self.patients.values[:, :SMALL], self.label, weights)
        return full, small

    def on_everybody(self) -> tuple[Floats, Floats]:
        """Return both models of all rows, shape (11,) each."""
        full, small = self.fitted(everybody(self)[None, :])
        return full[0], small[0]

    def part(self, rows: Flags, model: Floats, repeat: int = 0, fold: int = 0) -> Part:
        """Return the tested rows with a model's risks."""
        risk = expit(model[0] + self.patients.values[rows] @ model[1:])
        size = int(rows.sum())
        places = {"centre": self.patients.centre[rows].astype(np.str_), "country": np.full(size, "one")}
        weight = self.weight[rows]
        return Part(repeat, fold, str(fold), self.label[rows], risk, weight, np.flatnonzero(rows), places)


def _event_share() -> float:
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(expit(INTERCEPT + np.linalg.norm(EFFECTS) * points) @ weights / weights.sum())


EVENT_SHARE = _event_share()
SCENARIOS: tuple[Scenario, ...] = (
    *(
        Scenario(f"kfold_{events}_{repeats}", "kfold", events, repeats)
        for repeats in (1, 5)
        for events in EVENTS
    ),
    *(Scenario(f"kfold_{events}_5_censored", "kfold", events, 5, True) for events in (50, 100, 400)),
    *(Scenario(f"external_{events}", "external", events) for events in EVENTS),
    *(Scenario(f"external_{events}_censored", "external", events, 1, True) for events in (50, 100)),
    *(Scenario(f"countries_{events}_censored", "countries", events, 1, True) for events in (50, 100)),
    Scenario("centres_720", "centres", 720),
    Scenario("centres_720_censored", "centres", 720, 1, True),
)


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Simulate one study and return its intervals, as lines of the file of runs.

    Args:
        task: the scenario's name and the run's number; with the study's fixed seed they decide everything.
    """
    name, run = task
    scenario = next(item for item in SCENARIOS if item.name == name)
    generator = np.random.default_rng(seed_for(SEED, "coverage", name, run))
    found = {"kfold": _kfold, "centres": _centres, "external": _external, "countries": _countries}[
        scenario.kind
    ](scenario, generator)
    return [{"scenario": name, "run": run, **line} for line in found]


def observed(patients: Patients, censored: bool, generator: np.random.Generator) -> Cohort:
    """Return what is seen of patients."""
    size = len(patients.label)
    if not censored:
        cause = patients.label.astype(np.int64)
        return Cohort(patients, patients.label, np.ones(size), np.where(cause == 1, 1.0, 1e9), cause)
    time, cause = seen_by_the_horizon(patients.label, generator)
    return Cohort(patients, *known_labels(time, cause), time, cause)


def everybody(cohort: Cohort) -> Flags:
    """Return a mask of all rows."""
    return np.ones(len(cohort.label), dtype=np.bool_)


@cache
def frozen_models() -> tuple[Floats, Floats]:
    """Return the full and the small model that other patients are to test."""
    generator = np.random.default_rng(seed_for(SEED, "frozen"))
    cohort = observed(draw_patients(300, generator), False, generator)
    return cohort.on_everybody()


def centre_sizes(patients: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw unequal centre sizes, 20 patients or more, `patients` together but for rounding."""
    shares = generator.lognormal(0.0, 0.5, size=CENTRES)
    return np.asarray(np.maximum(20, np.round(patients * shares / shares.sum())), dtype=np.int64)


def _kfold(scenario: Scenario, generator: np.random.Generator) -> list[Record]:
    cohort = observed(draw_patients(scenario.patients, generator), scenario.censored, generator)
    dealt = [_stratified_folds(cohort.label, generator) for _ in range(scenario.repeats)]
    places = [(repeat, fold) for repeat in range(scenario.repeats) for fold in range(FOLDS)]
    pairs = _tested(cohort, np.stack([dealt[repeat] == fold for repeat, fold in places]), places)
    ratio, own = 1 / (FOLDS - 1), [pair[0] for pair in pairs]
    found = {
        name: combined("stratified_kfold", own, name, ratio, centre_units(()))
        for name in FIGURES
        if name != "observed_to_expected"  # about 1 by construction: folds are stratified by the event
    }
    between = np.array([measure(full, "auroc") - measure(small, "auroc") for full, small in pairs])
    return _records({**found, DIFFERENCE: [corrected_resampling(between, ratio)]})


def _centres(scenario: Scenario, generator: np.random.Generator) -> list[Record]:
    patients = draw_centres(centre_sizes(scenario.patients, generator), SPREAD, generator)
    cohort = observed(patients, scenario.censored, generator)
    group = patients.centre % GROUPS
    places = [(0, number) for number in range(GROUPS)]
    pairs = _tested(cohort, np.stack([group == number for _, number in places]), places)
    own = [pair[0] for pair in pairs]
    units = centre_units(own)
    found = {name: combined("leave_centre_out", own, name, 1 / (GROUPS - 1), units) for name in FIGURES}
    return _records({**found, DIFFERENCE: [centre_difference(pairs, "auroc")]})


def _external(scenario: Scenario, generator: np.random.Generator) -> list[Record]:
    cohort = observed(draw_patients(scenario.patients, generator), scenario.censored, generator)
    return _records(_bootstrapped(cohort, frozen_models(), generator))


def _countries(scenario: Scenario, generator: np.random.Generator) -> list[Record]:
    """Train in one country, test in the other; the truth is of this run's models in that country."""
    there = observed(draw_patients(scenario.patients, generator), scenario.censored, generator)
    models = there.on_everybody()
    patients = draw_patients(scenario.patients, generator, OTHER_EFFECTS, OTHER_INTERCEPT)
    found = _bootstrapped(observed(patients, scenario.censored, generator), models, generator)
    truth = figures_of(models, OTHER_EFFECTS, OTHER_INTERCEPT)
    return [{**line, "truth": truth[line["figure"]]} for line in _records(found)]


def figures_of(
    models: tuple[Floats, Floats], effects: Floats = EFFECTS, intercept: float = INTERCEPT
) -> dict[str, float]:
    """Return the exact figures of the full model, and its AUROC less that of the small one."""
    found = exact_figures(models[0], FIGURES, effects, intercept)
    other = exact_figures(models[1], ("auroc",), effects, intercept)
    return {**found, DIFFERENCE: found["auroc"] - other["auroc"]}


def _bootstrapped(
    cohort: Cohort, models: tuple[Floats, Floats], generator: np.random.Generator
) -> dict[str, list[Interval]]:
    full, small = (cohort.part(everybody(cohort), model) for model in models)
    seed = int(generator.integers(2**32))
    drawn = resampled(full, FIGURES, RESAMPLES, seed)
    found = {name: [bootstrap_interval(measure(full, name), drawn[name])] for name in FIGURES}
    difference = drawn["auroc"] - resampled(small, ("auroc",), RESAMPLES, seed)["auroc"]
    value = measure(full, "auroc") - measure(small, "auroc")
    return {**found, DIFFERENCE: [bootstrap_interval(value, difference)]}


def _records(found: dict[str, list[Interval]]) -> list[Record]:
    return [
        {
            "figure": name,
            "interval": item.kind,
            "estimate": item.estimate,
            "lower": item.lower,
            "upper": item.upper,
        }
        for name, items in found.items()
        for item in items
    ]


def _stratified_folds(label: Floats, generator: np.random.Generator) -> NDArray[np.int64]:
    fold = np.zeros(len(label), dtype=np.int64)
    for value in (0.0, 1.0):
        rows = generator.permutation(np.flatnonzero(label == value))
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def _tested(cohort: Cohort, tested: Flags, places: Sequence[tuple[int, int]]) -> list[tuple[Part, Part]]:
    """Return the test folds, shape (folds, n), with the risks of the full and of the small model."""
    models = zip(*cohort.fitted(~tested), strict=True)
    return [
        (cohort.part(rows, full, *place), cohort.part(rows, small, *place))
        for rows, place, (full, small) in zip(tested, places, models, strict=True)
    ]
