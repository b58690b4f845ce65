"""The smaller model of the value test: covariates and continuous scores of the variables that made the strata."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.evaluation.smooth import spline_columns
from experiments.stratification.estimation import independent
from models.columns import is_category

Floats = NDArray[np.float64]

# Quantiles of the knots by their number (Harrell 2015, Regression Modeling Strategies, table 2.3).
QUANTILES: dict[int, tuple[float, ...]] = {
    3: (0.1, 0.5, 0.9),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.5, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.5, 0.6583, 0.8167, 0.975),
}
EXPLAINED = 0.9  # of the makers' variance, that the scores should explain
PER_COLUMN = 5  # patients or events that each free column of the smaller model should have
LEADING = 3  # scores that may bend, alone and together
LEAST_MEMBERS = 1e-9  # sum of a stratum's memberships, below which nobody with a response is in it
FEWEST = 11  # patients of a level, or who lack a value, that have a column of their own


@dataclass(frozen=True)
class Smaller:
    """Columns of the smaller model, one row per patient.

    Attributes:
        columns: shape (n, columns), scaled; covariates first. Free ones are independent of each other and of a constant.
        groups: of each column, shape (columns,): 0 for free ones, else which penalty it shares (`smoothing.chosen_penalty`).
        dimensions: how many continuous scores are among them.
        curved: how many of those as splines.
        products: how many products of two or three scores are among them.
        explained: share of the variance of the variables that made the strata which those scores explain; None without.
    """

    columns: Floats
    groups: NDArray[np.int64]
    dimensions: int
    curved: int
    products: int
    explained: float | None


def smaller_columns(
    fixed: Floats,
    scores: Floats,
    makers: Floats,
    *,
    knots: int,
    size: int,
    index: Floats | None = None,
    axes: Floats | None = None,
) -> Smaller:
    """Return covariates and scores as straight lines, then, held back by penalties, everything that bends.

    Strata of a continuum are curved functions of its scores. So where a score's effect is curved or two of them act together,
    the smaller model must be able to say so, or the strata would be credited with it. But with a free column for each such
    curve nothing would be left for true strata either: so only lines, and a curve along the response's own direction, are free.

    Args:
        fixed: covariates and places, shape (n, columns).
        scores: the dimensions, shape (n, dimensions), the most important first.
        makers: the variables that made the strata as numbers, shape (n, variables); they give further scores where the
            dimensions explain less than 0.9 of their variance.
        knots: of each restricted cubic spline.
        size: patients, or events, that limit the number of free columns.
        index: a direction, shape (n,), whose spline is free.
        axes: further directions, shape (n, axes), that get splines as the leading scores do, such as those between the strata.
    """
    wanted = _with_further(scores, makers)
    room = max(size // PER_COLUMN - fixed.shape[1], 1)
    lines = min(wanted.shape[1], room)
    unit = _scaled(wanted[:, :lines])
    along = np.zeros((len(scores), 0)) if index is None else _bends(index, knots)[:, : room - lines]
    free = np.column_stack([_scaled(part) for part in (fixed, unit, along)])
    free = free[:, independent(free)]
    leading = unit[:, :LEADING]
    between = np.zeros((len(scores), 0)) if axes is None else axes
    bending = np.column_stack([leading, between])
    bends = np.column_stack([_bends(direction, knots) for direction in bending.T])
    parts = [free, *(_scaled(part) for part in (_products(leading, 2), bends, _products(leading, 3)))]
    return Smaller(
        np.column_stack(parts),
        np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts]),
        lines,
        leading.shape[1],
        parts[1].shape[1] + parts[3].shape[1],
        explained(wanted[:, :lines], makers),
    )


def _products(unit: Floats, degree: int) -> Floats:
    """Return all products of `degree` scores, squares and cubes included, shape (n, products)."""
    chosen = combinations_with_replacement(range(unit.shape[1]), degree)
    return np.stack([np.prod(unit[:, list(places)], axis=1) for places in chosen], axis=1)


def axes_between(scores: Floats, probability: Floats) -> Floats:
    """Return patients' coordinates along the discriminant directions of the strata, shape (n, k or fewer).

    One per stratum that has any of the patients: from the mean of all to its own, seen through the covariance within strata (Fisher's). Along these the
    memberships change, so a curved effect along them is what strata are most easily mistaken for.

    Args:
        scores: shape (n, dimensions).
        probability: memberships, shape (n, k).
    """
    sizes = probability.sum(axis=0)
    there = sizes > LEAST_MEMBERS
    means = probability[:, there].T @ scores / sizes[there, None]
    within = scores.T @ scores - (means * sizes[there, None]).T @ means
    within /= len(scores)
    within += 0.05 * np.trace(within) / len(within) * np.eye(len(within))
    return np.asarray(scores @ np.linalg.solve(within, (means - scores.mean(axis=0)).T), dtype=np.float64)


def _scaled(values: Floats) -> Floats:
    spread = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0), dtype=np.float64)


def _bends(score: Floats, knots: int) -> Floats:
    """Return the curved columns of a restricted cubic spline, shape (n, knots - 2); none where values are too few."""
    places = np.unique(np.quantile(score, QUANTILES[knots]))
    if len(places) < 3:
        return np.zeros((len(score), 0))
    return np.asarray(spline_columns(score, places)[:, 2:], dtype=np.float64)


def spline_of(score: Floats, knots: int) -> Floats:
    """Return the columns of a restricted cubic spline without its constant, shape (n, up to knots - 1)."""
    return np.column_stack([score, _bends(score, knots)])


def explained(scores: Floats, makers: Floats) -> float | None:
    """Return the share of the makers' variance, each scaled to 1, that the scores explain as straight lines."""
    known = makers[:, makers.std(axis=0) > 0] if makers.size else makers
    if not known.shape[1]:
        return None
    unit = _scaled(known)
    return float(1 - (_residuals(unit, scores) ** 2).sum() / (unit**2).sum())


def _residuals(values: Floats, scores: Floats) -> Floats:
    design = np.column_stack([np.ones(len(values)), scores])
    return np.asarray(values - design @ np.linalg.lstsq(design, values, rcond=None)[0], dtype=np.float64)


def _with_further(scores: Floats, makers: Floats) -> Floats:
    """Return the scores and as many principal components of what they leave as explain 0.9 together."""
    reached = explained(scores, makers)
    if reached is None or reached >= EXPLAINED:
        return scores
    unit = _scaled(makers[:, makers.std(axis=0) > 0])
    left, values, _ = np.linalg.svd(_residuals(unit, scores), full_matrices=False)
    shares = reached + np.cumsum(values**2) / (unit**2).sum()
    number = int(np.searchsorted(shares, EXPLAINED)) + 1
    more = left[:, :number]
    signs = np.sign(more[np.abs(more).argmax(axis=0), np.arange(more.shape[1])])
    return np.column_stack([scores, more * signs * np.sqrt(len(scores))])


def encoded(frame: pl.DataFrame, *, knots: int | None = None) -> Floats:
    """Return a frame's columns as numbers without gaps, shape (n, columns).

    A number is its median where missing, with a column that says so; with `knots` it has a spline's columns too. A category
    has a column per level of 11 patients or more but the most frequent, missing being a level.
    """
    parts = [np.zeros((frame.height, 0))]
    for name in frame.columns:
        column = frame[name]
        category = is_category(column.dtype) or column.dtype == pl.Boolean
        parts.append(_levels(column) if category else _number(column, knots))
    return np.column_stack(parts)


def _number(column: pl.Series, knots: int | None) -> Floats:
    values = column.cast(pl.Float64).fill_nan(None)
    middle = values.median()
    filled = values.fill_null(middle if isinstance(middle, float) else 0.0).to_numpy().astype(np.float64)
    missing = values.is_null().to_numpy()
    parts = [filled[:, None]]
    if knots is not None:
        parts.append(_bends(filled, knots))
    if FEWEST <= missing.sum() <= len(missing) - FEWEST:
        parts.append(missing[:, None].astype(np.float64))
    return np.column_stack(parts)


def _levels(column: pl.Series) -> Floats:
    return dummies(column.cast(pl.String).fill_null("not recorded").to_list())


def dummies(levels: Sequence[str]) -> Floats:
    """Return a column per level of 11 patients or more but the most frequent, shape (n, levels)."""
    names, place, counts = np.unique(
        np.asarray(levels, dtype=np.str_), return_inverse=True, return_counts=True
    )
    told = [one for one in range(len(names)) if counts[one] >= FEWEST and one != int(counts.argmax())]
    return (
        np.asarray(np.stack([place == one for one in told], axis=1), dtype=np.float64)
        if told
        else np.zeros((len(levels), 0))
    )


def places_of(rows: pl.DataFrame) -> list[str]:
    """Return each patient's centre; those of fewer than 11 patients are taken together within their country."""
    frame = rows.select(
        pl.col("country").cast(pl.String).fill_null("not recorded"),
        pl.col("centre").cast(pl.String).fill_null("not recorded"),
    ).with_columns(size=pl.len().over("country", "centre"))
    named = (
        pl.when(pl.col("size") >= FEWEST).then(pl.format("{} {}", "country", "centre")).otherwise("country")
    )
    return frame.select(named).to_series().to_list()
