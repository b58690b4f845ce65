"""Cells of simulated patients for the validity studies that run the project's own procedures."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.validation.cell import CellData, Fold, Procedure
from experiments.validation.draws import deal_patients, patient_table
from models.registry import LEARNERS
from models.target import Target

Floats = NDArray[np.float64]


def cell_of(values: Floats, target: Target) -> CellData:
    """Return patients of one centre with one prediction each; columns are named x_0, x_1, ... in order."""
    size = len(values)
    rows = pl.DataFrame(
        {
            "prediction_id": [f"baseline-{place}-1" for place in range(size)],
            "position": np.arange(size),
            "number": np.ones(size, dtype=np.int32),
            "time": np.zeros(size),
            "country": pl.Series([None] * size, dtype=pl.String),
            "centre": pl.Series(["one"] * size, dtype=pl.String),
        }
    )
    return CellData(rows, frame_of(values), target)


def frame_of(values: Floats) -> pl.DataFrame:
    """Return predictors as feature columns; NaN is missing."""
    return pl.DataFrame({f"x_{place}": column for place, column in enumerate(values.T)}).fill_nan(None)


def folds_of(data: CellData, folds: int, seed: int) -> list[Fold]:
    """Return stratified outer folds."""
    dealt = deal_patients(patient_table(data.rows, data.status()), folds, seed_for(seed, "outer"))
    return [Fold("random", 0, fold, np.flatnonzero(dealt == fold).astype(np.int64)) for fold in range(folds)]


def procedure_of(data: CellData, learner: str, *, trials: int, seed: int) -> Procedure:
    """Return the tuned procedure of a registered learner, as a stage would run it."""
    return Procedure(
        kind=LEARNERS[learner],
        kind_name=learner,
        fixed={},
        predictors=tuple(sorted(data.X.columns)),
        trials=trials,
        inner_folds=3,
        seed=seed,
        names=("validity", learner),
    )
