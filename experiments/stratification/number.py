"""Test 2: the number of strata, from one up, by prediction strength and by consensus against the null."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.compute import Compute
from experiments.seeds import seed_for
from experiments.stratification.gap import gap_statistic
from experiments.stratification.prediction_strength import prediction_strength as strength_of
from experiments.stratification.schemas import Selection
from experiments.stratification.verdict import Figure, TestResult
from models.errors import BadTarget
from models.strata_model import PreparedPatients, Recipe, StrataModel, prepare_patients

OBSERVED, NULL = "observed", "copula"
LEAST_AMBIGUITY = 1e-4  # a smaller share of ambiguous pairs counts as this, so that the index stays finite


@dataclass(frozen=True)
class Rule:
    """What a number of strata must meet, declared beforehand.

    Attributes:
        prediction_strength: least mean over splits.
        level: largest p of the consensus against the null's.
        smallest_share: least share of the patients in each stratum.
    """

    prediction_strength: float
    level: float
    smallest_share: float


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
    than in draws of one group at the same number, p = (b + 1) / (B + 1), and which leaves no stratum too small; else it is 1.
    Gap statistic, BIC, bootstrap likelihood ratio and the separation stand beside and decide nothing.

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
            likelihood_ratio_p=pl.lit(None, dtype=pl.Float64),
        )
        .sort("k")
    )
    k = chosen_number(table, rule)
    table = table.with_columns(chosen=pl.col("k") == k).select(Selection.column_names())
    return k, Selection.validate(table, cast=True), _test(table, k, rule, _number_of_draws(draws))


def strong_numbers(strength: pl.DataFrame, threshold: float) -> list[int]:
    """Return the numbers of strata whose prediction strength suffices: only their consensus can matter."""
    return strength.filter(pl.col("mean") >= threshold)["k"].sort().to_list()


def chosen_number(table: pl.DataFrame, rule: Rule) -> int:
    """Return the largest number that meets the rule; 1 where none does."""
    met = table.filter((pl.col("k") > 1) & met_by(rule))
    return int(met["k"].max()) if met.height else 1  # type: ignore[arg-type]


def met_by(rule: Rule) -> pl.Expr:
    """Return whether a row of schemas.Selection meets the rule; what is unknown does not."""
    return (
        (pl.col("prediction_strength") >= rule.prediction_strength)
        & (pl.col("consensus_p") <= rule.level)
        & (pl.col("smallest") >= rule.smallest_share)
    ).fill_null(value=False)


def consensus_against_null(draws: pl.DataFrame) -> pl.DataFrame:
    """Return k, consensus, consensus_null, consensus_index and consensus_p of each number of strata.

    The index is log10 of the null's mean share of ambiguous pairs over the patients' own (John et al. 2020,
    doi 10.1038/s41598-020-58766-1).

    Args:
        draws: schemas.Draws.
    """
    null = draws.filter((pl.col("null") == NULL) & pl.col("consensus").is_not_null())
    own = _observed(draws, "consensus")
    beside = null.join(own.rename({"consensus": "own"}), on="k")
    by_number = beside.group_by("k").agg(
        consensus_null=pl.col("consensus").mean(),
        consensus_p=((pl.col("consensus") <= pl.col("own")).sum() + 1) / (pl.len() + 1),
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


def gap_number(table: pl.DataFrame) -> int | None:
    """Return the smallest number whose gap is at least the next one's less its error (Tibshirani 2001); None where none is."""
    known = table.filter(pl.col("gap").is_not_null()).sort("k").select("k", "gap", "gap_error").rows()
    pairs = pairwise(known)
    return next((int(k) for (k, gap, _), (_, after, error) in pairs if gap >= after - error), None)


def bic_number(table: pl.DataFrame) -> int | None:
    """Return the number with the smallest BIC; None for a clusterer without a likelihood."""
    known = table.filter(pl.col("bic").is_not_null()).sort("bic", "k")
    return int(known["k"][0]) if known.height else None


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


def _observed(draws: pl.DataFrame, column: str) -> pl.DataFrame:
    return draws.filter(pl.col("null") == OBSERVED).select("k", column)


def _number_of_draws(draws: pl.DataFrame) -> int:
    return draws.filter((pl.col("null") == NULL) & pl.col("consensus").is_not_null())["draw"].n_unique()


def _test(table: pl.DataFrame, k: int, rule: Rule, draws: int) -> TestResult:
    several = table.filter(pl.col("k") > 1)
    strongest = several.sort("prediction_strength", "k", descending=[True, False], nulls_last=True)
    row = (several.filter(pl.col("k") == k) if k > 1 else strongest).row(0, named=True)
    reason = _why_found(row) if k > 1 else _why_none(several, row, rule)
    strength, p, smallest = row["prediction_strength"], row["consensus_p"], row["smallest"]
    gap, bic = gap_number(table), bic_number(table)
    figures = (
        Figure("number", float(k)),
        Figure(
            "prediction_strength",
            strength,
            rule.prediction_strength,
            _met(strength, rule.prediction_strength),
        ),
        Figure("consensus_p", p, rule.level, p is not None and p <= rule.level, n=draws),
        Figure("smallest_share", smallest, rule.smallest_share, _met(smallest, rule.smallest_share)),
        Figure("consensus_index", row["consensus_index"], n=draws),
        Figure("number_by_gap", None if gap is None else float(gap)),
        Figure("number_by_bic", None if bic is None else float(bic)),
    )
    return TestResult("number", "passed" if k > 1 else "failed", reason, figures)


def _met(found: float | None, least: float) -> bool:
    return found is not None and found >= least


def _why_found(row: dict[str, Any]) -> str:
    return (
        f"{row['k']} strata: either half of the patients foretells the other's (prediction strength "
        f"{row['prediction_strength']:.2f}), and pairs are less ambiguous than in draws of one group (p = "
        f"{row['consensus_p']:.3f})."
    )


def _why_none(several: pl.DataFrame, best: dict[str, Any], rule: Rule) -> str:
    """Return what the number nearest to the rule lacks: strength first, then consensus, then size."""
    if best["prediction_strength"] is None:
        return "There are too few patients to divide halves of them."
    strong = several.filter(pl.col("prediction_strength") >= rule.prediction_strength)
    if strong.is_empty():
        return (
            f"No number of strata in one half of the patients foretells the other's: the prediction strength is at most "
            f"{best['prediction_strength']:.2f}, with {best['k']} strata, where {rule.prediction_strength:g} is asked for."
        )
    large = strong.filter(pl.col("smallest") >= rule.smallest_share)
    if large.is_empty():
        return f"Strata that halves of the patients foretell hold fewer than {100 * rule.smallest_share:g} % of them in the smallest."
    least = large.sort("consensus_p", nulls_last=True)["consensus_p"][0]
    if least is None:
        return "There are no draws of one group that consensus could be held against."
    return f"Pairs of patients are no less ambiguous than in draws of one group (p = {least:.3f} at best)."
