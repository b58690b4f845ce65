"""The learning curve by events: what more patients would be worth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from experiments.compute import Compute, map_tasks
from experiments.probing.scoring import Integers, ProbeTask, dealt_folds, mean, score
from experiments.seeds import seed_for
from experiments.validation.cell import CellData, Fold, Procedure
from experiments.validation.draws import deal_patients, patient_table

SCHEME = "learning_curve"
FINENESS = 20  # a training set is dealt into so many like parts, and shares are made of them
FEWEST = 5  # patients with the event, and without: fewer cannot be learned from
SCHEMA = {
    "share": pl.Float64,
    "draw": pl.Int32,
    "fold": pl.Int32,
    "train_patients": pl.Int64,
    "train_events": pl.Int64,
    "auroc": pl.Float64,
    "calibration_slope": pl.Float64,
}


@dataclass(frozen=True)
class _Step:
    share: float
    draw: int
    fold: Fold
    patients: int
    events: int


def learning_curve(
    data: CellData,
    procedure: Procedure,
    *,
    shares: Sequence[float],
    draws: int,
    folds: int,
    trials: int,
    smallest_cell: int,
    compute: Compute,
) -> pl.DataFrame:
    """Return the rows of schema LearningCurve without what all share.

    Each training set is dealt into twenty like parts of whole patients, and a share takes the first of them: smaller
    shares lie within larger ones, and all are judged on the same test rows.

    Args:
        data: all eligible rows.
        procedure: the learner's.
        shares: of the training patients, in (0, 1].
        draws: of folds and parts.
        folds: outer folds.
        trials: of the tuning.
        smallest_cell: smaller counts are not told; 0: any is.
        compute: where it runs.
    """
    steps = [
        step
        for draw in range(draws)
        for fold in dealt_folds(data, folds, _seed(procedure, draw, -1), SCHEME, draw)
        for step in _steps(data, fold, procedure, shares, draw)
    ]
    tasks = [ProbeTask(data, step.fold, procedure, trials) for step in steps]
    found = map_tasks(score, tasks, compute, f"learning curve {' '.join(procedure.names)}")
    rows = [
        (
            step.share,
            step.draw,
            step.fold.fold,
            step.patients,
            step.events,
            *(value if np.isfinite(value) else None for value in (one.auroc, one.slope)),
        )
        for step, one in zip(steps, found, strict=True)
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    told = pl.concat([frame, _means(frame)]).sort("share", "draw", "fold", nulls_last=True)
    return told.with_columns(
        pl.when(pl.col("train_events") >= smallest_cell).then(pl.col(name)).alias(name)
        for name in ("train_patients", "train_events")
    )


def _steps(
    data: CellData, fold: Fold, procedure: Procedure, shares: Sequence[float], draw: int
) -> list[_Step]:
    position = data.rows["position"].to_numpy()
    train = fold.train(data.rows.height)
    part = data.take(train)
    patients = patient_table(part.rows, part.status())
    dealt = deal_patients(patients, FINENESS, _seed(procedure, draw, fold.fold))
    steps = []
    for share in shares:
        kept = patients.filter(pl.Series(dealt < round(FINENESS * share)))
        events, nones = int((kept["seen"] == 2).sum()), int((kept["seen"] == 1).sum())
        if min(events, nones) < FEWEST:
            continue
        unused: Integers = np.setdiff1d(
            train, np.flatnonzero(np.isin(position, kept["position"].to_numpy()))
        ).astype(np.int64)
        steps.append(_Step(share, draw, replace(fold, unused=unused), kept.height, events))
    return steps


def _means(frame: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for (share, draw), part in frame.group_by(["share", "draw"], maintain_order=True):
        patients, events = (
            round(float(np.mean(part[name].to_numpy()))) for name in ("train_patients", "train_events")
        )
        figures = (mean(part[name].drop_nulls().to_list()) for name in ("auroc", "calibration_slope"))
        rows.append((share, draw, None, patients, events, *figures))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _seed(procedure: Procedure, draw: int, fold: int) -> int:
    return seed_for(procedure.seed, SCHEME, *procedure.names, draw, fold)
