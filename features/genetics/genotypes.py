"""What every genotype file gives, whatever its format: samples, variants, and genotypes in blocks of variants."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

Integers = NDArray[np.int64]

# Two bits a sample as in PLINK 1 .bed files, four samples a byte, the first in the lowest bits.
TWO_COPIES, NOT_CALLED, ONE_COPY, NO_COPY = 0, 1, 2, 3

VARIANTS = {
    "variant": pl.Int64,  # 0-based place in the genotype file (or in the files of one group, one after the other)
    "chromosome": pl.String,  # 1 to 22, X, Y, MT
    "position": pl.Int64,
    "id": pl.String,  # null: the file gives none
    "a1": pl.String,  # the allele that genotypes count, upper case
    "a2": pl.String,  # the other one; of a variant with more than two alleles all others, separated by commas
    "multiallelic": pl.Boolean,  # more than two alleles: one row per allele, which stands as a1
}


@dataclass(frozen=True)
class GenotypeBlock:
    """Genotypes of consecutive variants out of those asked for, of all samples asked for.

    Exactly one of `packed` and `dosages` is given.

    Attributes:
        part: which of the variants asked for.
        packed: hard calls, shape (variants, ceil(samples / 4)): the codes above; bits beyond the last sample are 0.
        dosages: copies of a1 between 0 and 2, shape (variants, samples), float32, NaN where missing.
    """

    part: slice
    packed: NDArray[np.uint8] | None = None
    dosages: NDArray[np.float32] | None = None


class GenotypeFile(Protocol):
    """One genotype file, or several with different variants of the same samples."""

    @property
    def name(self) -> str:
        """The path relative to the study's source folder, for messages and reports."""

    @property
    def samples(self) -> tuple[str, ...]:
        """The sample ids in the file's order."""

    @property
    def male(self) -> NDArray[np.bool_] | None:
        """Who is male by the file, shape (samples,); None: the file does not tell."""

    @property
    def variants(self) -> pl.DataFrame:
        """One row per variant and columns VARIANTS, in the file's order."""

    @property
    def genome_build(self) -> str | None:
        """GRCh37 or GRCh38 where the file states it (contigs of a VCF header); None: it does not."""

    @property
    def holds_dosages(self) -> bool:
        """Tell whether blocks are dosages."""

    def blocks(self, *, samples: Integers, variants: Integers) -> Iterator[GenotypeBlock]:
        """Read genotypes out of core, a block of variants at a time; memory does not grow with the number of variants.

        Args:
            samples: places of the samples in `samples`, increasing.
            variants: places of the variants in `variants`, increasing.

        Raises:
            BadInput: the file turns out to be cut short or not to hold what its index says.
        """
