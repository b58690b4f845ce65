"""One column of the patients: what its values say as latent numbers, and how drawn latent numbers become values again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.stats import norm

from models.columns import is_category

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

FEWEST_OF_CENTRE = 11  # patients with a value: a smaller centre has no mean of its own
TIED = 0.05  # share of the known values in one value, from which on a column is drawn value by value
EDGE = 0.10  # share of the smallest or largest value that is an atom: what lies beyond a limit of detection or a ceiling
PRIOR_PATIENTS = 10.0  # what a centre's spread is shrunken towards that of all with
TAIL = 0.05  # share of the patients at each end of a column
CHANGED = 0.01  # share of the patients that would have to move for one mode; less is chance
SPARSE = 5.0  # times its own density that a place needs: too few patients stand there to be drawn so often
BANDWIDTH = 1.06  # times SD n^(-1/5)
GRID = 256


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
    """

    name: str
    marginal: Numbers | Values
    scores: Floats
    reliability: float
    residual: Floats


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
    shape = None if is_category(column.dtype) else one_mode_density(numbers, residual)
    weights = np.ones(len(numbers)) if shape is None else shape.weights(residual)
    if tied or column.dtype not in {pl.Float64, pl.Float32}:
        marginal: Numbers | Values = _values(numbers, groups, weights, known)
        scores = _scores(numbers, groups)
    else:
        rows = np.flatnonzero(known)
        order_of = rows[np.argsort(residual[rows], kind="stable")]
        marginal = Numbers(
            known=known,
            ordered=residual[order_of],
            own=_cumulated(np.ones(len(rows))),
            one_mode=(_cumulated(np.ones(len(rows))), residual[order_of])
            if shape is None
            else shape.cumulated(residual, order_of),
            middle=middle,
            spread=spread,
        )
        scores = _scores(residual, (rows,))
    if is_category(column.dtype):
        residual = scores
    deviation = np.nanstd(residual)
    return Column(
        name=column.name,
        marginal=marginal,
        scores=scores,
        reliability=float(np.nanvar(scores)),
        residual=residual / (deviation if deviation > 0 else 1.0),
    )


@dataclass(frozen=True)
class OneMode:
    """The nearest density of one mode to a column that has more.

    Attributes:
        inner: shape (patients,), who takes part: not the unknown, nor those at a limit.
        edges: shape (GRID + 1,), of the places.
        density: shape (GRID,), of the column itself, times its number of patients.
        nearest: shape (GRID,), with one mode, of the same sum.
    """

    inner: Flags
    edges: Floats
    density: Floats
    nearest: Floats

    def weights(self, residual: Floats) -> Floats:
        """Return what every value counts, shape (patients,): the quotient of the two densities; 1 for who takes no part."""
        found = self._counted(residual)
        found[self.inner] *= self.inner.sum() / found[self.inner].sum()
        return found

    def cumulated(self, residual: Floats, rows: Integers) -> tuple[Floats, Floats]:
        """Return cumulative shares and the residuals they belong to.

        Values count as the quotient of the two densities. Where it is more than SPARSE nearly nobody stands, and the places
        themselves are drawn instead: between modes far apart there is nobody who could count more.

        Args:
            residual: shape (patients,).
            rows: those with a value, by size of the residual.
        """
        gaps = self._quotients() > SPARSE
        kept = rows[~(gaps[self._places(residual[rows])] & self.inner[rows])]
        middles = ((self.edges[:-1] + self.edges[1:]) / 2)[gaps]
        places = np.concatenate([residual[kept], middles])
        counted = np.concatenate([self._counted(residual)[kept], self.nearest[gaps]])
        order = np.argsort(places, kind="stable")
        return _cumulated(counted[order]), places[order]

    def _counted(self, residual: Floats) -> Floats:
        found = np.ones(len(residual))
        found[self.inner] = self._quotients()[self._places(residual[self.inner])]
        return found

    def _quotients(self) -> Floats:
        return np.asarray(
            self.nearest / np.maximum(self.density, 1e-12 * self.density.max()), dtype=np.float64
        )

    def _places(self, residual: Floats) -> Integers:
        return np.clip(np.searchsorted(self.edges, residual, side="right") - 1, 0, GRID - 1)


def one_mode_density(numbers: Floats, residual: Floats) -> OneMode | None:
    """Return the nearest density of one mode to a column; None where it has one mode, but for chance.

    Where more than CHANGED of the patients would have to move, the kernel density is replaced by the nearest one that rises
    to its highest place and falls from there (least squares, by pooling adjacent violators; the tails count for nothing in
    whether). Whether is asked with the bandwidth of one Gaussian, which hides bumps; the density itself has that of two
    groups, or it would hide the valley it is to fill. An edge atom is a limit of detection, no mode, and stays as it is.

    Args:
        numbers: values as they are, NaN where missing.
        residual: the same less the centre's mean.
    """
    inner = np.isfinite(numbers) & ~_at_an_edge(numbers)
    values = residual[inner]
    if len(values) < FEWEST_OF_CENTRE or values.std() == 0:
        return None
    width = BANDWIDTH * len(values) ** -0.2
    asked = _smoothed(values, width * values.std())
    nearest = nearest_with_one_mode(asked.density)
    cumulated = np.cumsum(asked.density) / asked.density.sum()
    inside = (cumulated >= TAIL) & (cumulated <= 1 - TAIL)  # a few patients far out make bumps, no modes
    if np.abs(nearest - asked.density)[inside].sum() / (2 * asked.density.sum()) < CHANGED:
        return None
    finer = _smoothed(values, width * _within_two(values))
    return OneMode(inner, finer.edges, finer.density, nearest_with_one_mode(finer.density))


@dataclass(frozen=True)
class _Smoothed:
    """A kernel density times the number of values, at GRID places between edges."""

    edges: Floats
    density: Floats


def _smoothed(values: Floats, width: float) -> _Smoothed:
    edges = np.linspace(values.min() - 3 * width, values.max() + 3 * width, GRID + 1)
    counts = np.histogram(values, bins=edges)[0].astype(np.float64)
    density = gaussian_filter1d(counts, width / (edges[1] - edges[0]), mode="constant", truncate=5.0)
    return _Smoothed(edges, np.asarray(density, dtype=np.float64))


def _within_two(values: Floats) -> float:
    """Return the SD within the two groups that a cut makes most alike within (k-means of one dimension, exact)."""
    ordered = np.sort(values)
    below = np.arange(1, len(ordered))
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    above = len(ordered) - below
    within = squares[-1] - sums[:-1] ** 2 / below - (sums[-1] - sums[:-1]) ** 2 / above
    return float(np.sqrt(max(within.min() / len(ordered), 1e-12)))


def nearest_with_one_mode(density: Floats) -> Floats:
    """Return the closest rising and then falling sequence, shape (places,), of the same sum."""
    from sklearn.isotonic import isotonic_regression

    candidates = []
    peaks = np.flatnonzero((density[1:-1] >= density[:-2]) & (density[1:-1] >= density[2:])) + 1
    for peak in peaks[density[peaks] > 0.2 * density.max()]:
        # The peak itself may be pooled with its neighbours: a plateau over two modes is of one mode too.
        rising = isotonic_regression(density[: peak + 1])
        falling = isotonic_regression(density[peak + 1 :], increasing=False)
        both = np.concatenate([rising, np.minimum(falling, rising[-1])])
        candidates.append((float(((both - density) ** 2).sum()), both * density.sum() / both.sum()))
    return min(candidates, key=lambda one: one[0])[1] if candidates else density


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


def _scores(values: Floats, groups: Sequence[Integers]) -> Floats:
    """Return the mean of a standard normal between the cuts at each value's cumulative shares."""
    scores = np.full(len(values), np.nan)
    for rows in groups:
        _, inverse, counts = np.unique(values[rows], return_inverse=True, return_counts=True)
        cuts = norm.pdf(norm.ppf(np.concatenate([[0.0], np.cumsum(counts) / len(rows)])))
        scores[rows] = ((cuts[:-1] - cuts[1:]) / (counts / len(rows)))[inverse]
    return scores


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


def _cumulated(weights: Floats) -> Floats:
    """Return the share below each value, half of its own counted in."""
    return np.asarray((np.cumsum(weights) - weights / 2) / weights.sum(), dtype=np.float64)


def _at_an_edge(numbers: Floats) -> Flags:
    known = numbers[np.isfinite(numbers)]
    at_edge = np.zeros(len(numbers), dtype=bool)
    if known.size == 0:
        return at_edge
    _, counts = np.unique(known, return_counts=True)
    for value, count, beside in (
        (known.min(), counts[0], counts[1:2]),
        (known.max(), counts[-1], counts[-2:-1]),
    ):
        if count >= EDGE * known.size and (beside.size == 0 or count > 2 * beside[0]):
            at_edge |= numbers == value
    return at_edge
