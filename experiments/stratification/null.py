"""What the choice of a number of strata gives where there is one group of patients only."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from experiments.compute import Compute, map_tasks
from experiments.seeds import seed_for
from models.registry import CLUSTERERS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NullTask:
    """One draw of the null: clusterer, largest number of strata, the data it resembles, and its seed."""

    clusterer: str
    most_strata: int
    X: pl.DataFrame
    correlation: Floats
    seed: int


@dataclass(frozen=True)
class FitTask:
    """One fit: clusterer, number of strata, data, seed."""

    clusterer: str
    k: int
    X: pl.DataFrame
    seed: int


def bic_of(task: FitTask) -> float:
    """Return the Bayesian information criterion of one fit on its own rows; smaller is better."""
    return float(CLUSTERERS[task.clusterer].build(task.k, task.seed).fit(task.X).bic(task.X))


def null_p_value(
    X: pl.DataFrame,
    gain: float,
    *,
    clusterer: str,
    most_strata: int,
    draws: int,
    seed: int,
    compute: Compute,
) -> float:
    """Return how often one group gives a BIC gain as large: p = (b + 1) / (B + 1).

    One group means a Gaussian copula: the cohort's own marginals, rank correlations and pattern of missing values, with
    nothing else in it. The number of strata is chosen anew in each draw, so its choice is part of the null (parametric
    bootstrap, McLachlan 1987, doi 10.2307/2347790; the smallest p allowed by B draws, Davison and Hinkley 1997, 4.2).

    Args:
        X: one row per patient.
        gain: BIC of one stratum minus that of the chosen number, observed.
        clusterer: a name of CLUSTERERS.
        most_strata: largest number of strata tried.
        draws: B.
        seed: study's seed.
        compute: where the draws run.
    """
    correlation = normal_score_correlation(X)
    tasks = [
        NullTask(clusterer, most_strata, X, correlation, seed_for(seed, "stratify", "null", number))
        for number in range(draws)
    ]
    gains = np.asarray(map_tasks(null_gain, tasks, compute, "one group as reference"), dtype=np.float64)
    return float((np.sum(gains >= gain) + 1) / (draws + 1))


def null_gain(task: NullTask) -> float:
    """Return the BIC gain of the best number of strata over one, in one draw of the null."""
    X = draw_one_group(task.X, task.correlation, np.random.default_rng(task.seed))
    found = [bic_of(FitTask(task.clusterer, k, X, task.seed)) for k in range(1, task.most_strata + 1)]
    return found[0] - min(found)


def normal_score_correlation(X: pl.DataFrame) -> Floats:
    """Return the correlation of the columns' normal scores, missing values at the middle, shape (columns, columns)."""
    scores = np.column_stack([_normal_scores(X[name]) for name in X.columns])
    spread = scores.std(axis=0)
    scaled = (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    correlation = scaled.T @ scaled / len(scaled)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation, dtype=np.float64)


def draw_one_group(X: pl.DataFrame, correlation: Floats, generator: np.random.Generator) -> pl.DataFrame:
    """Return as many patients from one group with the marginals, rank correlations and missing pattern of X."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    normal = generator.standard_normal((len(X), X.width)) @ root.T
    drawn = {}
    for place, name in enumerate(X.columns):
        known = _known(X[name])
        ordered = X[name].filter(pl.Series(known)).sort()
        if ordered.is_empty():
            drawn[name] = X[name]
            continue
        quantiles = rankdata(normal[:, place], method="ordinal") - 0.5
        index = np.minimum((quantiles / len(X) * len(ordered)).astype(np.int64), len(ordered) - 1)
        drawn[name] = pl.select(
            pl.when(pl.Series(known)).then(ordered.gather(index)).otherwise(None)
        ).to_series()
    return pl.DataFrame(drawn)


def _known(column: pl.Series) -> NDArray[np.bool_]:
    known = column.is_not_null()
    return np.asarray(
        (known & column.is_not_nan().fill_null(value=False) if column.dtype.is_float() else known).to_numpy()
    )


def _normal_scores(column: pl.Series) -> Floats:
    known = _known(column)
    scores = np.zeros(len(column))
    if known.any():
        codes = column.filter(pl.Series(known)).rank("average").to_numpy()
        scores[known] = norm.ppf((codes - 0.5) / known.sum())
    return scores
