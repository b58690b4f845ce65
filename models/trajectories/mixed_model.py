"""A linear mixed model of one repeated variable: each patient's polynomial in time, shrunk towards the mean course."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import BadTarget
from models.trajectories.sums import CourseSums

Floats = NDArray[np.float64]

FEWEST_PATIENTS = 20  # with more values than one, without which level and noise cannot be told apart


@dataclass(frozen=True)
class Predicted:
    """What a mixed model says of each patient.

    Attributes:
        effects: best linear predictors of the deviation from the mean course, shape (patients, degree + 1).
        shrinkage: matrices K with E(effects | b) = K b for a patient's true deviation b, shape (patients, degree + 1,
            degree + 1).
        variances: of the true deviation around the predicted one, same shape.
    """

    effects: Floats
    shrinkage: Floats
    variances: Floats


@dataclass(frozen=True)
class MixedModel:
    """Intercept and powers of time, all fixed and all random by patient (Laird and Ware 1982, doi 10.2307/2529876).

    Attributes:
        fixed: the mean course, shape (degree + 1,): value at baseline, change per year, ...
        factor: lower triangular L; the random effects' covariance is residual * L L', shape (degree + 1, degree + 1).
        residual: variance of values around a patient's own course.
        log_likelihood: maximised, of the values it was fitted on.
    """

    fixed: Floats
    factor: Floats
    residual: float
    log_likelihood: float

    @property
    def covariance(self) -> Floats:
        """Covariance of the random effects, shape (degree + 1, degree + 1)."""
        return np.asarray(self.residual * self.factor @ self.factor.T, dtype=np.float64)

    @classmethod
    def fit(cls, sums: CourseSums, variable: int = 0, name: str = "the variable") -> Self:
        """Fit by maximum likelihood, the deviance profiled over mean course and noise (Bates 2015, doi 10.18637/jss.v067.i01).

        Args:
            sums: of all patients; those without a value take no part.
            variable: its number in the sums.
            name: for messages.

        Raises:
            BadTarget: fewer than 20 patients have more than one value, or the values do not vary.
        """
        own = sums.taken(sums.counts[:, variable] > 0)
        repeated = int((own.counts[:, variable] > 1).sum())
        if repeated < FEWEST_PATIENTS:
            raise BadTarget(
                f"A course of {name} needs {FEWEST_PATIENTS} patients with more than one value; got {repeated}. Name another variable."
            )
        problem = _Problem.of(own, variable, name)
        return cls(*problem.solved())

    def predicted(self, sums: CourseSums, variable: int = 0) -> Predicted:
        """Return the best linear predictors of patients, who need not be those of the fit."""
        gram = sums.grams[:, variable]
        inverse = np.linalg.inv(self.factor.T @ gram @ self.factor + np.eye(len(self.fixed)))
        gain = self.factor @ inverse @ self.factor.T
        misses = sums.products[:, variable] - gram @ self.fixed
        effects = np.einsum("nij,nj->ni", gain, misses)
        return Predicted(effects, gain @ gram, self.residual * gain)

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return {
            "fixed": self.fixed.tolist(),
            "factor": self.factor.tolist(),
            "residual": self.residual,
            "log_likelihood": self.log_likelihood,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            made = cls(
                np.asarray(state["fixed"], dtype=np.float64),
                np.asarray(state["factor"], dtype=np.float64),
                float(state["residual"]),
                float(state["log_likelihood"]),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise BadTarget("The stored mixed model is damaged; fit it again.") from problem
        numbers = [*made.fixed.ravel(), *made.factor.ravel(), made.residual, made.log_likelihood]
        if (
            made.factor.shape != (len(made.fixed),) * 2
            or not np.isfinite(numbers).all()
            or made.residual <= 0
        ):
            raise BadTarget("The stored mixed model is damaged; fit it again.")
        return made


@dataclass(frozen=True)
class _Problem:
    """The profiled deviance, with the basis whitened and the values standardised so that every parameter has size 1.

    Attributes:
        gram: shape (patients, q, q).
        product: shape (patients, q).
        square: sum of squared values.
        values: their number.
        basis: the whitened basis is (1, t, ...) times this.
        centre: taken off the values.
        scale: they were divided by it.
    """

    gram: Floats
    product: Floats
    square: float
    values: float
    basis: Floats
    centre: float
    scale: float

    @classmethod
    def of(cls, sums: CourseSums, variable: int, name: str) -> Self:
        gram, product, values = (
            sums.grams[:, variable],
            sums.products[:, variable],
            sums.counts[:, variable].sum(),
        )
        centre = product[:, 0].sum() / values
        product = product - centre * gram[:, :, 0]
        # Of the squares around the mean only their sum is needed.
        square = max(float(sums.squares[:, variable].sum() - values * centre**2), 0.0)
        scale = np.sqrt(square / values)
        if not scale > 1e-9 * max(abs(centre), 1.0):
            raise BadTarget(
                f"The values of {name} do not vary, so they have no course. Name another variable."
            )
        total = gram.sum(axis=0) / values
        if np.linalg.cond(total) > 1e12:
            raise BadTarget(
                f"{name} was measured at too few different times for a course of degree {sums.degree}. Ask for a lower degree."
            )
        basis = np.linalg.inv(np.linalg.cholesky(total)).T
        return cls(
            basis.T @ gram @ basis,
            product @ basis / scale,
            square / scale**2,
            float(values),
            basis,
            centre,
            scale,
        )

    def solved(self) -> tuple[Floats, Floats, float, float]:
        from scipy.optimize import minimize

        q = len(self.basis)
        entries = np.tril_indices(q)
        start = np.eye(q)[entries]
        bounds = [
            (0.0, None) if row == column else (None, None) for row, column in zip(*entries, strict=True)
        ]
        best = minimize(
            self._deviance,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-13, "gtol": 1e-9, "maxiter": 500},
        )
        factor = np.zeros((q, q))
        factor[entries] = best.x
        fixed, residual = self._profiled(factor)[:2]
        likelihood = -self.values * (float(best.fun) / 2 + np.log(self.scale))
        course = self.basis @ fixed * self.scale
        course[0] += self.centre
        outward = self.basis @ factor
        covariance = outward @ outward.T
        return course, _lower(covariance), float(residual * self.scale**2), float(likelihood)

    def _profiled(self, factor: Floats) -> tuple[Floats, float, Floats, Floats]:
        """Return mean course, noise variance, the inverses and the log determinants at a factor."""
        system = factor.T @ self.gram @ factor + np.eye(len(factor))
        inverse = np.asarray(np.linalg.inv(system), dtype=np.float64)
        gain = factor @ inverse @ factor.T
        taken = self.gram @ gain
        normal = (self.gram - taken @ self.gram).sum(axis=0)
        right = (self.product - np.einsum("nij,nj->ni", taken, self.product)).sum(axis=0)
        fixed = np.linalg.solve(normal, right)
        explained = np.einsum("ni,nij,nj->", self.product, gain, self.product)
        residual = (self.square - explained - fixed @ right) / self.values
        logarithms = np.asarray(np.linalg.slogdet(system)[1], dtype=np.float64)
        return np.asarray(fixed, dtype=np.float64), float(max(residual, 1e-12)), inverse, logarithms

    def _deviance(self, entries: Floats) -> tuple[float, Floats]:
        """Return -2 log-likelihood per value and its gradient in the factor's entries (Fisher's identity)."""
        q = len(self.basis)
        lower = np.tril_indices(q)
        factor = np.zeros((q, q))
        factor[lower] = entries
        fixed, residual, inverse, logarithms = self._profiled(factor)
        misses = self.product - self.gram @ fixed
        scores = np.einsum("nij,nj->ni", inverse @ factor.T, misses)
        squared = scores[:, :, None] * scores[:, None, :] + residual * inverse
        slope = (misses[:, :, None] * scores[:, None, :] - self.gram @ factor @ squared).sum(axis=0)
        deviance = logarithms.sum() + self.values * (1 + np.log(2 * np.pi * residual))
        return float(deviance / self.values), -2 * slope[lower] / (residual * self.values)


def _lower(covariance: Floats) -> Floats:
    """Return a lower triangular factor of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    triangle: Floats = np.linalg.qr(root.T)[1]
    lower = triangle.T
    signs = np.where(np.diagonal(lower) < 0, -1.0, 1.0)
    return np.asarray(lower * signs, dtype=np.float64)
