"""The nearest density of one mode to a column that has more: what one group would have looked like."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

FEWEST = 11  # patients of a column whose modes are looked for
EDGE = 0.10  # share of the smallest or largest value that is an atom: what lies beyond a limit of detection or a ceiling
TAIL = 0.05  # share of the patients at each end of a column
CHANGED = 0.01  # share of the patients that would have to move for one mode; less is chance
SPARSE = 5.0  # times its own density that a place needs: too few patients stand there to be drawn so often
BANDWIDTH = 1.06  # times SD n^(-1/5)
GRID = 256


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
        return cumulated_shares(counted[order]), places[order]

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
    if len(values) < FEWEST or values.std() == 0:
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


def cumulated_shares(weights: Floats) -> Floats:
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
