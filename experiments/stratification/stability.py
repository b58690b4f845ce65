"""Test 3: is every stratum found again in bootstrap samples of the patients within centres?"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute
from experiments.disclosure import suppress_counts
from experiments.seeds import seed_for
from experiments.stratification.families import draw_within, families_fingerprint
from experiments.stratification.journal import fingerprint_of, resumed_map
from experiments.stratification.schemas import Stability
from experiments.stratification.verdict import Figure, Status, TestResult
from models.errors import BadTarget
from models.strata_model import Recipe, StrataModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TEST = "stability"
JOURNAL_FILE = "stability.jsonl"


@dataclass(frozen=True)
class BootstrapTask:
    """One bootstrap refit: patients, their centres, strata and families, what is done to them, and the seed of the draw."""

    X: pl.DataFrame
    centres: Integers
    labels: Integers
    recipe: Recipe
    k: int
    seed: int
    families: Integers | None = None


def stability_test(
    X: pl.DataFrame,
    labels: Integers,
    centres: Integers,
    recipe: Recipe,
    *,
    k: int,
    bootstraps: int,
    threshold: float,
    seed: int,
    compute: Compute,
    journal: Path | None = None,
    families: Integers | None = None,
) -> tuple[pl.DataFrame, TestResult]:
    """Find the strata anew in bootstrap samples, with everything that is fitted, and compare.

    Each sample draws the patients of each centre with replacement, families whole. Each stratum is compared with the refitted one most like
    it, among the patients drawn: Jaccard similarity, intersection over union (Hennig 2007, doi 10.1016/j.csda.2006.11.025:
    from 0.75 on the mean of a stable stratum, below 0.6 of one that dissolves). A sample in which the recipe cannot be fitted
    finds nothing again: 0 for every stratum.

    Args:
        X: one row per patient, with the columns of `recipe.needed`.
        labels: each patient's stratum in all data, shape (patients,), 0 to k - 1.
        centres: code of each patient's centre, shape (patients,).
        recipe: what is done to them.
        k: number of strata.
        bootstraps: number of samples.
        threshold: smallest mean similarity of a stable stratum.
        seed: study's seed.
        compute: where the refits run.
        journal: folder of finished refits, so that an interrupted test goes on; None: nowhere.
        families: number of each patient's family, shape (patients,); None: nobody has relatives.

    Returns:
        schemas.Stability with every count (see `suppressed_stability`), and the test, passed where every stratum is stable.
    """
    tasks = [
        BootstrapTask(
            X, centres, labels, recipe, k, seed_for(seed, "stratify", "bootstrap", number), families
        )
        for number in range(bootstraps)
    ]
    made_from = (centres.astype(np.int64).tobytes(), labels.astype(np.int64).tobytes())
    found = resumed_map(
        bootstrap_jaccard,
        tasks,
        [f"bootstrap {number}" for number in range(bootstraps)],
        compute,
        "bootstrap of the strata",
        path=None if journal is None else journal / JOURNAL_FILE,
        fingerprint=fingerprint_of(
            X,
            recipe,
            *(hashlib.sha256(one).hexdigest() for one in made_from),
            k,
            seed,
            families_fingerprint(families),
        ),
    )
    return _judged([one for one in found if one is not None], labels, k, bootstraps, threshold)


def suppressed_stability(frame: pl.DataFrame, smallest_cell: int) -> pl.DataFrame:
    """Return schemas.Stability with small counts of patients, and those that would give them away, as null."""
    return suppress_counts(frame, counts=["n"], smallest_cell=smallest_cell)


def bootstrap_jaccard(task: BootstrapTask) -> list[float] | None:
    """Return each stratum's largest Jaccard similarity in one bootstrap refit, or None where nothing could be fitted."""
    generator = np.random.default_rng(task.seed)
    drawn = draw_within(task.centres, generator, task.families)
    try:
        fitted = StrataModel.fit(task.X[drawn], task.recipe, task.k, int(generator.integers(2**32)))
        members = np.unique(drawn)
        again = fitted.assign(task.X[members])
    except BadTarget:
        return None
    return list(map(float, largest_jaccard(task.labels[members], again, task.k)))


def largest_jaccard(first: Integers, second: Integers, k: int) -> Floats:
    """Return, for each stratum of `first`, its largest Jaccard similarity with a stratum of `second`, shape (k,).

    The Jaccard similarity is the size of the intersection over the size of the union; 0 for a stratum without members.
    """
    both = np.zeros((k, k))
    np.add.at(both, (first, second), 1.0)
    union = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    return np.asarray(
        np.divide(both, union, out=np.zeros_like(both), where=union > 0).max(axis=1), dtype=np.float64
    )


def _judged(
    found: list[list[float]], labels: Integers, k: int, bootstraps: int, threshold: float
) -> tuple[pl.DataFrame, TestResult]:
    similar = np.zeros((bootstraps, k))
    similar[: len(found)] = np.reshape(found, (-1, k))
    means = similar.mean(axis=0)
    lower, upper = np.percentile(similar, (2.5, 97.5), axis=0)
    stable = means >= threshold
    frame = pl.DataFrame(
        {
            "stratum": np.arange(1, k + 1),
            "n": np.bincount(labels, minlength=k),
            "mean_jaccard": means,
            "lower": lower,
            "upper": upper,
            "stable": stable,
        }
    )
    figures = tuple(
        Figure(
            f"jaccard_{one + 1}",
            float(means[one]),
            threshold,
            bool(stable[one]),
            float(lower[one]),
            float(upper[one]),
            bootstraps,
        )
        for one in range(k)
    )
    failed = Figure("samples_not_fitted", float(bootstraps - len(found)), n=bootstraps)
    status: Status = "passed" if stable.all() else "failed"
    result = TestResult(TEST, status, _reason(means, stable, threshold), (*figures, failed))
    return Stability.validate(frame, cast=True), result


def _reason(means: Floats, stable: NDArray[np.bool_], threshold: float) -> str:
    if stable.all():
        return (
            f"Every stratum is found again in bootstrap samples: the smallest mean Jaccard similarity is {means.min():.2f} "
            f"(at least {threshold:g} is asked)."
        )
    missed = ", ".join(f"{one + 1} ({means[one]:.2f})" for one in np.flatnonzero(~stable))
    return f"Strata with a mean Jaccard similarity below {threshold:g} in bootstrap samples: {missed}."
