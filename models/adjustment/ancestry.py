"""Polygenic scores regressed on components of ancestry over the training rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.adjustment.genotype_columns import first_of
from models.ancestry.normalisation import AncestryNormalisation, How
from models.errors import BadTarget

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST, FEWEST_PER_TERM = 50, 10  # patients: in all, and per coefficient of the regression


@dataclass(frozen=True)
class AncestryOfScores:
    """What each score is expected to be given components.

    Attributes:
        scores: by column, sorted.
    """

    scores: Mapping[str, AncestryNormalisation]

    @classmethod
    def fit(
        cls, names: Sequence[str], values: Floats, components: Floats, how: How, patients: Integers
    ) -> Self:
        """Regress each score, each patient once.

        Args:
            names: the scores' columns.
            values: shape (rows, scores), NaN where missing.
            components: shape (rows, components), NaN where missing.
            how: mean or mean_variance.
            patients: the patient of each row, shape (rows,).

        Raises:
            BadTarget: there is no score, or too few patients have one and components.
        """
        if not names:
            raise BadTarget(
                "genetics.ancestry: the learner uses no column of a score (genetic_<score>); name scores, or drop ancestry."
            )
        needed = max(FEWEST, FEWEST_PER_TERM * (components.shape[1] + 1))
        placed = ~np.isnan(components).any(axis=1)
        found = {}
        for name, own in zip(names, values.T, strict=True):
            known = np.flatnonzero(placed & ~np.isnan(own)).astype(np.int64)
            rows = known[first_of(known, patients)]
            if len(rows) < needed:
                raise BadTarget(
                    f"genetics.ancestry: {name} needs {needed} patients with a score and components among the training rows "
                    f"({FEWEST_PER_TERM} per component and one more), and there are fewer. Ask for fewer components, or use fewer folds."
                )
            found[name] = AncestryNormalisation.fit(own[rows], components[rows], how=how)
        return cls(dict(sorted(found.items())))

    def to_state(self) -> dict[str, Any]:
        """Return the regressions as JSON values."""
        return {name: one.to_state() for name, one in self.scores.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError or ValueError where it is damaged."""
        return cls({name: AncestryNormalisation.from_state(one) for name, one in sorted(state.items())})
