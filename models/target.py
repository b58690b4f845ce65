"""The one target of every learner: a label, or a time with its cause, with all checks in its constructors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.censoring import attendance_weights, inverse_probability_weights
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

    A label may be unknown, as after a visit that was not attended: its weight is 0, and the known ones of its stratum weigh
    the more (inverse probability of attendance; Robins, Rotnitzky and Zhao 1995, doi 10.2307/2291134).

    Attributes:
        cause: shape (n,); 0 censored (or label 0), 1 the event, 2 and above competing events.
        time: shape (n,), days to event or censoring, or None for a label.
        horizons: days, increasing; for a label the single placeholder 0.
        causes: number of causes, competing ones included.
        main: the horizon that folds are drawn and models explained at; one of `horizons`.
        groups: shape (n,), the patient of each row, for learners that split rows themselves; None: each row its own.
        known: shape (n,), whether a label is known; None: all are.
        strata: shape (n,), within which unknown labels are weighted for; None: one stratum.
    """

    cause: Integers
    time: Floats | None
    horizons: tuple[float, ...]
    causes: int = 1
    main: float = 0.0
    groups: Integers | None = None
    known: NDArray[np.bool_] | None = None
    strata: Integers | None = None

    @classmethod
    def from_labels(
        cls,
        labels: Sequence[int] | NDArray[np.generic],
        *,
        known: NDArray[np.bool_] | None = None,
        strata: Integers | None = None,
        groups: Integers | None = None,
    ) -> Self:
        """Build the target of a binary label, 0 or 1, shape (n,); the value of an unknown one counts for nothing."""
        found = np.asarray(labels)
        if found.ndim != 1 or not np.isin(found, (0, 1)).all():
            raise BadTarget("A label must be a vector of 0 and 1; recode the outcome in the study file.")
        _require_length(len(found), known=known, strata=strata, groups=groups)
        return cls(
            cause=found.astype(np.int64),
            time=None,
            horizons=(0.0,),
            groups=groups,
            known=None if known is None else np.asarray(known, dtype=np.bool_),
            strata=strata,
        )

    @classmethod
    def from_times(
        cls,
        time: Sequence[float] | NDArray[np.generic],
        cause: Sequence[int] | NDArray[np.generic],
        horizons: Sequence[float],
        *,
        causes: int | None = None,
        main: float | None = None,
        groups: Integers | None = None,
    ) -> Self:
        """Build the target of times in days, shape (n,), with their causes, at the given horizons in days.

        `causes` is the number of causes that exist, seen in these rows or not (None: those seen); `main` one of the
        horizons (None: the last).
        """
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
        if main is not None and main not in steps:
            raise BadTarget(f"The main horizon {main} is not among the horizons {steps}.")
        seen = max(1, int(kinds.max(initial=0)))
        if causes is not None and causes < seen:
            raise BadTarget(f"The outcome has cause {seen}, but only {causes} are declared; check its codes.")
        _require_length(len(days), groups=groups)
        return cls(
            cause=kinds,
            time=days,
            horizons=steps,
            causes=causes or seen,
            main=steps[-1] if main is None else float(main),
            groups=groups,
        )

    def __len__(self) -> int:
        return len(self.cause)

    def rows(self, index: NDArray[np.generic]) -> "Target":
        """Return the target of some rows (boolean mask or integer positions); weights follow from those rows alone."""
        return replace(
            self,
            cause=self.cause[index],
            time=None if self.time is None else self.time[index],
            groups=None if self.groups is None else self.groups[index],
            known=None if self.known is None else self.known[index],
            strata=None if self.strata is None else self.strata[index],
        )

    def censored_at(self, limit: Floats) -> "Target":
        """Return what was known by `limit`, days from each prediction, shape (n,): later events are not seen yet."""
        if self.time is None:
            return self
        later = self.time > limit
        return replace(
            self,
            cause=np.where(later, 0, self.cause),
            time=np.where(later, np.maximum(limit, 0.0), self.time),
        )

    def labels(self, horizon: float | None = None, cause: int = 1) -> Integers:
        """Return 1 where the cause happened by the horizon, else 0, shape (n,)."""
        if self.time is None:
            return np.asarray((self.cause == cause) & self.seen(), dtype=np.int64)
        happened = (self.cause == cause) & (self.time <= self._horizon(horizon))
        return np.asarray(happened, dtype=np.int64)

    def weights(self, horizon: float | None = None) -> Floats:
        """Return the weight of each row's label at the horizon, shape (n,); 0 where it is unknown."""
        if self.time is None:
            return attendance_weights(self.seen(), self.strata)
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

    def seen(self) -> NDArray[np.bool_]:
        """Return whether each label is known, shape (n,); times are always known up to their censoring."""
        return np.ones(len(self), dtype=np.bool_) if self.known is None else self.known

    def _horizon(self, horizon: float | None) -> float:
        chosen = self.main if horizon is None else horizon
        if chosen not in self.horizons:
            raise BadTarget(f"Horizon {chosen} is not among the target's: {self.horizons}.")
        return chosen


def _require_length(rows: int, **arrays: NDArray[np.generic] | None) -> None:
    for name, values in arrays.items():
        if values is not None and np.shape(values) != (rows,):
            raise BadTarget(
                f"{name} must have one value for each of {rows} rows; got shape {np.shape(values)}."
            )
