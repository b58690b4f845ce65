"""Stacking over modalities: a penalised model of each feature set, combined, that predicts with any of them missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.contract import Trial
from models.errors import BadTarget
from models.fixed_horizon import FixedHorizonLearner, Recipe
from models.gaussian_conditional import estimate_moments, patterns
from models.logistic import LinearLogOdds, fit_logistic
from models.modalities import columns_by_modality
from models.stack_columns import StackPreprocessor
from models.stack_model import Part, StackModel, flattening, load_stack
from models.training_rows import Preprocessing, TrainingRows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DEFAULTS = {"penalty": 0.05, "l1_ratio": 0.5, "combiner_penalty": 0.01, "combiner_l1_ratio": 0.0}
FOLDS = 5  # inner folds that the combiner's rows are held out in
NO_SLOPE = 1e-3  # a modality's log-odds that vary less say nothing, and are not blown up to the others' scale
MOST_ROUNDS, SETTLED = 20, 1e-4  # of the combiner, and the change of its scaled weights that ends them
ALONE = "features"  # the one modality where nobody told which there are


def deal_rows(groups: Integers, labels: Integers, seed: int, folds: int = FOLDS) -> Integers:
    """Return the inner fold of each row, shape (rows,): patients whole, those with an event dealt apart from the others."""
    patients, place = np.unique(groups, return_inverse=True)
    events = np.bincount(place, weights=labels) > 0
    order = np.random.default_rng(seed).permutation(len(patients))
    dealt = np.empty(len(patients), dtype=np.int64)
    for kind in (True, False):
        chosen = order[events[order] == kind]
        dealt[chosen] = np.arange(len(chosen)) % folds
    return np.asarray(dealt[place], dtype=np.int64)


@dataclass(frozen=True)
class _Piece:
    """Preprocessed training rows of everybody, or of all but one inner fold."""

    values: Floats
    blocks: tuple[slice, ...]
    labels: Integers
    weights: Floats
    signs: Integers

    def having(self, place: int) -> NDArray[np.bool_]:
        """Return which rows have a modality, shape (rows,)."""
        block = self.blocks[place]
        if block.start == block.stop:
            return np.zeros(len(self.values), dtype=np.bool_)
        return np.asarray(~np.isnan(self.values[:, block.start]), dtype=np.bool_)

    def both_classes(self, place: int) -> bool:
        """Tell whether the rows that have a modality show events and non-events."""
        return len(np.unique(self.labels[self.having(place)])) == 2

    def fitted(self, place: int, parameters: Mapping[str, Any]) -> LinearLogOdds:
        """Return the modality's own penalised model, fitted on the rows that have it."""
        rows, block = self.having(place), self.blocks[place]
        return fit_logistic(
            self.values[rows, block],
            self.labels[rows],
            self.weights[rows],
            penalty=float(parameters["penalty"]),
            l1_ratio=float(parameters["l1_ratio"]),
            signs=self.signs[block],
        )


@dataclass(frozen=True)
class _HeldOut:
    """One inner fold: what is fitted without its rows, and its rows as that preprocessing shows them."""

    trained: _Piece
    index: Integers
    values: Floats


def fit_stack(rows: TrainingRows, parameters: Mapping[str, Any]) -> StackModel:
    """Fit each modality on the rows that have it, and the combiner on log-odds of rows that were held out.

    Every inner fold repeats the preprocessing, and the combiner's weights are not negative (Breiman 1996, doi
    10.1007/BF00117832): a modality may count for nothing, never against what it says itself. A modality is left out where
    the rows that have it, in all or in some inner fold, show one class alone.
    """
    _require_penalties(parameters)
    whole, folds = rows.once("stack", lambda: _pieces(rows))
    usable = [
        place
        for place in range(len(whole.blocks))
        if all(piece.both_classes(place) for piece in (whole, *(fold.trained for fold in folds)))
    ]
    if not usable:
        raise BadTarget(
            "No modality has rows with and without the event in every inner fold of the stack; take a learner that uses "
            "all columns together, or a nearer horizon."
        )
    z = np.full((len(rows.labels), len(usable)), np.nan)
    for fold in folds:
        for column, place in enumerate(usable):
            model = fold.trained.fitted(place, parameters)
            z[fold.index, column] = model.log_odds(fold.values[:, fold.trained.blocks[place]])
    parts = tuple(
        Part(whole.blocks[place].start, whole.blocks[place].stop, whole.fitted(place, parameters))
        for place in usable
    )
    return _combined(rows, z, parts, parameters)


def _combined(
    rows: TrainingRows, z: Floats, parts: tuple[Part, ...], parameters: Mapping[str, Any]
) -> StackModel:
    moments = estimate_moments(z, rows.weights)
    spread = np.sqrt(np.diag(moments.covariance))
    spread[spread < NO_SLOPE] = 1.0
    scaled = (moments.filled(z) - moments.mean) / spread
    # The log-odds of an incomplete row are flattened by what the weights themselves leave uncertain: both in turn.
    flat, intercept, weights = np.ones(len(z)), 0.0, np.zeros(len(parts))
    for _ in range(MOST_ROUNDS):
        combiner = fit_logistic(
            scaled * flat[:, None],
            rows.labels,
            rows.weights,
            penalty=float(parameters["combiner_penalty"]),
            l1_ratio=float(parameters["combiner_l1_ratio"]),
            signs=np.ones(len(parts), dtype=np.int64),
            offset=(flat - 1.0) * intercept,
        )
        change = np.abs(combiner.coefficients - weights * spread).max()
        intercept, weights = combiner.intercept, combiner.coefficients / spread
        if change < SETTLED or not np.isnan(z).any():
            break
        for known, places in patterns(z):
            flat[places] = flattening(moments, weights, known)
    return StackModel(
        parts=parts,
        intercept=intercept - float(weights @ moments.mean),
        weights=weights,
        moments=moments,
        derived=rows.values.shape[1],
        ordered=tuple(bool(rows.signs[part.start : part.end].any()) for part in parts),
    )


def _pieces(rows: TrainingRows) -> tuple[_Piece, list[_HeldOut]]:
    columns = _stack(rows.preprocessor)
    whole = _Piece(rows.values, columns.blocks, rows.labels, rows.weights, rows.signs)
    used = {name: one.columns for name, one in zip(columns.names, columns.each, strict=True)}
    dealt = deal_rows(rows.groups, rows.labels, rows.seed)
    folds = []
    for number in range(FOLDS):
        train, held = np.flatnonzero(dealt != number), np.flatnonzero(dealt == number)
        fitted = StackPreprocessor.fit(rows.X[train], used)
        piece = _Piece(
            values=fitted.transform(rows.X[train]),
            blocks=fitted.blocks,
            labels=rows.labels[train],
            weights=rows.weights[train],
            signs=fitted.signs(rows.monotone),
        )
        folds.append(_HeldOut(piece, held, fitted.transform(rows.X[held])))
    return whole, folds


def _stack(preprocessor: Preprocessing) -> StackPreprocessor:
    if not isinstance(preprocessor, StackPreprocessor):
        raise TypeError("a stack is fitted on rows that StackPreprocessor made")
    return preprocessor


def _require_penalties(parameters: Mapping[str, Any]) -> None:
    for prefix in ("", "combiner_"):
        penalty, l1_ratio = float(parameters[f"{prefix}penalty"]), float(parameters[f"{prefix}l1_ratio"])
        if not (penalty >= 1e-6 and 0 <= l1_ratio <= 1):
            raise BadTarget(
                f"stacking needs {prefix}penalty of 1e-6 or more and {prefix}l1_ratio from 0 to 1; got {penalty} and "
                f"{l1_ratio}."
            )


def stacking_space(trial: Trial) -> dict[str, Any]:
    """Suggest the penalties of the modalities' models, one for all of them, and of the combiner."""
    return {
        "penalty": trial.suggest_float("penalty", 1e-3, 0.5, log=True),
        "l1_ratio": trial.suggest_float("l1_ratio", 0.0, 1.0),
        "combiner_penalty": trial.suggest_float("combiner_penalty", 1e-4, 0.1, log=True),
        "combiner_l1_ratio": trial.suggest_float("combiner_l1_ratio", 0.0, 1.0),
    }


class Stacking(FixedHorizonLearner):
    """A stack over modalities (Wolpert 1992, doi 10.1016/S0893-6080(05)80023-1), one per horizon.

    Rows that lack whole modalities are trained on and predicted: see models.stack_model.StackModel.
    """

    recipe: ClassVar[Recipe] = Recipe(
        kind="stacking",
        fit=fit_stack,
        load=load_stack,
        suffix="json",
        defaults=DEFAULTS,
        scale=True,
        monotone=True,
    )

    def __init__(
        self,
        parameters: Mapping[str, Any],
        predictors: Sequence[str] | None = None,
        seed: int = 0,
        modalities: Mapping[str, str] | None = None,
    ) -> None:
        """`modalities` is the feature set of each column; without any, all columns are one modality."""
        super().__init__(parameters, predictors, seed)
        self._modalities = dict(modalities or {})

    def _preprocess(self, rows: pl.DataFrame, names: Sequence[str]) -> StackPreprocessor:
        modalities = self._modalities or dict.fromkeys(names, ALONE)
        lost = sorted(set(names) - set(modalities))
        if lost:
            raise BadTarget(
                f"The feature set of {', '.join(lost[:10])} is not known, so the stack cannot place them; build the "
                "features again."
            )
        return StackPreprocessor.fit(rows, columns_by_modality(modalities, tuple(names)))

    @classmethod
    def _read_preprocessing(cls, state: Mapping[str, Any]) -> StackPreprocessor:
        return StackPreprocessor.from_state(state)
