"""Prediction instability: how far a patient's risk moves when the model is fitted on another sample of patients.

Riley and Collins 2023, doi 10.1002/bimj.202200302: the final model is refitted, with its chosen parameters, on bootstrap
samples of whole patients, and every refit predicts the risk of the same original rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute, map_tasks
from experiments.evaluation.calibration import calibration_curve
from experiments.evaluation.metrics import auroc, calibration_slope
from experiments.evaluation.sample import Part
from experiments.probing.scoring import Floats, Integers, main_risk
from experiments.seeds import seed_for
from experiments.validation.cell import CellData, Procedure
from experiments.validation.draws import units

GROUPS = 10
BAND = (2.5, 97.5)  # percentiles over refits
SCHEMA = {
    "part": pl.String,
    "draw": pl.Int32,
    "x": pl.Float64,
    "y": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "n": pl.Int64,
}


@dataclass(frozen=True)
class Refits:
    """Risks of the same rows by the final model and by its refits.

    Attributes:
        original: shape (rows,).
        refitted: shape (refits, rows).
    """

    original: Floats
    refitted: Floats


@dataclass(frozen=True)
class _Task:
    data: CellData
    procedure: Procedure
    parameters: Mapping[str, Any]
    draw: int


def refit(
    data: CellData,
    procedure: Procedure,
    parameters: Mapping[str, Any],
    original: Floats,
    *,
    refits: int,
    compute: Compute,
) -> Refits:
    """Refit the final model on bootstrap samples of whole patients and families.

    Args:
        data: all eligible rows.
        procedure: the final model's.
        parameters: those that the final model was built with.
        original: its risks of these rows at the main horizon, shape (rows,).
        refits: how many.
        compute: where they run.
    """
    tasks = [_Task(data, procedure, parameters, draw) for draw in range(refits)]
    label = f"instability {' '.join(procedure.names)}"
    return Refits(original, np.vstack(map_tasks(_refitted, tasks, compute, label)))


def _refitted(task: _Task) -> Floats:
    seed = seed_for(task.procedure.seed, "instability", *task.procedure.names, task.draw)
    part = task.data.take(bootstrap_rows(units(task.data.rows), seed))
    learner = task.procedure.build(task.parameters, seed).fit(part.X, part.target)
    target = task.data.target
    return main_risk(learner.predict_risk(task.data.X, target.horizons), target.horizons, target.main)


def bootstrap_rows(position: Integers, seed: int) -> Integers:
    """Return the rows of as many patients or families as there are, drawn with replacement; what is of one stays together.

    `position` names the patient or family of each row, shape (rows,).
    """
    patients = np.unique(position)
    drawn = np.random.default_rng(seed).integers(0, len(patients), len(patients))
    order = np.argsort(position, kind="stable")
    starts = np.searchsorted(position[order], patients)
    ends = np.append(starts[1:], len(position))
    return np.concatenate([order[starts[one] : ends[one]] for one in np.sort(drawn)]).astype(np.int64)


def instability_table(
    data: CellData, refits: Refits, thresholds: Sequence[float], smallest_cell: int
) -> pl.DataFrame:
    """Return the rows of schema Instability without what all share.

    Args:
        data: all eligible rows.
        refits: risks.
        thresholds: of risk, where a decision would change.
        smallest_cell: no row stands for fewer patients; 0: any number.
    """
    moved = np.abs(refits.refitted - refits.original)
    low, high = np.percentile(refits.refitted, BAND, axis=0)
    rows: list[tuple[Any, ...]] = []
    for chosen in risk_groups(refits.original, data.rows["position"].to_numpy(), smallest_cell):
        figures = (
            float(values[chosen].mean()) for values in (refits.original, moved.mean(axis=0), low, high)
        )
        rows.append(("risk", None, *figures, int(chosen.sum())))
    for threshold in thresholds:
        other = (refits.refitted >= threshold) != (refits.original >= threshold)
        rows.append(("classification", None, threshold, float(other.mean()), None, None, len(other.T)))
    for draw, risk in enumerate([refits.original, *refits.refitted]):
        rows += [
            ("calibration", draw, point.x, point.y, None, None, point.n)
            for point in calibration_curve([_part(data, risk)], smallest_cell)
        ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def risk_groups(risk: Floats, position: NDArray[np.int64], smallest_cell: int) -> list[NDArray[np.bool_]]:
    """Return tenths of the risk as masks, joined upwards until each has `smallest_cell` patients."""
    edges = np.unique(np.quantile(risk, np.linspace(0, 1, GROUPS + 1)[1:-1]))
    place = np.searchsorted(edges, risk, side="right")
    groups: list[list[int]] = []
    current: list[int] = []
    for group in np.unique(place):
        current.append(int(group))
        if len(np.unique(position[np.isin(place, current)])) >= max(1, smallest_cell):
            groups.append(current)
            current = []
    if current and groups:
        groups[-1] += current
    return [np.isin(place, group) for group in groups]


def summary(data: CellData, refits: Refits, thresholds: Sequence[float]) -> dict[str, Any]:
    """Return the figures of summary.json: errors, switches, and the refits' AUROC and slope in the original rows."""
    moved = np.abs(refits.refitted - refits.original)
    label, weight = data.target.labels().astype(np.float64), data.target.weights()
    slopes = [float(calibration_slope(label, risk, weight)) for risk in refits.refitted]
    areas = [float(auroc(label, risk, weight)) for risk in refits.refitted]
    return {
        "refits": len(refits.refitted),
        "mean_absolute_error": float(moved.mean()),
        "mean_absolute_error_by_refit": _spread(moved.mean(axis=1).tolist()),
        "calibration_slope_in_the_original_rows": _spread(slopes),
        "auroc_in_the_original_rows": _spread(areas),
        "switched": {
            f"{threshold:g}": float(((refits.refitted >= threshold) != (refits.original >= threshold)).mean())
            for threshold in thresholds
        },
    }


def _spread(values: list[float]) -> dict[str, float] | None:
    good = [value for value in values if np.isfinite(value)]
    if not good:
        return None
    low, middle, high = np.percentile(good, [BAND[0], 50, BAND[1]])
    return {"lower": float(low), "median": float(middle), "upper": float(high)}


def _part(data: CellData, risk: Floats) -> Part:
    return Part(
        repeat=0,
        fold=0,
        group="all",
        label=data.target.labels().astype(np.float64),
        risk=risk,
        weight=data.target.weights(),
        patient=data.rows["position"].to_numpy().astype(np.int64),
        places={},
    )
