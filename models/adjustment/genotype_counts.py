"""How often each genotype stands among people, counted on packed bytes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.adjustment.plan import FEWEST_PATIENTS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

TWO, ONE, NONE = 0, 2, 3  # codes; 1 is not called
AT_ONCE = 255  # people: what a counter of one byte can hold
BYTES_AT_ONCE = 1 << 14  # of each person, so that counters stay in the cache
FEW_COPIES = (
    FEWEST_PATIENTS / 2
)  # what one to ten people's copies of an allele are told as: the middle of 1 to 10


@dataclass(frozen=True)
class GenotypeCounts:
    """People per variant with two, one and no copy of the counted allele, each of shape (variants,)."""

    two: Integers
    one: Integers
    none: Integers

    @property
    def called(self) -> Integers:
        """People whose genotype is known."""
        return self.two + self.one + self.none

    @property
    def carriers(self) -> Integers:
        """People who carry the allele that fewer carry."""
        return np.asarray(np.minimum(self.two + self.one, self.one + self.none), dtype=np.int64)

    def frequencies(self) -> Floats:
        """Return the counted allele's frequency, NaN where fewer than 11 people are called.

        An allele that 1 to 10 people carry is told as if there were 5.5 copies: their number never is.
        """
        called = self.called.astype(np.float64)
        copies = 2.0 * self.two + self.one
        few = (self.carriers > 0) & (self.carriers < FEWEST_PATIENTS)
        rarer = copies <= called
        copies = np.where(few, np.where(rarer, FEW_COPIES, 2 * called - FEW_COPIES), copies)
        enough = called >= FEWEST_PATIENTS
        return np.asarray(
            np.where(enough, copies / np.where(enough, 2 * called, 1.0), np.nan), dtype=np.float64
        )


def _counters(codes: tuple[int, ...]) -> NDArray[np.uint64]:
    """Return for each byte eight counters of one byte: whether each of its four variants has the first and the second code."""
    values = np.arange(256)
    found = np.zeros((256, 8), dtype=np.uint8)
    for half, code in enumerate(codes):
        for place in range(4):
            found[:, 4 * half + place] = ((values >> (2 * place)) & 3) == code
    return found.view(np.uint64)[:, 0]


TWO_ONE, NONE_ALONE = _counters((TWO, ONE)), _counters((NONE,))


def count_genotypes(packed: Bytes) -> GenotypeCounts:
    """Count over people; `packed` has shape (people, bytes), and there are four variants a byte."""
    people, width = packed.shape
    counts = np.zeros((3, width, 4), dtype=np.int64)
    for start in range(0, width, BYTES_AT_ONCE):
        part = slice(start, min(start + BYTES_AT_ONCE, width))
        for first in range(0, people, AT_ONCE):
            two_one = np.zeros(part.stop - start, dtype=np.uint64)
            none = np.zeros_like(two_one)
            for own in packed[first : first + AT_ONCE, part]:
                two_one += TWO_ONE[own]
                none += NONE_ALONE[own]
            counts[0, part] += two_one.view(np.uint8).reshape(-1, 8)[:, :4]
            counts[1, part] += two_one.view(np.uint8).reshape(-1, 8)[:, 4:]
            counts[2, part] += none.view(np.uint8).reshape(-1, 8)[:, :4]
    return GenotypeCounts(*counts.reshape(3, -1))
