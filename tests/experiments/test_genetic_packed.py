"""Genotypes as bytes: what is packed comes back, whichever allele a file counts and whichever order it holds."""

import numpy as np
import polars as pl
import pytest

from experiments.genetics.packed import block_codes, genotype_bytes, order_name, packed_calls
from features.genetics.genotypes import NO_COPY, NOT_CALLED, ONE_COPY, TWO_COPIES, GenotypeBlock

COPIES = np.array([[2.0, 1.0, 0.0, np.nan, 1.95], [0.0, 0.08, 1.5, 2.0, 1.0]], dtype=np.float32)
CODES = [
    [TWO_COPIES, ONE_COPY, NO_COPY, NOT_CALLED, TWO_COPIES],
    [NO_COPY, NO_COPY, NOT_CALLED, TWO_COPIES, ONE_COPY],
]


class OneBlock:
    """A file of two variants and five samples."""

    def __init__(self, block: GenotypeBlock) -> None:
        self.block = block

    def blocks(self, *, samples: object, variants: np.ndarray) -> list[GenotypeBlock]:
        assert list(variants) == [0, 1]
        return [self.block]


def test_dosages_near_a_whole_number_are_called_and_packed_again() -> None:
    block = GenotypeBlock(slice(0, 2), dosages=COPIES)
    packed = GenotypeBlock(slice(0, 2), packed=packed_calls(block))
    assert block_codes(block, 5).tolist() == block_codes(packed, 5).tolist() == CODES
    assert packed_calls(packed) is packed.packed


@pytest.mark.parametrize("turned", [False, True])
def test_bytes_stand_in_the_asked_order_and_count_the_asked_allele(turned: bool) -> None:
    """Asked: the second variant, one that the file lacks, the first one."""
    file = OneBlock(GenotypeBlock(slice(0, 2), dosages=COPIES))
    found = genotype_bytes(
        file,  # type: ignore[arg-type]  # blocks are all that is asked of it
        np.array([1, -1, 0]),
        np.array([False, False, turned]),
        np.arange(5),
        named=b"variants",
    )
    other = {TWO_COPIES: NO_COPY, NO_COPY: TWO_COPIES}
    for sample, value in enumerate(found):
        byte = value[8]
        first = other.get(CODES[0][sample], CODES[0][sample]) if turned else CODES[0][sample]
        assert value[:8] == b"variants"
        assert [byte >> shift & 3 for shift in (0, 2, 4)] == [CODES[1][sample], NOT_CALLED, first]


def test_another_order_has_another_name() -> None:
    variants = pl.DataFrame(
        {"chromosome": ["1", "1"], "position": [5, 6], "a1": ["A", "C"], "a2": ["G", "T"]}
    )
    assert len(order_name(variants)) == 8
    assert order_name(variants) != order_name(variants.reverse())
