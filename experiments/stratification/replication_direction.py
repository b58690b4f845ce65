"""One direction of the replication: strata of one country, carried over to the other and found anew there."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute
from experiments.seeds import seed_for
from experiments.stratification.assignment import in_group_p, in_group_proportions
from experiments.stratification.centroids import Matched, match_profiles, profiles
from experiments.stratification.prediction_strength import prediction_strength as strength_of
from models.errors import BadTarget
from models.strata_model import Recipe, StrataModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

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


@dataclass(frozen=True)
class Asked:
    """What is done in every direction.

    Attributes:
        recipe: what is done to the patients.
        most_strata: largest number tried.
        strength: smallest prediction strength of a number of strata.
        splits: of the first country's patients into halves.
        smallest_share: of the patients in a stratum.
        claimed: number of strata that a country alone must find; None: any above one.
        families: number of each patient's family, shape (patients,); None: nobody has relatives.
    """

    recipe: Recipe
    most_strata: int
    strength: float
    splits: int
    smallest_share: float
    claimed: int | None
    families: Integers | None

    def among(self, rows: Integers) -> "Asked":
        """Return the same of some of the patients."""
        return replace(self, families=None if self.families is None else self.families[rows])


def directions_between(places: pl.Series, fewest: int) -> list[Direction]:
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


def look_again(
    X: pl.DataFrame, one: Direction, asked: Asked, seed: int, *, compute: Compute, journal: Path | None
) -> Found:
    """Return what one direction gives: the first place's strata, found there alone, against those the second place has itself.

    Args:
        X: one row per patient of every place, with the columns of the recipe.
        one: who is here and who is there.
        asked: what is done.
        seed: of the direction.
        compute: where the splits run.
        journal: folder in which finished splits are kept; None: nowhere.
    """
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


def _number(X: pl.DataFrame, asked: Asked, seed: int, compute: Compute, journal: Path | None) -> int:
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
