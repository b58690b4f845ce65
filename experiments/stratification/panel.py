"""The smallest panel of columns that assigns patients to their strata with a declared accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute, map_tasks
from experiments.evaluation.intervals import Interval
from experiments.seeds import seed_for
from experiments.stratification.explanation_schemas import Accuracy, PanelColumns, table_of
from experiments.stratification.importance import accuracy_interval, folds_of
from experiments.stratification.panel_selection import Path, PathTask, select_path

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

REPEATS = 3  # of the deal into outer folds: the bounds of few folds jump about


@dataclass(frozen=True)
class PanelSettings:
    """What is asked of a panel: balanced accuracy, largest number of columns, and folds."""

    accuracy: float = 0.8
    most: int = 8
    folds: int = 5


@dataclass(frozen=True)
class Panel:
    """The panel's tables as in `explanation_schemas`, the chosen size (None: not reached) and a sentence."""

    path: pl.DataFrame
    columns: pl.DataFrame
    size: int | None
    sentence: str


def find_panel(
    X: pl.DataFrame,
    strata: Integers,
    centres: Sequence[str | None],
    *,
    settings: PanelSettings,
    sets: Mapping[str, str],
    beside: Interval,
    seed: int,
    compute: Compute,
) -> Panel:
    """Search the smallest panel, forward, with the whole selection inside each outer fold.

    The size is the smallest whose 95 % interval of out-of-fold balanced accuracy lies at or above the declared accuracy as a whole,
    so that no panel is promised for a lucky mean; patients are dealt into folds three times over. The columns at that size are then
    selected on all patients. That none is reached is a result.

    Args:
        X: the columns as a clinician sees them, one row per patient.
        strata: shape (patients,), from 0; `folds_of` must find folds for them.
        centres: of each patient.
        settings: what is declared.
        sets: the feature set of each column.
        beside: accuracy of a classifier on all columns, printed beside.
        seed: study's seed.
        compute: where the selections run.
    """
    tasks = _tasks(X, strata, tuple(centres), settings, seed)
    *outer, last = map_tasks(select_path, tasks, compute, "smallest panel")
    intervals = [
        accuracy_interval(np.array([one.accuracy[number] for one in outer]), settings.folds)
        for number in range(min(len(one.columns) for one in [*outer, last]))
    ]
    reached = (number + 1 for number, one in enumerate(intervals) if _reaches(one, settings.accuracy))
    size = next(reached, None)
    path = _path_table(
        intervals,
        size,
        beside=beside,
        width=X.width,
        declared=settings.accuracy,
        k=int(strata.max()) + 1,
    )
    columns = _columns_table(outer, last, size, len(intervals), sets)
    return Panel(path, columns, size, _sentence(columns, size, intervals, beside, settings))


def _tasks(
    X: pl.DataFrame, strata: Integers, centres: tuple[str | None, ...], settings: PanelSettings, seed: int
) -> list[PathTask]:
    """Return one selection per outer fold of each deal, and the one on all patients last."""
    deals = [
        folds_of(strata, centres, settings.folds, seed_for(seed, "stratify", "panel folds", repeat))
        for repeat in range(REPEATS)
    ]
    tests = [deal == number for deal in deals if deal is not None for number in range(int(deal.max()) + 1)]
    most = min(settings.most, X.width)
    return [
        PathTask(X, strata, centres, test, most, settings.folds, seed_for(seed, "stratify", "panel", number))
        for number, test in enumerate([*tests, None])
    ]


def _reaches(found: Interval, declared: float) -> bool:
    least = found.lower if found.lower is not None else found.estimate
    return least is not None and least >= declared


def _path_table(
    intervals: Sequence[Interval],
    size: int | None,
    *,
    beside: Interval,
    width: int,
    declared: float,
    k: int,
) -> pl.DataFrame:
    rows = [("panel", number + 1, one) for number, one in enumerate(intervals)]
    records = [
        {
            "classifier": classifier,
            "size": columns,
            "accuracy": one.estimate,
            "lower": one.lower,
            "upper": one.upper,
            "declared": declared,
            "chance": 1 / k,
            "chosen": classifier == "panel" and columns == size,
        }
        for classifier, columns, one in [("all_columns", width, beside), *rows]
    ]
    return table_of(Accuracy, records)


def _columns_table(
    outer: Sequence[Path], last: Path, size: int | None, longest: int, sets: Mapping[str, str]
) -> pl.DataFrame:
    """Return the panel and what single folds take at that size; where none is reached, at the largest."""
    looked = size or longest
    panel = last.columns[:size] if size is not None else ()
    shares = {
        name: float(np.mean([name in one.columns[:looked] for one in outer]))
        for name in {*panel, *(name for one in outer for name in one.columns[:looked])}
    }
    records = [
        {
            "column": name,
            "feature_set": sets.get(name, ""),
            "step": panel.index(name) + 1 if name in panel else None,
            "share": shares[name],
        }
        for name in sorted(
            shares,
            key=lambda name: (panel.index(name) if name in panel else len(panel), -shares[name], name),
        )
    ]
    return table_of(PanelColumns, records)


def _sentence(
    columns: pl.DataFrame,
    size: int | None,
    intervals: Sequence[Interval],
    beside: Interval,
    settings: PanelSettings,
) -> str:
    whole = "" if beside.estimate is None else f"; all columns together reach {beside.estimate:.2f}"
    if not intervals:
        return "No panel was looked for: no column varies in every fold."
    if size is None:
        best = max(intervals, key=lambda one: one.estimate or 0.0)
        return (
            f"Not reached: no panel of up to {len(intervals)} columns assigns patients with a balanced accuracy of "
            f"{settings.accuracy:g}; the best reaches {_words(best)}{whole}."
        )
    panel = columns.drop_nulls("step").sort("step")
    sets = sorted({name for name in panel["feature_set"] if name})
    needs = (
        f" It needs {'the feature set ' if len(sets) == 1 else 'the feature sets '}{', '.join(sets)}."
        if sets
        else ""
    )
    certain = panel.filter(pl.col("share") >= 0.8).height
    return (
        f"{size} {'column assigns' if size == 1 else 'columns assign'} patients with a balanced accuracy of "
        f"{_words(intervals[size - 1])}, declared {settings.accuracy:g}{whole}: {', '.join(panel['column'])}.{needs} "
        f"{certain} of {size} {'is' if certain == 1 else 'are'} chosen in 80 % of the folds or more."
    )


def _words(found: Interval) -> str:
    if found.lower is None or found.upper is None:
        return f"{found.estimate:.2f}"
    return f"{found.estimate:.2f} ({found.lower:.2f} to {found.upper:.2f})"
