"""A fitted adjustment: a frame of predictors and context columns to a frame of the same predictors, adjusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.fitting import later_steps
from models.adjustment.frames import Frame
from models.adjustment.genetics import Genetics, GeneticStart
from models.adjustment.imputation import Imputation
from models.adjustment.naming import require_named
from models.adjustment.norms import Norms
from models.adjustment.plan import AdjustmentPlan
from models.adjustment.steps import Centres, Composites, Limits, Plates, Step
from models.adjustment.stored import is_whole
from models.columns import is_category
from models.errors import BadTarget
from models.preprocessing import number_values, require_columns

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Adjustment:
    """Fitted parameters of every step; `fit` makes it, `transform` applies it.

    Nothing of it is of fewer than 11 patients, but what `with_local` added, which then cannot be stored.

    Attributes:
        plan: what was declared.
        columns: the predictors, sorted.
        numbers: those of them that hold numbers.
        harmonise: the method that was chosen among the plan's.
        impute: the method that was chosen among the plan's.
        genetics: what is done to polygenic scores, before all else; None without.
        limits: draws below limits of detection; None where the feature set's substitutes stay.
        plates: effects of plates; None without.
        norms: regression norms; None without.
        composites: further predictors; None without.
        centres: parameters of centres; None where nothing is harmonised.
        imputation: None where missing values are left to the learner.
    """

    plan: AdjustmentPlan
    columns: tuple[str, ...]
    numbers: tuple[str, ...]
    harmonise: str
    impute: str
    genetics: Genetics | None = None
    limits: Limits | None = None
    plates: Plates | None = None
    norms: Norms | None = None
    composites: Composites | None = None
    centres: Centres | None = None
    imputation: Imputation | None = None

    @classmethod
    def fit(
        cls,
        X: pl.DataFrame,
        plan: AdjustmentPlan,
        *,
        columns: Sequence[str],
        harmonise: str | None = None,
        impute: str | None = None,
        patients: Integers | None = None,
        seed: int = 0,
    ) -> Self:
        """Learn every step from training rows, without their outcomes; see `fit_transform`."""
        return cls.fit_transform(
            X, plan, columns=columns, harmonise=harmonise, impute=impute, patients=patients, seed=seed
        )[0]

    @classmethod
    def fit_transform(
        cls,
        X: pl.DataFrame,
        plan: AdjustmentPlan,
        *,
        columns: Sequence[str],
        harmonise: str | None = None,
        impute: str | None = None,
        patients: Integers | None = None,
        seed: int = 0,
        begun: dict[str, GeneticStart] | None = None,
    ) -> tuple[Self, pl.DataFrame]:
        """Learn every step from training rows, without their outcomes, and return them as a learner is to see them.

        That is what `transform` gives of them, but for components that were fitted on these people: theirs are those of the
        fit, which those of new people are comparable with.

        Args:
            X: predictors and the plan's context columns; others are ignored.
            plan: what is to be done.
            columns: the predictors that the learner uses.
            harmonise: one of plan.harmonise; None: its first.
            impute: one of plan.impute; None: its first.
            patients: the patient of each row, shape (rows,); None: each row is a patient of its own.
            seed: of the draws below limits of detection and of the components' start.
            begun: what fits of the same rows by other methods share; filled by the first of them.

        Raises:
            BadTarget: a column is missing, or a step has too few patients.
        """
        names = tuple(sorted(set(columns)))
        require_columns(X, (*names, *plan.context, *plan.needed))
        require_named(plan, names, X)
        groups = np.arange(X.height) if patients is None else np.asarray(patients)
        kinds = X.schema
        made = cls(
            plan=plan,
            columns=names,
            numbers=tuple(name for name in names if not is_category(kinds[name])),
            harmonise=_chosen("harmonise", harmonise, plan.harmonise),
            impute=_chosen("impute", impute, plan.impute),
        )
        values = made._frame(X)
        if plan.genetics is not None:
            kept = {} if begun is None else begun
            if "genetics" not in kept:
                kept["genetics"] = GeneticStart.fit(X, values, plan.genetics, groups, int(seed))
            values = dict(kept["genetics"].values)
            made = replace(made, genetics=kept["genetics"].fitted)
        for name, fit in later_steps(
            X,
            values,
            plan,
            columns=names,
            methods=(made.harmonise, made.impute),
            patients=groups,
            seed=int(seed),
        ):
            if fit is not None:
                fit.apply(X, values)
                steps: dict[str, Any] = {name: fit}
                made = replace(made, **steps)
        return made, made._seen(X, values)

    @property
    def predictors(self) -> tuple[str, ...]:
        """The columns of the adjusted frame: the learner's predictors, then composites, components and raw scores."""
        return (*self.columns, *self.plan.further(self.columns))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The fitted steps in the order in which they are applied."""
        every = (
            self.genetics,
            self.limits,
            self.plates,
            self.norms,
            self.composites,
            self.centres,
            self.imputation,
        )
        return tuple(step for step in every if step is not None)

    def transform(self, X: pl.DataFrame) -> pl.DataFrame:
        """Return the predictors adjusted, in the order of `predictors`; context columns are left out.

        Numbers come back as Float64 (null where missing), categories as they were.

        Raises:
            BadTarget: a column is missing; or a centre without parameters is met under new_centre: refuse.
        """
        require_columns(X, (*self.columns, *self.plan.places, *self.plan.needed))
        values = self._frame(X)
        for step in self.steps:
            step.apply(X, values)
        return self._seen(X, values)

    def _seen(self, X: pl.DataFrame, values: Frame) -> pl.DataFrame:
        return pl.DataFrame(
            [
                pl.Series(name, values[name], dtype=pl.Float64, nan_to_null=True)
                if name in values
                else X[name]
                for name in self.predictors
            ]
        )

    def with_local(self, centre: str, X: pl.DataFrame, patients: Integers | None = None) -> Self:
        """Return the adjustment with parameters of a new centre, from some of its rows without outcomes.

        Args:
            centre: its name in the plan's batch column.
            X: some of its rows, at least one; the batch column is not looked at.
            patients: the patient of each row, shape (rows,); None: each row is a patient of its own.

        Raises:
            BadTarget: nothing is harmonised, or X has no row or lacks a column.
        """
        if self.centres is None:
            raise BadTarget(
                f"The adjustment has no centres' parameters (harmonise: {self.harmonise}), so local patients change nothing."
            )
        require_columns(X, (*self.columns, *self.plan.needed, *self.plan.plates, *self.plan.genetic_places))
        values = self._frame(X)
        for step in (self.genetics, self.limits, self.plates, self.norms, self.composites):
            if step is not None:
                step.apply(X, values)
        count = X.height if patients is None else len(np.unique(patients))
        return replace(self, centres=self.centres.with_local(centre, X, values, count))

    def new_centres(self, X: pl.DataFrame) -> int:
        """Return how many of the rows' centres have no parameters; rows without a centre count as one."""
        return 0 if self.centres is None else self.centres.new(X)

    def _frame(self, X: pl.DataFrame) -> Frame:
        raw = number_values(X, self.numbers)
        return {name: raw[:, place] for place, name in enumerate(self.numbers)}

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; refuses parameters of fewer than 11 local patients."""
        return {
            "plan": self.plan.to_json(),
            "columns": list(self.columns),
            "numbers": list(self.numbers),
            "harmonise": self.harmonise,
            "impute": self.impute,
            "genetics": None if self.genetics is None else self.genetics.to_state(),
            **{name: None if (step := getattr(self, name)) is None else step.to_state() for name in READERS},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            plan = AdjustmentPlan.from_json(state["plan"])
            genetics = state.get("genetics")  # models of before 1.1 have none
            made = cls(
                plan=plan,
                columns=tuple(map(str, state["columns"])),
                numbers=tuple(map(str, state["numbers"])),
                harmonise=str(state["harmonise"]),
                impute=str(state["impute"]),
                genetics=None
                if genetics is None or plan.genetics is None
                else Genetics.from_state(genetics, plan.genetics),
                **{
                    name: None if state[name] is None else read(state[name]) for name, read in READERS.items()
                },
            )
            whole = is_whole(made)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as problem:
            raise BadTarget("The stored adjustment is damaged; train the model again.") from problem
        if not whole:
            raise BadTarget("The stored adjustment is damaged; train the model again.")
        return made


READERS: Mapping[str, Any] = {
    "limits": Limits.from_state,
    "plates": Plates.from_state,
    "norms": Norms.from_state,
    "composites": Composites.from_state,
    "centres": Centres.from_state,
    "imputation": Imputation.from_state,
}


def _chosen(place: str, given: str | None, options: Sequence[str]) -> str:
    if given is not None and given not in options:
        raise BadTarget(f"{place}: {given} is not among the adjustment's options: {', '.join(options)}.")
    return given or options[0]
