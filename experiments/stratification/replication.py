"""Test 4: are the strata of one country found again in the other, in both directions?"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from experiments.compute import Compute
from experiments.disclosure import suppress_counts
from experiments.seeds import seed_for
from experiments.stratification.families import families_of, of_one_place
from experiments.stratification.replication_direction import (
    ALL,
    Asked,
    Direction,
    Found,
    directions_between,
    look_again,
)
from experiments.stratification.schemas import Replication
from experiments.stratification.verdict import Figure, Status, TestResult
from models.strata_model import Recipe

TEST = "replication"


def replication_test(
    X: pl.DataFrame,
    rows: pl.DataFrame,
    recipe: Recipe,
    *,
    between: str,
    most_strata: int,
    prediction_strength: float,
    splits: int,
    smallest_share: float,
    agreement: float,
    centroid_correlation: float,
    fewest: int,
    seed: int,
    compute: Compute,
    claimed: int | None = None,
    journal: Path | None = None,
) -> tuple[pl.DataFrame, TestResult]:
    """Find strata in one country alone and look for them in the other, in both directions.

    In the first country the recipe is fitted and the number of strata chosen, by prediction strength. In the second, patients
    are divided twice: by the same recipe with that number, fitted anew, and by the first country's frozen model. Both
    divisions must agree, and the strata's profiles too (the two ways of Ullmann, Hennig and Boulesteix 2022, doi
    10.1002/widm.1444). With more than two countries each stands against all others. The number is chosen there
    without draws of one group, which only the whole cohort is held against. The in-group proportion (Kapp and
    Tibshirani 2007, doi 10.1093/biostatistics/kxj029) and kappa stand beside and decide nothing.

    Args:
        X: one row per patient, with the columns of `recipe.needed`.
        rows: with the column `between`, in the same order, and position and family where some are related: whoever has a relative
            in another place takes no part, and no split parts a family.
        recipe: what is done to them.
        between: "country" or "centre"; patients without one take no part.
        most_strata: largest number tried.
        prediction_strength: smallest of a number of strata.
        splits: of the first country's patients into halves.
        smallest_share: of the patients in a stratum.
        agreement: smallest adjusted Rand index.
        centroid_correlation: smallest correlation of matched profiles.
        fewest: patients of a country that takes part.
        seed: study's seed.
        compute: where the work runs.
        claimed: number of strata found among all patients, which a country alone must find too; None: any number above one.
        journal: folder in which finished splits are kept; None: nowhere.

    Returns:
        schemas.Replication with every count (see `suppressed_replication`), and the test: passed where all directions meet both
        thresholds, not possible with fewer than two countries, or where the recipe cannot be fitted in one of them.
    """
    families = families_of(rows)
    directions = directions_between(of_one_place(rows[between], families), fewest)
    if not directions:
        reason = f"Fewer than two {_plural(between)} have {fewest} patients to be compared."
        return Replication.create_empty(), TestResult(TEST, "not_possible", reason)
    asked = Asked(recipe, most_strata, prediction_strength, splits, smallest_share, claimed, families)
    found = [
        look_again(
            X,
            one,
            asked,
            seed_for(seed, "stratify", TEST, one.first, one.second),
            compute=compute,
            journal=None if journal is None else journal / f"{TEST}_{number}",
        )
        for number, one in enumerate(directions)
    ]
    records = [
        {"first": one.first, "second": one.second, **row}
        for one, each in zip(directions, found, strict=True)
        for row in each.rows
    ]
    frame = pl.DataFrame(records, schema={name: kind.dtype for name, kind in Replication.columns().items()})
    figures = [
        _figures(one, each, agreement, centroid_correlation)
        for one, each in zip(directions, found, strict=True)
    ]
    return Replication.validate(frame, cast=True), _judged(directions, found, figures)


def suppressed_replication(frame: pl.DataFrame, smallest_cell: int) -> pl.DataFrame:
    """Return schemas.Replication with the counts and figures of small strata, and what would give them away, as null."""
    whole, each = frame.filter(pl.col("stratum") == ALL), frame.filter(pl.col("stratum") != ALL)
    hidden = suppress_counts(
        each,
        counts=["n"],
        smallest_cell=smallest_cell,
        within=["first", "second", "figure"],
        blank=["estimate"],
    )
    return Replication.validate(pl.concat([whole, hidden]).sort("first", "second", "figure", "stratum"))


def _figures(
    one: Direction, found: Found, agreement: float, centroid_correlation: float
) -> tuple[Figure, ...]:
    n = len(one.there)
    where = f"{one.first} to {one.second}"
    asked = (
        (f"adjusted_rand_index, {where}", found.agreement, agreement),
        (f"centroid_correlation, {where}", found.correlation, centroid_correlation),
    )
    return (
        Figure(f"number_of_strata, {one.first} alone", found.k, n=len(one.here)),
        *(
            Figure(
                name,
                value,
                threshold,
                None if found.k is None else bool(value is not None and value >= threshold),
                n=n,
            )
            for name, value, threshold in asked
        ),
    )


def _judged(
    directions: Sequence[Direction], found: Sequence[Found], figures: Sequence[tuple[Figure, ...]]
) -> TestResult:
    """Failed where a direction failed; not possible where none did but one could not be looked at."""
    held = [
        all(figure.passed is not False for figure in each) and one.k is not None
        for each, one in zip(figures, found, strict=True)
    ]
    failed = [place for place, one in enumerate(found) if one.k is not None and not held[place]]
    status: Status = "failed" if failed else ("passed" if all(held) else "not_possible")
    sentences = [_sentence(one, each) for one, each in zip(directions, found, strict=True)]
    return TestResult(
        TEST,
        status,
        "; ".join(sentences) + ".",
        tuple({figure.name: figure for each in figures for figure in each}.values()),
    )


def _sentence(one: Direction, found: Found) -> str:
    if found.agreement is None:
        return found.sentence.rstrip(".")
    alike = "none" if found.correlation is None else f"{found.correlation:.2f}"
    return (
        f"{found.k} strata of {one.first} in {one.second}: adjusted Rand index {found.agreement:.2f}, correlation of the "
        f"profiles {alike}"
    )


def _plural(between: str) -> str:
    return {"country": "countries", "centre": "centres"}.get(between, between)
