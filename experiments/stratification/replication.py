"""Test 4: are the strata of one country found again in the other, in both directions?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute
from experiments.disclosure import suppress_counts
from experiments.seeds import seed_for
from experiments.stratification.assignment import in_group_p, in_group_proportions
from experiments.stratification.centroids import Matched, match_profiles, profiles
from experiments.stratification.families import families_of, of_one_place
from experiments.stratification.prediction_strength import prediction_strength as strength_of
from experiments.stratification.schemas import Replication
from experiments.stratification.verdict import Figure, Status, TestResult
from models.errors import BadTarget
from models.strata_model import Recipe, StrataModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TEST = "replication"
ALL = 0  # the stratum of figures of all of them
PERMUTATIONS = 199  # of centroids, for the in-group proportion
OTHERS = "all others"


@dataclass(frozen=True)
class Direction:
    """One direction: found in `first`, looked for again in `second`; `here` and `there` are positions of their patients."""

    first: str
    second: str
    here: Integers
    there: Integers


@dataclass(frozen=True)
class Found:
    """What one direction gave.

    Attributes:
        k: number of strata in the first country; None where the recipe could not be carried out.
        agreement: adjusted Rand index of the second country's patients, carried over against found anew.
        correlation: of the matched strata's profiles.
        sentence: why there is no agreement, where there is none.
        rows: of schemas.Replication.
    """

    k: int | None
    agreement: float | None
    correlation: float | None
    sentence: str
    rows: tuple[dict[str, Any], ...]


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
    directions = _directions(of_one_place(rows[between], families), fewest)
    if not directions:
        reason = f"Fewer than two {_plural(between)} have {fewest} patients to be compared."
        return Replication.create_empty(), TestResult(TEST, "not_possible", reason)
    asked = _Asked(recipe, most_strata, prediction_strength, splits, smallest_share, claimed, families)
    found = [
        _direction(
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


@dataclass(frozen=True)
class _Asked:
    """What is done in every direction."""

    recipe: Recipe
    most_strata: int
    strength: float
    splits: int
    smallest_share: float
    claimed: int | None
    families: Integers | None

    def among(self, rows: Integers) -> "_Asked":
        """Return the same of some of the patients."""
        return replace(self, families=None if self.families is None else self.families[rows])


def _directions(places: pl.Series, fewest: int) -> list[Direction]:
    """Return both directions of two places, or of each of more and all others; empty with fewer than two of enough patients."""
    text = places.cast(pl.String)
    own = {
        str(name): np.flatnonzero((text == name).fill_null(False).to_numpy())
        for name in sorted(text.drop_nulls().unique())
    }
    own = {name: positions for name, positions in own.items() if len(positions) >= fewest}
    if len(own) < 2:
        return []
    if len(own) == 2:
        (one, here), (other, there) = own.items()
        return [Direction(one, other, here, there), Direction(other, one, there, here)]
    found = []
    for name, here in own.items():
        there = np.sort(np.concatenate([rest for another, rest in own.items() if another != name]))
        found += [Direction(name, OTHERS, here, there), Direction(OTHERS, name, there, here)]
    return found


def _direction(
    X: pl.DataFrame, one: Direction, asked: _Asked, seed: int, *, compute: Compute, journal: Path | None
) -> Found:
    first, second = X[one.here], X[one.there]
    try:
        k = _number(first, asked.among(one.here), seed, compute, journal)
        rows = [_row("number_of_strata", k, len(one.here))]
        if k == 1:
            return Found(1, None, None, f"{one.first} alone holds one group", tuple(rows))
        if asked.claimed is not None and k != asked.claimed:
            sentence = f"{one.first} alone holds {k} strata, not {asked.claimed}"
            return Found(k, None, None, sentence, tuple(rows))
        carried = StrataModel.fit(first, asked.recipe, k, seed_for(seed, "first")).with_local(second)
        anew = StrataModel.fit(second, asked.recipe, k, seed_for(seed, "second"))
        found = _compared(carried, anew, first, second, seed)
        return Found(k, found.agreement, found.correlation, "", (*rows, *found.rows))
    except BadTarget as problem:
        return Found(None, None, None, str(problem), ())


def _number(X: pl.DataFrame, asked: _Asked, seed: int, compute: Compute, journal: Path | None) -> int:
    """Return the largest number of strata that is foretold well enough and whose smallest stratum is large enough, or 1."""
    strength = strength_of(
        X,
        asked.recipe,
        ks=range(2, asked.most_strata + 1),
        splits=asked.splits,
        seed=seed,
        compute=compute,
        journal=journal,
        families=asked.families,
    )
    enough = strength.filter(pl.col("mean") >= asked.strength)["k"].sort(descending=True).to_list()
    for k in enough:
        labels = StrataModel.fit(X, asked.recipe, k, seed_for(seed, "first")).assign(X)
        if np.bincount(labels, minlength=k).min() >= asked.smallest_share * X.height:
            return int(k)
    return 1


def _compared(
    carried: StrataModel,
    anew: StrataModel,
    first: pl.DataFrame,
    second: pl.DataFrame,
    seed: int,
) -> Found:
    """Return what both divisions of the second country's patients have in common."""
    from sklearn.metrics import adjusted_rand_score, cohen_kappa_score

    k, n = carried.k, second.height
    by_first, by_own = carried.assign(second), anew.assign(second)
    match = _matched(carried, anew, first, second, by_own)
    agreement = float(adjusted_rand_score(by_own, by_first))
    kappa = float(cohen_kappa_score(match.partner[by_first], by_own, labels=np.arange(k)))
    points = carried.points(second)
    closed = in_group_proportions(points, by_first, k)
    own_points, own_labels = carried.points(first), carried.assign(first)
    centroids = np.stack([own_points[own_labels == one].mean(axis=0) for one in range(k)])
    chance = in_group_p(
        points, centroids, closed.tolist(), draws=PERMUTATIONS, seed=seed_for(seed, "in group")
    )
    sizes = np.bincount(by_first, minlength=k)
    rows = [
        _row("adjusted_rand_index", agreement, n),
        _row("kappa", None if np.isnan(kappa) else kappa, n),
        _row("centroid_correlation", match.correlation, n),
    ]
    for one in range(k):
        size = int(sizes[one])
        rows += [
            _row("centroid_correlation", match.each[one], size, one + 1),
            _row("share_carried_over", size / n, size, one + 1),
            _row("in_group_proportion", float(closed[one]) if size else None, size, one + 1),
            _row("in_group_p", chance[one], size, one + 1),
        ]
    return Found(k, agreement, match.correlation, "", tuple(rows))


def _matched(
    carried: StrataModel, anew: StrataModel, first: pl.DataFrame, second: pl.DataFrame, by_own: Integers
) -> Matched:
    """Return which stratum of the first country is which of the second, each told by its own patients."""
    names = sorted(set(carried.clusterer.columns) & set(anew.clusterer.columns))
    if not names:
        raise BadTarget(
            "The strata of both countries have no column in common: columns are known in one of them alone."
        )
    here, there = carried.adjusted(first).select(names), anew.adjusted(second).select(names)
    labels = carried.assign(first)
    return match_profiles(
        profiles(here, labels, carried.k, levels=there), profiles(there, by_own, carried.k, levels=here)
    )


def _row(figure: str, estimate: float | None, n: int, stratum: int = ALL) -> dict[str, Any]:
    return {
        "figure": figure,
        "stratum": stratum,
        "estimate": None if estimate is None else float(estimate),
        "n": n,
    }


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
