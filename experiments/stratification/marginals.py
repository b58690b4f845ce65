"""One column of the patients: what its values say as latent numbers, and how drawn latent numbers become values again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm

from experiments.stratification.one_mode import cumulated_shares, one_mode_density
from models.clustering.answers import FEWEST_VALUES
from models.columns import is_category

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

FEWEST_OF_CENTRE = 11  # patients with a value: a smaller centre has no mean of its own
TIED = 0.05  # share of the known values in one value, from which on a column is drawn value by value
PRIOR_PATIENTS = 10.0  # what a centre's spread is shrunken towards that of all with


@dataclass(frozen=True)
class Numbers:
    """A column of numbers with few ties: values are the centre's mean plus its spread times a residual.

    Attributes:
        known: shape (patients,), whether there is a value.
        ordered: shape (known,), the residuals by size.
        own: shape (known,), cumulative shares of them.
        one_mode: cumulative shares under the nearest density of one mode, and the residuals they belong to: `ordered`, but for
            places between modes where nearly nobody stands.
        middle: shape (patients,), mean of each patient's centre.
        spread: shape (patients,), SD of each patient's centre.
    """

    known: Flags
    ordered: Floats
    own: Floats
    one_mode: tuple[Floats, Floats]
    middle: Floats
    spread: Floats

    def ranked(self, latent: Floats) -> Floats:
        """Return each known patient's rank among the known as a share, shape (patients,)."""
        return _ranked(latent, [np.flatnonzero(self.known)])

    def restored(self, column: pl.Series, shares: Floats, one_mode: bool) -> pl.Series:
        """Return the column with the values at these shares (quantiles) of the distribution."""
        residual = np.interp(shares, *(self.one_mode if one_mode else (self.own, self.ordered)))
        values = pl.Series(self.middle + self.spread * residual)
        drawn = pl.select(pl.when(pl.Series(self.known)).then(values).otherwise(column)).to_series()
        return drawn.cast(column.dtype).alias(column.name)


@dataclass(frozen=True)
class Values:
    """A column of categories, or of numbers with ties (scores, values at a limit): each centre keeps its own values.

    Attributes:
        known: shape (patients,).
        groups: patients of each centre with a value; the small centres together.
        ordered: the same patients by value.
        own: cumulative shares of them.
        one_mode: the same under the nearest density of one mode.
    """

    known: Flags
    groups: tuple[Integers, ...]
    ordered: tuple[Integers, ...]
    own: tuple[Floats, ...]
    one_mode: tuple[Floats, ...]

    def ranked(self, latent: Floats) -> Floats:
        """Return each known patient's rank among the known of the centre as a share, shape (patients,)."""
        return _ranked(latent, self.groups)

    def donors(self, shares: Floats, one_mode: bool) -> Integers:
        """Return whose value each patient gets, shape (patients,); the own row where nothing is known."""
        rows = np.arange(len(self.known))
        for group, ordered, cumulated in zip(
            self.groups, self.ordered, self.one_mode if one_mode else self.own, strict=True
        ):
            places = np.searchsorted(cumulated, shares[group], side="left")
            rows[group] = ordered[np.minimum(places, len(ordered) - 1)]
        return rows

    def restored(self, column: pl.Series, shares: Floats, one_mode: bool) -> pl.Series:
        """Return the column with the values at these shares (quantiles) of each centre's distribution."""
        return column.gather(self.donors(shares, one_mode))


@dataclass(frozen=True)
class Column:
    """What is known of one column.

    Attributes:
        name: of the column.
        marginal: how latent numbers become values.
        scores: shape (patients,), normal scores within centres, NaN where missing: the mean of a standard normal
            between the cuts of a tied value.
        reliability: variance of the scores: less than 1 where values are tied.
        residual: shape (patients,), values less the centre's mean, of SD 1, NaN where missing; scores of categories.
        cuts: shape (patients, 2), between which the latent number of each patient's value lies; infinite where missing.
        few: too few distinct values for a density.
    """

    name: str
    marginal: Numbers | Values
    scores: Floats
    reliability: float
    residual: Floats
    cuts: Floats
    few: bool


def column_of(column: pl.Series, centres: Integers, order: Sequence[str] | None = None) -> Column | None:
    """Return what is known of a column; None where fewer than two values are told apart, so that nothing can be drawn.

    Args:
        column: shape (patients,).
        centres: code of each patient's centre.
        order: the levels of a category from low to high; None: by name.
    """
    numbers = _numbers(column, order)
    known = np.isfinite(numbers)
    if len(np.unique(numbers[known])) < 2:
        return None
    groups = _groups(centres, known)
    middle, spread = _location(numbers, groups, known)
    residual = np.where(known, (numbers - middle) / spread, np.nan)
    counts = np.unique(numbers[known], return_counts=True)[1]
    tied = counts.max() >= max(TIED * known.sum(), 3) or len(counts) < known.sum() / 2
    few = is_category(column.dtype) or len(counts) < FEWEST_VALUES
    shape = None if few else one_mode_density(numbers, residual)
    weights = np.ones(len(numbers)) if shape is None else shape.weights(residual)
    if tied or column.dtype not in {pl.Float64, pl.Float32}:
        marginal: Numbers | Values = _values(numbers, groups, weights, known)
        scores, cuts = _scores(numbers, groups)
    else:
        rows = np.flatnonzero(known)
        order_of = rows[np.argsort(residual[rows], kind="stable")]
        marginal = Numbers(
            known=known,
            ordered=residual[order_of],
            own=cumulated_shares(np.ones(len(rows))),
            one_mode=(cumulated_shares(np.ones(len(rows))), residual[order_of])
            if shape is None
            else shape.cumulated(residual, order_of),
            middle=middle,
            spread=spread,
        )
        scores, cuts = _scores(residual, (rows,))
    if is_category(column.dtype):
        residual = scores
    deviation = np.nanstd(residual)
    return Column(
        name=column.name,
        marginal=marginal,
        scores=scores,
        reliability=float(np.nanvar(scores)),
        residual=residual / (deviation if deviation > 0 else 1.0),
        cuts=cuts,
        few=few,
    )


def _numbers(column: pl.Series, order: Sequence[str] | None) -> Floats:
    if is_category(column.dtype):
        levels = order or sorted(column.drop_nulls().unique().to_list())
        codes = {level: place for place, level in enumerate(levels)}
        return np.array([codes.get(value, np.nan) for value in column.to_list()], dtype=np.float64)
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)


def _groups(centres: Integers, known: Flags) -> tuple[Integers, ...]:
    """Return the known patients of each centre with enough of them, and of all others together."""
    large: list[Integers] = []
    small: list[Integers] = []
    for centre in np.unique(centres[known]):
        rows = np.flatnonzero(known & (centres == centre))
        (large if len(rows) >= FEWEST_OF_CENTRE else small).append(rows)
    return (*large, *([np.sort(np.concatenate(small))] if small else []))


def _location(numbers: Floats, groups: Sequence[Integers], known: Flags) -> tuple[Floats, Floats]:
    """Return mean and SD of each patient's centre; the SD is shrunken towards that within all centres."""
    middle, spread = np.zeros(len(numbers)), np.ones(len(numbers))
    for rows in groups:
        middle[rows] = numbers[rows].mean()
    common = float(((numbers[known] - middle[known]) ** 2).mean())
    common = common if common > 0 else 1.0
    for rows in groups:
        squares = float(((numbers[rows] - middle[rows]) ** 2).sum())
        spread[rows] = np.sqrt((squares + PRIOR_PATIENTS * common) / (len(rows) + PRIOR_PATIENTS))
    return middle, spread


def _scores(values: Floats, groups: Sequence[Integers]) -> tuple[Floats, Floats]:
    """Return the mean of a standard normal between the cuts at each value's cumulative shares, and those cuts."""
    scores, cuts = np.full(len(values), np.nan), np.tile([-np.inf, np.inf], (len(values), 1))
    for rows in groups:
        _, inverse, counts = np.unique(values[rows], return_inverse=True, return_counts=True)
        places = norm.ppf(np.concatenate([[0.0], np.cumsum(counts) / len(rows)]))
        density = norm.pdf(places)
        scores[rows] = ((density[:-1] - density[1:]) / (counts / len(rows)))[inverse]
        cuts[rows] = np.column_stack([places[:-1], places[1:]])[inverse]
    return scores, cuts


def _values(numbers: Floats, groups: tuple[Integers, ...], weights: Floats, known: Flags) -> Values:
    ordered = tuple(rows[np.argsort(numbers[rows], kind="stable")] for rows in groups)
    return Values(
        known=known,
        groups=groups,
        ordered=ordered,
        own=tuple(np.arange(1, len(rows) + 1) / len(rows) for rows in groups),
        one_mode=tuple(np.cumsum(weights[rows]) / weights[rows].sum() for rows in ordered),
    )


def _ranked(latent: Floats, groups: Sequence[Integers]) -> Floats:
    shares = np.full(len(latent), 0.5)
    for rows in groups:
        shares[rows[np.argsort(latent[rows], kind="stable")]] = (np.arange(len(rows)) + 0.5) / len(rows)
    return shares
