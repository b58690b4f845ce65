"""How deep the valleys between strata are: the statistic of the null test."""

from collections.abc import Iterable
from itertools import combinations, product

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from experiments.seeds import seed_for
from models.errors import BadTarget
from models.strata_model import PreparedPatients, Recipe, StrataModel, prepare_patients

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BANDWIDTH = 1.0  # times n^(-1/5) within-stratum standard deviations
GRID = 256  # places at which a density is looked at
PARTS, FEWEST_OF_PART = 3, 20  # of a stratum, along its longest axis
NOISE_OF_PARTS = 3**0.5  # times that of whole strata: valleys between thirds stand on a third of the patients
FEWEST = 5  # patients of a stratum that has a density at all


def separation_by_number(
    X: pl.DataFrame,
    recipe: Recipe,
    *,
    ks: Iterable[int],
    smallest_share: float,
    seed: int,
    prepared: PreparedPatients | None = None,
) -> dict[int, float | None]:
    """Return the depth of the shallowest valley between two strata, for each number of strata.

    A valley is what neither skewed nor elongated data have, however well two components describe them; a criterion of fit
    (BIC, silhouette) is better for every number that cuts them.

    Args:
        X: one row per patient, with the columns of `recipe.needed`.
        recipe: what is done to them.
        ks: numbers of strata, each 2 or more.
        smallest_share: of the patients in a stratum; a number that leaves a smaller one gets None.
        seed: of the fits.
        prepared: of the same rows, where it was made already.

    Returns:
        Per number from 0 (no valley between some two strata) to 1 (between any two nobody stands in between); None where the
        patients cannot be divided into so many, or a stratum would be too small.
    """
    made = prepared or prepare_patients(X, recipe)
    found: dict[int, float | None] = {}
    for k in sorted(set(ks)):
        labels = divided(X, recipe, k, seed_for(seed, "stratify", "fit", k), made)
        eligible = labels is not None and np.bincount(labels, minlength=k).min() >= smallest_share * X.height
        found[k] = depth(made.points, labels) if eligible and labels is not None else None
    return found


def divided(
    X: pl.DataFrame, recipe: Recipe, k: int, seed: int, prepared: PreparedPatients
) -> Integers | None:
    """Return each patient's stratum, shape (patients,), from 0; None where there are too few patients for k strata."""
    try:
        model = StrataModel.fit(X, recipe, k, seed, prepared)
    except BadTarget:
        return None
    return np.asarray(model.clusterer.predict_probability(prepared.seen).argmax(axis=1), dtype=np.int64)


def depth(points: Floats, labels: Integers) -> float:
    """Return 1 - the highest of the valleys between any two strata: 1 where each stands apart from every other.

    Two strata run into one another too where parts of them do: the halves of a curve have a valley between them, seen as
    wholes from the side, but neighbouring parts of a curve have none. Of many pairs of small parts the shallowest
    valley is shallow by chance, so the depth between parts counts NOISE_OF_PARTS times.

    Args:
        points: shape (patients, dimensions).
        labels: shape (patients,), from 0.
    """
    strata = [points[labels == one] for one in np.unique(labels)]
    if len(strata) < 2:
        return 0.0
    whole = 1.0 - max(valley(first, second) for first, second in combinations(strata, 2))
    if whole <= 0:
        return 0.0
    between_parts = 1.0 - max(
        valley(one, other)
        for first, second in combinations([parts(one) for one in strata], 2)
        for one, other in product(first, second)
    )
    return min(whole, NOISE_OF_PARTS * between_parts)


def parts(stratum: Floats) -> list[Floats]:
    """Return up to PARTS equal parts of a stratum along its longest axis, of FEWEST_OF_PART patients or more each."""
    number = min(PARTS, len(stratum) // FEWEST_OF_PART)
    if number < 2:
        return [stratum]
    centred = stratum - stratum.mean(axis=0)
    longest = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    order = np.argsort(centred @ longest, kind="stable")
    return [stratum[rows] for rows in np.array_split(order, number)]


def valley(first: Floats, second: Floats) -> float:
    """Return the lowest density between two strata over the lower of the peaks beside it, from 0 to 1 (no valley).

    The density is a Gaussian kernel estimate along the discriminant axis of the two strata (pooled covariance within them,
    shrunken), with a bandwidth of n^(-1/5) standard deviations within strata (Silverman 1986, 3.4.2, without his factor for one
    Gaussian). The axis is fitted to the same patients and so shows too deep a valley in many dimensions: a figure
    that means something beside those of draws of one group alone.

    Args:
        first: shape (patients of one stratum, dimensions).
        second: shape (patients of another, dimensions).
    """
    if min(len(first), len(second)) < FEWEST:
        return 1.0
    axis = discriminant_axis(first, second)
    low, high = first @ axis, second @ axis
    spread = np.sqrt((low.var() * len(low) + high.var() * len(high)) / (len(low) + len(high)))
    if spread == 0:
        return 0.0
    low, high = low / spread, high / spread
    width = BANDWIDTH * (len(low) + len(high)) ** -0.2
    start, end = min(low.min(), high.min()) - 3 * width, max(low.max(), high.max()) + 3 * width
    step = (end - start) / GRID
    one, other = (_density(values, start, end, width / step) for values in (low, high))
    both = one + other
    left, right = int(one.argmax()), int(other.argmax())
    if right <= left:
        return 1.0
    lowest = left + int(both[left : right + 1].argmin())
    return float(both[lowest] / min(both[: lowest + 1].max(), both[lowest:].max()))


def discriminant_axis(first: Floats, second: Floats) -> Floats:
    """Return the direction that separates two strata best, shape (dimensions,), pointing from the first to the second.

    The pooled covariance is shrunken towards the one without correlations, the more the more dimensions there are per patient.
    """
    dimensions, patients = first.shape[1], len(first) + len(second)
    centred = np.vstack([first - first.mean(axis=0), second - second.mean(axis=0)])
    covariance = centred.T @ centred / patients
    shrunken = dimensions / (dimensions + patients)
    floor = 1e-6 * max(float(np.trace(covariance)) / dimensions, 1e-12)
    matrix = (1 - shrunken) * covariance + np.diag(shrunken * np.diagonal(covariance) + floor)
    return np.asarray(np.linalg.solve(matrix, second.mean(axis=0) - first.mean(axis=0)), dtype=np.float64)


def _density(values: Floats, start: float, end: float, bandwidth: float) -> Floats:
    """Return a kernel density times the number of values at GRID places, the bandwidth in steps of the grid."""
    counts = np.histogram(values, bins=GRID, range=(start, end))[0].astype(np.float64)
    return np.asarray(gaussian_filter1d(counts, bandwidth, mode="constant", truncate=5.0), dtype=np.float64)
