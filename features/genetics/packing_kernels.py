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


@njit(nogil=True, cache=True)
def pack_copies(copies: NDArray[np.int8], packed: Packed) -> None:
    """Write copies of an allele as codes.

    Args:
        copies: 0, 1, 2, or negative for a missing genotype, shape (variants, samples).
        packed: written, shape (variants, ceil(samples / 4)); bits beyond the last sample become 0.
    """
    samples = copies.shape[1]
    for variant in range(copies.shape[0]):
        for byte in range(packed.shape[1]):
            codes = 0
            first = 4 * byte
            for place in range(first, min(first + 4, samples)):
                found = copies[variant, place]
                if found < 0:
                    code = 1
                elif found == 0:
                    code = 3
                elif found == 1:
                    code = 2
                else:
                    code = 0
                codes |= code << (2 * (place - first))
            packed[variant, byte] = codes


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
