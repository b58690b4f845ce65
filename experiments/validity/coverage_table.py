"""The ledger's section on coverage: how often each interval held what it is of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.evaluation.intervals import SCALES, from_scale, to_scale
from experiments.seeds import seed_for
from experiments.validity.coverage import (
    CENTRES,
    DIFFERENCE,
    EVENT_SHARE,
    FIGURES,
    GROUPS,
    RESAMPLES,
    SCENARIOS,
    SEED,
    SPREAD,
    Floats,
    Record,
    Scenario,
    centre_sizes,
    figures_of,
    frozen_models,
    observed,
)
from experiments.validity.ledger import share_bounds, table
from experiments.validity.truth import INTERCEPT, centre_effects, draw_centres, draw_patients

TRUTH_DRAWS = 400
OF_WHAT = {
    "kfold": "new patients of the same population, mean over procedures trained on as many",
    "external": "one frozen model in its population",
    "countries": "the other country's model, trained on as many, in this country",
    "centres": "the mean over new centres; the prediction interval: a new centre",
}


@dataclass(frozen=True)
class Coverage:
    """How often an interval held the truth, with the 95 % Monte-Carlo interval and the mean width.

    `runs` have an interval, `without` have none; `truth` and `mean_estimate` are means over runs.
    """

    scenario: Scenario
    figure: str
    interval: str
    runs: int
    without: int
    coverage: float
    lower: float
    upper: float
    width: float
    truth: float
    mean_estimate: float


def coverage_of(scenario: Scenario, records: Iterable[Record]) -> list[Coverage]:
    """Return the coverage of each kind of interval of a scenario from its runs."""
    lines = [line for line in records if line["scenario"] == scenario.name]
    truth = {} if scenario.kind == "countries" else true_values(scenario)
    rows = []
    for figure in (*FIGURES, DIFFERENCE):
        of_figure = [line for line in lines if line["figure"] == figure]
        for kind in sorted({line["interval"] for line in of_figure} - {"none"}):
            own = [line for line in of_figure if line["interval"] in (kind, "none")]
            rows.append(_row(scenario, figure, kind, own, truth.get(figure)))
    return rows


def true_values(scenario: Scenario) -> dict[str, Floats]:
    """Return the truth of each figure first, and for centres that of many new centres after it."""
    if scenario.kind == "external":
        return {name: np.array([value]) for name, value in figures_of(frozen_models()).items()}
    generator = np.random.default_rng(seed_for(SEED, "truth", scenario.name))
    if scenario.kind == "kfold":
        found = []
        for _ in range(TRUTH_DRAWS):
            cohort = observed(draw_patients(scenario.patients, generator), scenario.censored, generator)
            found.append(figures_of(cohort.on_everybody()))
        return {name: np.array([np.mean([item[name] for item in found])]) for name in found[0]}
    found = []
    for _ in range(TRUTH_DRAWS // 10):
        patients = draw_centres(centre_sizes(scenario.patients, generator), SPREAD, generator)
        cohort = observed(patients, scenario.censored, generator)
        full, small = cohort.fitted((patients.centre % GROUPS != 0)[None, :])  # as in the validation
        models = full[0], small[0]
        intercepts = INTERCEPT + SPREAD * generator.normal(size=50)
        for effects, intercept in zip(centre_effects(50, SPREAD, generator), intercepts, strict=True):
            found.append(figures_of(models, effects, float(intercept)))
    return {name: _mean_first(np.array([item[name] for item in found]), name) for name in found[0]}


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on coverage."""
    rows = [row for scenario in SCENARIOS for row in coverage_of(scenario, records)]
    enough = [row for row in rows if row.scenario.events >= 100]
    inside = sum(0.93 <= row.coverage <= 0.97 for row in enough)
    lines = [
        "## Do 95 % intervals cover?",
        "",
        f"Simulated studies of 10 predictors (5 with effects, true AUROC about 0.70), {EVENT_SHARE:.0%} with the event by the "
        "horizon, ridge logistic regression, 5 folds; the AUROC's difference is from the same model on 2 predictors, in the same "
        f"folds. Centres: {CENTRES} of unequal size with baseline risk and effects that differ (SD {SPREAD:g}), left out in "
        f"{GROUPS} groups. `countries`: the other country has 0.8 of the effects and a higher risk. Censored: 10 % of those "
        "without the event die first, 30 % are lost before the horizon; weights for censoring in training and evaluation. Truth "
        f"is exact given a model (quadrature). Bootstraps have {RESAMPLES} resamples. Under k-fold observed to expected is 1 by "
        "construction and left out. Coverage in brackets: 95 % Monte-Carlo interval.",
        "",
        f"Held for 100 events or more: 0.93 to 0.97 in {inside} of {len(enough)} rows; the rows of fewer events are the curve "
        "below it.",
        "",
        f"Command: `{command}`",
        "",
        *_tables(rows),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _tables(rows: Sequence[Coverage]) -> list[str]:
    header = (
        "design",
        "events",
        "figure",
        "interval",
        "runs",
        "coverage",
        "mean width",
        "truth",
        "mean estimate",
    )
    lines = []
    for kind, of_what in OF_WHAT.items():
        own = sorted(
            (row for row in rows if row.scenario.kind == kind),
            key=lambda row: (
                row.scenario.repeats,
                row.scenario.censored,
                row.figure,
                row.interval,
                row.scenario.events,
            ),
        )
        lines += [f"{kind}: {of_what}.", "", *table(header, [_cells(row) for row in own]), ""]
    return lines


def _cells(row: Coverage) -> tuple[str, ...]:
    scenario = row.scenario
    design = (
        f"{scenario.repeats} repeat{'s' if scenario.repeats > 1 else ''}" if scenario.kind == "kfold" else ""
    )
    design = ", ".join(filter(None, (design or scenario.kind, "censored" if scenario.censored else "")))
    runs = f"{row.runs}" + (f", {row.without} without" if row.without else "")
    return (
        design,
        str(scenario.events),
        row.figure,
        row.interval,
        runs,
        f"{row.coverage:.3f} [{row.lower:.3f}, {row.upper:.3f}]",
        f"{row.width:.3f}",
        f"{row.truth:.3f}",
        f"{row.mean_estimate:.3f}",
    )


def _mean_first(values: Floats, name: str) -> Floats:
    scale = SCALES.get(name, "identity")
    mean = from_scale(float(np.mean([to_scale(float(value), scale) for value in values])), scale)
    return np.concatenate([[mean], values])


def _row(
    scenario: Scenario, figure: str, kind: str, lines: Sequence[Record], truth: Floats | None
) -> Coverage:
    own = sorted((line for line in lines if line["lower"] is not None), key=lambda line: int(line["run"]))
    pools = [
        np.array([line["truth"]])
        if truth is None
        else truth[1:]
        if kind == "prediction_interval"
        else truth[:1]
        for line in own
    ]
    held = np.array(
        [
            np.mean((line["lower"] <= pool) & (pool <= line["upper"]))
            for line, pool in zip(own, pools, strict=True)
        ]
    )
    lower, upper = share_bounds(held)
    return Coverage(
        scenario,
        figure,
        kind,
        len(held),
        len(lines) - len(own),
        float(held.mean()),
        lower,
        upper,
        float(np.mean([line["upper"] - line["lower"] for line in own])),
        float(np.mean([pool.mean() for pool in pools])),
        float(np.mean([line["estimate"] for line in own])),
    )
