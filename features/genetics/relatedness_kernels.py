"""Compiled loops of KING-robust kinship: pairs of people compared 64 variants a word."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.genetics.counts_kernels import Bytes, Integers, Words, population_count
from features.genetics.genotypes import NO_COPY, ONE_COPY, TWO_COPIES

_TILE = 48  # people of a tile: the planes of two tiles stay in the processor's cache
_ONE = np.uint64(1)


@njit(nogil=True, cache=True)
def split_planes(
    packed: Bytes, chosen: Integers, rows: Integers, part: tuple[int, int], planes: Words
) -> None:
    """Write bit planes of some of the words of 64 variants.

    Args:
        packed: codes, shape (variants, bytes).
        chosen: places of the variants, shape (variants chosen,).
        rows: places of the samples among the 4 x bytes.
        part: first word and end of the words.
        planes: shape (samples, 2, words): homozygous at all; two copies of a1, or one: together they tell the four states.
    """
    for place in range(part[0], part[1]):
        variants = chosen[64 * place : 64 * place + 64]
        for row in range(len(rows)):
            byte, shift = rows[row] >> 2, np.uint8(2 * (rows[row] & 3))
            homozygous = np.uint64(0)
            carrier = np.uint64(0)
            for bit in range(len(variants)):
                code = (packed[variants[bit], byte] >> shift) & np.uint8(3)
                homozygous |= np.uint64(code in (TWO_COPIES, NO_COPY)) << np.uint64(bit)
                carrier |= np.uint64(code in (TWO_COPIES, ONE_COPY)) << np.uint64(bit)
            planes[row, 0, place] = homozygous
            planes[row, 1, place] = carrier


@njit(nogil=True, cache=True)
def shared_counts(first: Words, second: Words) -> tuple[int, int, int, int]:
    """Count variants of two people, called in both: opposite homozygotes, heterozygous in both, in the first or second alone."""
    opposite = both = first_alone = second_alone = np.uint64(0)
    for place in range(first.shape[1]):
        homozygous_1, carrier_1 = first[0, place], first[1, place]
        homozygous_2, carrier_2 = second[0, place], second[1, place]
        heterozygous_1, heterozygous_2 = carrier_1 & ~homozygous_1, carrier_2 & ~homozygous_2
        opposite += population_count(homozygous_1 & homozygous_2 & (carrier_1 ^ carrier_2))
        both += population_count(heterozygous_1 & heterozygous_2)
        first_alone += population_count(heterozygous_1 & homozygous_2)
        second_alone += population_count(heterozygous_2 & homozygous_1)
    return int(opposite), int(both), int(first_alone), int(second_alone)


@njit(nogil=True, cache=True)
def robust_kinship(opposite: int, both: int, first_alone: int, second_alone: int) -> float:
    """Return the robust estimate of kinship; NaN where neither person is heterozygous anywhere.

    Source: Manichaikul et al., Bioinformatics 2010, 26:2867-2873, doi 10.1093/bioinformatics/btq559, equation 11, written with
    the counts of `shared_counts`.
    """
    least = both + min(first_alone, second_alone)
    if least == 0:
        return np.nan
    return 0.5 - (4.0 * opposite + first_alone + second_alone) / (4.0 * least)


@njit(nogil=True, cache=True)
def related_pairs(planes: Words, start: int, stop: int, least: float, pairs: Integers) -> int:
    """Write the pairs whose kinship is above `least`, first people `start` to `stop`, second people after them.

    Args:
        planes: see `split_planes`.
        start: first of the first people.
        stop: end of the first people.
        least: kinship above which a pair is kept.
        pairs: shape (room, 2); written in order of tiles.

    Returns:
        The number of pairs, which may be more than there is room for: then those beyond are not written.
    """
    people = planes.shape[0]
    found = 0
    for first_tile in range(start, stop, _TILE):
        first_stop = min(first_tile + _TILE, stop)
        for second_tile in range(first_tile, people, _TILE):
            for first in range(first_tile, first_stop):
                for second in range(max(second_tile, first + 1), min(second_tile + _TILE, people)):
                    opposite, both, alone_1, alone_2 = shared_counts(planes[first], planes[second])
                    estimate = robust_kinship(opposite, both, alone_1, alone_2)
                    if estimate > least:
                        if found < len(pairs):
                            pairs[found, 0], pairs[found, 1] = first, second
                        found += 1
    return found


@njit(nogil=True, cache=True)
def kinship_of(planes: Words, pairs: Integers, kinship: NDArray[np.float64], variants: Integers) -> None:
    """Write the kinship of given pairs, shape (pairs, 2), and the variants called in both.

    Args:
        planes: see `split_planes`.
        pairs: places of the two people.
        kinship: shape (pairs,); written.
        variants: shape (pairs,); written.
    """
    for row in range(len(pairs)):
        first, second = planes[pairs[row, 0]], planes[pairs[row, 1]]
        opposite, both, alone_1, alone_2 = shared_counts(first, second)
        kinship[row] = robust_kinship(opposite, both, alone_1, alone_2)
        called = np.uint64(0)
        for place in range(first.shape[1]):
            called += population_count(
                (first[0, place] | first[1, place]) & (second[0, place] | second[1, place])
            )
        variants[row] = np.int64(called)


@njit(nogil=True, cache=True)
def heterozygous_counts(planes: Words, counts: Integers) -> None:
    """Write each person's heterozygous and called variants, shape (samples, 2)."""
    for person in range(planes.shape[0]):
        heterozygous = called = np.uint64(0)
        for place in range(planes.shape[2]):
            homozygous, carrier = planes[person, 0, place], planes[person, 1, place]
            heterozygous += population_count(carrier & ~homozygous)
            called += population_count(carrier | homozygous)
        counts[person, 0], counts[person, 1] = np.int64(heterozygous), np.int64(called)


@njit(nogil=True, cache=True)
def expected_heterozygous(
    planes: Words, rates: NDArray[np.float64], start: int, stop: int, expected: NDArray[np.float64]
) -> None:
    """Write the sum of `rates` (variants,) over the variants called in people `start` to `stop`."""
    total = 0.0
    for variant in range(len(rates)):
        total += rates[variant]
    for person in range(start, stop):
        absent = 0.0
        for place in range(planes.shape[2]):
            left = ~(planes[person, 0, place] | planes[person, 1, place])
            width = len(rates) - 64 * place
            if width < 64:
                left &= (_ONE << np.uint64(width)) - _ONE
            while left:
                lowest = left & (~left + _ONE)
                absent += rates[64 * place + np.int64(population_count(lowest - _ONE))]
                left ^= lowest
        expected[person] = total - absent
