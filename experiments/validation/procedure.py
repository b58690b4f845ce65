"""The inner procedure: inner folds, tuning, and the refit on all training rows, for one outer fold or for everybody."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.validation.cell import CellData, FittedFold, Floats, Fold, Integers, Procedure
from experiments.validation.draws import (
    balanced_groups,
    centre_table,
    deal_patients,
    inner_parts,
    patient_table,
)
from experiments.validation.fingerprint import journal_fingerprint
from experiments.validation.tuning import TrialRecord, chosen, tune
from features.errors import BadInput
from models.contract import PreparedLearner
from models.target import Target

SURE = 1e-7  # log loss treats risks nearer to 0 or 1 as this, so that one row cannot make it infinite


def fit_fold(
    data: CellData,
    fold: Fold,
    procedure: Procedure,
    *,
    parameters: Mapping[str, Any] | None = None,
    trials: int | None = None,
    journals: Path | None = None,
) -> FittedFold:
    """Run the inner procedure on all rows that the fold does not test.

    Args:
        data: all eligible rows.
        fold: which of them are tested, and so not used.
        procedure: what to do.
        parameters: build with these and do not tune.
        trials: fewer trials than the procedure's.
        journals: folder of the tuning journals; None keeps trials in memory.
    """
    train = fold.train(data.rows.height)
    part = fold.training_part(data)
    records: list[TrialRecord] = []
    inner = np.empty(0, dtype=np.int64)
    inner_whole: tuple[str, ...] = ()
    journal: Path | None = None
    if parameters is None and procedure.kind.space is not None:
        inner, inner_whole = inner_folds(part, fold, procedure)
        if journals is not None:
            journal = journals / f"{fold.name}-{journal_fingerprint(part, inner, fold, procedure)}.log"
        records = _tune(
            part,
            inner,
            fold,
            procedure,
            trials=min(trials or procedure.trials, procedure.trials),
            journal=journal,
        )
        parameters = chosen(records).parameters
    elif parameters is None:
        parameters = {**procedure.kind.defaults, **procedure.fixed}
    learner = procedure.build(parameters, procedure.seed_for("model", fold)).fit(part.X, part.target)
    return FittedFold(
        parts=learner.to_parts(),
        predict=lambda X: learner.predict_risk(X, data.target.horizons),
        columns=tuple(learner.columns),
        parameters=parameters,
        records=records,
        train=train,
        inner=inner,
        inner_whole=inner_whole,
        journal=None if journal is None else journal.name,
    )


def inner_folds(part: CellData, fold: Fold, procedure: Procedure) -> tuple[Integers, tuple[str, ...]]:
    """Return the inner fold of each training row, and what the inner folds keep whole beside patients.

    Where the outer fold keeps centres whole, or what is tuned is about centres, so do the inner ones, when at least as many of them as
    there are inner folds have both an event and a non-event; with fewer, patients are dealt, and families whole. Relatives at
    different centres are then left out of the fits that they would be judged by (`draws.inner_parts`).
    """
    patients = patient_table(part.rows, part.status())
    folds = procedure.inner_folds
    centres = centre_table(patients)
    if (fold.whole or procedure.kind.whole_centres) and centres.filter(
        (pl.col("events") > 0) & (pl.col("nones") > 0)
    ).height >= folds:
        groups = balanced_groups(centres, folds)
        place = {name: number for number, group in enumerate(groups) for name in group}
        dealt = np.array([place[name] for name in patients["centre"]], dtype=np.int64)
        whole: tuple[str, ...] = ("centre",)
    else:
        dealt, whole = deal_patients(patients, folds, procedure.seed_for("inner", fold)), ()
    order = np.searchsorted(patients["position"].to_numpy(), part.rows["position"].to_numpy())
    return np.asarray(dealt[order], dtype=np.int64), whole


def weighted_log_loss(risk: Floats, target: Target) -> float:
    """Return the log loss of cause 1, weighted by the rows' own 1/G and averaged over horizons.

    `risk` has shape (rows, causes, horizons). Weights come from the rows evaluated (design: evaluation weights).
    """
    losses = []
    for place, horizon in enumerate(target.horizons):
        labels, weights = target.labels(horizon), target.weights(horizon)
        if not weights.any():
            raise BadInput(
                "An inner fold has no row whose status is known at the horizon. Use fewer inner folds "
                "(tuning.inner_folds), or a nearer horizon."
            )
        safe = np.clip(risk[:, 0, place], SURE, 1 - SURE)
        loss = -np.where(labels == 1, np.log(safe), np.log1p(-safe))
        losses.append(float(np.average(loss, weights=weights)))
    return float(np.mean(losses))


def _tune(
    part: CellData, inner: Integers, fold: Fold, procedure: Procedure, *, trials: int, journal: Path | None
) -> list[TrialRecord]:
    pieces = [(part.take(fitted), part.take(judged)) for fitted, judged in inner_parts(part.rows, inner)]

    prepared: dict[int, Any] = {}  # of each inner fold: what its trials share

    def loss(parameters: Mapping[str, Any], number: int) -> float:
        fitted, judged = pieces[number]
        learner = procedure.build(parameters, procedure.seed_for("inner model", fold, number))
        if isinstance(learner, PreparedLearner):
            if number not in prepared:
                prepared[number] = learner.prepare(fitted.X, fitted.target)
            learner.fit_prepared(prepared[number])
        else:
            learner.fit(fitted.X, fitted.target)
        return weighted_log_loss(learner.predict_risk(judged.X, part.target.horizons), judged.target)

    return tune(
        procedure.kind,
        loss,
        inner_folds=len(pieces),
        trials=trials,
        fixed=procedure.fixed,
        seed_of=lambda trial: procedure.seed_for("trial", fold, trial),
        journal=journal,
    )
