"""Principal components of genotypes, fitted on the training rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.frames import texts
from models.adjustment.genetic_plan import ComponentPlan
from models.adjustment.genotype_columns import Genotypes, first_of, read_genotypes, require_same_variants
from models.ancestry.components import Components, from_samples, principal_components
from models.errors import BadTarget

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST, FEWEST_PER_COMPONENT = 50, 10  # people: in all, and per component and one more
VARIANTS_PER_BYTE = 4


@dataclass(frozen=True)
class FoldComponents:
    """Components of training people.

    Attributes:
        plan: what was declared.
        order: the name of the variants and their order.
        components: frequencies, loadings and eigenvalues; of no variant whose rarer allele fewer than 11 people carry.
    """

    plan: ComponentPlan
    order: str
    components: Components

    @classmethod
    def fit(cls, X: pl.DataFrame, plan: ComponentPlan, patients: Integers, seed: int) -> tuple[Self, Floats]:
        """Fit on training rows, each patient once and one of each family, and place all of them.

        Returns:
            The components, and those of each row, shape (rows, components), NaN without genotypes. People fitted on have the
            place that the fit gave them; their relatives are projected as new people are.

        Raises:
            BadTarget: too few people have genotypes, or too few variants vary.
        """
        found = read_genotypes(X, plan.column)
        chosen = _unrelated(found, X, plan, patients)
        needed = max(FEWEST, FEWEST_PER_COMPONENT * (plan.number + 1))
        if len(chosen) < needed:
            raise BadTarget(
                f"genetics.components: {plan.number} components need {needed} unrelated patients with genotypes ({plan.column}) among "
                f"the training rows ({FEWEST_PER_COMPONENT} per component and one more, {FEWEST} at least), and there are fewer. Ask for fewer components, or use fewer "
                "folds."
            )
        packed = found.packed[chosen]
        variants = VARIANTS_PER_BYTE * packed.shape[1]
        fitted = principal_components(
            from_samples(packed, variants=variants),
            samples=len(chosen),
            variants=variants,
            components=plan.number,
            seed=seed,
        )
        made = cls(plan, found.order, fitted.components)
        return made, made._training_places(X.height, found, chosen, fitted.scores, patients)

    def _training_places(
        self, rows: int, found: Genotypes, chosen: Integers, scores: Floats, patients: Integers
    ) -> Floats:
        places = np.full((rows, self.plan.number), np.nan)
        own = patients[found.rows]
        people = patients[found.rows[chosen]]
        order = np.argsort(people)
        at = np.minimum(np.searchsorted(people[order], own), len(people) - 1)
        known = people[order][at] == own
        places[found.rows[known]] = scores[order][at[known]]
        if not known.all():
            places[found.rows[~known]] = self.components.project(found.packed[~known])
        return places

    def project(self, X: pl.DataFrame) -> Floats:
        """Return the components of rows that were not fitted on, shape (rows, components), NaN without genotypes.

        Raises:
            BadTarget: their genotypes are of other variants.
        """
        found = read_genotypes(X, self.plan.column)
        width = len(self.components.frequencies) // VARIANTS_PER_BYTE
        require_same_variants(found, self.order, width, self.plan.column)
        places = np.full((X.height, self.plan.number), np.nan)
        if len(found.rows):
            places[found.rows] = self.components.project(found.packed)
        return places

    def to_state(self) -> dict[str, Any]:
        """Return the components as JSON values."""
        return {"order": self.order, "components": self.components.to_state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], plan: ComponentPlan) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError, ValueError or BadTarget where it is damaged."""
        made = cls(plan, str(state["order"]), Components.from_state(state["components"]))
        if made.components.eigenvalues.shape != (plan.number,):
            raise ValueError("there are not as many components as the plan asks for")
        return made


def _unrelated(found: Genotypes, X: pl.DataFrame, plan: ComponentPlan, patients: Integers) -> Integers:
    """Return the places among people with genotypes of one row per patient, and of one patient per family."""
    people = first_of(found.rows, patients)
    if plan.families is None:
        return people
    names = texts(X, plan.families)[found.rows[people]]
    alone = np.array([name is None for name in names], dtype=np.bool_)
    first = np.unique(names[~alone].astype(str), return_index=True)[1]
    return np.sort(np.concatenate([people[alone], people[~alone][first]]))
