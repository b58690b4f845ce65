"""Consensus clustering: how often two patients are put together when the division is made anew on parts of the patients."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute, map_tasks
from experiments.seeds import seed_for
from experiments.stratification.families import number_of_units, rows_of_units
from models.errors import BadTarget
from models.strata_model import PreparedPatients, Recipe, StrataModel, prepare_patients

Floats = NDArray[np.float64]
Shares = NDArray[np.float32]
Integers = NDArray[np.int64]

SHARE = 0.8  # of the patients in a resample
AMBIGUOUS = (
    0.1,
    0.9,
)  # a pair that is together in more of the resamples than the first and fewer than the second
LOOKED_AT = 600  # patients whose pairs are counted, drawn at random: 180,000 pairs, standard error of a share below 0.002
WHOLLY_AMBIGUOUS = 1.0


@dataclass(frozen=True)
class KMeansTask:
    """The k-means of one resample, for every number of strata.

    Attributes:
        points: shape (patients of the resample, dimensions).
        ks: numbers of strata.
        n_init: starts of each.
        seed: of the starts, the same for every number.
    """

    points: Floats
    ks: tuple[int, ...]
    n_init: int
    seed: int


def consensus_matrices(
    points: Floats,
    ks: Iterable[int],
    *,
    resamples: int,
    share: float = SHARE,
    n_init: int = 10,
    seed: int,
    compute: Compute,
) -> dict[int, Shares]:
    """Return for each k how often two patients are together among the resamples that hold both (Monti et al. 2003).

    The division is scikit-learn's k-means; with the same subsamples (`subsamples`) and seeds (`k_means_seed`) labels are those
    of a plain loop over it. Pairs are counted by a product of one-hot matrices instead of one by one
    (doi 10.1023/A:1023949509487).

    Args:
        points: shape (patients, dimensions).
        ks: numbers of strata.
        resamples: subsamples without replacement.
        share: of the patients in each.
        n_init: starts of each k-means; with one instead of ten the division itself varies, and ambiguity says nothing of strata.
        seed: study's seed.
        compute: where the resamples run.

    Returns:
        Symmetric matrices of shape (patients, patients), from 0 to 1; 0 for pairs that no resample holds.
    """
    numbers = tuple(sorted(set(ks)))
    values = np.ascontiguousarray(points, dtype=np.float64)
    chosen = subsamples(len(values), resamples, share, seed)
    tasks = [
        KMeansTask(values[rows], numbers, n_init, k_means_seed(seed, number))
        for number, rows in enumerate(chosen)
    ]
    labels = map_tasks(k_means_labels, tasks, compute, "consensus")
    return {
        k: together(chosen, [one[place] for one in labels], k, len(values)) for place, k in enumerate(numbers)
    }


def subsamples(
    patients: int, resamples: int, share: float, seed: int, families: Integers | None = None
) -> list[Integers]:
    """Return the rows of each subsample, ascending; each of as many units, without replacement.

    Args:
        patients: how many there are.
        resamples: how many subsamples.
        share: of the units in each: families, and patients without relatives.
        seed: study's seed.
        families: number of each patient's family, shape (patients,), which is drawn whole; None: nobody has relatives.
    """
    units = number_of_units(families, patients)
    size = min(units, max(2, round(share * units)))
    draws = (np.random.default_rng(seed_for(seed, "consensus", number)) for number in range(resamples))
    return [rows_of_units(draw.choice(units, size, replace=False), families) for draw in draws]


def k_means_seed(seed: int, number: int) -> int:
    """Return the random_state of k-means on the resample of that number."""
    return seed_for(seed, "consensus", "k_means", number)


def k_means_labels(task: KMeansTask) -> list[NDArray[np.int8]]:
    """Return the labels of one resample for every number of strata."""
    from sklearn.cluster import KMeans

    fits: list[Any] = [KMeans(k, n_init=task.n_init, random_state=task.seed) for k in task.ks]
    return [fit.fit_predict(task.points).astype(np.int8) for fit in fits]


def together(rows: Sequence[Integers], labels: Sequence[NDArray[Any]], k: int, patients: int) -> Shares:
    """Return how often two patients have the same label among the resamples that hold both, shape (patients, patients).

    Args:
        rows: of each resample, the patients that are looked at.
        labels: their strata, 0 to k - 1.
        k: number of strata.
        patients: how many there are.
    """
    held = np.zeros((len(rows), patients), dtype=np.float32)
    strata = np.zeros((len(rows) * k, patients), dtype=np.float32)
    for number, (some, label) in enumerate(zip(rows, labels, strict=True)):
        held[number, some] = 1
        strata[number * k + label.astype(np.int64), some] = 1
    # Counts up to 2**24 are exact in float32. A product with its own transpose costs half of any other.
    return np.asarray((strata.T @ strata) / np.maximum(held.T @ held, 1), dtype=np.float32)


def ambiguous_pairs(matrix: Shares) -> float:
    """Return the share of pairs that are neither nearly always nor nearly never together (PAC).

    Senbabaoglu, Michailidis and Li 2014, doi 10.1038/srep06207: the consensus distribution between 0.1 and 0.9.
    """
    low, high = AMBIGUOUS
    above = matrix[np.triu_indices(len(matrix), 1)]
    return float(np.mean((above > low) & (above < high)))


def consensus_by_number(
    X: pl.DataFrame,
    recipe: Recipe,
    *,
    ks: Iterable[int],
    resamples: int,
    smallest_share: float,
    seed: int,
    prepared: PreparedPatients | None = None,
    families: Integers | None = None,
) -> dict[int, float]:
    """Return the share of ambiguous pairs of the recipe itself for each k; the smaller the better.

    Adjustment, imputation, reduction and clusterer are fitted anew in each subsample of the patients. A number that leaves a
    stratum under `smallest_share` when all patients are divided, or that cannot be fitted, counts as wholly ambiguous (1):
    splitting off the same few patients every time is no consensus about strata. Pairs are those of at most 600 patients, the
    same in every resample.

    Args:
        X: one row per patient, with the columns of `recipe.needed`.
        recipe: what is done to them.
        ks: numbers of strata.
        resamples: subsamples of four fifths of the patients.
        smallest_share: of the patients in a stratum.
        seed: of subsamples and fits.
        prepared: of the same rows, where it was made already.
        families: number of each patient's family, shape (patients,), drawn whole; None: nobody has relatives.
    """
    whole = prepared or prepare_patients(X, recipe)
    found = dict.fromkeys(sorted(set(ks)), WHOLLY_AMBIGUOUS)
    eligible = [k for k in found if _smallest(X, recipe, k, seed, whole) >= smallest_share]
    if not eligible:
        return found
    looked_at = _looked_at(X.height, seed)
    chosen = subsamples(X.height, resamples, SHARE, seed, families)
    labels: dict[int, list[Integers]] = {k: [] for k in eligible}
    places, rows = [], []
    for number, some in enumerate(chosen):
        known = np.isin(some, looked_at, assume_unique=True)
        rows.append(np.flatnonzero(known))
        places.append(np.searchsorted(looked_at, some[known]))
        for k, found_labels in _divided(
            X[some], recipe, eligible, seed_for(seed, "consensus", number)
        ).items():
            labels[k].append(found_labels)
    for k in eligible:
        if len(labels[k]) == resamples:
            mine = [label[some] for label, some in zip(labels[k], rows, strict=True)]
            found[k] = ambiguous_pairs(together(places, mine, k, len(looked_at)))
    return found


def _divided(X: pl.DataFrame, recipe: Recipe, ks: Sequence[int], seed: int) -> dict[int, Integers]:
    """Return the strata of one resample for every number that can be fitted there."""
    try:
        prepared = prepare_patients(X, recipe)
    except BadTarget:
        return {}
    found = {}
    for k in ks:
        try:
            model = StrataModel.fit(X, recipe, k, seed, prepared)
        except BadTarget:
            continue
        found[k] = np.asarray(
            model.clusterer.predict_probability(prepared.seen).argmax(axis=1), dtype=np.int64
        )
    return found


def _smallest(X: pl.DataFrame, recipe: Recipe, k: int, seed: int, prepared: PreparedPatients) -> float:
    """Return the share of the smallest stratum; 0 where k strata cannot be fitted."""
    try:
        model = StrataModel.fit(X, recipe, k, seed, prepared)
    except BadTarget:
        return 0.0
    strata = model.clusterer.predict_probability(prepared.seen).argmax(axis=1)
    return float(np.bincount(strata, minlength=k).min() / X.height)


def _looked_at(patients: int, seed: int) -> Integers:
    if patients <= LOOKED_AT:
        return np.arange(patients)
    draw = np.random.default_rng(seed_for(seed, "consensus", "pairs"))
    return np.sort(draw.choice(patients, LOOKED_AT, replace=False))
