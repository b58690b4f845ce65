"""Mixtures of Gaussians with parsimonious covariances: density, information criterion, stored state."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHARED_SPHERICAL, SHARED_DIAGONAL, SHARED, DIAGONAL, FULL = STRUCTURES = (
    "shared_spherical",  # EII: one variance
    "shared_diagonal",  # EEI: one variance per dimension
    "shared",  # EEE: one covariance
    "diagonal",  # VVI: each component its variances
    "full",  # VVV: each component its covariance
)


@dataclass(frozen=True)
class Mixture:
    """A mixture of k Gaussians in d dimensions.

    Attributes:
        structure: of the covariances, one of STRUCTURES; the names in capitals beside them are those of Celeux and Govaert
            (1995, doi 10.1016/0031-3203(94)00125-6).
        weights: shape (k,), falling.
        means: shape (k, d).
        factors: shape (k, d, d), F with precision matrix F F'.
        rotated: the dimensions are directions that were fitted to the points, such as principal components: diagonal
            covariances then owe their fit to d(d - 1)/2 angles, which count as parameters.
    """

    structure: str
    weights: Floats
    means: Floats
    factors: Floats
    rotated: bool = False

    def log_joint(self, points: Floats) -> Floats:
        """Return log(weight * density) of each component, shape (rows, k)."""
        d = points.shape[1]
        logarithms = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        constant = np.log(self.weights) + logarithms - d / 2 * np.log(2 * np.pi)
        joint = np.empty((len(self.weights), len(points)))  # rows of it are sums over points: quick
        if self.structure == FULL:
            for place, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
                joint[place] = (((points - mean) @ factor) ** 2).sum(axis=1)
        elif self.structure == DIAGONAL:
            precisions = np.diagonal(self.factors, axis1=1, axis2=2) ** 2
            crossed = precisions @ (points**2).T - 2 * (precisions * self.means) @ points.T
            joint[:] = crossed + (precisions * self.means**2).sum(axis=1)[:, None]
        else:
            scaled, centres = points @ self.factors[0], self.means @ self.factors[0]
            joint[:] = (scaled**2).sum(axis=1) - 2 * centres @ scaled.T + (centres**2).sum(axis=1)[:, None]
        joint = constant[:, None] - joint / 2
        return np.asarray(joint.T, dtype=np.float64)

    def probability(self, points: Floats) -> Floats:
        """Return the probability of each component given a point, shape (rows, k)."""
        joint = self.log_joint(points)
        return np.asarray(np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)), dtype=np.float64)

    def free_parameters(self) -> int:
        """Return the number of free parameters."""
        k, d = int(self.means.shape[0]), int(self.means.shape[1])
        angles = d * (d - 1) // 2 if self.rotated and self.structure in {SHARED_DIAGONAL, DIAGONAL} else 0
        return k - 1 + k * d + covariance_parameters(self.structure, k, d) + angles

    def bic(self, points: Floats) -> float:
        """Return -2 log-likelihood + parameters * log(rows) (Schwarz 1978, doi 10.1214/aos/1176344136)."""
        likelihood = np.logaddexp.reduce(self.log_joint(points), axis=1).sum()
        return float(-2 * likelihood + self.free_parameters() * np.log(len(points)))

    def ordered(self) -> Self:
        """Return the same mixture with its components by falling weight."""
        order = np.argsort(-self.weights, kind="stable")
        return replace(
            self, weights=self.weights[order], means=self.means[order], factors=self.factors[order]
        )

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "structure": self.structure,
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "factors": self.factors.tolist(),
            "rotated": self.rotated,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], k: int, d: int) -> Self:
        """Rebuild a mixture of k components in d dimensions; raises KeyError, TypeError or ValueError where it is damaged."""
        arrays = {name: np.asarray(state[name], dtype=np.float64) for name in ("weights", "means", "factors")}
        shapes = {"weights": (k,), "means": (k, d), "factors": (k, d, d)}
        if any(arrays[name].shape != shape for name, shape in shapes.items()):
            raise ValueError("a mixture's parameters must be of one number of components and dimensions")
        if state["structure"] not in STRUCTURES or not all(np.isfinite(one).all() for one in arrays.values()):
            raise ValueError("a mixture needs a known structure and finite parameters")
        if (
            not (arrays["weights"] > 0).all()
            or not (np.diagonal(arrays["factors"], axis1=1, axis2=2) > 0).all()
        ):
            raise ValueError("a mixture's weights and scales must be positive")
        if not isinstance(state["rotated"], bool):
            raise TypeError("rotated must be true or false")
        return cls(structure=str(state["structure"]), rotated=state["rotated"], **arrays)


def covariance_parameters(structure: str, k: int, d: int) -> int:
    """Return the number of free parameters in the covariances of k components in d dimensions."""
    counts = {
        SHARED_SPHERICAL: 1,
        SHARED_DIAGONAL: d,
        SHARED: d * (d + 1) // 2,
        DIAGONAL: k * d,
        FULL: k * d * (d + 1) // 2,
    }
    return counts[structure]
