"""Does the leakage certificate catch every planted leak, and stay silent where there is none?"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from experiments.seeds import seed_for
from experiments.validation.certificate import prove
from experiments.validation.planted import catch_planted
from experiments.validation.procedure import fit_fold
from experiments.validity.cells import cell_of, folds_of, procedure_of
from experiments.validity.ledger import share_text, table
from experiments.validity.truth import HORIZON, draw_patients, seen_by_the_horizon
from models.target import Target

Record = dict[str, Any]

SEED = 20261127
LEARNERS = ("elastic_net", "lightgbm", "cox")
PATIENTS, FOLDS, TRIALS = 300, 3, 2
CLEAN = "none: one clean fold, tuned"


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Run the certificate's checks on one clean fold, and on each planted leak, in patients drawn anew."""
    learner, run = task
    seed = seed_for(SEED, "certificate", run)
    generator = np.random.default_rng(seed)
    patients = draw_patients(PATIENTS, generator)
    values = np.where(generator.uniform(size=patients.values.shape) < 0.05, np.nan, patients.values)
    target = Target.from_times(*seen_by_the_horizon(patients.label, generator), [HORIZON], causes=2)
    data = cell_of(values, target)
    fit = partial(fit_fold, procedure=procedure_of(data, learner, trials=TRIALS, seed=seed))
    fold = folds_of(data, FOLDS, seed)[0]
    fitted = fit(data, fold)
    alarms = [finding.check for finding in prove(data, fold, fitted, fit, seed) if not finding.passed]
    found = [{"leak": CLEAN, "caught": bool(alarms), "by": alarms}]
    found += catch_planted(data, fit, fitted.parameters, seed)
    return [{"scenario": learner, "run": run, **entry} for entry in found]


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on the leakage certificate."""
    rows = []
    for learner in LEARNERS:
        own = [line for line in records if line["scenario"] == learner]
        for leak in dict.fromkeys(line["leak"] for line in own):
            caught = [line["caught"] for line in own if line["leak"] == leak]
            expected = "no alarm" if leak.startswith("none") else "caught"
            rows.append((learner, leak, expected, share_text(caught)))
    lines = [
        "## The certificate catches planted leaks, and nothing else",
        "",
        f"{PATIENTS} patients with competing death, censoring and 5 % missing values, drawn anew for each run. A run's clean fold is "
        f"one of {FOLDS}, tuned with {TRIALS} trials, on which every check must pass; each leak is planted into the same procedure. "
        "Brackets: Wilson's 95 % interval of the share of alarms.",
        "",
        f"Command: `{command}`",
        "",
        *table(("learner", "leak", "to be held", "alarms"), rows),
    ]
    return "\n".join(lines) + "\n"
