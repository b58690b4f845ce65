"""Genotypes as columns of bytes, one value per patient, for adjustments that are fitted in the training fold.

A value of genotypes is 8 bytes that name the variants and their order (the first of the SHA-256 of their keys), then two bits a
variant, four variants a byte from the lowest bits up, codes as in features.genetics.genotypes. A value of missing genotypes
of a score is a run of entries of 13 bytes: index among the variants (4), weight (8) and what is weighted (1).
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.common import hard_calls
from features.genetics.genotypes import NO_COPY, NOT_CALLED, ONE_COPY, TWO_COPIES, GenotypeBlock, GenotypeFile
from features.genetics.matching import Match

Integers = NDArray[np.int64]
Codes = NDArray[np.uint8]

VARIANTS, GENOTYPES, MISSING = "genetic_variants", "genetic_genotypes", "_missing"
ENTRY = np.dtype([("variant", "<u4"), ("weight", "<f8"), ("kind", "u1")])
_MODES = ("additive", "dominant", "recessive")  # kind: twice the place here, and 1 more where a2 is weighted
_TURNED = np.array([NO_COPY, NOT_CALLED, ONE_COPY, TWO_COPIES], dtype=np.uint8)


def order_name(variants: pl.DataFrame) -> bytes:
    """Return the 8 bytes that name variants (chromosome, position, a1, a2) and their order."""
    keys = variants.select(pl.concat_str("chromosome", "position", "a1", "a2", separator=":"))
    return hashlib.sha256("\n".join(keys.to_series()).encode()).digest()[:8]


def genotype_bytes(
    genotypes: GenotypeFile,
    places: Integers,
    turned: NDArray[np.bool_],
    samples: Integers,
    *,
    named: bytes,
) -> list[bytes]:
    """Return the genotypes of each sample as one value of bytes.

    Args:
        genotypes: the file.
        places: of the variants in the file, in the order of the bytes; -1: the file does not hold it, nobody is called.
        turned: where the file's a1 is the other allele than the one counted.
        samples: places in the file, increasing.
        named: the variants' order, from order_name.
    """
    held = np.flatnonzero(places >= 0)
    order = held[np.argsort(places[held], kind="stable")]
    packed = np.zeros((len(samples), -(-len(places) // 4)), dtype=np.uint8)
    absent = np.flatnonzero(places < 0)
    _put(packed, absent, np.full((len(absent), len(samples)), NOT_CALLED, dtype=np.uint8))
    for block in genotypes.blocks(samples=samples, variants=places[order]):
        where = order[block.part]
        codes = block_codes(block, len(samples))
        _put(packed, where, np.where(turned[where][:, None], _TURNED[codes], codes))
    return [named + row.tobytes() for row in packed]


def block_codes(block: GenotypeBlock, samples: int) -> Codes:
    """Return a block's genotypes as one code each, shape (variants, samples)."""
    packed = packed_calls(block)
    spread = np.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], axis=2)
    return np.ascontiguousarray(spread.reshape(len(packed), -1)[:, :samples])


def packed_calls(block: GenotypeBlock) -> NDArray[np.uint8]:
    """Return a block's genotypes packed, shape (variants, ceil(samples / 4)); of dosages those near a whole number."""
    if block.packed is not None:
        return block.packed
    assert block.dosages is not None  # one of the two is given
    return hard_calls(block.dosages)[0]


def missing_bytes(
    genotypes: GenotypeFile,
    matches: Sequence[Match],
    samples: Integers,
    index: Sequence[Integers],
    effect_is_counted: Sequence[NDArray[np.bool_]],
) -> list[list[bytes]]:
    """Return by score and sample the entries of its missing genotypes.

    Args:
        genotypes: the file.
        matches: the scores' used rows.
        samples: places in the file, increasing.
        index: by score and row, the variant's place in the order of the bytes.
        effect_is_counted: by score and row, whether the effect allele is the one that the bytes count.
    """
    wanted = np.unique(np.concatenate([match.used["variant"].to_numpy() for match in matches])).astype(
        np.int64
    )
    rows = [np.searchsorted(wanted, match.used["variant"].to_numpy()) for match in matches]
    entries: list[list[list[bytes]]] = [[[] for _ in samples] for _ in matches]
    kinds = [
        2 * match.used["mode"].replace_strict(list(_MODES), range(3), return_dtype=pl.Int64).to_numpy()
        + ~counted
        for match, counted in zip(matches, effect_is_counted, strict=True)
    ]
    for block in genotypes.blocks(samples=samples, variants=wanted):
        absent = block_codes(block, len(samples)) == NOT_CALLED
        for score, match in enumerate(matches):
            here = np.flatnonzero((rows[score] >= block.part.start) & (rows[score] < block.part.stop))
            table = np.empty(len(here), dtype=ENTRY)
            table["variant"], table["kind"] = index[score][here], kinds[score][here]
            table["weight"] = match.used["weight"].to_numpy()[here]
            lacking = absent[rows[score][here] - block.part.start]
            for sample in np.flatnonzero(lacking.any(axis=0)):
                entries[score][sample].append(table[lacking[:, sample]].tobytes())
    return [[b"".join(parts) for parts in of_score] for of_score in entries]


def _put(packed: Codes, where: Integers, codes: Codes) -> None:
    """Write the codes of some variants, shape (variants, samples), into the samples' bytes."""
    for shift in range(4):
        own = where % 4 == shift
        packed[:, where[own] // 4] |= (codes[own] << np.uint8(2 * shift)).T
