"""Patients' strata by a frozen model: memberships, how certain they are, and how far patients lie from every stratum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from experiments.disclosure import suppress_counts
from experiments.stratification.schemas import Memberships, Strata
from models.strata_model import StrataModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CERTAIN = 0.8  # from this probability on a patient counts as assigned
OUTSIDE = 0.01  # share of the model's own patients that lie farther from every stratum than the limit
FEWEST_OUTSIDE = 11  # the limit is no patient's own distance: at least so many lie beyond it
DIGITS = 4  # significant ones of a centroid or a limit


class Certainty(dy.Schema):
    """How certainly patients are assigned; aggregated, one row for all (stratum 0) and one per stratum."""

    stratum = dy.Int32(primary_key=True, min=0)
    n = dy.Int64(nullable=True)  # patients; null where suppressed, and all figures of the row with it
    share = dy.Float64(nullable=True, min=0, max=1)
    probability = dy.Float64(nullable=True, min=0, max=1)  # mean, of the most probable stratum
    entropy = dy.Float64(nullable=True, min=0, max=1)  # mean, over log k: 0 is certain
    certain = dy.Float64(nullable=True, min=0, max=1)  # share with a probability of CERTAIN or more


@dataclass(frozen=True)
class Extent:
    """Where the strata lie among the points, and how far from them their own patients are.

    Attributes:
        centroids: shape (k, dimensions), means of the strata's patients.
        limit: distance from the nearest centroid.
        beyond: share of the model's own patients farther than the limit; OUTSIDE, or more where that would be few patients.
    """

    centroids: Floats
    limit: float
    beyond: float


def assign_patients(
    rows: pl.DataFrame, X: pl.DataFrame, model: StrataModel
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return schemas.Strata and schemas.Memberships of patients; both are row-level and never leave the workspace.

    Args:
        rows: prediction_id, one row per patient.
        X: their columns, in the same order.
        model: the frozen model.
    """
    probability = np.clip(model.predict_probability(X), 0.0, 1.0)
    ids = rows["prediction_id"]
    strata = pl.DataFrame(
        {
            "prediction_id": ids,
            "stratum": probability.argmax(axis=1) + 1,
            "probability": probability.max(axis=1),
            "entropy": entropy(probability),
        }
    )
    memberships = pl.DataFrame(
        {
            "prediction_id": np.repeat(ids.to_numpy(), model.k),
            "stratum": np.tile(np.arange(1, model.k + 1), len(ids)),
            "probability": probability.ravel(),
        }
    )
    return (
        Strata.validate(strata.sort("prediction_id"), cast=True),
        Memberships.validate(memberships.sort("prediction_id", "stratum"), cast=True),
    )


def entropy(probability: Floats) -> Floats:
    """Return each row's entropy over log k, shape (rows,): 0 is certain, 1 is every stratum alike; 0 with one stratum.

    Celeux and Soromenho 1996, doi 10.1007/BF01246098: one less its mean is the entropy criterion of a mixture.
    """
    k = probability.shape[1]
    if k == 1:
        return np.zeros(len(probability))
    logarithm = np.log(np.where(probability > 0, probability, 1.0))
    return np.asarray(np.clip(-(probability * logarithm).sum(axis=1) / np.log(k), 0.0, 1.0), dtype=np.float64)


def certainty(strata: pl.DataFrame, *, smallest_cell: int) -> list[dict[str, Any]]:
    """Return the rows of `certainty_table` as JSON values, for the strata that anybody is in."""
    return certainty_table(strata, max(strata["stratum"].to_list(), default=0), smallest_cell).to_dicts()


def certainty_table(strata: pl.DataFrame, k: int, smallest_cell: int) -> pl.DataFrame:
    """Return schema Certainty, small strata suppressed together with what would give them away.

    Args:
        strata: schemas.Strata.
        k: number of strata of the model.
        smallest_cell: smallest count that may be published; 0 hides nothing.
    """
    figures = (
        pl.len().alias("n"),
        pl.col("probability").mean(),
        pl.col("entropy").mean(),
        (pl.col("probability") >= CERTAIN).mean().alias("certain"),
    )
    each = (
        pl.DataFrame({"stratum": np.arange(1, k + 1, dtype=np.int32)})
        .join(strata.group_by("stratum").agg(figures), on="stratum", how="left", maintain_order="left")
        .with_columns(pl.col("n").fill_null(0))
    )
    names = ["probability", "entropy", "certain"]
    told = suppress_counts(each, counts=["n"], smallest_cell=smallest_cell, blank=names)
    whole = suppress_counts(
        strata.select(pl.lit(0, dtype=pl.Int32).alias("stratum"), *figures),
        counts=["n"],
        smallest_cell=smallest_cell,
        blank=names,
    )
    frame = pl.concat([whole, told], how="diagonal_relaxed").with_columns(
        share=pl.col("n") / max(strata.height, 1)
    )
    sure = (pl.col("n") * pl.col("certain")).round()
    few = sure.is_between(1, smallest_cell - 1) | (pl.col("n") - sure).is_between(1, smallest_cell - 1)
    frame = frame.with_columns(certain=pl.when(~few).then(pl.col("certain")))  # a share times n is a count
    return Certainty.validate(frame.select(Certainty.column_names()), cast=True)


def extent_of(points: Floats, labels: Integers, k: int) -> Extent | None:
    """Return where the strata lie, or None where a stratum has fewer than 11 patients: nothing is told of so few.

    Args:
        points: of the model's own patients, shape (patients, dimensions).
        labels: their strata, 0 to k - 1, shape (patients,).
        k: number of strata.
    """
    if np.bincount(labels, minlength=k).min() < FEWEST_OUTSIDE:
        return None
    centroids = np.stack([points[labels == one].mean(axis=0) for one in range(k)])
    centroids = np.asarray([[_rounded(value) for value in row] for row in centroids])
    distance = nearest_distance(points, centroids)
    beyond = max(OUTSIDE, FEWEST_OUTSIDE / len(points))
    limit = _rounded(float(np.quantile(distance, 1 - beyond)))
    return Extent(centroids, limit, _rounded(float((distance > limit).mean())))


def nearest_distance(points: Floats, centroids: Floats) -> Floats:
    """Return the distance of each point from the nearest centroid, shape (patients,)."""
    return np.asarray(cKDTree(centroids).query(points)[0], dtype=np.float64)


def in_group_proportions(points: Floats, labels: Integers, k: int) -> Floats:
    """Return for each stratum the share of its patients whose nearest other patient is of it too, shape (k,); NaN if empty.

    Kapp and Tibshirani 2007, doi 10.1093/biostatistics/kxj029, with Euclidean distances of points instead of correlations
    of profiles.
    """
    return _proportions(labels, labels[nearest_neighbours(points)], k)


def nearest_neighbours(points: Floats) -> Integers:
    """Return the position of each point's nearest other point, shape (patients,); of equals one of them."""
    if len(points) < 2:
        return np.zeros(len(points), dtype=np.int64)
    found = cKDTree(points).query(points, k=2)[1]
    own = np.arange(len(points))
    return np.asarray(np.where(found[:, 0] == own, found[:, 1], found[:, 0]), dtype=np.int64)


def in_group_p(
    points: Floats, centroids: Floats, observed: Sequence[float], *, draws: int, seed: int
) -> list[float | None]:
    """Return for each stratum how seldom other centroids of the same extent give groups as closed as it is.

    The centroids' coordinates along the principal axes of the points are permuted between strata, the patients go to the
    nearest of the permuted centroids, and the stratum is compared with the group whose size is nearest to its own (Kapp and
    Tibshirani 2007); p = (b + 1) / (draws + 1). In few dimensions there are few permutations, and p cannot be small.

    Args:
        points: shape (patients, dimensions).
        centroids: shape (k, dimensions).
        observed: the strata's in-group proportions; NaN where there is nobody.
        draws: permutations.
        seed: of the permutations.
    """
    k = len(centroids)
    neighbours = nearest_neighbours(points)
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    scores, placed = (points - middle) @ axes.T, (centroids - middle) @ axes.T
    sizes = np.bincount(cKDTree(placed).query(scores)[1], minlength=k)
    generator = np.random.default_rng(seed)
    as_closed = np.zeros(k, dtype=np.int64)
    for _ in range(draws):
        labels = np.asarray(cKDTree(generator.permuted(placed, axis=0)).query(scores)[1], dtype=np.int64)
        found = np.nan_to_num(_proportions(labels, labels[neighbours], k))
        likest = np.abs(np.bincount(labels, minlength=k)[None, :] - sizes[:, None]).argmin(axis=1)
        as_closed += found[likest] >= np.nan_to_num(np.asarray(observed), nan=np.inf)
    return [
        None if np.isnan(value) else float((count + 1) / (draws + 1))
        for value, count in zip(observed, as_closed, strict=True)
    ]


def _proportions(labels: Integers, nearest: Integers, k: int) -> Floats:
    sizes = np.bincount(labels, minlength=k).astype(np.float64)
    closed = np.bincount(labels[labels == nearest], minlength=k)
    return np.asarray(np.divide(closed, sizes, out=np.full(k, np.nan), where=sizes > 0), dtype=np.float64)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
