"""The values of nested validation: a cell's rows, its folds, what is done in each and what comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.validation.draws import UNKNOWN, Status
from experiments.validation.tuning import TrialRecord
from features.prediction_times import END_OF_DAY
from models.contract import Learner, LearnerKind
from models.storage import fingerprint
from models.target import Target

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class CellData:
    """The eligible rows of one outcome in canonical order: who and where, predictors, target.

    Attributes:
        rows: at least prediction_id, position, country, centre; family where some are related.
        X: feature columns alone, same order.
        target: same order.
    """

    rows: pl.DataFrame
    X: pl.DataFrame
    target: Target

    def take(self, index: Integers) -> "CellData":
        """Return some rows by position, in that order."""
        return CellData(rows=self.rows[index], X=self.X[index], target=self.target.rows(index))

    def as_of(self, cut: float) -> "CellData":
        """Return what was known before the day `cut`: later events are censored there, later labels are unknown.

        `cut` is in days since 1970-01-01, as `time` of the rows; `seen_after` of the rows, where they have it, tells after
        how many days a label is known, the same for events and non-events, so that none is known sooner.
        """
        limit = cut - END_OF_DAY - self.rows["time"].to_numpy().astype(np.float64)
        if self.target.time is not None:
            return replace(self, target=self.target.censored_at(limit))
        seen_after = np.zeros(len(limit))
        if "seen_after" in self.rows.columns:
            seen_after = self.rows["seen_after"].to_numpy().astype(np.float64)
        known = self.target.seen() & (seen_after <= limit)
        return replace(self, target=replace(self.target, known=known))

    def status(self) -> Status:
        """Return what is known at the main horizon."""
        cause = np.where(self.target.seen(), self.target.cause, UNKNOWN)
        return Status.at(self.target.time, cause, self.target.main)


@dataclass(frozen=True)
class Fold:
    """One outer fold; `test` holds row positions, and is empty for the final model.

    Attributes:
        whole: columns that no part of the fold may cut, in outer and inner folds: centre, country.
        cut: the day before which all that is trained on was known, in days since 1970-01-01; None: no such day.
        unused: positions of rows that are neither tested nor trained on: predicted at or after the cut, or a relative is tested.
    """

    scheme: str
    repeat: int
    fold: int
    test: Integers
    whole: tuple[str, ...] = ()
    cut: float | None = None
    unused: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def name(self) -> str:
        """The fold's name in file names and reports."""
        return f"{self.scheme}_{self.repeat}_{self.fold}"

    def train(self, rows: int) -> Integers:
        """Return the positions of all rows that are neither tested nor set aside."""
        rest = np.setdiff1d(np.arange(rows, dtype=np.int64), self.test)
        return np.setdiff1d(rest, self.unused)

    def training_part(self, data: CellData) -> CellData:
        """Return the training rows with what was known of them before the cut."""
        part = data.take(self.train(data.rows.height))
        return part if self.cut is None else part.as_of(self.cut)


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
