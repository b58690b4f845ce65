"""Deviation from Hardy-Weinberg proportions, per variant."""

import numpy as np
from numpy.typing import NDArray

from features.genetics.threads import over_ranges


def hardy_weinberg_p(counts: NDArray[np.int64], *, threads: int = 1) -> NDArray[np.float64]:
    """Two-sided exact p value of each variant, without mid-p, as plink2 --hardy.

    Args:
        counts: people with two copies, one and none, shape (variants, 3).
        threads: variants are shared out among them.

    Returns:
        Shape (variants,); NaN where nobody is called.
    """
    from features.genetics.hardy_weinberg_kernels import exact_p_values

    found = np.empty(len(counts))
    over_ranges(lambda start, stop: exact_p_values(counts, start, stop, found), len(counts), threads=threads)
    return found
