"""The values of nested validation: a cell's rows, its folds, what is done in each and what comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.validation.draws import UNKNOWN, Status
from experiments.validation.tuning import TrialRecord
from models.contract import Learner, LearnerKind
from models.storage import fingerprint
from models.target import Target

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


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
        """Return what is known at the main horizon."""
        cause = np.where(self.target.seen(), self.target.cause, UNKNOWN)
        return Status.at(self.target.time, cause, self.target.main)


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
        modalities: the feature set of each column, for learners that need to know.
    """

    kind: LearnerKind
    kind_name: str
    fixed: Mapping[str, Any]
    predictors: tuple[str, ...]
    trials: int
    inner_folds: int
    seed: int
    names: tuple[str, ...]
    modalities: Mapping[str, str] = field(default_factory=dict)

    def build(self, parameters: Mapping[str, Any], seed: int) -> Learner:
        """Return the unfitted learner with these parameters."""
        more = {"modalities": dict(self.modalities)} if self.kind.uses_modalities else {}
        return self.kind.build(dict(parameters), predictors=self.predictors, seed=seed, **more)

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
        inner_whole: columns that the inner folds keep whole, beside patients.
        journal: file name of the tuning journal; None without one.
    """

    parts: Mapping[str, bytes]
    predict: Callable[[pl.DataFrame], Floats]
    columns: tuple[str, ...]
    parameters: Mapping[str, Any]
    records: Sequence[TrialRecord]
    train: Integers
    inner: Integers
    inner_whole: tuple[str, ...] = ()
    journal: str | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and bytes of all parts."""
        return fingerprint(self.parts)
