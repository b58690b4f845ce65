"""Prediction strength: would patients who are together in one half be put together by the strata of the other half?"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute
from experiments.seeds import seed_for
from experiments.stratification.families import families_fingerprint, halves
from experiments.stratification.journal import fingerprint_of, resumed_map
from models.errors import BadTarget
from models.strata_model import Recipe, StrataModel, prepare_patients

Integers = NDArray[np.int64]

JOURNAL_FILE = "prediction_strength.jsonl"
FEWEST = 5  # patients of a stratum in the tested half; fewer say nothing of pairs and count as not foretold


@dataclass(frozen=True)
class SplitTask:
    """One split of the patients into halves.

    Attributes:
        X: one row per patient.
        recipe: fitted in either half.
        ks: numbers of strata.
        seed: of the split and the fits.
        families: number of each patient's family, shape (patients,); None: nobody has relatives.
    """

    X: pl.DataFrame
    recipe: Recipe
    ks: tuple[int, ...]
    seed: int
    families: Integers | None = None


def prediction_strength(
    X: pl.DataFrame,
    recipe: Recipe,
    *,
    ks: Iterable[int],
    splits: int,
    seed: int,
    compute: Compute,
    journal: Path | None = None,
    families: Integers | None = None,
) -> pl.DataFrame:
    """Return how well the strata of one half of the patients foretell those of the other, for each number of strata.

    Tibshirani and Walther 2005, doi 10.1198/106186005X59243: the whole recipe is fitted in either half; of each stratum of
    the tested half, the share of its pairs of patients whom the other half's model puts together as well; of those, the
    smallest. Both halves of a split are tested. One stratum has strength 1 by definition.

    Args:
        X: one row per patient, with the columns of `recipe.needed`.
        recipe: what is done to them.
        ks: numbers of strata.
        splits: into halves.
        seed: study's seed.
        compute: where the splits run.
        journal: folder in which finished splits are kept; None: nowhere.
        families: number of each patient's family, shape (patients,), which no split parts; None: nobody has relatives.

    Returns:
        k, mean (over splits) and error (standard error of that mean over splits, both directions of a split as one); null where
        k strata could not be fitted in some half.
    """
    numbers = tuple(sorted(set(ks)))
    tasks = [
        SplitTask(X, recipe, numbers, seed_for(seed, "stratify", "prediction_strength", number), families)
        for number in range(splits)
    ]
    results = resumed_map(
        strength_of_split,
        tasks,
        [f"split {number}" for number in range(splits)],
        compute,
        "prediction strength",
        path=None if journal is None else journal / JOURNAL_FILE,
        fingerprint=fingerprint_of(X, recipe, numbers, seed, families_fingerprint(families)),
    )
    found = np.array(results, dtype=np.float64)
    errors = found.std(axis=0, ddof=1) / np.sqrt(splits) if splits > 1 else np.full(len(numbers), np.nan)
    schema = {"k": pl.Int32, "mean": pl.Float64, "error": pl.Float64}
    frame = pl.DataFrame({"k": numbers, "mean": found.mean(axis=0), "error": errors}, schema=schema)
    return frame.with_columns(pl.col("mean", "error").fill_nan(None))


def strength_of_split(task: SplitTask) -> list[float]:
    """Return the strength of each number of strata in one split, the mean of both directions; NaN where nothing was fitted."""
    generator = np.random.default_rng(task.seed)
    parts = [task.X[half] for half in halves(task.X.height, task.families, generator)]
    fitted = [_fits(part, task) for part in parts]
    return [_both_directions(parts, [fits.get(k) for fits in fitted], k) for k in task.ks]


def smallest_share_together(strata: Integers, foretold: Integers) -> float:
    """Return the smallest share, over strata, of pairs that are foretold to be together.

    Args:
        strata: of each tested patient, shape (patients,), 0 to k - 1; a stratum without patients is one all the same.
        foretold: by the model of other patients, the same shape.
    """
    counts = np.zeros((strata.max() + 1, foretold.max() + 1))
    np.add.at(counts, (strata, foretold), 1)
    size = counts.sum(axis=1)
    if (size < FEWEST).any():
        return 0.0
    pairs = (counts * (counts - 1)).sum(axis=1) / (size * (size - 1))
    return float(pairs.min())


def _fits(X: pl.DataFrame, task: SplitTask) -> dict[int, StrataModel]:
    try:
        prepared = prepare_patients(X, task.recipe)
    except BadTarget:
        return {}
    found = {}
    for k in task.ks:
        try:
            found[k] = StrataModel.fit(X, task.recipe, k, task.seed, prepared)
        except BadTarget:
            continue
    return found


def _both_directions(parts: list[pl.DataFrame], models: list[StrataModel | None], k: int) -> float:
    first, second = models
    if k == 1:
        return 1.0
    if first is None or second is None:
        return float("nan")
    found = []
    for part, own, other in ((parts[1], second, first), (parts[0], first, second)):
        strata = own.assign(part)
        found.append(smallest_share_together(strata, other.assign(part)) if strata.max() == k - 1 else 0.0)
    return float(np.mean(found))
