"""Where the strata lie, without showing a patient: ellipses in two directions, and means by country."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells
from experiments.stratification.explanation_schemas import Centroids, RegionAxes, Regions, table_of
from models.columns import is_category

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SMALLEST_REGION = 11  # patients: an ellipse of fewer could tell about one


def two_directions(points: Floats) -> tuple[Floats, Floats]:
    """Return patients' places along the two directions of largest variance, shape (patients, 2), and their shares of it.

    Not the directions that tell the strata apart best: along those any division looks like one.
    """
    centred = points - points.mean(axis=0)
    if centred.shape[1] == 1:
        centred = np.hstack([centred, np.zeros((len(centred), 1))])
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    axes = directions[:, ::-1][:, :2]
    axes = axes * np.where(
        axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0
    )  # eigenvectors have no sign
    total = max(float(variances.sum()), 1e-12)
    return np.asarray(centred @ axes, dtype=np.float64), np.clip(variances[::-1][:2] / total, 0.0, 1.0)


def regions(places: Floats, memberships: Floats, *, smallest_cell: int) -> pl.DataFrame:
    """Return schemas Regions: mean and covariance of each stratum, patients counted by membership; small strata left out.

    Args:
        places: of `two_directions`.
        memberships: shape (patients, k).
        smallest_cell: smaller strata are left out, as is what would give their size away; 0 for public data.
    """
    sizes = np.bincount(memberships.argmax(axis=1), minlength=memberships.shape[1])
    hidden = (
        hidden_cells(sizes[:, None], smallest_cell) if smallest_cell > 0 else np.zeros(len(sizes), dtype=bool)
    )
    records = []
    for stratum in np.flatnonzero(sizes >= max(SMALLEST_REGION, smallest_cell)):
        weight = memberships[:, stratum] / memberships[:, stratum].sum()
        centre = weight @ places
        away = places - centre
        covariance = (away * weight[:, None]).T @ away
        records.append(
            {
                "stratum": int(stratum) + 1,
                "n": None if hidden[stratum] else int(sizes[stratum]),
                "centre_first": centre[0],
                "centre_second": centre[1],
                "variance_first": covariance[0, 0],
                "variance_second": covariance[1, 1],
                "covariance": covariance[0, 1],
            }
        )
    return table_of(Regions, records)


def region_axes(places: Floats, shares: Floats, X: pl.DataFrame) -> pl.DataFrame:
    """Return schema RegionAxes: the correlation of each numeric column with the two directions, where it is known."""
    records = []
    for name in sorted(name for name in X.columns if not is_category(X.schema[name])):
        values = X[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        known = np.isfinite(values)
        for axis in (0, 1):
            first, second = values[known], places[known, axis]
            varies = len(first) >= SMALLEST_REGION and min(first.std(), second.std()) > 1e-12
            if varies:
                correlation = float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))
                records.append(
                    {
                        "axis": axis + 1,
                        "column": name,
                        "correlation": correlation,
                        "share": float(shares[axis]),
                    }
                )
    return table_of(RegionAxes, records).sort("axis", "column")


def centroids(
    X: pl.DataFrame, strata: Integers, countries: Sequence[str | None], *, smallest_cell: int
) -> pl.DataFrame:
    """Return schema Centroids: each stratum's mean in each country, in the country's standard deviations from its mean.

    The strata are those of all patients; whether each country has them by itself is what the replication tests.

    Args:
        X: one row per patient; categories are left out.
        strata: shape (patients,), from 0.
        countries: of each patient.
        smallest_cell: means of fewer patients are suppressed, with one that would give them away; 0 for public data.
    """
    k = int(strata.max()) + 1
    named = np.array(["" if country is None else country for country in countries])
    frames = []
    for country in [one for one in np.unique(named) if one]:
        here = named == country
        for name in sorted(name for name in X.columns if not is_category(X.schema[name])):
            values = X[name].cast(pl.Float64).fill_null(np.nan).to_numpy()[here]
            known = np.isfinite(values)
            own, where = values[known], strata[here][known]
            counts = np.bincount(where, minlength=k)
            spread = float(own.std()) if len(own) else 0.0
            if spread <= 1e-12:
                continue
            means = np.bincount(where, weights=own, minlength=k) / np.maximum(counts, 1)
            hidden = hidden_cells(counts[:, None], smallest_cell) if smallest_cell > 0 else counts == 0
            effects = [
                None if hidden[stratum] or counts[stratum] == 0 else (means[stratum] - own.mean()) / spread
                for stratum in range(k)
            ]
            frames.append(
                pl.DataFrame(
                    {
                        "country": [str(country)] * k,
                        "stratum": np.arange(1, k + 1),
                        "column": [name] * k,
                        "effect": pl.Series(effects, dtype=pl.Float64),
                    }
                )
            )
    if not frames:
        return Centroids.create_empty()
    return Centroids.validate(pl.concat(frames).sort("country", "stratum", "column"), cast=True)
