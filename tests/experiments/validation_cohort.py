"""A small cohort with planted signal for the tests of splits, tuning and nested validation."""

import hashlib
from typing import Any

import numpy as np
import polars as pl

from experiments.validation.cell import CellData, Procedure
from experiments.validation.splits import SplitScheme, eligible_rows, make_splits
from features.outcomes import whole_outcomes
from models.registry import LEARNERS
from models.target import Target

SCHEMES = {
    "kfold": SplitScheme("stratified_kfold", folds=3),
    "centres": SplitScheme("leave_centre_out", groups=3),
    "countries": SplitScheme("leave_country_out"),
}


def frames(
    patients: int = 200, *, seed: int = 1, times: bool = False, effect: float = 1.2
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows and outcomes: one to three predictions a patient, two countries of four centres; a_0 drives the event."""
    generator = np.random.default_rng(seed)
    number = generator.integers(1, 4, patients)
    position = np.repeat(np.arange(patients), number)
    order = np.concatenate([np.arange(1, count + 1) for count in number])
    country = np.where(np.arange(patients) % 2 == 0, "DE", "FR")
    centre = np.array(
        [f"{land}{place}" for land, place in zip(country, generator.integers(0, 4, patients), strict=True)]
    )
    rows = pl.DataFrame(
        {
            "prediction_id": [f"visit-{p}-{k}" for p, k in zip(position, order, strict=True)],
            "index_rule": "visit",
            "patient_id": [hashlib.sha256(str(p).encode()).hexdigest()[:32] for p in position],
            "position": position,
            "family": pl.Series([None] * len(position), dtype=pl.Int64),
            "number": order.astype(np.int32),
            "time": order.astype(np.float64),
            "country": country[position],
            "centre": centre[position],
            "network": pl.Series([None] * len(position), dtype=pl.String),
            "sex": pl.Series([None] * len(position), dtype=pl.String),
            "age_band": pl.Series([None] * len(position), dtype=pl.String),
            "education": pl.Series([None] * len(position), dtype=pl.String),
            "a_0": generator.normal(size=len(position)),
        }
    )
    risk = 1 / (1 + np.exp(0.7 - effect * rows["a_0"].to_numpy()))
    event = generator.random(len(position)) < risk
    time = np.full(len(position), np.nan)
    cause = event.astype(np.int8)
    if times:
        clocks = np.column_stack(
            [
                generator.exponential(600, len(position)),
                np.where(event, generator.uniform(1, 365, len(position)), 9e9),
                generator.exponential(3000, len(position)),
            ]
        )
        time, cause = clocks.min(axis=1), clocks.argmin(axis=1).astype(np.int8)
    outcomes = pl.DataFrame(
        {
            "prediction_id": rows["prediction_id"],
            "patient_id": rows["patient_id"],
            "excluded": pl.Series([None] * rows.height, dtype=pl.String),
            "time": pl.Series(time).fill_nan(None),
            "cause": cause,
        }
    )
    return rows, whole_outcomes(outcomes)


def cell(
    *, times: bool = False, noise: int = 4, **dials: Any
) -> tuple[CellData, pl.DataFrame, dict[str, str]]:
    """A cell's data with its splits and the kinds of its schemes."""
    rows, outcomes = frames(times=times, **dials)
    horizon = 365.0 if times else None
    eligible, _ = eligible_rows(rows, outcomes, horizon)
    generator = np.random.default_rng(2)
    columns: dict[str, Any] = {f"b_{k}": generator.normal(size=rows.height) for k in range(noise)}
    columns["b_0"] = np.where(generator.random(rows.height) < 0.15, np.nan, columns["b_0"]) if noise else []
    X = eligible.select("a_0").with_columns(
        *(pl.Series(name, values) for name, values in columns.items() if noise),
        pl.Series("c", generator.choice(["x", "y", "z"], rows.height)),
    )
    cause = eligible["cause"].to_numpy().astype(np.int64)
    if horizon is None:
        target = Target.from_labels(cause)
    else:
        target = Target.from_times(eligible["time_to_event"].to_numpy(), cause, [horizon])
    splits, folds = make_splits(SCHEMES, rows, outcomes, 7, horizon=horizon)
    return CellData(eligible, X, target), splits, {fold["scheme"]: fold["kind"] for fold in folds}


def procedure(data: CellData, name: str, **changes: Any) -> Procedure:
    """The inner procedure of a registered learner with few trials."""
    values: dict[str, Any] = {
        "kind": LEARNERS[name],
        "kind_name": name,
        "fixed": {},
        "predictors": tuple(sorted(data.X.columns)),
        "trials": 3,
        "inner_folds": 3,
        "seed": 7,
        "names": ("relapse", name),
        "modalities": {column: "clinical" if column < "b" else "blood" for column in data.X.columns},
    }
    return Procedure(**{**values, **changes})
