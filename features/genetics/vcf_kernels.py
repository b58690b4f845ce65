"""Compiled loops over the genotypes and dosages of one VCF record."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.genetics.genotypes import Integers

# What count_copies found, added up.
HAPLOID, HALF_CALL, POLYPLOID, UNKNOWN_ALLELE = 1, 2, 4, 8
# What quantise_dosages found, added up.
OUTSIDE, NOT_FINITE = 1, 2

_MISSING, _ABSENT = -1, -2  # of an allele in a genotype; absent: the sample has fewer copies
_STEPS = 16_384.0  # a copy: plink2 keeps dosages in these steps
_DECIMALS = 1_000_000.0


@njit(nogil=True, cache=True)
def count_copies(
    genotypes: NDArray[np.int16], samples: Integers, allele: int, alleles: int, copies: NDArray[np.int8]
) -> int:
    """Count the copies of one allele, a haploid genotype as two of its one.

    Args:
        genotypes: alleles of all samples, the last column not read (phase), shape (all samples, ploidy + 1).
        samples: places of the samples asked for.
        allele: the allele to count; 0 is the reference.
        alleles: number of alleles of the record.
        copies: written, shape (samples,): 0, 1, 2, -9 where missing.

    Returns:
        sum of HAPLOID, HALF_CALL, POLYPLOID and UNKNOWN_ALLELE, as far as they occur.
    """
    ploidy = genotypes.shape[1] - 1
    found = 0
    for place in range(len(samples)):
        sample = samples[place]
        first = genotypes[sample, 0]
        second = genotypes[sample, 1] if ploidy > 1 else np.int16(_ABSENT)
        if ploidy > 2 and genotypes[sample, 2] != _ABSENT:
            found |= POLYPLOID
        if first >= alleles or second >= alleles:
            found |= UNKNOWN_ALLELE
        if second == _ABSENT:
            if first >= 0:
                found |= HAPLOID
            second = first
        if (first < 0) != (second < 0):
            found |= HALF_CALL
        if first < 0 or second < 0:
            copies[place] = -9
        else:
            copies[place] = (first == allele) + (second == allele)
    return found


@njit(nogil=True, cache=True)
def note_haploid(genotypes: NDArray[np.int16], samples: Integers, haploid: NDArray[np.bool_]) -> None:
    """Write who has a haploid genotype, missing ones among them; arguments as in count_copies."""
    ploidy = genotypes.shape[1] - 1
    for place in range(len(samples)):
        haploid[place] = ploidy == 1 or genotypes[samples[place], 1] == _ABSENT


@njit(nogil=True, cache=True)
def quantise_dosages(
    values: NDArray[np.float32],
    samples: Integers,
    column: int,
    haploid: NDArray[np.bool_],
    dosages: NDArray[np.float32],
) -> int:
    """Round dosages of one allele to plink2's steps of 1/16384 of a copy, those of haploid genotypes doubled.

    Args:
        values: dosages of the alternatives, NaN where missing, shape (all samples, alternatives).
        samples: places of the samples asked for.
        column: the alternative to count; -1: the reference, which has what the alternatives leave of two copies.
        haploid: whose values are between 0 and 1, shape (samples,).
        dosages: written, shape (samples,): copies between 0 and 2, NaN where missing.

    Returns:
        sum of OUTSIDE (some value below 0 or above the ploidy) and NOT_FINITE, as far as they occur.
    """
    found = 0
    for place in range(len(samples)):
        sample = samples[place]
        copies = 1.0 if haploid[place] else 2.0
        total = 0.0
        for alternative in range(values.shape[1]):
            value = values[sample, alternative]
            if np.isinf(value):
                found |= NOT_FINITE
            elif value < 0 or value > copies:
                found |= OUTSIDE
            total += value
        if total > copies * 1.005:  # three decimals of several alternatives may add up to a little more
            found |= OUTSIDE
        chosen = copies - min(total, copies) if column < 0 else np.float64(values[sample, column])
        if np.isnan(total) or np.isinf(total):
            dosages[place] = np.nan
        else:
            # A value written with up to six decimals is found again behind its rounding to 32 bits.
            exact = np.floor(chosen * _DECIMALS + 0.5) / _DECIMALS * (2.0 / copies)
            dosages[place] = np.float32(np.floor(exact * _STEPS + 0.5) / _STEPS)
    return found
