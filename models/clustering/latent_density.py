"""Latent classes: densities of mixed columns within each class, over the cells that a patient has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.clustering.mixed_columns import Encoded, MixedColumns

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """Patients as the matrices that likelihoods are sums of products of.

    Attributes:
        numbers: shape (patients, number columns), 0 where missing.
        known: shape (patients, number columns), 1 where known.
        levels: shape (patients, levels of all category columns), 1 at a patient's level, all 0 where missing.
        column_of: shape (levels,), the category column of each level.
        weights: shape (columns,), what each column's log-density counts; numbers first.
    """

    numbers: Floats
    known: Floats
    levels: Floats
    column_of: NDArray[np.int64]
    weights: Floats

    @classmethod
    def of(cls, encoded: Encoded, columns: MixedColumns) -> Self:
        """Return the matrices of encoded patients."""
        counts = [kind.codes for kind in columns.categories]
        blocks = [
            (codes[:, None] == np.arange(count)).astype(np.float64)
            for codes, count in zip(encoded.codes.T, counts, strict=True)
        ]
        return cls(
            np.nan_to_num(encoded.numbers),
            (~np.isnan(encoded.numbers)).astype(np.float64),
            np.concatenate([np.empty((len(encoded.codes), 0)), *blocks], axis=1),
            np.repeat(np.arange(len(counts), dtype=np.int64), counts),
            columns.column_weights(),
        )

    @property
    def number_weights(self) -> Floats:
        """The weights of the number columns."""
        return self.weights[: self.numbers.shape[1]]

    @property
    def level_weights(self) -> Floats:
        """The weights of the levels' columns."""
        return self.weights[self.numbers.shape[1] :][self.column_of]

    def per_column(self, of_levels: Floats) -> Floats:
        """Return the sum over the levels of each level's own column, same shape (..., levels)."""
        same = (self.column_of[:, None] == self.column_of).astype(np.float64)
        return np.asarray(of_levels @ same, dtype=np.float64)


@dataclass(frozen=True)
class LatentDensity:
    """k classes within which columns are independent: normal numbers, categories with their shares.

    Missing cells are left out of the likelihood, which is right where what is missing depends on known cells alone (missing at
    random: Rubin 1976, doi 10.1093/biomet/63.3.581).

    Attributes:
        weights: shape (k,).
        means: shape (k, number columns).
        variances: shape (k, number columns).
        shares: shape (k, levels), 1 in sum over the levels of a column.
    """

    weights: Floats
    means: Floats
    variances: Floats
    shares: Floats

    def log_density(self, design: Design) -> Floats:
        """Return each class's log-density of the known cells, shape (patients, k), each column by its weight."""
        precision = design.number_weights / self.variances
        constant = precision * self.means**2 + design.number_weights * np.log(2 * np.pi * self.variances)
        quadratic = design.numbers**2 @ precision.T - 2 * design.numbers @ (precision * self.means).T
        categories = design.levels @ (design.level_weights * np.log(self.shares)).T
        return np.asarray(categories - (quadratic + design.known @ constant.T) / 2, dtype=np.float64)

    def log_joint(self, design: Design) -> Floats:
        """Return log(weight * density), shape (patients, k)."""
        return self.log_density(design) + np.log(self.weights)

    def probability(self, design: Design) -> Floats:
        """Return the probability of each class, shape (patients, k)."""
        joint = self.log_joint(design)
        return np.asarray(np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)), dtype=np.float64)

    def bic(self, design: Design) -> float:
        """Return -2 log-likelihood + parameters * log(patients) (Schwarz 1978, doi 10.1214/aos/1176344136)."""
        likelihood = np.logaddexp.reduce(self.log_joint(design), axis=1).sum()
        k, columns = len(self.weights), len(set(design.column_of.tolist()))
        free = k - 1 + 2 * self.means.size + k * (self.shares.shape[1] - columns)
        return float(-2 * likelihood + free * np.log(len(design.numbers)))

    def of_classes(self, chosen: NDArray[np.int64]) -> "LatentDensity":
        """Return the density of some of the classes in this order, their weights 1 in sum."""
        weights = self.weights[chosen]
        return LatentDensity(
            weights / weights.sum(), self.means[chosen], self.variances[chosen], self.shares[chosen]
        )

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return {
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "variances": self.variances.tolist(),
            "shares": self.shares.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], columns: MixedColumns) -> Self:
        """Rebuild from `to_state`; raises ValueError, KeyError or TypeError where it is damaged."""
        weights = np.array(state["weights"], dtype=np.float64)
        k, counts = len(weights), [kind.codes for kind in columns.categories]
        shapes = {"means": len(columns.numbers), "variances": len(columns.numbers), "shares": sum(counts)}
        found = {
            name: np.array(state[name], dtype=np.float64).reshape(k, width) for name, width in shapes.items()
        }
        made = cls(weights, **found)
        ends = np.split(made.shares, np.cumsum(counts)[:-1], axis=1) if counts else []
        if not (
            weights.ndim == 1
            and k > 0
            and np.isfinite(
                [*weights, *made.means.ravel(), *made.variances.ravel(), *made.shares.ravel()]
            ).all()
            and min(weights.min(), made.variances.min(initial=1), made.shares.min(initial=1)) > 0
            and all(np.allclose(one.sum(axis=1), 1) for one in [weights[None], *ends])
        ):
            raise ValueError("no density")
        return made


def maximised(
    design: Design, membership: Floats, smallest_variance: float, base: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the means, variances and shares of largest expected likelihood, given memberships of shape (patients, k).

    Args:
        design: the patients.
        membership: rows summing to 1.
        smallest_variance: smaller variances are raised to it, or a class could sit on one value and be infinitely likely.
        base: shape (levels,), shares among all patients; one patient's worth of them is added, so that no share is 0.
    """
    known = membership.T @ design.known
    some = np.maximum(known, 1e-9)
    means = membership.T @ design.numbers / some
    variances = np.maximum(membership.T @ design.numbers**2 / some - means**2, smallest_variance)
    counts = membership.T @ design.levels
    shares = (counts + base) / (design.per_column(counts) + 1)
    return means, variances, shares
