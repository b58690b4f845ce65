"""Rows with planted risks, for the tests of examinations."""

from typing import Any

import numpy as np
import polars as pl

from experiments.evaluation.metrics import expit, logit
from experiments.evaluation.sample import PLACES, Part, Sample
from experiments.examination.setting import Evaluated, Examination

Arrays = dict[str, Any]


def examination(smallest_cell: int = 0, horizon: float = 0.0, threshold: float = 0.4) -> Examination:
    """Return the names and rules that tests share."""
    return Examination("demo", "relapse", "model", "clinical", 7, smallest_cell, horizon, threshold)


def planted(
    rows: int, seed: int, *, folds: int = 5, shift: Any = 0.0, slope: Any = 1.0, spread: float = 1.2
) -> Arrays:
    """Return label, risk, fold, patient and centre of rows whose true log-odds is shift + slope * logit(risk)."""
    draw = np.random.default_rng(seed)
    risk = expit(draw.normal(-0.5, spread, rows))
    truth = expit(shift + slope * logit(risk))
    return {
        "risk": risk,
        "truth": truth,
        "label": (draw.random(rows) < truth).astype(np.float64),
        "weight": np.ones(rows),
        "patient": np.arange(rows),
        "fold": draw.permutation(rows) % folds,
        "centre": np.full(rows, "A"),
    }


def scheme_of(data: Arrays, kind: str = "stratified_kfold", **places: Any) -> Evaluated:
    """Return one scheme's evaluated rows of planted arrays."""
    rows = len(data["label"])
    known = {name: np.full(rows, "one") for name in PLACES} | {"centre": data["centre"]} | places
    parts = []
    for fold in np.unique(data["fold"]):
        own = data["fold"] == fold
        parts.append(
            Part(
                0,
                int(fold),
                f"group {fold}",
                data["label"][own],
                data["risk"][own],
                data["weight"][own],
                data["patient"][own],
                {name: np.asarray(values)[own].astype(np.str_) for name, values in known.items()},
            )
        )
    frame = pl.DataFrame(
        {
            "prediction_id": [f"p{number}" for number in range(rows)],
            "repeat": 0,
            "fold": data["fold"],
            "position": data["patient"],
        }
    )
    sample = Sample("scheme", kind, 0.0, frame, 1 / max(1, len(parts) - 1))
    return Evaluated(sample, tuple(parts))
