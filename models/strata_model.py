"""The whole recipe of a stratification: adjustment, representation and clusterer, fitted on the same patients and frozen as one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.adjustment import Adjustment
from models.adjustment.plan import AdjustmentPlan
from models.clustering.contract import Clusterer, ClusterOptions
from models.clustering.representation import Representation
from models.errors import BadTarget
from models.registry import CLUSTERERS
from models.strata_state import names_of, number_of_strata, options_of, read_json, require_fitting

Floats = NDArray[np.float64]

RECIPE_FILE, CLUSTERER_PREFIX, VERSION = "strata.json", "clusterer_", 1


@dataclass(frozen=True)
class Recipe:
    """What is done to patients' columns before and while they are divided; fixed before any result is seen.

    Attributes:
        clusterer: a name of CLUSTERERS.
        columns: the feature columns to stratify by, sorted.
        options: the clusterer's.
        plan: the adjustment done first (centres, limits of detection, plates, imputation); None: none.
    """

    clusterer: str
    columns: tuple[str, ...]
    options: ClusterOptions = field(default_factory=ClusterOptions)
    plan: AdjustmentPlan | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """Every column that rows must hold: features, context and covariates of the adjustment."""
        more = () if self.plan is None else (*self.plan.context, *self.plan.needed)
        return tuple(sorted({*self.columns, *more}))


@dataclass(frozen=True)
class PreparedPatients:
    """What fits of the same patients with other numbers of strata share; it holds rows and is never stored.

    Attributes:
        adjustment: fitted on them; None where the recipe has none.
        seen: their columns after adjustment.
        shared: what the clusterer's kind prepared.
        representation: a map to points, the same for every clusterer: coordinates for separation, dimensions and figures.
        points: shape (patients, dimensions).
    """

    adjustment: Adjustment | None
    seen: pl.DataFrame
    shared: Any
    representation: Representation
    points: Floats


def prepare_patients(X: pl.DataFrame, recipe: Recipe) -> PreparedPatients:
    """Fit everything that does not depend on the number of strata.

    Args:
        X: one row per patient, with the columns of `recipe.needed`; others are ignored.
        recipe: what is to be done.

    Raises:
        BadTarget: a column is missing, or a step has too few patients.
    """
    adjustment, seen = None, X.select(recipe.columns)
    if recipe.plan is not None:
        adjustment, seen = Adjustment.fit_transform(X, recipe.plan, columns=recipe.columns)
    shared = CLUSTERERS[recipe.clusterer].prepare(seen, recipe.options)
    representation = getattr(shared, "representation", None) or Representation.fit(seen, recipe.options)
    return PreparedPatients(adjustment, seen, shared, representation, representation.transform(seen))


class StrataModel:
    """A frozen division of patients into k strata: new patients of any cohort are assigned by it.

    `fit` needs X with the columns of `recipe.needed`, one row per patient.
    """

    def __init__(
        self,
        recipe: Recipe,
        k: int,
        adjustment: Adjustment | None,
        representation: Representation,
        clusterer: Clusterer,
    ) -> None:
        """Use `fit` or `from_parts`."""
        self.recipe, self.k = recipe, k
        self._adjustment, self._representation, self._clusterer = adjustment, representation, clusterer

    @classmethod
    def fit(
        cls, X: pl.DataFrame, recipe: Recipe, k: int, seed: int, prepared: PreparedPatients | None = None
    ) -> Self:
        """Divide patients into k strata; `prepared` is of the same rows. Raises BadTarget where that is impossible."""
        made = prepared or prepare_patients(X, recipe)
        clusterer = CLUSTERERS[recipe.clusterer].build(k, seed, recipe.options).fit(made.seen, made.shared)
        return cls(recipe, k, made.adjustment, made.representation, clusterer)

    @property
    def clusterer(self) -> Clusterer:
        """The clusterer that sees adjusted columns."""
        return self._clusterer

    @property
    def representation(self) -> Representation:
        """The map from adjusted columns to points."""
        return self._representation

    def adjusted(self, X: pl.DataFrame) -> pl.DataFrame:
        """Return the columns that the clusterer sees, one row per patient."""
        return X.select(self.recipe.columns) if self._adjustment is None else self._adjustment.transform(X)

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return the probability of each stratum, shape (patients, k); strata by falling size in training.

        Raises:
            BadTarget: a column is missing, or the model gives some patient no memberships.
        """
        found = self._clusterer.predict_probability(self.adjusted(X))
        # Numbers one by one possible can still be none that belong together in a file that was tampered with.
        if found.shape != (X.height, self.k) or not np.allclose(found.sum(axis=1), 1.0):
            raise BadTarget(
                "The frozen strata give some patients no memberships: the stored model is damaged; stratify again."
            )
        return found

    def assign(self, X: pl.DataFrame) -> NDArray[np.int64]:
        """Return each patient's most probable stratum, shape (patients,), counted from 0."""
        return np.asarray(self.predict_probability(X).argmax(axis=1), dtype=np.int64)

    def points(self, X: pl.DataFrame) -> Floats:
        """Return patients' coordinates, shape (patients, dimensions)."""
        return self._representation.transform(self.adjusted(X))

    def with_local(self, X: pl.DataFrame) -> Self:
        """Return the model with parameters of the centres it has none of, from their patients, where the plan asks for that.

        It does under `new_centre: local` alone; otherwise this is the same model, and such patients keep their values.

        Args:
            X: one row per patient, with the columns of `recipe.needed`.
        """
        plan, adjustment = self.recipe.plan, self._adjustment
        if plan is None or adjustment is None or adjustment.centres is None or plan.new_centre != "local":
            return self
        for centre in sorted(X[plan.batch].drop_nulls().unique()):
            own = X.filter(pl.col(plan.batch) == centre)
            if adjustment.new_centres(own):
                adjustment = adjustment.with_local(str(centre), own)
        return type(self)(self.recipe, self.k, adjustment, self._representation, self._clusterer)

    def new_centres(self, X: pl.DataFrame) -> int:
        """Return how many of the patients' centres the adjustment has no parameters of; 0 where it has none of any."""
        return 0 if self._adjustment is None else self._adjustment.new_centres(X)

    def bic(self, X: pl.DataFrame) -> float | None:
        """Return the Bayesian information criterion on X; None for a clusterer without a likelihood."""
        return self._clusterer.bic(self.adjusted(X))

    def to_parts(self) -> dict[str, bytes]:
        """Return the whole fitted state as named JSON files; nothing is pickled and no patient's row is held."""
        state = {
            "version": VERSION,
            "clusterer": self.recipe.clusterer,
            "k": self.k,
            "columns": list(self.recipe.columns),
            "modalities": dict(self.recipe.options.modalities),
            "weights": dict(self.recipe.options.weights),
            "parameters": dict(self.recipe.options.parameters),
            "adjustment": None if self._adjustment is None else self._adjustment.to_state(),
            "representation": self._representation.to_state(),
        }
        return {
            RECIPE_FILE: json.dumps(state, sort_keys=True, allow_nan=False).encode(),
            **{f"{CLUSTERER_PREFIX}{name}": part for name, part in self._clusterer.to_parts().items()},
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the frozen model; raises BadTarget on anything unknown or damaged."""
        try:
            own = {
                name.removeprefix(CLUSTERER_PREFIX): part
                for name, part in parts.items()
                if name.startswith(CLUSTERER_PREFIX)
            }
            state = read_json(parts[RECIPE_FILE])
            for part in own.values():
                read_json(part)
            if state["version"] != VERSION or state["clusterer"] not in CLUSTERERS:
                raise BadTarget(
                    f"The stored strata are of version {state['version']} and clusterer {state['clusterer']!r}; known: "
                    f"version {VERSION}, {', '.join(sorted(CLUSTERERS))}."
                )
            adjustment = None if state["adjustment"] is None else Adjustment.from_state(state["adjustment"])
            recipe = Recipe(
                clusterer=state["clusterer"],
                columns=names_of(state["columns"]),
                options=options_of(state),
                plan=None if adjustment is None else adjustment.plan,
            )
            clusterer = CLUSTERERS[recipe.clusterer].load(own)
            representation = Representation.from_state(state["representation"])
            require_fitting(recipe.columns, representation, clusterer.columns)
            made = cls(recipe, number_of_strata(state, own), adjustment, representation, clusterer)
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            RecursionError,
            OverflowError,
            IndexError,
        ) as problem:
            raise BadTarget("The stored strata are damaged; stratify again.") from problem
        return made
