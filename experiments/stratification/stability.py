"""How well each stratum is found again in bootstrap samples of the patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute, map_tasks
from experiments.seeds import seed_for
from models.registry import CLUSTERERS

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class BootstrapTask:
    """One bootstrap refit: clusterer, number of strata, data, the original strata and the seed of the draw."""

    clusterer: str
    k: int
    X: pl.DataFrame
    centres: Integers
    strata: Integers
    seed: int


def mean_jaccard(
    X: pl.DataFrame,
    strata: Integers,
    centres: Sequence[str | None],
    *,
    clusterer: str,
    k: int,
    bootstraps: int,
    seed: int,
    compute: Compute,
) -> NDArray[np.float64]:
    """Return each stratum's mean Jaccard similarity over bootstrap refits, shape (k,).

    In each sample, drawn within centres, everything is fitted anew; each original stratum is compared with the refitted
    one most like it, among the patients drawn (Hennig 2007, doi 10.1016/j.csda.2006.11.025: from 0.75 on a stratum counts
    as stable, below 0.6 as dissolved).

    Args:
        X: one row per patient.
        strata: shape (rows,), 0 to k - 1.
        centres: shape (rows,); None is a centre of its own.
        clusterer: a name of CLUSTERERS.
        k: number of strata.
        bootstraps: number of samples.
        seed: study's seed.
        compute: where the refits run.
    """
    codes = np.unique(
        [f"1{centre}" if centre is not None else "0" for centre in centres], return_inverse=True
    )[1]
    tasks = [
        BootstrapTask(clusterer, k, X, codes, strata, seed_for(seed, "stratify", "bootstrap", number))
        for number in range(bootstraps)
    ]
    found = map_tasks(bootstrap_jaccard, tasks, compute, "bootstrap of the strata")
    return np.asarray(np.mean(found, axis=0), dtype=np.float64)


def bootstrap_jaccard(task: BootstrapTask) -> NDArray[np.float64]:
    """Return each original stratum's largest Jaccard similarity in one bootstrap refit, shape (k,)."""
    drawn = draw_within(task.centres, np.random.default_rng(task.seed))
    fitted = CLUSTERERS[task.clusterer].build(task.k, task.seed).fit(task.X[drawn])
    members = np.unique(drawn)
    again = fitted.predict_probability(task.X[members]).argmax(axis=1)
    return largest_jaccard(task.strata[members], again, task.k)


def draw_within(groups: Integers, generator: np.random.Generator) -> Integers:
    """Return row positions drawn with replacement within each group, each group keeping its size; increasing."""
    drawn = [
        generator.choice(rows, size=len(rows), replace=True)
        for rows in (np.flatnonzero(groups == group) for group in np.unique(groups))
    ]
    return np.sort(np.concatenate(drawn))


def largest_jaccard(first: Integers, second: Integers, k: int) -> NDArray[np.float64]:
    """Return, for each stratum of `first`, its largest Jaccard similarity with a stratum of `second`, shape (k,).

    The Jaccard similarity is the size of the intersection over the size of the union; 0 for a stratum without members.
    """
    both = np.zeros((k, k))
    np.add.at(both, (first, second), 1.0)
    union = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    return np.asarray(
        np.divide(both, union, out=np.zeros_like(both), where=union > 0).max(axis=1), dtype=np.float64
    )
