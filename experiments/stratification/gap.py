"""The gap statistic: how much tighter k groups of points are than k groups of evenly spread points. It decides nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute, map_tasks
from experiments.seeds import seed_for

Floats = NDArray[np.float64]

REFERENCES = 20
STARTS = 5  # of k-means


@dataclass(frozen=True)
class DispersionTask:
    """Points to be divided by k-means, for every number of groups.

    Attributes:
        points: shape (patients, dimensions).
        ks: numbers of groups.
        seed: of the starts.
        reference: the points are first replaced by as many spread evenly over their box, drawn with the seed.
    """

    points: Floats
    ks: tuple[int, ...]
    seed: int
    reference: bool


def gap_statistic(
    points: Floats,
    *,
    ks: Iterable[int],
    references: int = REFERENCES,
    seed: int,
    compute: Compute,
) -> pl.DataFrame:
    """Return the gap statistic and its error for each number of groups.

    Tibshirani, Walther and Hastie 2001, doi 10.1111/1467-9868.00293: the mean log dispersion of reference points less that of
    the points, dispersion being k-means' sum of squares within groups; reference points are uniform over the box along the
    points' principal components. The error is the references' standard deviation times sqrt(1 + 1/references). Their rule is
    the smallest k whose gap is at least that of k + 1 less its error.

    Args:
        points: shape (patients, dimensions).
        ks: numbers of groups, 1 among them for their rule.
        references: sets of reference points.
        seed: study's seed.
        compute: where the references run.

    Returns:
        k, gap and error, one row per number; null for a number that leaves no dispersion (fewer distinct points than groups).
    """
    numbers = tuple(sorted(set(ks)))
    values = np.asarray(points, dtype=np.float64)
    seeds = [seed_for(seed, "stratify", "gap", number) for number in range(references + 1)]
    tasks = [DispersionTask(values, numbers, one, number > 0) for number, one in enumerate(seeds)]
    found = np.array(map_tasks(log_dispersions, tasks, compute, "gap statistic"), dtype=np.float64)
    with np.errstate(invalid="ignore"):  # no dispersion, whose logarithm is minus infinity
        gap = found[1:].mean(axis=0) - found[0]
        error = found[1:].std(axis=0) * np.sqrt(1 + 1 / references)
    known = np.isfinite(gap) & np.isfinite(error)
    schema = {"k": pl.Int32, "gap": pl.Float64, "error": pl.Float64}
    frame = pl.DataFrame({"k": numbers, "gap": gap, "error": error}, schema=schema)
    return frame.with_columns(
        pl.when(pl.Series(known)).then(pl.col(name)).alias(name) for name in ("gap", "error")
    )


def log_dispersions(task: DispersionTask) -> list[float]:
    """Return the logarithm of the sum of squares within groups, for each number of groups."""
    from sklearn.cluster import KMeans

    points = evenly_spread(task.points, np.random.default_rng(task.seed)) if task.reference else task.points
    distinct = len(np.unique(points, axis=0))
    found = []
    for k in task.ks:
        if k >= distinct:
            found.append(-np.inf)
            continue
        fit = KMeans(k, n_init=1 if k == 1 else STARTS, random_state=task.seed).fit(points)
        found.append(float(np.log(fit.inertia_)))
    return found


def evenly_spread(points: Floats, generator: np.random.Generator) -> Floats:
    """Return as many points, uniform over the box that holds them along their principal components."""
    centre = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - centre, full_matrices=False)
    along = (points - centre) @ axes.T
    drawn = generator.uniform(along.min(axis=0), along.max(axis=0), along.shape)
    return np.asarray(drawn @ axes + centre, dtype=np.float64)
