"""What measures of time need beside a label at one horizon: times, causes, the censoring, and every horizon up to it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FollowUp:
    """The follow-up of n rows, up to one horizon.

    Attributes:
        horizon: days.
        time: shape (n,), days to event or censoring.
        cause: shape (n,), 0 censored, 1 the event, 2 and above competing events.
        uncensored: shape (n, levels), G(T-): the probability of being uncensored just before the row's own time, in the
            evaluated population, for each level of the covariates that censoring may depend on.
        level: shape (n,), the column of `uncensored` that is of the row's own level.
        population: shape (n,), the number of the population (and level of covariates) that G was estimated in.
        horizons: days, increasing, the last one `horizon`.
        labels, weights: shape (n, horizons), as of Part, at each of `horizons`.
        risks: shape (n, horizons), one learner's risks of cause 1; None where only those at `horizon` are known.
    """

    horizon: float
    time: Floats
    cause: NDArray[np.int64]
    uncensored: Floats
    level: NDArray[np.int64]
    population: NDArray[np.int64]
    horizons: tuple[float, ...]
    labels: Floats
    weights: Floats
    risks: Floats | None = None

    def take(self, rows: NDArray[np.bool_]) -> "FollowUp":
        """Return the follow-up of some rows."""
        return FollowUp(
            self.horizon,
            self.time[rows],
            self.cause[rows],
            self.uncensored[rows],
            self.level[rows],
            self.population[rows],
            self.horizons,
            self.labels[rows],
            self.weights[rows],
            None if self.risks is None else self.risks[rows],
        )

    def predicted(self, risks: Floats | None) -> "FollowUp":
        """Return the same follow-up with one learner's risks, shape (n, horizons)."""
        return replace(self, risks=risks)
