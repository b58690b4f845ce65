"""How many patients the leaves of fitted trees hold, whatever a library's own limits count."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import BadTarget

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST_IN_LEAF = 11  # a leaf of fewer patients would tell about them


@dataclass(frozen=True)
class Patients:
    """The patients of training rows, and when a leaf's rows need no counting.

    Attributes:
        number: shape (rows,), 0, 1, ... without gaps.
        rows_of_ten: the most rows that ten patients have: a leaf with more rows holds 11 patients or more.
        weight_of_ten: the same for the rows' weights.
    """

    number: Integers
    rows_of_ten: int
    weight_of_ten: float

    @classmethod
    def of(cls, groups: Integers, weights: Floats, kind: str) -> "Patients":
        """Number the groups, shape (rows,); refuses fewer of them than one leaf must hold."""
        number = np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)
        if number.max(initial=-1) + 1 < FEWEST_IN_LEAF:
            raise BadTarget(
                f"{kind} needs {FEWEST_IN_LEAF} or more patients of known status to learn from, so that no leaf tells "
                "about single patients; got fewer. Use fewer folds, or another learner."
            )
        most = FEWEST_IN_LEAF - 1
        rows = np.sort(np.bincount(number))[-most:].sum()
        return cls(number, int(rows), float(np.sort(np.bincount(number, weights=weights))[-most:].sum()))

    def fill(self, leaves: NDArray[np.generic]) -> bool:
        """Return whether every leaf that holds a row holds 11 patients or more, each counted once.

        Args:
            leaves: each row's leaf of each tree, shape (rows, trees).
        """
        trees = leaves.reshape(len(self.number), -1).astype(np.int64)
        key = trees + (int(trees.max(initial=0)) + 1) * np.arange(trees.shape[1])
        counts = np.bincount(key.ravel())
        doubtful = (counts > 0) & (counts <= self.rows_of_ten)
        if not doubtful.any():
            return True
        row, tree = np.nonzero(doubtful[key])
        people = int(self.number.max()) + 1
        held = np.unique(key[row, tree] * people + self.number[row]) // people
        return bool(np.unique(held, return_counts=True)[1].min() >= FEWEST_IN_LEAF)
