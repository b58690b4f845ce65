"""Test 1: does one group of patients, drawn in two ways, give valleys as deep?"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from experiments.stratification.draws import OBSERVED, DrawTask, drawn_figures
from experiments.stratification.source import NULLS, Source
from experiments.stratification.verdict import Figure, TestResult
from models.strata_model import Recipe

WORDS = {"copula": "one group as a copula", "continuum": "a continuum"}


def null_test(draws: pl.DataFrame, *, level: float) -> TestResult:
    """Return test 1: both nulls give valleys as deep as the observed ones in at most `level` of the draws.

    p = (b + 1) / (B + 1), where b of B draws reach the observed statistic (Davison and Hinkley 1997, 4.2). The statistic is the
    largest separation over the numbers of strata, so that looking at several is part of the null. A claim needs both p-values
    to be small, so the larger one is that of the test (intersection-union).

    Args:
        draws: schemas.Draws.
        level: of each p-value.
    """
    deep, at = deepest(draws)
    observed = deep or 0.0
    beaten = {
        null: draws.filter(pl.col("null") == null)
        .group_by("draw")
        .agg(pl.col("separation").max().fill_null(0.0))
        for null in NULLS
    }
    reached = {null: int((found["separation"] >= observed).sum()) for null, found in beaten.items()}
    counts = {null: found.height for null, found in beaten.items()}
    p_values = {null: (reached[null] + 1) / (counts[null] + 1) for null in NULLS}
    passed = all(p <= level for p in p_values.values())
    figures = [
        Figure(f"p_{null}", p_values[null], threshold=level, passed=p_values[null] <= level, n=counts[null])
        for null in NULLS
    ]
    figures.append(Figure("separation", deep, n=sum(counts.values())))
    return TestResult(
        "one_group",
        "passed" if passed else "failed",
        _reason(deep, at, reached, counts, p_values),
        tuple(figures),
    )


def deepest(draws: pl.DataFrame) -> tuple[float | None, int]:
    """Return the patients' own statistic, None where no number leaves every stratum large enough, and the number that has it."""
    own = draws.filter(pl.col("null") == OBSERVED)
    own = own.sort("separation", "k", descending=[True, False], nulls_last=True)
    return own["separation"][0], int(own["k"][0])


def _reason(
    observed: float | None,
    at: int,
    reached: dict[str, int],
    counts: dict[str, int],
    p_values: dict[str, float],
) -> str:
    if observed is None:
        return "No number of strata leaves every stratum large enough (smallest_share), so no valley could be looked for."
    if observed == 0:
        return "There is no valley between strata, whatever their number: some two of them always run into one another."
    told = [
        f"{counts[null] - reached[null]} of {counts[null]} draws of {WORDS[null]} (p = {p_values[null]:.3f})"
        for null in NULLS
    ]
    return f"The deepest valley between strata ({observed:.2f} at k = {at}) is deeper than in {' and in '.join(told)}."


def decide(
    source: Source,
    recipe: Recipe,
    *,
    most_strata: int,
    smallest_share: float,
    draws: int,
    level: float,
    seed: int,
    nulls: Sequence[str] = NULLS,
) -> bool:
    """Return whether test 1 is passed, ending as soon as no further draw can change that; the same answer as `null_test`.

    For studies of validity, where most cohorts have no strata and a few draws tell.
    """
    ks = tuple(range(2, most_strata + 1))

    def statistic(null: str, number: int) -> float:
        task = DrawTask(source, recipe, ks, smallest_share, (), 0, null, number, seed)
        return max(float(row["separation"] or 0.0) for row in drawn_figures(task))

    observed = statistic(OBSERVED, 0)
    allowed = (
        int(np.floor(level * (draws + 1) + 1e-9)) - 1
    )  # draws of each null that may reach the observed figure
    if observed == 0 or allowed < 0:
        return False
    for (
        null
    ) in nulls:  # one after the other: what the second needs is not even fitted where the first one tells
        reached = 0
        for number in range(1, draws + 1):
            reached += statistic(null, number) >= observed
            if reached > allowed:
                return False
    return True
