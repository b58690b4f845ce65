"""Which coverages tell, times their rows, of a few patients whose label set misses the truth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.sample import distinct

Told = dict[str, list[int]]  # numbers of patients published at the levels before, by figure


def missed_too_few(
    missed: NDArray[np.int64], names: Sequence[str], told: Told, smallest_cell: int
) -> NDArray[np.bool_]:
    """Return which coverages would tell, times their rows, of a few patients whose set holds the truth or does not.

    Args:
        missed: patients whose set does not hold the truth, and those whose set does, shape (names, 2).
        names: what each coverage is of.
        told: the numbers missed that were published at other levels, by name; those published now are added by the caller.
        smallest_cell: the smallest count that may be published; 0 hides nothing.
    """
    return np.array(
        [
            bool((own < smallest_cell).any())
            or any(0 < abs(int(own[0]) - old) < smallest_cell for old in told.get(name, []))
            for own, name in zip(missed, names, strict=True)
        ],
        dtype=np.bool_,
    )


def missed_patients(covered: NDArray[np.bool_], patient: NDArray[np.int64]) -> tuple[int, int]:
    """Return how many patients have a set without the truth, and how many one with it."""
    return distinct(patient[~covered]), distinct(patient[covered])
