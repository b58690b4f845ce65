"""Who is related to whom: KING-robust kinship of all pairs, over all files together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.genetics.common import PooledGenotypes
from features.genetics.threads import over_ranges

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_VARIANTS = 20_000  # the standard error of unrelated pairs is then 0.006; more only cost time
STANDARD_ERRORS = (
    5  # a threshold nearer to unrelated than this would find relatives by chance among some hundred people
)
_STEP = 192  # first people handed to a thread at once


@dataclass(frozen=True)
class Planes:
    """Genotypes of all samples at some variants as bit planes, one sample after the other.

    Attributes:
        bits: shape (samples, 2, words): homozygous; carrier of a1.
        variants: their number.
    """

    bits: NDArray[np.uint64]
    variants: int


@dataclass(frozen=True)
class KinshipPairs:
    """Pairs of samples.

    Attributes:
        samples: places of the two samples, the smaller first, shape (pairs, 2).
        kinship: shape (pairs,); NaN where neither is heterozygous anywhere.
        variants: variants called in both, shape (pairs,).
    """

    samples: Integers
    kinship: Floats
    variants: Integers


def bit_planes(pooled: PooledGenotypes, chosen: Integers, *, threads: int = 1) -> Planes:
    """Turn pooled genotypes of some variants to one row per sample, files one after the other.

    Args:
        pooled: the genotypes.
        chosen: places of the variants.
        threads: share out the variants.
    """
    from features.genetics.relatedness_kernels import split_planes

    rows = np.concatenate([*pooled.rows, np.empty(0, dtype=np.int64)])
    bits = np.zeros((len(rows), 2, -(-len(chosen) // 64)), dtype=np.uint64)
    over_ranges(
        lambda start, stop: split_planes(pooled.packed, chosen, rows, (start, stop), bits),
        bits.shape[2],
        threads=threads,
    )
    return Planes(bits, len(chosen))


def related_pairs(planes: Planes, least: float, *, threads: int = 1) -> KinshipPairs:
    """Find all pairs of samples whose kinship is above `least`.

    The estimate is that of plink2 --make-king-table (see `relatedness_kernels.robust_kinship`): it holds between people of
    different ancestry without frequencies, and is too low, never too high, for pairs of different ancestry.

    Args:
        planes: genotypes of the samples.
        least: kinship above which a pair is kept.
        threads: share out the first samples of the pairs.
    """
    from features.genetics.relatedness_kernels import related_pairs as find

    people = len(planes.bits)

    def search(piece: int) -> Integers:
        start, stop = piece * _STEP, min((piece + 1) * _STEP, people)
        room = 4096
        while True:
            pairs = np.empty((room, 2), dtype=np.int64)
            found = find(planes.bits, start, stop, least, pairs)
            if found <= room:
                return pairs[:found]
            room = found

    pieces = -(-people // _STEP)
    # The first pieces have the most partners: every thread takes one from each end in turn.
    order = [piece for pair in zip(range(pieces), reversed(range(pieces)), strict=True) for piece in pair][
        :pieces
    ]
    found = over_ranges(
        lambda start, stop: [search(piece) for piece in order[start:stop]], pieces, threads=threads
    )
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(part for parts in found for part in parts)])
    return kinship_of(planes, pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])


def kinship_of(planes: Planes, pairs: Integers) -> KinshipPairs:
    """Estimate the kinship of given pairs, shape (pairs, 2)."""
    from features.genetics.relatedness_kernels import kinship_of as estimate

    kinship, variants = np.empty(len(pairs)), np.empty(len(pairs), dtype=np.int64)
    estimate(planes.bits, np.ascontiguousarray(pairs), kinship, variants)
    return KinshipPairs(pairs, kinship, variants)


def kinship_standard_error(frequencies: Floats) -> float:
    """Return the standard error of the kinship of unrelated people, from independent variants in Hardy-Weinberg proportions.

    With m expected heterozygotes a person, kinship is 1/2 less the sum of squared differences of copies over 4m.

    Args:
        frequencies: of one allele of each variant.
    """
    p, q = frequencies, 1 - frequencies
    opposite = 2 * p**2 * q**2
    one_apart = 4 * p * q * (p**2 + q**2)
    variance = 16 * opposite + one_apart - (4 * opposite + one_apart) ** 2
    heterozygotes = float((2 * p * q).sum())
    return float(np.sqrt(variance.sum())) / (4 * heterozygotes) if heterozygotes else float("inf")
