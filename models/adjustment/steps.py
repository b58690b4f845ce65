"""The steps of an adjustment: each is fitted on training rows after the steps before it, and then applied to any rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.composites import FittedComposite
from models.adjustment.design import Design, needed
from models.adjustment.draws import row_hash, uniform
from models.adjustment.frames import Frame, matrix, put, texts
from models.adjustment.genetic_plan import COMPONENT
from models.adjustment.harmonisation import Harmonisation
from models.adjustment.limits import LimitOfDetection, fit_limit, pairs
from models.adjustment.plan import AdjustmentPlan
from models.errors import BadTarget

Integers = NDArray[np.int64]

SOME_ROWS = 50  # mostly enough to see a third value


class Step(Protocol):
    """One fitted step."""

    def apply(self, X: pl.DataFrame, values: Frame) -> None:
        """Replace columns of `values`, or add some, for the rows of X."""

    def to_state(self) -> dict[str, Any]:
        """Return the fitted parameters as JSON values."""


@dataclass(frozen=True)
class Limits:
    """Draws below limits of detection.

    Attributes:
        markers: their distributions.
        hashed: columns whose values a row's draws come from.
        seed: of the draws.
        left: markers that are left as they are: fewer than 11 values on a side of the limit, or no spread.
    """

    markers: tuple[LimitOfDetection, ...]
    hashed: tuple[str, ...]
    seed: int
    left: tuple[str, ...] = ()

    @classmethod
    def fit(cls, rule: str, values: Frame, hashed: tuple[str, ...], patients: Integers, seed: int) -> Self:
        """Estimate the distribution of each pair <x>_log and <x>_below_limit."""
        found, left = [], []
        for value, flag in pairs(tuple(values)):
            one = fit_limit(rule, (value, flag), values[value], values[flag] > 0.5, patients)
            if one is None:
                left.append(value)
            else:
                found.append(one)
        return cls(tuple(found), hashed, seed, tuple(left))

    def apply(self, X: pl.DataFrame, values: Frame) -> None:
        """Replace values under their limits."""
        rows = row_hash(X, self.hashed, self.seed)
        for one in self.markers:
            below = (values[one.flag] > 0.5) & ~np.isnan(values[one.value])
            values[one.value] = one.drawn(values[one.value], below, uniform(rows, one.value))

    def to_state(self) -> dict[str, Any]:
        """Return the distributions as JSON values."""
        return {
            "markers": [one.to_state() for one in self.markers],
            "hashed": list(self.hashed),
            "seed": self.seed,
            "left": list(self.left),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError or ValueError where it is damaged."""
        return cls(
            tuple(LimitOfDetection.from_state(one) for one in state["markers"]),
            tuple(map(str, state["hashed"])),
            int(state["seed"]),
            tuple(map(str, state["left"])),
        )


@dataclass(frozen=True)
class Plates:
    """Effects of plates, taken out as random effects; a plate that training did not see has none."""

    effects: Mapping[str, Harmonisation]

    @classmethod
    def fit(
        cls, X: pl.DataFrame, values: Frame, plates: Mapping[str, Sequence[str]], patients: Integers
    ) -> Self:
        """Estimate the effect of each plate on each of its columns."""
        effects = {}
        for plate in sorted(plates):
            effects[plate] = Harmonisation.fit(
                "random_intercept",
                matrix(values, plates[plate], X.height),
                texts(X, plate),
                columns=plates[plate],
                covariates=np.empty((X.height, 0)),
                patients=patients,
            )
        return cls(effects)

    def apply(self, X: pl.DataFrame, values: Frame) -> None:
        """Take the plates' effects out."""
        none = np.empty((X.height, 0))
        for plate, one in self.effects.items():
            found = one.transform(matrix(values, one.columns, X.height), none, one.codes(texts(X, plate)))
            put(values, one.columns, found)

    def to_state(self) -> dict[str, Any]:
        """Return the effects as JSON values."""
        return {plate: one.to_state() for plate, one in self.effects.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError or ValueError where it is damaged."""
        effects = {plate: Harmonisation.from_state(one) for plate, one in sorted(state.items())}
        if any(len(one.slopes) for one in effects.values()):
            raise ValueError("plates have no covariates")
        return cls(effects)


@dataclass(frozen=True)
class Composites:
    """Further predictors."""

    each: tuple[FittedComposite, ...]

    def apply(self, X: pl.DataFrame, values: Frame) -> None:
        """Add the composites."""
        values.update({one.name: one.transform(values, X.height) for one in self.each})

    def to_state(self) -> dict[str, Any]:
        """Return the composites as JSON values."""
        return {"each": [one.to_state() for one in self.each]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError or ValueError where it is damaged."""
        return cls(tuple(FittedComposite.from_state(one) for one in state["each"]))


@dataclass(frozen=True)
class Centres:
    """Centres brought together.

    Attributes:
        harmonisation: their parameters.
        covariates: how covariates become numbers.
        batch: the column that holds the centre.
        refuse: rows of a centre without parameters are refused.
    """

    harmonisation: Harmonisation
    covariates: Design
    batch: str
    refuse: bool

    @classmethod
    def fit(
        cls, method: str, X: pl.DataFrame, values: Frame, plan: AdjustmentPlan, patients: Integers
    ) -> Self | None:
        """Estimate the centres' parameters; None where there is no column to harmonise."""
        chosen = harmonised(plan, values)
        if not chosen:
            return None
        covariates = Design.fit(X, None, "linear", plan.covariates)
        fitted = Harmonisation.fit(
            method,
            matrix(values, chosen, X.height),
            texts(X, plan.batch),
            columns=chosen,
            covariates=covariates.transform(X),
            patients=patients,
            scale=plan.scale,
        )
        return cls(fitted, covariates, plan.batch, plan.new_centre == "refuse")

    def apply(self, X: pl.DataFrame, values: Frame) -> None:
        """Bring the rows' centres together; raises BadTarget on an unknown centre where that is declared."""
        unknown = self.new(X) if self.refuse else 0
        if unknown:
            raise BadTarget(
                f"The rows are of {unknown} centres that the adjustment has no parameters of (not seen in training, or fewer "
                "than 11 patients there), and new_centre: refuse is declared. Declare new_centre: local or grand_mean, or "
                "join small centres in the cohort's mapping."
            )
        one = self.harmonisation
        found = matrix(values, one.columns, X.height)
        codes = one.codes(texts(X, self.batch))
        put(values, one.columns, one.transform(found, self.covariates.transform(X), codes))

    def new(self, X: pl.DataFrame) -> int:
        """Return how many of the rows' centres have no parameters; rows without a centre count as one."""
        return len(set(texts(X, self.batch)) - set(self.harmonisation.centres))

    def with_local(self, centre: str, X: pl.DataFrame, values: Frame, patients: int) -> Self:
        """Return the step with parameters of one more centre."""
        found = matrix(values, self.harmonisation.columns, X.height)
        added = self.harmonisation.with_local(centre, found, self.covariates.transform(X), patients)
        return replace(self, harmonisation=added)

    def to_state(self) -> dict[str, Any]:
        """Return the parameters as JSON values; refuses those of fewer than 11 local patients."""
        return {
            "harmonisation": self.harmonisation.to_state(),
            "covariates": self.covariates.to_state(),
            "batch": self.batch,
            "refuse": self.refuse,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError or ValueError where it is damaged."""
        made = cls(
            Harmonisation.from_state(state["harmonisation"]),
            Design.from_state(state["covariates"]),
            str(state["batch"]),
            bool(state["refuse"]),
        )
        if len(made.harmonisation.slopes) != len(made.covariates.names):
            raise ValueError("each covariate has a slope")
        return made

    @property
    def regressors(self) -> tuple[str, ...]:
        """The covariates that the parameters stand on."""
        return needed(self.covariates)


def harmonised(plan: AdjustmentPlan, values: Frame) -> tuple[str, ...]:
    """Return the columns to harmonise: those declared, or every number with more than two values, covariates apart.

    Components of ancestry are not, unless declared: that centres differ in them is no effect of a centre's devices.
    """
    if plan.columns is not None:
        return tuple(sorted(set(plan.columns)))
    apart = {*plan.covariates, *(name for name in values if name.startswith(COMPONENT))}
    return tuple(sorted(name for name, found in values.items() if name not in apart and _many_valued(found)))


def _many_valued(values: NDArray[np.float64]) -> bool:
    first = values[:SOME_ROWS]
    if len(set(first[~np.isnan(first)].tolist())) > 2:
        return True
    known = values[~np.isnan(values)]
    return bool(len(known)) and not bool(((known == known.min()) | (known == known.max())).all())
