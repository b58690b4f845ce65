"""The genetic steps of an adjustment, in their order: missing genotypes, components, ancestry of scores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.ancestry import AncestryOfScores
from models.adjustment.fold_components import FoldComponents
from models.adjustment.frames import Frame, matrix
from models.adjustment.frequencies import FrequencyFill
from models.adjustment.genetic_plan import RAW, AncestryPlan, GeneticPlan, component_names
from models.preprocessing import number_values

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Genetics:
    """What the training rows gave; None: the plan has no such step.

    Attributes:
        plan: what was declared.
        frequencies: of the training rows.
        components: of the training rows.
        ancestry: what scores are expected to be given components.
    """

    plan: GeneticPlan
    frequencies: FrequencyFill | None = None
    components: FoldComponents | None = None
    ancestry: AncestryOfScores | None = None

    @classmethod
    def fit(cls, X: pl.DataFrame, values: Frame, plan: GeneticPlan, patients: Integers, seed: int) -> Self:
        """Fit the steps, and replace and add columns of `values` as the training rows are to be seen.

        People that components were fitted on keep their components of the fit: projected on what they shaped themselves
        they would lie further out than anybody new.

        Args:
            X: training rows with the plan's context columns.
            values: predictors that hold numbers.
            plan: what is to be done.
            patients: the patient of each row, shape (rows,).
            seed: of the components' random start.

        Raises:
            BadTarget: genotypes are not as they should be, or a step has too few patients.
        """
        made = cls(plan)
        if plan.frequencies is not None:
            fill = FrequencyFill.fit(X, plan.frequencies, patients)
            fill.apply(X, values)
            made = replace(made, frequencies=fill)
        places: Floats | None = None
        if plan.components is not None:
            components, places = FoldComponents.fit(X, plan.components, patients, seed)
            made = replace(made, components=components)
        if plan.ancestry is not None:
            names = plan.ancestry.chosen(tuple(values))
            own = _projected(X, plan.ancestry) if places is None else places
            fitted = AncestryOfScores.fit(
                names, matrix(values, names, X.height), own, plan.ancestry.how, patients
            )
            made = replace(made, ancestry=fitted)
        made._see(X, values, places)
        return made

    def apply(self, X: pl.DataFrame, values: Frame) -> None:
        """Fill scores, add components and take ancestry out, for rows that nothing was fitted on."""
        if self.frequencies is not None:
            self.frequencies.apply(X, values)
        self._see(X, values, None if self.components is None else self.components.project(X))

    def _see(self, X: pl.DataFrame, values: Frame, places: Floats | None) -> None:
        """Add the rows' components, shape (rows, components), and take out of scores what they explain."""
        asked = self.plan.components
        if asked is not None and asked.as_predictors and places is not None:
            values.update(zip(asked.names, np.asfortranarray(places).T, strict=True))
        if self.plan.ancestry is None or self.ancestry is None:
            return
        if places is None:
            places = _projected(X, self.plan.ancestry)
        for name, one in self.ancestry.scores.items():
            raw = values[name]
            values[name] = one.apply(raw, places)
            if self.plan.ancestry.keep_raw:
                values[f"{name}{RAW}"] = raw

    @property
    def scores(self) -> tuple[str, ...]:
        """The columns that steps replace, sorted."""
        filled = () if self.frequencies is None else self.frequencies.plan.scores
        return tuple(sorted({*filled, *(() if self.ancestry is None else self.ancestry.scores)}))

    def to_state(self) -> dict[str, Any]:
        """Return what was fitted as JSON values; the plan is stored beside it."""
        steps = {"frequencies": self.frequencies, "components": self.components, "ancestry": self.ancestry}
        return {name: None if step is None else step.to_state() for name, step in steps.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], plan: GeneticPlan) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError or ValueError where it is damaged."""
        frequencies, components, ancestry = (
            state[name] for name in ("frequencies", "components", "ancestry")
        )
        made = cls(
            plan,
            None
            if frequencies is None or plan.frequencies is None
            else FrequencyFill.from_state(frequencies, plan.frequencies),
            None
            if components is None or plan.components is None
            else FoldComponents.from_state(components, plan.components),
            None if ancestry is None else AncestryOfScores.from_state(ancestry),
        )
        asked = (plan.frequencies, plan.components, plan.ancestry)
        found = (made.frequencies, made.components, made.ancestry)
        if [one is None for one in asked] != [one is None for one in found]:
            raise ValueError("the steps are not those of the plan")
        return made


@dataclass(frozen=True)
class GeneticStart:
    """Genetic steps fitted on training rows, and their columns after them: the same whatever is chosen of later steps.

    It holds rows: it is never stored.
    """

    fitted: Genetics
    values: Frame

    @classmethod
    def fit(cls, X: pl.DataFrame, values: Frame, plan: GeneticPlan, patients: Integers, seed: int) -> Self:
        """Fit as `Genetics.fit` does, without changing `values`."""
        seen = dict(values)
        return cls(Genetics.fit(X, seen, plan, patients, seed), seen)


def _projected(X: pl.DataFrame, plan: AncestryPlan) -> Floats:
    """Return the components that the feature set projected, shape (rows, components), NaN where missing."""
    return number_values(X, component_names(plan.projected or 0))
