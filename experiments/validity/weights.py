"""Are risks judged right where the evaluated country loses more patients than the training country did?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import expit, observed_to_expected
from experiments.seeds import seed_for
from experiments.validity.ledger import mean_text, table
from experiments.validity.truth import EFFECTS, HORIZON, INTERCEPT, known_labels, seen_by_the_horizon
from models.censoring import censoring_survival

Floats = NDArray[np.float64]
Record = dict[str, Any]

SEED = 20261125
PATIENTS = 2000  # in each country
STRATUM = 0.8  # log-odds by which the one stratum's risk lies above the other's
KINDS = {
    "covariates": "evaluated country, within the covariate",
    "marginal": "evaluated country, one curve",
    "training": "training country's curve",
    "none": "none: the lost left out",
}


@dataclass(frozen=True)
class Scenario:
    """How many are lost before the horizon: in training, and evaluated in the stratum of low and of high risk."""

    name: str
    training: float
    low: float
    high: float


SCENARIOS = (
    Scenario("as many lost", 0.3, 0.3, 0.3),
    Scenario("more lost", 0.1, 0.5, 0.5),
    Scenario("more lost at high risk", 0.1, 0.2, 0.7),
)


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Return observed to expected of the true risks in one evaluated country, under each kind of weights."""
    name, run = task
    scenario = next(item for item in SCENARIOS if item.name == name)
    generator = np.random.default_rng(seed_for(SEED, "weights", name, run))
    stratum, risk, label = _draw(generator)
    lost = np.where(stratum == 1, scenario.high, scenario.low)
    time, cause = seen_by_the_horizon(label, generator, lost)
    *_, trained = _draw(generator)
    elsewhere = seen_by_the_horizon(trained, generator, scenario.training)
    seen, within = known_labels(time, cause, stratum)
    _, marginal = known_labels(time, cause)
    known = (marginal > 0).astype(np.float64)
    curve = censoring_survival(*elsewhere, np.minimum(time, HORIZON))
    weights = {"covariates": within, "marginal": marginal, "training": known / curve, "none": known}
    truth = float(label.sum() / risk.sum())
    return [
        {
            "scenario": name,
            "run": run,
            "weights": kind,
            "estimate": float(observed_to_expected(seen, risk, weight)),
            "uncensored": truth,
        }
        for kind, weight in weights.items()
    ]


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on weights for censoring."""
    rows = []
    for scenario in SCENARIOS:
        lost = f"{scenario.name} ({scenario.training:.0%} in training; {scenario.low:.0%} at low, {scenario.high:.0%} at high risk)"
        for kind, words in KINDS.items():
            own = [line for line in records if line["scenario"] == scenario.name and line["weights"] == kind]
            if own:
                cells = (mean_text([line[key] for line in own], 4) for key in ("estimate", "uncensored"))
                rows.append((lost, words, str(len(own)), *cells))
    lines = [
        "## Weights where the evaluated country loses more",
        "",
        f"{PATIENTS:,} patients in each country, competing death, half of the patients in a stratum whose log-odds lie {STRATUM:g} "
        "higher. The risks judged are the true ones, so the estimand, observed to expected by the horizon, is 1; the oracle's "
        "figure is that of the same patients had nobody been lost. Brackets: 95 % Monte-Carlo interval of the mean (t).",
        "",
        f"Command: `{command}`",
        "",
        *table(
            ("lost before the horizon", "weights of", "runs", "observed to expected", "nobody lost"), rows
        ),
    ]
    return "\n".join(lines) + "\n"


def _draw(generator: np.random.Generator) -> tuple[NDArray[np.int64], Floats, Floats]:
    stratum = (generator.uniform(size=PATIENTS) < 0.5).astype(np.int64)
    values = generator.normal(size=(PATIENTS, len(EFFECTS)))
    risk = expit(INTERCEPT + STRATUM * (stratum - 0.5) + values @ EFFECTS)
    return stratum, risk, (generator.uniform(size=PATIENTS) < risk).astype(np.float64)
