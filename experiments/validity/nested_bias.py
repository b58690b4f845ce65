"""Is nested validation, tuned inside, right about its own fold models? Their figures on fresh patients tell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import auroc, expit
from experiments.seeds import seed_for
from experiments.validation.procedure import fit_fold
from experiments.validity.cells import cell_of, folds_of, frame_of, procedure_of
from experiments.validity.ledger import mean_text, table
from experiments.validity.truth import EFFECTS, INTERCEPT
from models.target import Target

Floats = NDArray[np.float64]
Record = dict[str, Any]

SEED = 20261124
LEARNERS = ("elastic_net",)
PATIENTS, NOISE, FOLDS, TRIALS = 800, 20, 5, 6
FRESH = 4000  # patients that each fold model is tried on


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Run nested validation of one learner once and return its AUROC beside that of its fold models on fresh patients.

    The true risk is tested on the same rows. Its figure has no bias, so subtracting its own error, tested less fresh, takes
    most of the chance out of the learner's without moving what is estimated.
    """
    learner, run = task
    seed = seed_for(SEED, "nested", run)
    generator = np.random.default_rng(seed)
    values, label = _draw(PATIENTS, generator)
    fresh, fresh_label = _draw(FRESH, generator)
    data = cell_of(values, Target.from_labels(label.astype(np.int64)))
    procedure = procedure_of(data, learner, trials=TRIALS, seed=seed)
    tested, refreshed, oracle = [], [], []
    for fold in folds_of(data, FOLDS, seed):
        fitted = fit_fold(data, fold, procedure)
        tested.append(_area(label[fold.test], fitted.predict(data.X[fold.test])[:, 0, 0]))
        refreshed.append(_area(fresh_label, fitted.predict(frame_of(fresh))[:, 0, 0]))
        oracle.append(_area(label[fold.test], _score(values[fold.test])))
    best = _area(fresh_label, _score(fresh))
    raw = float(np.mean(tested) - np.mean(refreshed))
    chance = float(np.mean(oracle) - best)
    return [
        {
            "scenario": learner,
            "run": run,
            "nested": float(np.mean(tested)),
            "fresh": float(np.mean(refreshed)),
            "oracle": best,
            "raw_bias": raw,
            "bias": raw - chance,
        }
    ]


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on the bias of nested validation."""
    rows = []
    for learner in LEARNERS:
        own = [line for line in records if line["scenario"] == learner]
        if own:
            cells = (
                mean_text([line[key] for line in own], 4)
                for key in ("nested", "fresh", "oracle", "raw_bias", "bias")
            )
            rows.append((learner, str(len(own)), *cells))
    lines = [
        "## Is nested validation right about its own models?",
        "",
        f"{PATIENTS} patients, {len(EFFECTS)} predictors (5 with effects) and {NOISE} of noise, {FOLDS} outer folds, {TRIALS} "
        f"tuning trials in 3 inner folds. Estimand: the mean AUROC of the {FOLDS} fold models, each on {FRESH:,} fresh patients of "
        "the same population; to be held: bias of at most 0.005. The oracle knows the true risk; `bias` has its chance error on "
        "the same rows taken off, which moves no expectation. Brackets: 95 % Monte-Carlo interval of the mean (t).",
        "",
        f"Command: `{command}`",
        "",
        *table(("learner", "runs", "nested AUROC", "on fresh patients", "oracle", "raw bias", "bias"), rows),
    ]
    return "\n".join(lines) + "\n"


def _draw(size: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    values = generator.normal(size=(size, len(EFFECTS) + NOISE))
    label = generator.uniform(size=size) < expit(_score(values))
    return values, label.astype(np.float64)


def _score(values: Floats) -> Floats:
    return np.asarray(INTERCEPT + values[:, : len(EFFECTS)] @ EFFECTS, dtype=np.float64)


def _area(label: Floats, score: Floats) -> float:
    return float(auroc(label, score, np.ones(len(label))))
