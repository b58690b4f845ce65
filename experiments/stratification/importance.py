"""What tells the strata apart: SHAP values of a classifier of the stratum on patients that it never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.audit.classifier import dealt
from experiments.compute import Compute, map_tasks
from experiments.evaluation.intervals import Interval, corrected_resampling
from experiments.explanation import spearman
from experiments.seeds import seed_for
from experiments.stratification.explanation_schemas import Importance
from models.columns import is_category
from models.preprocessing import Preprocessor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROUNDS = 80
TREES: Mapping[str, Any] = {
    "objective": "multiclass",
    "learning_rate": 0.1,
    "num_leaves": 6,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 63,
    "feature_pre_filter": False,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class ClassifierTask:
    """One fold: columns of everybody, their strata, who is tested, and the seed."""

    X: pl.DataFrame
    strata: Integers
    test: NDArray[np.bool_]
    seed: int


@dataclass(frozen=True)
class ToldFold:
    """One fold's classifier on its test patients.

    Attributes:
        columns: columns that it knows.
        contributions: log-odds of each stratum, shape (k, test patients, columns); with `base` they add up to `scores`.
        base: shape (k,).
        scores: shape (k, test patients).
        used: whether some tree splits by the column, shape (columns,).
        values: the test patients' values.
        strata: their strata.
    """

    columns: tuple[str, ...]
    contributions: Floats
    base: Floats
    scores: Floats
    used: NDArray[np.bool_]
    values: pl.DataFrame
    strata: Integers


def folds_of(strata: Integers, centres: Sequence[str | None], folds: int, seed: int) -> Integers | None:
    """Return the fold of each patient, each stratum of each centre spread evenly; None where a stratum is too small.

    Fewer folds are made where a stratum has fewer patients than folds.
    """
    fewest = int(np.bincount(strata).min())
    if fewest < 4:
        return None
    named = np.array(["" if centre is None else f"1{centre}" for centre in centres])
    places = np.unique(named, return_inverse=True)[1].astype(np.int64)
    return dealt(strata * (places.max() + 1) + places, min(folds, fewest // 2), seed)


def explain_strata_folds(
    X: pl.DataFrame, strata: Integers, fold: Integers, *, seed: int, compute: Compute
) -> list[ToldFold]:
    """Return each fold's classifier on the patients it never saw.

    The classifier is LightGBM (Ke 2017) with few leaves, each stratum weighing the same, on the columns as a clinician sees
    them: neither adjusted nor scaled.

    Args:
        X: one row per patient.
        strata: shape (patients,), from 0; every number occurs in every fold's training.
        fold: of `folds_of`.
        seed: study's seed.
        compute: where the fits run.
    """
    tasks = [
        ClassifierTask(X, strata, fold == number, seed_for(seed, "stratify", "explanation", number))
        for number in range(int(fold.max()) + 1)
    ]
    return map_tasks(tell_fold, tasks, compute, "explanation of the strata")


def tell_fold(task: ClassifierTask) -> ToldFold:
    """Fit the classifier on the other folds and return its contributions on this one (Lundberg 2020)."""
    import lightgbm

    k = int(task.strata.max()) + 1
    train, strata = task.X.filter(pl.Series(~task.test)), task.strata[~task.test]
    coded = Preprocessor.fit(train, columns=task.X.columns, scale=False, native_missing=True)
    values = task.X.filter(pl.Series(task.test))
    tested = coded.transform(values)
    columns, sources = coded.columns, coded.sources
    if not columns:
        nothing = np.zeros((k, len(tested)))
        return ToldFold(
            (),
            np.zeros((k, len(tested), 0)),
            np.zeros(k),
            nothing,
            np.zeros(0, bool),
            values,
            task.strata[task.test],
        )
    weights = len(strata) / (k * np.bincount(strata, minlength=k))[strata]
    data = lightgbm.Dataset(coded.transform(train), label=strata, weight=weights, free_raw_data=False)
    settings = {**TREES, "num_class": k, "seed": task.seed % 2**31}
    booster = lightgbm.train(settings, data, num_boost_round=ROUNDS)
    raw = np.asarray(booster.predict(tested, raw_score=True, num_threads=1), dtype=np.float64)
    shares = np.asarray(booster.predict(tested, pred_contrib=True, num_threads=1), dtype=np.float64)
    shares = shares.reshape(len(tested), k, -1).transpose(1, 0, 2)
    joined = np.zeros((k, len(tested), len(columns)))
    for place, source in enumerate(sources):
        joined[:, :, source] += shares[:, :, place]
    splits = np.bincount(sources, weights=booster.feature_importance("split"), minlength=len(columns))
    return ToldFold(
        columns, joined, shares[:, 0, -1], raw.T, splits > 0, values.select(columns), task.strata[task.test]
    )


def accuracy_of(folds: Sequence[ToldFold]) -> Interval:
    """Return the balanced accuracy within folds, combined."""
    found = [balanced_accuracy(one.scores.argmax(axis=0), one.strata) for one in folds]
    return accuracy_interval(np.array(found), len(found))


def accuracy_interval(values: Floats, folds: int) -> Interval:
    """Return the mean over the folds of all repeats with its 95 % interval (Nadeau and Bengio 2003), cut at 0 and 1.

    Args:
        values: shape (repeats * folds,).
        folds: of one repeat.
    """
    found = corrected_resampling(values, 1 / max(folds - 1, 1))
    if found.lower is None or found.upper is None:
        return found
    return replace(found, lower=max(found.lower, 0.0), upper=min(found.upper, 1.0))


def balanced_accuracy(predicted: Integers, strata: Integers) -> float:
    """Return the mean recall over the strata that occur."""
    present = np.unique(strata)
    return float(np.mean([(predicted[strata == one] == one).mean() for one in present]))


def importance(folds: Sequence[ToldFold], columns: Sequence[str], sets: Mapping[str, str]) -> pl.DataFrame:
    """Return schemas.Importance: mean |SHAP| within each fold and then over folds; stratum 0 is the mean over strata.

    A classifier that does not know a column gives it 0. The direction is the mean over folds of Spearman's correlation
    between value and contribution.

    Args:
        folds: of `explain_strata_folds`.
        columns: all columns that were looked at.
        sets: the feature set of each.
    """
    k = folds[0].contributions.shape[0]
    frames = []
    for column in sorted(columns):
        sizes = np.array([_sizes(one, column) for one in folds])
        sizes = np.column_stack([sizes.mean(axis=1), sizes])
        known = [one for one in folds if column in one.columns]
        number = bool(known) and not is_category(known[0].values.schema[column])
        directions = [None, *(_direction(known, column, stratum) if number else None for stratum in range(k))]
        frames.append(
            pl.DataFrame(
                {
                    "stratum": np.arange(k + 1),
                    "column": [column] * (k + 1),
                    "feature_set": [sets.get(column, "")] * (k + 1),
                    "mean_absolute": sizes.mean(axis=0),
                    "fold_spread": sizes.std(axis=0, ddof=1) if len(folds) > 1 else [None] * (k + 1),
                    "direction": pl.Series(directions, dtype=pl.Float64),
                    "used": [np.mean([_uses(one, column) for one in folds])] * (k + 1),
                },
                schema_overrides={"fold_spread": pl.Float64},
            )
        )
    table = pl.concat(frames).sort(["stratum", "mean_absolute", "column"], descending=[False, True, False])
    ranked = table.with_columns(rank=pl.int_range(1, pl.len() + 1).over("stratum"))
    return Importance.validate(ranked.select(Importance.column_names()).sort("stratum", "rank"), cast=True)


def _uses(fold: ToldFold, column: str) -> bool:
    return column in fold.columns and bool(fold.used[fold.columns.index(column)])


def _sizes(fold: ToldFold, column: str) -> Floats:
    if column not in fold.columns:
        return np.zeros(len(fold.contributions))
    own = fold.contributions[:, :, fold.columns.index(column)]
    return np.asarray(np.abs(own).mean(axis=1), dtype=np.float64)


def _direction(folds: Sequence[ToldFold], column: str, stratum: int) -> float | None:
    found = [
        spearman(
            one.values[column].cast(pl.Float64).fill_null(np.nan).to_numpy(),
            one.contributions[stratum][:, one.columns.index(column)],
        )
        for one in folds
    ]
    told = [value for value in found if value is not None]
    return float(np.mean(told)) if told else None
