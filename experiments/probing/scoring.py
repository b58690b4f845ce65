"""Out-of-fold figures of a whole procedure, fold by fold, in folds dealt by patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import auroc, calibration_slope
from experiments.validation.cell import CellData, Fold, Procedure
from experiments.validation.draws import deal_patients, patient_table
from experiments.validation.procedure import fit_fold

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FoldScore:
    """Figures of one test fold; NaN where they are not estimable."""

    auroc: float
    slope: float


@dataclass(frozen=True)
class ProbeTask:
    """The whole procedure in one training set, judged on its test rows.

    Attributes:
        data: all eligible rows.
        fold: what is tested, and what is left unused.
        procedure: what to do.
        trials: of the tuning.
    """

    data: CellData
    fold: Fold
    procedure: Procedure
    trials: int


def dealt_folds(data: CellData, folds: int, seed: int, scheme: str, repeat: int) -> list[Fold]:
    """Return folds of whole patients, dealt evenly by what was seen of them, as random k-fold deals them."""
    patients = patient_table(data.rows, data.status())
    dealt = deal_patients(patients, folds, seed)
    place = np.searchsorted(patients["position"].to_numpy(), data.rows["position"].to_numpy())
    return [
        Fold(scheme=scheme, repeat=repeat, fold=fold, test=np.flatnonzero(dealt[place] == fold))
        for fold in range(folds)
    ]


def score(task: ProbeTask) -> FoldScore:
    """Fit with tuning on what the fold trains on, and judge its test rows at the main horizon.

    Weights are estimated on all eligible rows, the population that k-fold is about.
    """
    fitted = fit_fold(task.data, task.fold, task.procedure, trials=task.trials)
    target, test = task.data.target, task.fold.test
    risk = main_risk(fitted.predict(task.data.X[test]), target.horizons, target.main)
    label = target.labels().astype(np.float64)[test]
    weight = target.weights()[test]
    return FoldScore(float(auroc(label, risk, weight)), float(calibration_slope(label, risk, weight)))


def main_risk(risk: Floats, horizons: tuple[float, ...], main: float) -> Floats:
    """Return the risk of cause 1 by the main horizon, shape (rows,), of risks of shape (rows, causes, horizons)."""
    return np.asarray(risk[:, 0, horizons.index(main)], dtype=np.float64)


def mean(values: list[float]) -> float | None:
    """Return the mean of what could be estimated; None where nothing could."""
    good = [value for value in values if np.isfinite(value)]
    return float(np.mean(good)) if good else None
