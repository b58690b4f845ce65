"""Compiled loops that pick, pack and unpack two-bit genotypes."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.genetics.genotypes import Integers

Packed = NDArray[np.uint8]


@njit(nogil=True, cache=True)
def take_samples(packed: Packed, samples: Integers, taken: Packed) -> None:
    """Write the codes of some samples, in the order asked for.

    Args:
        packed: codes of all samples, shape (variants, ceil(all samples / 4)).
        samples: places of the samples, each within `packed`; any order.
        taken: written, shape (variants, ceil(samples / 4)); bits beyond the last sample become 0.
    """
    byte = samples >> 2
    shift = (2 * (samples & 3)).astype(np.uint8)
    whole = len(samples) // 4
    for variant in range(packed.shape[0]):
        row = packed[variant]
        for out in range(whole):
            at = 4 * out
            taken[variant, out] = (
                (row[byte[at]] >> shift[at]) & 3
                | ((row[byte[at + 1]] >> shift[at + 1]) & 3) << 2
                | ((row[byte[at + 2]] >> shift[at + 2]) & 3) << 4
                | ((row[byte[at + 3]] >> shift[at + 3]) & 3) << 6
            )
        if whole < taken.shape[1]:
            codes = 0
            for place in range(4 * whole, len(samples)):
                codes |= ((row[byte[place]] >> shift[place]) & 3) << (2 * (place - 4 * whole))
            taken[variant, whole] = codes


@njit(inline="always")
def _codes(bits: int) -> int:
    """Turn four times two bits of copies, 3 a missing genotype, into codes: 0 to 3, 1 to 2, 2 to 0, 3 to 1."""
    return (~bits & 255) ^ ((bits >> 1) & 0b01010101)


@njit(nogil=True, cache=True)
def pack_copies(copies: NDArray[np.int8], packed: Packed) -> None:
    """Write copies of an allele as codes.

    Args:
        copies: 0, 1, 2, or -9 for a missing genotype (whose lowest two bits are set), shape (variants, samples).
        packed: written, shape (variants, ceil(samples / 4)); bits beyond the last sample become 0.
    """
    samples = copies.shape[1]
    whole = samples // 4
    for variant in range(copies.shape[0]):
        row = copies[variant]
        for byte in range(whole):
            at = 4 * byte
            bits = row[at] & 3 | (row[at + 1] & 3) << 2 | (row[at + 2] & 3) << 4 | (row[at + 3] & 3) << 6
            packed[variant, byte] = _codes(bits)
        if whole < packed.shape[1]:
            bits = 0
            for place in range(4 * whole, samples):
                bits |= (row[place] & 3) << (2 * (place - 4 * whole))
            packed[variant, whole] = _codes(bits) & ((1 << (2 * (samples - 4 * whole))) - 1)


@njit(nogil=True, cache=True)
def unpack_dosages(packed: Packed, dosages: NDArray[np.float32]) -> None:
    """Write codes as copies of the counted allele.

    Args:
        packed: codes, shape (variants, ceil(samples / 4)).
        dosages: written, shape (variants, samples): 0, 1, 2, NaN where missing.
    """
    for variant in range(dosages.shape[0]):
        for sample in range(dosages.shape[1]):
            code = (packed[variant, sample >> 2] >> (2 * (sample & 3))) & 3
            if code == 1:
                dosages[variant, sample] = np.nan
            elif code == 0:
                dosages[variant, sample] = 2.0
            else:
                dosages[variant, sample] = 3.0 - code
