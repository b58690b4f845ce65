"""Fitted components as they are kept, and the place of people on them who were not fitted on.

People who were not fitted on fall nearer to 0 than those who were, the more so the weaker a component and the more
variants there are for each person (Lee, Zou and Wright 2010, doi:10.1214/10-AOS821). `shrinkage` is the factor, estimated
from all eigenvalues as Dey and Lee 2019 (doi:10.1016/j.jmva.2019.02.007) do with the estimator of Bai and Ding 2012; the
projection divides by it. Projecting someone who was fitted on would therefore stretch them: their place is in `scores`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.ancestry.genotype_matrix import add_product, standard_levels
from models.errors import BadTarget

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Components:
    """What is kept of fitted components: nothing of any one person.

    Attributes:
        frequencies: of a1 in the training people, shape (variants,); 0 for variants that weigh nothing.
        loadings: of the standardised variants, shape (variants, components), columns of length 1, held to the seven digits
            of a 32-bit number so that a stored model is the fitted one.
        eigenvalues: of Yᵀ Y / m, shape (components,), decreasing.
        shrinkage: how near to 0 others fall, as a share, shape (components,), between 0 and 1.
        people: how many were fitted on.
    """

    frequencies: Floats
    loadings: Floats
    eigenvalues: Floats
    shrinkage: Floats
    people: int

    @property
    def used(self) -> int:
        """How many variants weigh something."""
        return int(np.count_nonzero(self.frequencies))

    def projection_weights(self) -> tuple[Floats, Floats]:
        """Return (weights, constant): a person's components are constant + sum of weight x copies of a1.

        A genotype that was not called counts as twice the variant's frequency.

        Returns:
            Shapes (variants, components) and (components,).
        """
        weights = _scale(self.frequencies)[:, None] * self.loadings * self._stretch()
        return weights, -2.0 * (self.frequencies @ weights)

    def project(self, packed_rows: Bytes, *, threads: int = 1) -> Floats:
        """Return the components of people who were not fitted on, each from their own genotypes alone.

        Args:
            packed_rows: shape (people, ceil(variants / 4)): two bits a variant, four variants a byte.
            threads: to compute with; they change no result.

        Returns:
            Shape (people, components).

        Raises:
            BadTarget: the rows are not as long as the components' variants.
        """
        from models.ancestry.components_kernels import COLUMNS

        people, length = packed_rows.shape
        if length != (len(self.frequencies) + 3) // 4:
            raise BadTarget(
                f"Genotypes of {length} bytes a person do not fit components of {len(self.frequencies)} variants."
                " Take the variants that the components were fitted on, in their order."
            )
        width = (length + 7) // 8 * 8
        packed = np.zeros((people, width), dtype=np.uint8)
        packed[:, :length] = packed_rows
        levels = standard_levels(self.frequencies, _scale(self.frequencies), width)
        weights = self.loadings * self._stretch()
        made = []
        for start in range(0, weights.shape[1], COLUMNS):
            part = weights[:, start : start + COLUMNS]
            matrix, sums = np.zeros((4 * width, COLUMNS)), np.zeros((people, COLUMNS))
            matrix[: len(part), : part.shape[1]] = part
            add_product(packed, levels, matrix, sums, threads)
            made.append(sums[:, : part.shape[1]])
        return np.hstack(made)

    def _stretch(self) -> Floats:
        """What turns standardised genotypes times loadings into scores without shrinkage, shape (components,)."""
        return np.asarray(np.sqrt(self.people / (self.used * self.eigenvalues)) / self.shrinkage)

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` rebuilds, as plain numbers and lists."""
        return {
            "people": self.people,
            "frequencies": self.frequencies.tolist(),
            "loadings": [
                [float(text) for text in row]
                for row in self.loadings.T.astype(np.float32).astype(str).tolist()
            ],
            "eigenvalues": self.eigenvalues.tolist(),
            "shrinkage": self.shrinkage.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            loadings = np.array(state["loadings"], dtype=np.float32).astype(np.float64).T
            made = cls(
                frequencies=np.array(state["frequencies"], dtype=np.float64),
                loadings=loadings,
                eigenvalues=np.array(state["eigenvalues"], dtype=np.float64),
                shrinkage=np.array(state["shrinkage"], dtype=np.float64),
                people=int(state["people"]),
            )
        except (KeyError, TypeError, ValueError) as cause:
            raise BadTarget(f"The stored components are damaged ({cause}); fit them again.") from cause
        shape = (len(made.frequencies), len(made.eigenvalues))
        if made.loadings.shape != shape or made.shrinkage.shape != shape[1:]:
            raise BadTarget(
                "The stored components are damaged: their parts differ in length; fit them again."
            )
        return made


def _scale(frequencies: Floats) -> Floats:
    """Return 1 / sqrt(2 f (1 - f)), 0 where f is 0."""
    spread = np.sqrt(2.0 * frequencies * (1.0 - frequencies))
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
