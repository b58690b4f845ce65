"""The inner procedure: inner folds, tuning, and the refit on all training rows, for one outer fold or for everybody."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

import models
from experiments.seeds import seed_for
from experiments.validation.draws import (
    Status,
    balanced_groups,
    centre_table,
    deal_patients,
    patient_table,
)
from experiments.validation.tuning import TrialRecord, chosen, tune
from models.contract import LearnerKind
from models.target import Target

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
FITTING_LIBRARIES = ("lightgbm", "numpy", "optuna", "polars", "scikit-learn", "scipy", "xgboost-cpu")
SURE = 1e-7  # log loss treats risks nearer to 0 or 1 as this, so that one row cannot make it infinite


@dataclass(frozen=True)
class CellData:
    """The eligible rows of one outcome in canonical order: who and where, predictors, target.

    Attributes:
        rows: at least prediction_id, position, country, centre.
        X: feature columns alone, same order.
        target: same order.
    """

    rows: pl.DataFrame
    X: pl.DataFrame
    target: Target

    def take(self, index: Integers) -> "CellData":
        """Return some rows by position, in that order."""
        return CellData(rows=self.rows[index], X=self.X[index], target=self.target.rows(index))

    def status(self) -> Status:
        """Return what is known at the first horizon."""
        return Status.at(self.target.time, self.target.cause, self.target.horizons[0])


@dataclass(frozen=True)
class Fold:
    """One outer fold; `test` holds row positions, and is empty for the final model.

    Attributes:
        whole: columns that no part of the fold may cut, in outer and inner folds: centre, country.
    """

    scheme: str
    repeat: int
    fold: int
    test: Integers
    whole: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The fold's name in file names and reports."""
        return f"{self.scheme}_{self.repeat}_{self.fold}"

    def train(self, rows: int) -> Integers:
        """Return the positions of all other rows."""
        return np.setdiff1d(np.arange(rows, dtype=np.int64), self.test)


@dataclass(frozen=True)
class Procedure:
    """What is done in each training set, the same for every fold.

    Attributes:
        kind: the learner's kind.
        kind_name: its name in the registry.
        fixed: its parameters that are not tuned.
        predictors: the columns it may use.
        trials: finished tuning trials wanted.
        inner_folds: folds that each trial is judged in.
        seed: the study's.
        names: outcome and learner, which together with the fold name every random draw.
    """

    kind: LearnerKind
    kind_name: str
    fixed: Mapping[str, Any]
    predictors: tuple[str, ...]
    trials: int
    inner_folds: int
    seed: int
    names: tuple[str, ...]

    def seed_for(self, purpose: str, fold: Fold, *more: int) -> int:
        """Return the seed of one draw."""
        return seed_for(self.seed, purpose, *self.names, fold.scheme, fold.repeat, fold.fold, *more)


@dataclass(frozen=True)
class FittedFold:
    """What came out of one training set.

    Attributes:
        parts: the whole fitted state as named files.
        predict: risks of rows, shape (rows, causes, horizons).
        columns: the columns that the model uses.
        parameters: what the model was built with.
        records: tuning trials.
        train: positions of the rows it was fitted on.
        inner: inner fold of each of these, shape (train,); empty where nothing was tuned.
    """

    parts: Mapping[str, bytes]
    predict: Callable[[pl.DataFrame], Floats]
    columns: tuple[str, ...]
    parameters: Mapping[str, Any]
    records: Sequence[TrialRecord]
    train: Integers
    inner: Integers

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and bytes of all parts."""
        digest = hashlib.sha256()
        for name in sorted(self.parts):
            digest.update(f"{name}\x1f{len(self.parts[name])}\x1f".encode())
            digest.update(self.parts[name])
        return digest.hexdigest()


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
        trials: another number of trials than the procedure's.
        journals: folder of the tuning journals; None keeps trials in memory.
    """
    train = fold.train(data.rows.height)
    part = data.take(train)
    records: list[TrialRecord] = []
    inner = np.empty(0, dtype=np.int64)
    if parameters is None and procedure.kind.space is not None:
        inner = inner_folds(part, fold, procedure)
        records = _tune(part, inner, fold, procedure, trials=trials or procedure.trials, journals=journals)
        parameters = chosen(records).parameters
    elif parameters is None:
        parameters = {**procedure.kind.defaults, **procedure.fixed}
    learner = procedure.kind.build(
        dict(parameters), predictors=procedure.predictors, seed=procedure.seed_for("model", fold)
    ).fit(part.X, part.target)
    return FittedFold(
        parts=learner.to_parts(),
        predict=lambda X: learner.predict_risk(X, data.target.horizons),
        columns=tuple(learner.columns),
        parameters=parameters,
        records=records,
        train=train,
        inner=inner,
    )


def inner_folds(part: CellData, fold: Fold, procedure: Procedure) -> Integers:
    """Return the inner fold of each training row; patients stay whole, and centres where the outer fold keeps them.

    Centres stay whole when at least as many as there are inner folds have both an event and a non-event; with fewer,
    patients are dealt.
    """
    patients = patient_table(part.rows, part.status())
    folds = procedure.inner_folds
    centres = centre_table(patients)
    if fold.whole and centres.filter((pl.col("events") > 0) & (pl.col("nones") > 0)).height >= folds:
        groups = balanced_groups(centres, folds)
        place = {name: number for number, group in enumerate(groups) for name in group}
        dealt = np.array([place[name] for name in patients["centre"]], dtype=np.int64)
    else:
        dealt = deal_patients(patients, folds, procedure.seed_for("inner", fold))
    order = np.searchsorted(patients["position"].to_numpy(), part.rows["position"].to_numpy())
    return np.asarray(dealt[order], dtype=np.int64)


def weighted_log_loss(risk: Floats, target: Target) -> float:
    """Return the log loss of cause 1, weighted by the rows' own 1/G and averaged over horizons.

    `risk` has shape (rows, causes, horizons). Weights come from the rows evaluated (design: evaluation weights).
    """
    losses = []
    for place, horizon in enumerate(target.horizons):
        labels, weights = target.labels(horizon), target.weights(horizon)
        safe = np.clip(risk[:, 0, place], SURE, 1 - SURE)
        loss = -np.where(labels == 1, np.log(safe), np.log1p(-safe))
        losses.append(float(np.average(loss, weights=weights)))
    return float(np.mean(losses))


def _tune(
    part: CellData, inner: Integers, fold: Fold, procedure: Procedure, *, trials: int, journals: Path | None
) -> list[TrialRecord]:
    pieces = [
        (part.take(np.flatnonzero(inner != k)), part.take(np.flatnonzero(inner == k)))
        for k in range(inner.max() + 1)
    ]

    def loss(parameters: Mapping[str, Any], number: int) -> float:
        fitted, judged = pieces[number]
        learner = procedure.kind.build(
            dict(parameters),
            predictors=procedure.predictors,
            seed=procedure.seed_for("inner model", fold, number),
        ).fit(fitted.X, fitted.target)
        return weighted_log_loss(learner.predict_risk(judged.X, part.target.horizons), judged.target)

    journal = None
    if journals is not None:
        journal = journals / f"{fold.name}-{journal_fingerprint(part, inner, fold, procedure)}.log"
    return tune(
        procedure.kind,
        loss,
        inner_folds=len(pieces),
        trials=trials,
        fixed=procedure.fixed,
        seed_of=lambda trial: procedure.seed_for("trial", fold, trial),
        journal=journal,
    )


def journal_fingerprint(part: CellData, inner: Integers, fold: Fold, procedure: Procedure) -> str:
    """Return 16 hex digits that change with the training rows, the settings, the seed, our code or a library.

    The number of trials is left out: a longer search goes on from a shorter one.
    """
    digest = hashlib.sha256()
    for name in sorted(part.X.columns):
        column = part.X[name]
        digest.update(f"{name}\x1f{column.dtype}\x1f".encode())
        digest.update(_column_bytes(column))
    time = part.target.time
    for values in (part.target.cause, np.empty(0) if time is None else time, inner):
        digest.update(np.ascontiguousarray(values).tobytes())
    settings = (
        part.target.horizons,
        sorted(procedure.fixed.items()),
        procedure.predictors,
        procedure.kind_name,
        sorted(procedure.kind.defaults.items()),
        procedure.seed_for("trial", fold),
        _code(),
    )
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


def _column_bytes(column: pl.Series) -> bytes:
    if column.dtype.is_numeric():
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().tobytes()
    return "\x1f".join("\x1e" if value is None else str(value) for value in column).encode()


@cache
def _code() -> str:
    """Return a fingerprint of everything that decides a trial's score beside data and settings."""
    digest = hashlib.sha256()
    for folder in (Path(models.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    digest.update(repr([(name, version(name)) for name in FITTING_LIBRARIES]).encode())
    return digest.hexdigest()
