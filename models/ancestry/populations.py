"""Which reference population someone is nearest to, by principal components, and who is near to none.

Each population of a reference panel is a normal distribution of the components. Its covariance is drawn towards the one that
all share, by as much as a few more people would (Friedman 1989, doi:10.1080/01621459.1989.10478752), so that a small population
has a usable one. Populations count as equally common beforehand: what a panel happens to hold says nothing about a patient.
An assignment is made from the person's own components and the panel, so it is the same alone as in any batch.

Someone is not assigned who lies farther from the nearest population than all but OUTLIERS of its own people would (Hotelling's
distance of a new observation, which allows for means and covariances being estimated), or between populations. An
assignment is a statement about likeness to a panel, not about who someone is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import BadTarget

Floats = NDArray[np.float64]

NOT_ASSIGNED = "not assigned"
OUTLIERS = 0.001
LEAST_PROBABILITY = 0.9
LEAST_PEOPLE = 11


@dataclass(frozen=True)
class Assignments:
    """Where people lie among the populations.

    Attributes:
        population: the population, or NOT_ASSIGNED, one per person.
        nearest: the most probable population even of those not assigned; None where components are missing.
        probability: of the most probable population among those of the panel, shape (people,).
        distance: Mahalanobis distance from it, shape (people,).
    """

    population: tuple[str, ...]
    nearest: tuple[str | None, ...]
    probability: Floats
    distance: Floats


@dataclass(frozen=True)
class ReferencePopulations:
    """Normal distributions of components, one per population.

    Attributes:
        names: of the populations, sorted.
        means: shape (populations, components).
        covariances: shape (populations, components, components).
        people: how many each was fitted on.
    """

    names: tuple[str, ...]
    means: Floats
    covariances: Floats
    people: tuple[int, ...]

    @classmethod
    def fit(cls, scores: Floats, labels: Sequence[str]) -> Self:
        """Fit on a panel.

        Args:
            scores: components of the panel's people, shape (people, components).
            labels: their populations.

        Raises:
            BadTarget: a population has fewer than 11 people, a label is NOT_ASSIGNED, or a component does not vary.
        """
        names = tuple(sorted(set(labels)))
        each = np.array(labels)
        if not names or NOT_ASSIGNED in names:
            raise BadTarget(
                f"Reference populations need names, none of them {NOT_ASSIGNED!r}; correct their table."
            )
        groups = [scores[each == name] for name in names]
        for name, group in zip(names, groups, strict=True):
            if len(group) < LEAST_PEOPLE:
                raise BadTarget(
                    f"The reference population {name} has fewer than {LEAST_PEOPLE} people. Join it with a neighbour, or leave it out."
                )
        means = np.stack([group.mean(axis=0) for group in groups])
        scatters = [(group - mean).T @ (group - mean) for group, mean in zip(groups, means, strict=True)]
        shared = np.asarray(sum(scatters) / (len(scores) - len(names)))
        if np.linalg.matrix_rank(shared, hermitian=True) < scores.shape[1]:
            raise BadTarget(
                "A component does not vary within the reference populations. Ask for fewer components."
            )
        drawn = _drawn(scores.shape[1])
        covariances = np.stack(
            [
                (scatter + drawn * shared) / (len(group) - 1 + drawn)
                for scatter, group in zip(scatters, groups, strict=True)
            ]
        )
        return cls(names, means, covariances, tuple(len(group) for group in groups))

    def assign(self, scores: Floats) -> Assignments:
        """Find everyone's population.

        Args:
            scores: components, shape (people, components); someone with a NaN is not assigned.
        """
        known = np.asarray(np.isfinite(scores).all(axis=1))
        squares = np.stack(
            [
                _squares(scores[known], mean, covariance)
                for mean, covariance in zip(self.means, self.covariances, strict=True)
            ],
            axis=1,
        )
        density = -0.5 * (squares + np.linalg.slogdet(self.covariances)[1])
        best = density.argmax(axis=1)
        rows = np.arange(len(best))
        probability = 1.0 / np.exp(density - density[rows, best][:, None]).sum(axis=1)
        near = squares[rows, best] <= self._limits()[best]
        found = np.where(near & (probability >= LEAST_PROBABILITY), best, -1)
        return Assignments(
            population=tuple(
                NOT_ASSIGNED if place < 0 else self.names[place] for place in _among(found, known, -1)
            ),
            nearest=tuple(None if place < 0 else self.names[place] for place in _among(best, known, -1)),
            probability=_among(probability, known, np.nan),
            distance=_among(np.sqrt(squares[rows, best]), known, np.nan),
        )

    def _limits(self) -> Floats:
        """Return the squared distance that a share OUTLIERS of each population's new people exceed, shape (populations,)."""
        from scipy.special import fdtri

        size = self.means.shape[1]
        people = np.array(self.people, dtype=np.float64)
        freedom = people - 1 + _drawn(size)
        ratio = (people + 1) / people * freedom * size / (freedom - size + 1)
        return np.asarray(ratio * fdtri(size, freedom - size + 1, 1 - OUTLIERS))

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` rebuilds, as plain numbers and lists."""
        return {
            "names": list(self.names),
            "means": self.means.tolist(),
            "covariances": self.covariances.tolist(),
            "people": list(self.people),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            made = cls(
                names=tuple(str(name) for name in state["names"]),
                means=np.array(state["means"], dtype=np.float64),
                covariances=np.array(state["covariances"], dtype=np.float64),
                people=tuple(int(count) for count in state["people"]),
            )
        except (KeyError, TypeError, ValueError) as cause:
            raise BadTarget(
                f"The stored reference populations are damaged ({cause}); fit them again."
            ) from cause
        count = len(made.names)
        if made.means.ndim != 2 or len(made.people) != count or len(made.means) != count:
            raise BadTarget(
                "The stored reference populations are damaged: their parts differ in length; fit them again."
            )
        if made.covariances.shape != (*made.means.shape, made.means.shape[1]):
            raise BadTarget(
                "The stored reference populations are damaged: a covariance is missing; fit them again."
            )
        return made


def _drawn(size: int) -> int:
    """Return how many people's worth of the shared covariance each population's own is drawn towards."""
    return size + 2


def _squares(scores: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Return squared Mahalanobis distances, each summed within its row: alone as in a batch."""
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    apart = scores - mean
    along = (apart[:, None, :] * root).sum(axis=2)
    return np.asarray((along**2).sum(axis=1))


def _among(values: NDArray[Any], known: NDArray[np.bool_], missing: float) -> NDArray[Any]:
    """Put values of those known at their places among all."""
    made = np.full(len(known), missing, dtype=values.dtype)
    made[known] = values
    return made
