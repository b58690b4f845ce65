"""Are planted competing risks recovered: absolute risks by cause and horizon, and the log hazards behind them?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import auroc
from experiments.seeds import seed_for
from experiments.validity.cells import frame_of
from experiments.validity.ledger import mean_text, table
from models.registry import LEARNERS as REGISTERED
from models.target import Target

Floats = NDArray[np.float64]
Record = dict[str, Any]

SEED = 20261126
LEARNERS = ("base_rate", "elastic_net", "lightgbm", "cox", "lightgbm_hazard", "xgboost_cox")
PARAMETERS: dict[str, Mapping[str, Any]] = {
    "cox": {"penalty": 0.003, "l1_ratio": 0.5}
}  # as if tuned beforehand
PATIENTS, FRESH = 1500, 3000
HORIZONS = (90.0, 365.0)
RATES = (0.35 / 365, 0.10 / 365)  # a day, of cause 1 and of death, where every predictor is 0
HAZARDS = np.array([[0.6, 0.4, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0], [-0.3, 0.0, 0.0, 0.7, 0.3, 0.0, 0.0, 0.0]])
LOST = 0.30 / 365  # a day


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Fit one learner once and return its errors against the true absolute risks of fresh patients, by cause and horizon."""
    learner, run = task
    seed = seed_for(SEED, "competing", run)  # the same patients for each learner
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(PATIENTS, HAZARDS.shape[1]))
    target = Target.from_times(*_followed(values, generator), HORIZONS, causes=2)
    fresh = generator.normal(size=(FRESH, HAZARDS.shape[1]))
    truth = true_incidence(fresh)
    kind = REGISTERED[learner]
    parameters = {**kind.defaults, **PARAMETERS.get(learner, {})}
    columns = tuple(frame_of(fresh).columns)
    fitted = kind.build(parameters, predictors=columns, seed=seed).fit(frame_of(values), target)
    risk = fitted.predict_risk(frame_of(fresh), HORIZONS)
    happened = generator.uniform(size=FRESH)
    records = []
    for cause in range(risk.shape[1]):
        for place, horizon in enumerate(HORIZONS):
            found, true = risk[:, cause, place], truth[:, cause, place]
            label = (happened < true).astype(np.float64)
            records.append(
                {
                    "scenario": learner,
                    "run": run,
                    "cause": cause + 1,
                    "horizon": horizon,
                    "error": float(np.abs(found - true).mean()),
                    "base_error": float(np.abs(true.mean() - true).mean()),
                    "observed_to_expected": float(true.sum() / found.sum()),
                    "auroc": float(auroc(label, found, np.ones(FRESH))),
                    "oracle": float(auroc(label, true, np.ones(FRESH))),
                }
            )
    if learner == "cox":
        steps = fitted.score(frame_of(np.eye(HAZARDS.shape[1]))) - fitted.score(
            frame_of(np.zeros((1, HAZARDS.shape[1])))
        )
        records += [
            {"scenario": learner, "run": run, "coefficient": place, "estimate": float(step)}
            for place, step in enumerate(steps)
        ]
    return records


def true_incidence(values: Floats) -> Floats:
    """Return the true absolute risks, shape (n, 2, horizons), of constant cause-specific hazards.

    F_k(t) = h_k / (h_1 + h_2) * (1 - exp(-(h_1 + h_2) t)).
    """
    hazards = _hazards(values)
    total = hazards.sum(axis=1)[:, None]
    either = -np.expm1(-total * np.array(HORIZONS))
    return np.asarray((hazards / total)[:, :, None] * either[:, None, :], dtype=np.float64)


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on competing risks."""
    rows = []
    keys = ("error", "base_error", "observed_to_expected", "auroc", "oracle")
    for learner in LEARNERS:
        for cause in (1, 2):
            for horizon in HORIZONS:
                own = [
                    line
                    for line in records
                    if (line["scenario"], line.get("cause"), line.get("horizon")) == (learner, cause, horizon)
                ]
                if own:
                    cells = (mean_text([line[key] for line in own]) for key in keys)
                    rows.append((learner, str(cause), f"{horizon:g}", str(len(own)), *cells))
    steps = []
    for place, true in enumerate(HAZARDS[0]):
        found = [float(line["estimate"]) for line in records if line.get("coefficient") == place]
        if found:
            steps.append((f"x_{place}", f"{true:.2f}", str(len(found)), mean_text(found)))
    header = (
        "learner",
        "cause",
        "horizon",
        "runs",
        "mean absolute error",
        "of one risk for all",
        "true to predicted risk",
        "AUROC",
        "oracle's AUROC",
    )
    lines = [
        "## Planted competing risks are recovered",
        "",
        f"{PATIENTS:,} patients, 8 predictors, constant cause-specific hazards of relapse (3 predictors) and death (3, one of them "
        "shared with the opposite sign), censoring at a constant rate. Estimand: the true absolute risk of each of "
        f"{FRESH:,} fresh patients, by cause and horizon in days; the oracle is that risk itself, with error 0 and ratio 1. "
        "Learners with their default parameters (cox: penalty 0.003), untuned; those of fixed horizons predict cause 1 alone. "
        "Brackets: 95 % Monte-Carlo interval of the mean (t).",
        "",
        f"Command: `{command}`",
        "",
        *table(header, rows),
        "",
        "Log hazard of cause 1 per predictor, by `cox`, whose penalty shrinks it:",
        "",
        *table(("predictor", "planted", "runs", "found"), steps),
    ]
    return "\n".join(lines) + "\n"


def _hazards(values: Floats) -> Floats:
    return np.asarray(np.array(RATES) * np.exp(values @ HAZARDS.T), dtype=np.float64)


def _followed(values: Floats, generator: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    hazards = np.column_stack([np.full(len(values), LOST), _hazards(values)])
    clocks = generator.exponential(size=hazards.shape) / hazards
    return clocks.min(axis=1), clocks.argmin(axis=1).astype(np.int64)
