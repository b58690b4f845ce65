"""Distances between patients over numbers and categories together, each pair over what both have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.clustering.mixed_columns import Encoded, MixedColumns, Scale
from models.errors import BadTarget

Floats = NDArray[np.float64]

MOST_PATIENTS = 12_000  # a matrix of distances takes 8 bytes a pair: 1.2 GB there
PARAMETERS: Mapping[str, Any] = {"scale": "robust"}
NUMBER_UNITS = 2.0  # robust standard deviations that count as much as another category


@dataclass
class PreparedDistances:
    """What divisions of the same patients share; it holds rows and is never stored.

    Attributes:
        columns: the fitted scales.
        encoded: the patients on them.
        matrix: shape (patients, patients), symmetric, 0 on the diagonal.
        trees: hierarchical trees made so far, by linkage.
    """

    columns: MixedColumns
    encoded: Encoded
    matrix: Floats
    trees: dict[str, Floats] = field(default_factory=dict)


def prepare_distances(X: pl.DataFrame, options: ClusterOptions) -> PreparedDistances:
    """Return the distances of all patients from each other.

    A pair's distance over one modality is the mean over the columns that both have (Gower 1971, doi 10.2307/2528823), and in
    all the mean over modalities that both have, by their weights. Categories differ by 0 or 1; numbers by their difference
    over two robust standard deviations ("robust": two patients drawn from a normal distribution then differ by 0.56 on
    average, as they do by 0.5 in a balanced yes or no) or over the range ("range": Gower's). Who has nothing in common gets
    the mean of all known distances.

    Raises:
        BadTarget: an unknown parameter, more than 12,000 patients, or no usable column.
    """
    if X.height > MOST_PATIENTS:
        raise BadTarget(
            f"Distances between {X.height} patients do not fit into memory (at most {MOST_PATIENTS}); take gaussian_mixture, "
            "k_means or latent_class."
        )
    columns = MixedColumns.fit(X, options, scale_of(options), unit=NUMBER_UNITS)
    encoded = columns.encode(X)
    matrix = distances(encoded, encoded, columns)
    known = ~np.isnan(matrix)
    np.fill_diagonal(known, False)
    matrix[np.isnan(matrix)] = matrix[known].mean() if known.any() else 1.0
    np.fill_diagonal(matrix, 0.0)
    return PreparedDistances(columns, encoded, matrix)


def scale_of(options: ClusterOptions) -> Scale:
    """Return the declared scale of numbers; refuses others."""
    scale = options.parameters.get("scale", PARAMETERS["scale"])
    if scale not in ("robust", "range"):
        raise BadTarget(f"The parameter scale must be robust or range; got {scale!r}.")
    found: Scale = scale
    return found


def distances(rows: Encoded, others: Encoded, columns: MixedColumns) -> Floats:
    """Return distances, shape (rows, others), NaN where the two have no column in common; see `prepare_distances`."""
    total = np.zeros((len(rows.numbers), len(others.numbers)))
    weight = np.zeros_like(total)
    for modality, share in sorted(columns.weights.items()):
        mean = modality_distances(rows, others, columns, modality)
        known = ~np.isnan(mean)
        total += np.where(known, share * mean, 0.0)
        weight += share * known
    with np.errstate(invalid="ignore"):
        return np.asarray(total / weight, dtype=np.float64)


def modality_distances(rows: Encoded, others: Encoded, columns: MixedColumns, modality: str) -> Floats:
    """Return the distances over the columns of one modality, shape (rows, others), NaN where none is in common."""
    total = np.zeros((len(rows.numbers), len(others.numbers)))
    step = np.empty_like(total)
    numbers = [place for place, one in enumerate(columns.numbers) if columns.sets[one.name] == modality]
    codes = [place for place, one in enumerate(columns.categories) if columns.sets[one.name] == modality]
    for place in numbers:
        left, right = rows.numbers[:, place], others.numbers[:, place]
        np.subtract.outer(left, right, out=step)
        np.abs(step, out=step)
        step[np.isnan(left)] = 0.0
        step[:, np.isnan(right)] = 0.0
        total += step
    for place in codes:
        first, second = rows.codes[:, place], others.codes[:, place]
        known = np.logical_and.outer(first >= 0, second >= 0)
        total += known & np.not_equal.outer(first, second)
    common = _present(rows, numbers, codes) @ _present(others, numbers, codes).T
    with np.errstate(invalid="ignore"):
        return np.asarray(total / common, dtype=np.float64)


def _present(patients: Encoded, numbers: list[int], codes: list[int]) -> Floats:
    known = [~np.isnan(patients.numbers[:, numbers]), patients.codes[:, codes] >= 0]
    return np.concatenate(known, axis=1).astype(np.float64)
