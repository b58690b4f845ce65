"""Compiled loops that count two-bit genotypes: 32 samples a word, four counts by population counts of masked bits."""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from features.genetics.genotypes import NO_COPY, NOT_CALLED, ONE_COPY, TWO_COPIES

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

CALL_WITHIN = 0.1  # a dosage this near to 0, 1 or 2 is a hard call: plink2's --hard-call-threshold
LOW_BITS = np.uint64(0x5555555555555555)
_ONE = np.uint64(1)
_BY_COPIES = np.array([NO_COPY, ONE_COPY, TWO_COPIES], dtype=np.uint8)


@intrinsic
def population_count(_context: Any, word: Any) -> Any:
    """Count the bits of a 64-bit word that are set: the processor's own instruction."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


def packed_words(packed: Bytes) -> Words:
    """View packed genotypes as 64-bit words of 32 samples, shape (variants, words); further bits are 0."""
    width = -(-packed.shape[1] // 8) * 8
    if width != packed.shape[1] or not packed.flags.c_contiguous or packed.ctypes.data % 8:
        padded = np.zeros((packed.shape[0], width), dtype=np.uint8)
        padded[:, : packed.shape[1]] = packed
        packed = padded
    return packed.view(np.uint64)


def sample_masks(groups: NDArray[np.bool_]) -> Words:
    """Turn membership, shape (groups, samples), into words with the low bit of each member's pair set."""
    packed = np.zeros((groups.shape[0], -(-groups.shape[1] // 4)), dtype=np.uint8)
    for slot in range(4):
        part = groups[:, slot::4]
        packed[:, : part.shape[1]] |= part.astype(np.uint8) << np.uint8(2 * slot)
    return packed_words(packed)


@njit(nogil=True, cache=True)
def genotype_counts(words: Words, masks: Words, start: int, stop: int, counts: Integers) -> None:
    """Count the codes of variants `start` to `stop` within groups of samples.

    Args:
        words: shape (variants, words).
        masks: shape (groups, words), see `sample_masks`.
        start: first variant.
        stop: end of the variants.
        counts: shape (variants, groups, 4), by code; written.
    """
    for variant in range(start, stop):
        for group in range(masks.shape[0]):
            members = np.uint64(0)
            absent = np.uint64(0)
            one = np.uint64(0)
            none = np.uint64(0)
            for place in range(masks.shape[1]):
                mask = masks[group, place]
                low = words[variant, place] & mask
                high = (words[variant, place] >> _ONE) & mask
                members += population_count(mask)
                absent += population_count(low & ~high)
                one += population_count(high & ~low)
                none += population_count(high & low)
            counts[variant, group, NOT_CALLED] = absent
            counts[variant, group, ONE_COPY] = one
            counts[variant, group, NO_COPY] = none
            counts[variant, group, TWO_COPIES] = members - absent - one - none


@njit(nogil=True, cache=True)
def add_missing(words: Words, used: NDArray[np.bool_], start: int, stop: int, totals: Integers) -> None:
    """Add each sample's missing genotypes among the variants used; words `start` to `stop`.

    Args:
        words: shape (variants, words).
        used: which variants count, shape (variants,).
        start: first word.
        stop: end of the words.
        totals: shape (at least 32 x words,), by sample; added to.
    """
    for variant in range(words.shape[0]):
        if not used[variant]:
            continue
        for place in range(start, stop):
            word = words[variant, place]
            left = word & ~(word >> _ONE) & LOW_BITS
            while left:
                lowest = left & (~left + _ONE)
                totals[32 * place + np.int64(population_count(lowest - _ONE) >> _ONE)] += 1
                left ^= lowest


@njit(nogil=True, cache=True)
def pack_dosages(
    dosages: NDArray[np.float32], calls: Bytes, present: Bytes, copies: NDArray[np.float64]
) -> None:
    """Turn dosages into hard calls, and note which are there at all.

    Args:
        dosages: copies of a1, shape (variants, samples), NaN where missing.
        calls: packed hard calls, shape (variants, ceil(samples / 4)), zero before; written.
        present: packed codes that are NOT_CALLED where the dosage is missing and NO_COPY elsewhere; zero before; written.
        copies: sum of the dosages, shape (variants,); written.
    """
    for variant in range(dosages.shape[0]):
        total = 0.0
        for sample in range(dosages.shape[1]):
            dosage = dosages[variant, sample]
            shift = np.uint8(2 * (sample & 3))
            call = there = np.uint8(NOT_CALLED)
            if not np.isnan(dosage):
                there = np.uint8(NO_COPY)
                total += dosage
                nearest = int(dosage + 0.5)
                if abs(dosage - nearest) <= CALL_WITHIN:
                    call = _BY_COPIES[nearest]
            calls[variant, sample >> 2] |= call << shift
            present[variant, sample >> 2] |= there << shift
        copies[variant] = total
