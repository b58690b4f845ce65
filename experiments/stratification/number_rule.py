"""The rule by which a number of strata is chosen, and what is said of it."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import polars as pl

from experiments.stratification.likelihood_ratio import DRAWS
from experiments.stratification.verdict import Figure, TestResult


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


def gap_number(table: pl.DataFrame) -> int | None:
    """Return the smallest number whose gap is at least the next one's less its error (Tibshirani 2001); None where none is."""
    known = table.filter(pl.col("gap").is_not_null()).sort("k").select("k", "gap", "gap_error").rows()
    pairs = pairwise(known)
    return next((int(k) for (k, gap, _), (_, after, error) in pairs if gap >= after - error), None)


def bic_number(table: pl.DataFrame) -> int | None:
    """Return the number with the smallest BIC; None for a clusterer without a likelihood."""
    known = table.filter(pl.col("bic").is_not_null()).sort("bic", "k")
    return int(known["k"][0]) if known.height else None


def number_test(table: pl.DataFrame, k: int, rule: Rule, draws: int) -> TestResult:
    """Return test 2 for the number that was chosen; `draws` is how many the consensus was held against."""
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
        Figure("consensus_p", p, rule.level, None if p is None else p <= rule.level, n=draws),
        Figure("smallest_share", smallest, rule.smallest_share, _met(smallest, rule.smallest_share)),
        Figure("consensus_index", row["consensus_index"], n=draws),
        Figure("number_by_gap", None if gap is None else float(gap)),
        Figure("number_by_bic", None if bic is None else float(bic)),
        Figure(
            "likelihood_ratio_p",
            row["likelihood_ratio_p"],
            n=None if row["likelihood_ratio_p"] is None else DRAWS,
        ),
    )
    return TestResult("number", "passed" if k > 1 else "failed", reason, figures)


def _met(found: float | None, least: float) -> bool | None:
    """Return whether a figure meets its threshold; None where it could not be computed or was not asked for."""
    return None if found is None else found >= least


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
