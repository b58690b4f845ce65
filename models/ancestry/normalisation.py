"""Polygenic scores compared within ancestry: their mean, and their variance too, as principal components foretell them.

Allele frequencies and linkage differ between ancestries, so the mean and the spread of a score do, without any difference in
what it foretells. `mean` takes a linear regression on the components off the score and divides by the standard deviation of
what is left (Khera et al. 2019, doi:10.1161/CIRCULATIONAHA.118.035658). `mean_variance` divides by a standard deviation that
changes with the components instead: the logarithm of the variance is linear in them (Khan et al. 2022,
doi:10.1038/s41591-022-01869-1). They are Z_norm1 and Z_norm2 of the PGS Catalog Calculator (Lambert et al. 2024,
doi:10.1101/2024.05.29.24307783).

Where this differs from it: a residual beyond REACH standard deviations counts as that far, and in the model of the
variance a squared residual as at most LIMIT times what is expected, so that one sample gone wrong neither moves nor widens an
ancestry; and the modelled variance stays within what at least eleven of the people fitted on have or pass, so that someone far
from all of them gets no variance that nobody had. Without such residuals `mean` is ordinary least squares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from models.errors import BadTarget

Floats = NDArray[np.float64]
How = Literal["mean", "mean_variance"]

REACH = (
    8.0  # ancestries may differ twofold in spread, so four standard deviations of the widest must stay within
)
LIMIT = 16.0  # a residual of four standard deviations, squared
LEAST_PEOPLE = 11
_ROUNDS, _HALVINGS, _SMALL = 200, 40, 1e-10
_CONSTANT = 1e-10  # a spread smaller than this share of the score's own size is rounding


@dataclass(frozen=True)
class AncestryNormalisation:
    """How one score's mean and variance follow the components.

    Attributes:
        centre: of each component in the people fitted on, shape (components,).
        scale: their standard deviation, 1 where a component is constant, shape (components,).
        mean: coefficients of the score, the constant first, shape (components + 1,).
        log_variance: coefficients of the logarithm of the residual variance, shape (components + 1,); all but the constant
            are 0 under `mean`.
        bounds: between which the logarithm of variance stays: the eleventh least and greatest of the people fitted on; None: the score did not vary around its
            mean, so it tells nothing and is 0 for everyone.
    """

    centre: Floats
    scale: Floats
    mean: Floats
    log_variance: Floats
    bounds: tuple[float, float] | None

    @classmethod
    def fit(cls, scores: Floats, components: Floats, *, how: How) -> Self:
        """Fit on people of a reference or of a training fold; who lacks a score or a component does not count.

        Args:
            scores: shape (people,), in any unit.
            components: shape (people, components).
            how: `mean` or `mean_variance`.

        Raises:
            BadTarget: the setting is not known, or there are too few people: three for each coefficient, at least 11.
        """
        if how not in get_args(How):
            raise BadTarget(f"Scores are normalised by mean or mean_variance; {how!r} is neither.")
        known = np.isfinite(scores) & np.isfinite(components).all(axis=1)
        score, component = scores[known], components[known]
        coefficients = component.shape[1] + 1
        if len(score) < max(LEAST_PEOPLE, 3 * coefficients):
            raise BadTarget(
                f"A score cannot be normalised for {coefficients - 1} components with {len(score)} people; at least"
                f" {max(LEAST_PEOPLE, 3 * coefficients)} are needed. Take fewer components, or a larger reference."
            )
        centre, spread = component.mean(axis=0), component.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        design = _design(component, centre, scale)
        mean, residuals, bounded = _mean(design, score)
        likeliest = float((bounded**2).mean())
        variance = likeliest * len(score) / (len(score) - coefficients)
        log_variance = np.zeros(coefficients)
        if np.sqrt(variance) <= _CONSTANT * np.abs(score).max():
            return cls(centre, scale, mean, log_variance, None)
        if how == "mean_variance":
            log_variance = _log_variance(design, residuals**2 / likeliest)
        log_variance[0] += np.log(variance)
        fitted = np.sort(design @ log_variance)
        edge = min(LEAST_PEOPLE, (len(fitted) + 1) // 2) - 1
        return cls(centre, scale, mean, log_variance, (float(fitted[edge]), float(fitted[-1 - edge])))

    def apply(self, scores: Floats, components: Floats) -> Floats:
        """Return normalised scores, shape (people,), each from the person's own values alone; NaN where one is missing."""
        design = _design(components, self.centre, self.scale)
        residuals = scores - (design * self.mean).sum(axis=1)  # row by row: alone as in a batch
        if self.bounds is None:
            return np.where(np.isfinite(residuals), 0.0, np.nan)
        log_variance = np.clip((design * self.log_variance).sum(axis=1), *self.bounds)
        return np.asarray(residuals * np.exp(-log_variance / 2))

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` rebuilds, as plain numbers and lists."""
        return {
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "mean": self.mean.tolist(),
            "log_variance": self.log_variance.tolist(),
            "bounds": None if self.bounds is None else list(self.bounds),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            centre, scale, mean, log_variance = (
                np.array(state[name], dtype=np.float64)
                for name in ("centre", "scale", "mean", "log_variance")
            )
            bounds = state["bounds"]
            ends = None if bounds is None else (float(bounds[0]), float(bounds[1]))
        except (KeyError, TypeError, ValueError, IndexError) as cause:
            raise BadTarget(f"The stored normalisation is damaged ({cause}); fit it again.") from cause
        if not len(centre) == len(scale) == len(mean) - 1 == len(log_variance) - 1:
            raise BadTarget("The stored normalisation is damaged: its parts differ in length; fit it again.")
        return cls(centre, scale, mean, log_variance, ends)


def _design(components: Floats, centre: Floats, scale: Floats) -> Floats:
    """Return a constant beside standardised components, shape (people, components + 1)."""
    return np.hstack([np.ones((len(components), 1)), (components - centre) / scale])


def _mean(design: Floats, score: Floats) -> tuple[Floats, Floats, Floats]:
    """Regress a score on a design; return coefficients, residuals, and residuals drawn in to REACH (Huber 1973).

    The standard deviation is that of residuals already drawn in, so a gross error does not excuse itself.
    """
    inverse = np.linalg.pinv(design)
    mean = inverse @ score
    reach = np.inf
    for _ in range(_ROUNDS):
        residuals = score - design @ mean
        bounded = np.clip(residuals, -reach, reach)
        step = inverse @ bounded
        nearer = min(reach, REACH * float(np.sqrt((bounded**2).sum() / (len(score) - design.shape[1]))))
        if np.abs(bounded).max() <= nearer * (1 + _SMALL) and np.abs(step).max() <= _SMALL * nearer:
            break
        mean, reach = mean + step, nearer
    return mean, residuals, bounded


def _log_variance(design: Floats, squares: Floats) -> Floats:
    """Fit the logarithm of a variance to squared residuals with mean near 1, by Fisher scoring.

    The estimate solves sum of x (min(square / variance, LIMIT) - 1) = 0: maximum likelihood of normal residuals but for the
    limit (Harvey 1976, doi:10.2307/1913974). What it minimises is convex, so a halved step always gets nearer.
    """
    information = np.linalg.pinv(design.T @ design)
    found = np.zeros(design.shape[1])
    loss = _loss(design @ found, squares)
    for _ in range(_ROUNDS):
        step = information @ design.T @ (np.minimum(squares * np.exp(-design @ found), LIMIT) - 1.0)
        if np.abs(step).max() < _SMALL:
            break
        for _ in range(_HALVINGS):
            nearer = _loss(design @ (found + step), squares)
            if nearer <= loss:
                break
            step = step / 2
        found, loss = found + step, nearer
    return found


def _loss(log_variance: Floats, squares: Floats) -> float:
    """Return the sum whose derivative by a logarithm of variance is 1 - min(square / variance, LIMIT)."""
    ratio = squares * np.exp(-log_variance)
    with np.errstate(divide="ignore", invalid="ignore"):  # a square of 0 is never beyond the limit
        edge = np.log(squares / LIMIT)
        beyond = edge + LIMIT + (1.0 - LIMIT) * (log_variance - edge)
    return float(np.where(ratio > LIMIT, beyond, log_variance + ratio).sum())
