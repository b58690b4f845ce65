"""The one target of every learner: a label, or a time with its cause, with all checks in its constructors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.censoring import inverse_probability_weights
from models.errors import BadTarget

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Target:
    """What is to be predicted, for n rows.

    A label is one cause at one horizon: `time` is then None and every weight 1. With times, `labels` and `weights` at a
    horizon follow inverse-probability-of-censoring weighting (Graf 1999, doi 10.1002/(SICI)1097-0258): an event of the
    cause by the horizon is 1; a competing event by then, or being event-free after it, is 0; censored before it has
    weight 0 and stays in.

    Attributes:
        cause: shape (n,); 0 censored (or label 0), 1 the event, 2 and above competing events.
        time: shape (n,), days to event or censoring, or None for a label.
        horizons: days, increasing; for a label the single placeholder 0.
        causes: number of causes, competing ones included.
    """

    cause: Integers
    time: Floats | None
    horizons: tuple[float, ...]
    causes: int = 1

    @classmethod
    def from_labels(cls, labels: Sequence[int] | NDArray[np.generic]) -> Self:
        """Build the target of a binary label, 0 or 1, shape (n,)."""
        found = np.asarray(labels)
        if found.ndim != 1 or not np.isin(found, (0, 1)).all():
            raise BadTarget("A label must be a vector of 0 and 1; recode the outcome in the study file.")
        return cls(cause=found.astype(np.int64), time=None, horizons=(0.0,))

    @classmethod
    def from_times(
        cls,
        time: Sequence[float] | NDArray[np.generic],
        cause: Sequence[int] | NDArray[np.generic],
        horizons: Sequence[float],
    ) -> Self:
        """Build the target of times in days, shape (n,), with their causes, at the given horizons in days."""
        days, found = np.asarray(time, dtype=np.float64), np.asarray(cause)
        if days.ndim != 1 or days.shape != found.shape:
            raise BadTarget(
                f"Times and causes must be vectors of one length; got {days.shape} and {found.shape}."
            )
        if not np.isfinite(days).all() or (days < 0).any():
            raise BadTarget("Times must be finite and not negative; check the outcome's dates.")
        if not np.isin(found, np.arange(256)).all():
            raise BadTarget("Causes must be whole numbers from 0 (censored); check the outcome's codes.")
        kinds = found.astype(np.int64)
        steps = tuple(float(h) for h in horizons)
        if not steps or any(h <= 0 for h in steps) or list(steps) != sorted(set(steps)):
            raise BadTarget(f"Horizons must be positive and increasing; got {steps}.")
        return cls(cause=kinds, time=days, horizons=steps, causes=max(1, int(kinds.max(initial=0))))

    def __len__(self) -> int:
        return len(self.cause)

    def rows(self, index: NDArray[np.generic]) -> "Target":
        """Return the target of some rows (boolean mask or integer positions); weights follow from those rows alone."""
        time = None if self.time is None else self.time[index]
        return Target(cause=self.cause[index], time=time, horizons=self.horizons, causes=self.causes)

    def labels(self, horizon: float | None = None, cause: int = 1) -> Integers:
        """Return 1 where the cause happened by the horizon, else 0, shape (n,)."""
        if self.time is None:
            return np.asarray(self.cause == cause, dtype=np.int64)
        happened = (self.cause == cause) & (self.time <= self._horizon(horizon))
        return np.asarray(happened, dtype=np.int64)

    def weights(self, horizon: float | None = None) -> Floats:
        """Return the weight of each row's label at the horizon, shape (n,); 0 where it is unknown."""
        if self.time is None:
            return np.ones(len(self), dtype=np.float64)
        return inverse_probability_weights(self.time, self.cause, self._horizon(horizon))

    def require_two_classes(self) -> None:
        """Refuse a target with a single class among the rows that count, at any horizon."""
        for horizon in self.horizons:
            seen = np.unique(self.labels(horizon)[self.weights(horizon) > 0])
            if len(seen) < 2:
                found = "no event" if 1 not in seen else "events only"
                raise BadTarget(
                    f"The outcome has {found} among {len(self)} rows: a model needs both. Check the outcome's codes, "
                    "horizon and eligibility in the study file, or use fewer folds."
                )

    def _horizon(self, horizon: float | None) -> float:
        chosen = self.horizons[0] if horizon is None else horizon
        if chosen not in self.horizons:
            raise BadTarget(f"Horizon {chosen} is not among the target's: {self.horizons}.")
        return chosen
