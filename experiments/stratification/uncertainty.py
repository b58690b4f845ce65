"""Class uncertainty carried into what strata are related to: the third step of three-step latent class analysis.

Patients are assigned to their most probable stratum, and that is sometimes wrong: differences between assigned strata are then
too small. The error is known from the memberships, and both corrections use it: BCH weighs patients (Bolck, Croon and Hagenaars
2004, doi 10.1093/pan/mph001; Vermunt 2010, doi 10.1093/pan/mpq025), ML fits the mixture with the error fixed (Vermunt 2010).
Both take the memberships as right and the assignment, given the stratum, as independent of what the strata are related to.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.numeric import logistic

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WORST = 5.0  # the largest entry of the inverse: beyond it a few patients would decide everything
STEPS = 2000


@dataclass(frozen=True)
class Classified:
    """Patients with their probabilities of each stratum.

    Attributes:
        probability: shape (n, k), rows sum to 1.
        assigned: shape (n,), the most probable stratum, counted from 0.
    """

    probability: Floats
    assigned: Integers

    @classmethod
    def of(cls, probability: Floats) -> Self:
        """Assign each patient to the most probable stratum; of equal ones to the first."""
        return cls(probability, np.asarray(probability.argmax(axis=1), dtype=np.int64))

    @property
    def k(self) -> int:
        """Number of strata."""
        return int(self.probability.shape[1])

    def take(self, rows: NDArray[np.generic]) -> "Classified":
        """Return some patients."""
        return Classified(self.probability[rows], self.assigned[rows])

    def errors(self, counts: Floats | None = None) -> Floats:
        """Return P(assigned to t | of stratum s), shape (..., k, k) with s in rows (Vermunt 2010, equation 5).

        Args:
            counts: how often each patient counts, shape (..., n); None: once.
        """
        each = np.ones(len(self.assigned)) if counts is None else counts
        one_hot = np.eye(self.k)[self.assigned]
        joint = np.einsum("...n,ns,nt->...st", each, self.probability, one_hot, optimize=True)
        return np.asarray(joint / joint.sum(axis=-1, keepdims=True), dtype=np.float64)

    @property
    def correctable(self) -> bool:
        """Whether the strata are told apart well enough for BCH weights; false where one is never assigned, too."""
        errors = self.errors()
        if np.linalg.matrix_rank(errors, tol=1e-6) < self.k:
            return False
        return bool(np.abs(np.linalg.inv(errors)).max() <= WORST)

    def weights(self, counts: Floats | None = None) -> Floats:
        """Return BCH weights, shape (..., n, k): how much each patient counts in each stratum; rows sum to 1.

        Some are negative: they take out of a stratum what others' patients wrongly assigned to it have put in. In
        expectation over assignments each is the indicator of the true stratum.
        """
        inverse = np.linalg.pinv(self.errors(counts))  # a resample may lack a stratum
        return np.asarray(inverse[..., self.assigned, :], dtype=np.float64)

    def naive_weights(self, counts: Floats | None = None) -> Floats:
        """Return 1 for the assigned stratum, else 0, shaped as `weights`: no correction."""
        one_hot = np.eye(self.k)[self.assigned]
        return one_hot if counts is None else np.broadcast_to(one_hot, (*counts.shape[:-1], *one_hot.shape))


def weighted_means(values: Floats, weights: Floats, counts: Floats | None = None) -> Floats:
    """Return the mean of values of shape (n,) in each stratum, shape (..., k); weights as of Classified, (..., n, k)."""
    each = np.ones(len(values)) if counts is None else counts
    above = np.einsum("...n,...nk->...k", each * values, weights)
    below = np.einsum("...n,...nk->...k", each, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan), dtype=np.float64)


def mean_influence(values: Floats, classified: Classified, weights: Floats, means: Floats) -> Floats:
    """Return each patient's influence on the strata's means, shape (n, k), the classification error's own included.

    The error matrix is a ratio of sums over patients: by the delta method a patient moves it by its own memberships, and
    with it every weight. With weights of 0 and 1 (no correction) only the first part is there.

    Args:
        values: shape (n,).
        classified: of the same patients.
        weights: shape (n, k), as of `Classified.weights` or `naive_weights`.
        means: shape (k,), as of `weighted_means`.
    """
    centred = values[:, None] - means
    below = weights.sum(axis=0)
    direct = weights * centred / below
    if np.array_equal(weights, classified.naive_weights()):
        return np.asarray(direct, dtype=np.float64)
    one_hot = np.eye(classified.k)[classified.assigned]
    inverse = np.linalg.inv(classified.errors())
    moved = one_hot[:, None, :] - classified.errors()[None, :, :]  # of row s of the errors
    own = classified.probability[:, :, None] * moved / classified.probability.sum(axis=0)[None, :, None]
    # Weights are rows of the inverse: d inverse = -inverse d errors inverse; `sums` gathers residuals by assignment.
    sums = np.einsum("nt,ns->ts", one_hot, centred)
    through = -np.einsum("ts,ta,nab,bs->ns", sums, inverse, own, inverse, optimize=True)
    return np.asarray(direct + through / below, dtype=np.float64)


@dataclass(frozen=True)
class MixedMeans:
    """Means of a column by stratum, by maximum likelihood with the classification error fixed.

    Attributes:
        means: shape (k,).
        errors: shape (k,), robust standard errors of `scaled` (the log-odds of a share, the mean itself of a number).
        scaled: shape (k,).
    """

    means: Floats
    errors: Floats
    scaled: Floats


def mixed_means(values: Floats, classified: Classified, *, binary: bool) -> MixedMeans | None:
    """Fit P(assigned, value) = sum over s of P(s) P(assigned | s) f(value | s); f normal with its own spread, or a share.

    By EM steps with P(s) the mean membership; standard errors by the sandwich, sizes and classification error taken as known.
    None where a stratum has no patients, a share is 0 or 1, or the likelihood has no proper bend at the end.
    """
    fixed = classified.errors().T[classified.assigned] * classified.probability.mean(axis=0)
    spread = 1.0 if binary else float(values.std())
    if spread <= 0 or not np.isfinite(fixed).all():
        return None
    scaled = values if binary else (values - values.mean()) / spread
    fitted = _em(scaled, fixed, classified.probability, binary=binary)
    inverse = None if fitted is None else _bread(fitted, scaled, fixed, binary=binary)
    if fitted is None or inverse is None:
        return None
    scores = _scores(fitted, scaled, fixed, binary=binary)
    variance = np.diag(inverse @ (scores.T @ scores) @ inverse)
    location, error = fitted[: classified.k], np.sqrt(np.maximum(variance[: classified.k], 0.0))
    if binary:
        return MixedMeans(logistic(location), error, location)
    means = location * spread + values.mean()
    return MixedMeans(means, error * spread, means)


def _em(values: Floats, fixed: Floats, start: Floats, *, binary: bool) -> Floats | None:
    """Return locations (k) and, of a number, log spreads (k), in one vector; `fixed` is P(s) P(assigned | s), (n, k)."""
    share, found = start, np.zeros(0)
    for _ in range(STEPS):
        below = share.sum(axis=0)
        if (below < 1e-6).any():
            return None
        means = (share * values[:, None]).sum(axis=0) / below
        if binary and ((means < 1e-6) | (means > 1 - 1e-6)).any():
            return None
        if binary:
            moved = np.log(means) - np.log1p(-means)
        else:
            spreads = np.sqrt((share * (values[:, None] - means) ** 2).sum(axis=0) / below)
            moved = np.concatenate([means, np.log(np.maximum(spreads, 0.02))])
        if len(found) and np.abs(moved - found).max() < 1e-9:
            return np.asarray(moved, dtype=np.float64)
        found = moved
        share = _shares(found, values, fixed, binary=binary)
    return np.asarray(found, dtype=np.float64)


def _shares(found: Floats, values: Floats, fixed: Floats, *, binary: bool) -> Floats:
    """Return P(s | assigned, value), shape (n, k)."""
    k = fixed.shape[1]
    place = found[:k]
    if binary:
        density = values[:, None] * place - np.logaddexp(0.0, place)
    else:
        density = -0.5 * ((values[:, None] - place) / np.exp(found[k:])) ** 2 - found[k:]
    with np.errstate(divide="ignore"):
        log_joint = np.log(fixed) + density
    share = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return np.asarray(share / share.sum(axis=1, keepdims=True), dtype=np.float64)


def _scores(found: Floats, values: Floats, fixed: Floats, *, binary: bool) -> Floats:
    """Return the derivative of each patient's log likelihood, shape (n, parameters)."""
    k = fixed.shape[1]
    share, place = _shares(found, values, fixed, binary=binary), found[:k]
    if binary:
        return np.asarray(share * (values[:, None] - logistic(place)), dtype=np.float64)
    spread = np.exp(found[k:])
    away = (values[:, None] - place) / spread
    return np.hstack([share * away / spread, share * (away**2 - 1)])


def _bread(found: Floats, values: Floats, fixed: Floats, *, binary: bool) -> Floats | None:
    """Return the inverse of the information, by central differences of the summed score; None where it has no proper bend."""
    step = 1e-5
    rows = [
        (
            _scores(found + step * unit, values, fixed, binary=binary).sum(axis=0)
            - _scores(found - step * unit, values, fixed, binary=binary).sum(axis=0)
        )
        / (2 * step)
        for unit in np.eye(len(found))
    ]
    information = -(np.array(rows) + np.array(rows).T) / 2
    if np.linalg.eigvalsh(information).min() <= 1e-8:
        return None
    return np.asarray(np.linalg.inv(information), dtype=np.float64)
