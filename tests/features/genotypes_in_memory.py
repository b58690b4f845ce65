"""A genotype file that stands in memory, for tests: hard calls or dosages, and a note of who was read."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.genotypes import (
    NO_COPY,
    NOT_CALLED,
    ONE_COPY,
    TWO_COPIES,
    VARIANTS,
    GenotypeBlock,
    Integers,
)

Floats = NDArray[np.float64]


class GenotypesInMemory:
    """A GenotypeFile made of copies of a1, shape (people, variants), NaN where missing.

    Args:
        copies: the genotypes.
        variants: `chromosome`, `position`, `a1`, `a2`, perhaps `id`.
        samples: ids; None: s0, s1 and so on.
        name: of the file.
        dosages: blocks are dosages.
        block: variants a block.
    """

    genome_build: str | None = None
    male: NDArray[np.bool_] | None = None

    def __init__(
        self,
        copies: Floats,
        variants: pl.DataFrame,
        samples: Sequence[str] | None = None,
        *,
        name: str = "chip",
        dosages: bool = False,
        block: int = 700,
    ) -> None:
        self.copies, self.name, self.holds_dosages, self.block = copies, name, dosages, block
        self.samples = tuple(samples or [f"s{place}" for place in range(len(copies))])
        kinds = {"id": pl.lit(None, dtype=pl.String), "multiallelic": pl.lit(False)}
        absent = {column: value for column, value in kinds.items() if column not in variants.columns}
        self.variants = variants.with_columns(
            variant=pl.Series(np.arange(variants.height), dtype=pl.Int64), **absent
        ).select(*VARIANTS)
        self.read: set[str] = set()

    def blocks(self, *, samples: Integers, variants: Integers) -> Iterator[GenotypeBlock]:
        assert (np.diff(samples) > 0).all()
        assert (np.diff(variants) > 0).all()
        self.read |= {self.samples[place] for place in samples}
        for start in range(0, len(variants), self.block):
            part = slice(start, min(start + self.block, len(variants)))
            copies = self.copies[np.ix_(samples, variants[part])].T
            if self.holds_dosages:
                yield GenotypeBlock(part, dosages=np.ascontiguousarray(copies, dtype=np.float32))
            else:
                yield GenotypeBlock(part, packed=pack(copies))


def pack(copies: Floats) -> NDArray[np.uint8]:
    """Pack copies, shape (variants, samples), into the codes of a GenotypeBlock."""
    codes = np.select([copies == 0, copies == 1, copies == 2], [NO_COPY, ONE_COPY, TWO_COPIES], NOT_CALLED)
    padded = np.zeros((len(copies), -(-copies.shape[1] // 4) * 4), dtype=np.uint8)
    padded[:, : copies.shape[1]] = codes
    return np.asarray(sum(padded[:, slot::4] << np.uint8(2 * slot) for slot in range(4)), dtype=np.uint8)
