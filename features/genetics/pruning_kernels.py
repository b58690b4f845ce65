"""Compiled loops of linkage-disequilibrium pruning: correlations of genotypes from bit planes."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.genetics.counts_kernels import LOW_BITS, Words, population_count

_ONE = np.uint64(1)
_NEAR = 1 + 2.0**-44  # two frequencies this near count as equal


@njit(nogil=True, cache=True)
def _load(words: Words, planes: Words, slot: int, variant: int) -> None:
    """Split a variant into who has two copies, who has none, and who is called."""
    for place in range(words.shape[1]):
        low = words[variant, place] & LOW_BITS
        high = (words[variant, place] >> _ONE) & LOW_BITS
        planes[slot, 0, place] = LOW_BITS & ~high & ~low
        planes[slot, 1, place] = high & low
        planes[slot, 2, place] = LOW_BITS & ~(low & ~high)


@njit(nogil=True, cache=True)
def _squared_correlation(first: Words, second: Words) -> float:
    """r^2 of two variants' copies, centred at 1, over the samples that are called in both; 0 where one does not vary."""
    both = plus_1 = minus_1 = plus_2 = minus_2 = alike = apart = np.uint64(0)
    for place in range(first.shape[1]):
        called_1, called_2 = first[2, place], second[2, place]
        both += population_count(called_1 & called_2)
        plus_1 += population_count(first[0, place] & called_2)
        minus_1 += population_count(first[1, place] & called_2)
        plus_2 += population_count(second[0, place] & called_1)
        minus_2 += population_count(second[1, place] & called_1)
        alike += population_count((first[0, place] & second[0, place]) | (first[1, place] & second[1, place]))
        apart += population_count((first[0, place] & second[1, place]) | (first[1, place] & second[0, place]))
    people = float(both)
    sum_1, sum_2 = float(plus_1) - float(minus_1), float(plus_2) - float(minus_2)
    covariance = people * (float(alike) - float(apart)) - sum_1 * sum_2
    variances = (people * (float(plus_1) + float(minus_1)) - sum_1 * sum_1) * (
        people * (float(plus_2) + float(minus_2)) - sum_2 * sum_2
    )
    return covariance * covariance / variances if variances > 0 else 0.0


@njit(nogil=True, cache=True)
def prune(
    words: Words,
    minor: NDArray[np.float64],
    windows: tuple[int, int],
    most: float,
    removed: NDArray[np.bool_],
) -> None:
    """Mark variants of one chromosome so that no two that are left in one window are correlated more than `most`.

    Windows begin at every `step`-th variant. Of a pair the rarer one goes, of equally frequent ones the later.

    Args:
        words: genotypes in the order of positions, shape (variants, words); no padding that looks like a genotype.
        minor: minor allele frequencies, shape (variants,).
        windows: variants a window, and from one window to the next.
        most: greatest r^2.
        removed: shape (variants,); written.
    """
    window, step = windows
    planes = np.empty((window, 3, words.shape[1]), dtype=np.uint64)
    unchecked = np.zeros(
        len(minor), dtype=np.int64
    )  # the first later variant that each was not compared with
    loaded = start = 0
    while start < len(minor):
        stop = min(start + window, len(minor))
        while loaded < stop:
            _load(words, planes, loaded % window, loaded)
            loaded += 1
        for first in range(start, stop):
            for second in range(max(first + 1, unchecked[first]), stop):
                if removed[first]:
                    break
                if removed[second]:
                    continue
                if _squared_correlation(planes[first % window], planes[second % window]) > most:
                    removed[first if minor[first] * _NEAR < minor[second] else second] = True
            unchecked[first] = stop
        if stop == len(minor):
            break
        start += step
