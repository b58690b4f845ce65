"""Test 2: the number of strata, from one up, by prediction strength and by consensus against the null."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.compute import Compute
from experiments.seeds import seed_for
from experiments.stratification.gap import gap_statistic
from experiments.stratification.likelihood_ratio import likelihood_ratio_tests
from experiments.stratification.number_rule import Rule, chosen_number, number_test
from experiments.stratification.prediction_strength import prediction_strength as strength_of
from experiments.stratification.schemas import Selection
from experiments.stratification.verdict import TestResult
from models.clustering.gaussian_mixture import GaussianMixtureClusterer
from models.clustering.representation import Prepared
from models.errors import BadTarget
from models.registry import CLUSTERERS
from models.strata_model import PreparedPatients, Recipe, StrataModel, prepare_patients

OBSERVED, NULL = "observed", "copula"
LEAST_AMBIGUITY = 1e-4  # a smaller share of ambiguous pairs counts as this, so that the index stays finite


def number_of_strata(
    X: pl.DataFrame,
    recipe: Recipe,
    draws: pl.DataFrame,
    *,
    prediction_strength: float,
    splits: int,
    level: float,
    smallest_share: float,
    seed: int,
    compute: Compute,
    journal: Path | None = None,
    strength: pl.DataFrame | None = None,
) -> tuple[int, pl.DataFrame, TestResult]:
    """Return the number of strata, what each number came to, and the test.

    The number is the largest whose prediction strength is at least the threshold, whose share of ambiguous pairs is smaller
    (or as small, with a deeper valley) than in draws of one group at the same number, p = (b + 1) / (B + 1), and which leaves no
    stratum too small; else it is 1.
    Gap statistic, BIC, the separation and, at that number and the next, the bootstrap likelihood ratio stand beside and decide
    nothing.

    Args:
        X: one row per patient, with the columns of `recipe.needed`.
        recipe: what is done to them.
        draws: schemas.Draws, the patients' own statistics among them as "observed".
        prediction_strength: least mean over splits.
        splits: of the patients into halves.
        level: largest p of the consensus.
        smallest_share: least share of the patients in a stratum.
        seed: study's seed.
        compute: where the work runs.
        journal: folder of finished work; None: nowhere.
        strength: what `prediction_strength` gave for these numbers and splits, where that was asked before; None: not yet.

    Returns:
        The number; schemas.Selection, one row per number from 1; the test, failed where the number is 1.
    """
    rule = Rule(prediction_strength, level, smallest_share)
    ks = sorted(draws.filter(pl.col("k") > 1)["k"].unique().to_list())
    prepared = prepare_patients(X, recipe)
    if strength is None:
        strength = strength_of(X, recipe, ks=ks, splits=splits, seed=seed, compute=compute, journal=journal)
    table = (
        _fits(X, recipe, [1, *ks], seed, prepared)
        .join(
            strength.rename({"mean": "prediction_strength", "error": "prediction_strength_error"}),
            on="k",
            how="left",
        )
        .join(consensus_against_null(draws), on="k", how="left")
        .join(
            gap_statistic(prepared.points, ks=[1, *ks], seed=seed, compute=compute).rename(
                {"error": "gap_error"}
            ),
            on="k",
            how="left",
        )
        .join(_observed(draws, "separation"), on="k", how="left")
        .with_columns(
            pl.when(pl.col("k") == 1).then(1.0).otherwise("prediction_strength").alias("prediction_strength"),
        )
        .sort("k")
    )
    k = chosen_number(table, rule)
    beside = _likelihood_ratios(recipe, prepared, [one for one in (k, k + 1) if one in ks], seed, compute)
    table = (
        table.join(beside, on="k", how="left")
        .sort("k")
        .with_columns(chosen=pl.col("k") == k)
        .select(Selection.column_names())
    )
    return k, Selection.validate(table, cast=True), number_test(table, k, rule, _number_of_draws(draws))


def consensus_against_null(draws: pl.DataFrame) -> pl.DataFrame:
    """Return k, consensus, consensus_null, consensus_index and consensus_p of each number of strata.

    A draw reaches the patients' own share where its own is smaller, or the same with a valley at that number that is no shallower:
    where the division is stable to the last pair both shares are 0, and only the valley tells strata from one group.

    The index is log10 of the null's mean share of ambiguous pairs over the patients' own (John et al. 2020,
    doi 10.1038/s41598-020-58766-1).

    Args:
        draws: schemas.Draws.
    """
    null = draws.filter((pl.col("null") == NULL) & pl.col("consensus").is_not_null())
    own = _observed(draws, "consensus")
    deep = _observed(draws, "separation").rename({"separation": "deep"})
    beside = null.join(own.rename({"consensus": "own"}), on="k").join(deep, on="k")
    as_deep = pl.col("separation").fill_null(0.0) >= pl.col("deep").fill_null(0.0)
    reached = (pl.col("consensus") < pl.col("own")) | ((pl.col("consensus") == pl.col("own")) & as_deep)
    by_number = beside.group_by("k").agg(
        consensus_null=pl.col("consensus").mean(),
        consensus_p=(reached.sum() + 1) / (pl.len() + 1),
    )
    index = pl.max_horizontal("consensus_null", LEAST_AMBIGUITY) / pl.max_horizontal(
        "consensus", LEAST_AMBIGUITY
    )
    return own.join(by_number, on="k", how="left").with_columns(
        consensus_index=pl.when(
            pl.col("consensus_null").is_not_null() & pl.col("consensus").is_not_null()
        ).then(index.log10()),
        consensus_p=pl.when(pl.col("consensus").is_not_null()).then("consensus_p"),
    )


def _fits(
    X: pl.DataFrame, recipe: Recipe, ks: Sequence[int], seed: int, prepared: PreparedPatients
) -> pl.DataFrame:
    """Return k, bic and smallest of the models of all patients; null where a number cannot be fitted."""
    records: list[dict[str, Any]] = []
    for k in ks:
        record: dict[str, Any] = {"k": k, "bic": None, "smallest": None}
        records.append(record)
        try:
            model = StrataModel.fit(X, recipe, k, seed_for(seed, "stratify", "fit", k), prepared)
        except BadTarget:
            continue
        strata = model.clusterer.predict_probability(prepared.seen).argmax(axis=1)
        record["bic"] = model.clusterer.bic(prepared.seen)
        record["smallest"] = float(np.bincount(strata, minlength=k).min() / X.height)
    return pl.DataFrame(records, schema={"k": pl.Int32, "bic": pl.Float64, "smallest": pl.Float64})


def _likelihood_ratios(
    recipe: Recipe, prepared: PreparedPatients, ks: Sequence[int], seed: int, compute: Compute
) -> pl.DataFrame:
    """Return k and likelihood_ratio_p; no rows for a clusterer that is no Gaussian mixture of points."""
    mixture = isinstance(
        CLUSTERERS[recipe.clusterer].build(2, seed, recipe.options), GaussianMixtureClusterer
    )
    if not mixture or not isinstance(prepared.shared, Prepared):
        return pl.DataFrame(schema={"k": pl.Int32, "likelihood_ratio_p": pl.Float64})
    metric = bool(recipe.options.weights)
    return likelihood_ratio_tests(prepared.points, ks=ks, metric=metric, seed=seed, compute=compute)


def _observed(draws: pl.DataFrame, column: str) -> pl.DataFrame:
    return draws.filter(pl.col("null") == OBSERVED).select("k", column)


def _number_of_draws(draws: pl.DataFrame) -> int:
    return draws.filter((pl.col("null") == NULL) & pl.col("consensus").is_not_null())["draw"].n_unique()
