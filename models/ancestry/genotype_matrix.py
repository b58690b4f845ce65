"""Packed genotypes as a standardised matrix that is never held: products with it, one pass over the blocks each.

A genotype counts copies of the allele a1, has its variant's mean in the training data taken off and is divided by
sqrt(2 f (1 - f)), f the allele's frequency there (Patterson, Price and Reich 2006, doi:10.1371/journal.pgen.0020190). A
genotype that was not called stands at the mean, so it counts as 0. A variant that too few carry weighs nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import BadTarget

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Blocks = Callable[[], Iterable[tuple[slice, Bytes]]]

_GATHERED_BYTES = 32 * 2**20  # of packed genotypes worked on at once
_ROWS = (512, 4096)  # least and most variants worked on at once: tables pay from some hundred rows
_COPIES = (2.0, 0.0, 1.0, 0.0)  # of a1 by code; what is not called is added by itself


class GenotypeMatrix:
    """Standardised genotypes, shape (variants, samples), out of core.

    Memory is a few times 32 MB and the vectors, whatever the number of variants.

    Attributes:
        frequencies: of a1 in these samples, shape (variants,); 0 for variants that weigh nothing. Counted in the first pass.
        scale: 1 / sqrt(2 f (1 - f)), 0 for variants that weigh nothing.
    """

    def __init__(
        self, blocks: Blocks, *, samples: int, variants: int, least_carriers: int, threads: int
    ) -> None:
        self._blocks = blocks
        self.samples, self.variants, self.threads = samples, variants, threads
        self._least_carriers = least_carriers
        self.frequencies: Floats = np.zeros(variants)
        self.scale: Floats = np.zeros(variants)
        self._not_called = np.zeros(variants, dtype=np.bool_)
        self._counted = False

    @property
    def used(self) -> int:
        """How many variants weigh something; known after the first pass."""
        return int(np.count_nonzero(self.scale))

    def gram(self, vectors: Floats) -> Floats:
        """Return Yᵀ Y times `vectors`, shape (samples, columns), Y the standardised genotypes."""
        made = [np.zeros((_padded(self.samples), part.shape[1])) for part in self._pieces(vectors)]
        pieces = self._pieces(vectors)
        for where, packed in self._gathered():
            turned = turn_packed(packed, threads=self.threads)
            levels = standard_levels(self.frequencies[where], self.scale[where], turned.shape[1])
            for piece, total in zip(pieces, made, strict=True):
                inner = np.zeros((4 * turned.shape[1], piece.shape[1]))
                inner[: packed.shape[0]] = self._times(where, packed, piece)
                add_product(turned, levels, inner, total, self.threads)
        return np.hstack(made)[: self.samples, : vectors.shape[1]]

    def times(self, vectors: Floats) -> Floats:
        """Return Y times `vectors`, shape (variants, columns)."""
        pieces = self._pieces(vectors)
        made = np.zeros((self.variants, sum(piece.shape[1] for piece in pieces)))
        for where, packed in self._gathered():
            made[where] = np.hstack([self._times(where, packed, piece) for piece in pieces])[
                : where.stop - where.start
            ]
        return made[:, : vectors.shape[1]]

    def _times(self, where: slice, packed: Bytes, piece: Floats) -> Floats:
        """Standardised genotypes of one stretch of variants times one piece, shape (packed rows, columns)."""
        from models.ancestry.components_kernels import add_not_called

        rows = packed.shape[0]
        mean, scale = np.zeros(rows), np.zeros(rows)
        mean[: where.stop - where.start] = 2.0 * self.frequencies[where]
        scale[: where.stop - where.start] = self.scale[where]
        missing = np.zeros(rows)
        missing[: where.stop - where.start] = np.where(
            self._not_called[where], 2.0 * self.frequencies[where], 0.0
        )
        sums = np.zeros((rows, piece.shape[1]))
        add_product(packed, np.tile(_COPIES, (4 * packed.shape[1], 1)), piece, sums, self.threads)
        in_threads(add_not_called, rows, self.threads, packed.view(np.uint64), missing, piece, sums)
        return np.asarray(scale[:, None] * (sums - mean[:, None] * piece.sum(axis=0)))

    def _pieces(self, vectors: Floats) -> list[Floats]:
        """Cut vectors into matrices as wide as the kernels take, padded with zeros."""
        from models.ancestry.components_kernels import COLUMNS

        pieces = []
        for start in range(0, vectors.shape[1], COLUMNS):
            piece = np.zeros((_padded(self.samples), COLUMNS))
            part = vectors[:, start : start + COLUMNS]
            piece[: self.samples, : part.shape[1]] = part
            pieces.append(piece)
        return pieces

    def _gathered(self) -> Iterator[tuple[slice, Bytes]]:
        """Yield stretches of variants padded in both directions, counting frequencies in the first pass."""
        for where, packed in gathered(self._blocks(), samples=self.samples, variants=self.variants):
            if not self._counted:
                self._count(where, packed)
            yield where, packed
        self._counted = True

    def _count(self, where: slice, packed: Bytes) -> None:
        """Count alleles; variants whose rarer allele too few people carry get no frequency and no weight."""
        from models.ancestry.components_kernels import count_codes

        counts = np.zeros((packed.shape[0], 3), dtype=np.int64)
        in_threads(count_codes, packed.shape[0], self.threads, packed.view(np.uint64), counts)
        not_called, one_copy, no_copy = counts[: where.stop - where.start].T
        called = self.samples - not_called
        two_copies = called - one_copy - no_copy
        carriers = one_copy + np.minimum(two_copies, no_copy)
        kept = carriers >= self._least_carriers
        frequency = np.where(kept, (two_copies + one_copy / 2) / np.maximum(called, 1), 0.0)
        spread = np.sqrt(2 * frequency * (1 - frequency))
        self.frequencies[where] = frequency
        self.scale[where] = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        self._not_called[where] = not_called > 0


def gathered(
    blocks: Iterable[tuple[slice, Bytes]], *, samples: int, variants: int
) -> Iterator[tuple[slice, Bytes]]:
    """Join or cut blocks into stretches of a size of their own, padded for the kernels.

    Yields:
        Which variants, and their packed genotypes, shape (variants to a multiple of 32, bytes to a multiple of 8).

    Raises:
        BadTarget: the blocks do not follow each other, or are not all variants of all samples.
    """
    width = _padded(samples) // 4
    rows = int(np.clip(_GATHERED_BYTES // max(width, 1) // 32 * 32, *_ROWS))
    length, start, filled = (samples + 3) // 4, 0, 0
    stretch = np.zeros((rows, width), dtype=np.uint8)
    for where, packed in blocks:
        if where.start != start + filled or packed.shape != (where.stop - where.start, length):
            raise BadTarget(
                f"Genotypes of the variants {where.start} to {where.stop} came as {packed.shape} bytes after {start + filled}"
                f" variants; {samples} samples need {length} bytes a variant, and blocks must follow each other."
            )
        taken = 0
        while taken < len(packed):
            now = min(rows - filled, len(packed) - taken)
            stretch[filled : filled + now, :length] = packed[taken : taken + now]
            filled, taken = filled + now, taken + now
            if filled == rows:
                yield slice(start, start + filled), stretch
                start, filled = start + filled, 0
    if filled:
        padded = _padded(filled)
        stretch[filled:padded] = 0
        yield slice(start, start + filled), stretch[:padded]
    if start + filled != variants:
        raise BadTarget(f"Genotypes of {start + filled} variants came, but {variants} were announced.")


def from_samples(packed_rows: Bytes, *, variants: int, threads: int = 1) -> Blocks:
    """Return blocks of variants of genotypes that lie sample by sample in memory.

    Args:
        packed_rows: shape (samples, ceil(variants / 4)): two bits a variant, four variants a byte.
        variants: how many variants the rows hold.
        threads: to turn with.
    """
    samples = packed_rows.shape[0]
    rows = int(np.clip(_GATHERED_BYTES // max(_padded(samples) // 4, 1) // 32 * 32, *_ROWS))

    def blocks() -> Iterator[tuple[slice, Bytes]]:
        for start in range(0, variants, rows):
            stop = min(start + rows, variants)
            part = np.zeros((_padded(samples), _padded(stop - start) // 4), dtype=np.uint8)
            part[:samples, : (stop - start + 3) // 4] = packed_rows[:, start // 4 : (stop + 3) // 4]
            turned = turn_packed(part, threads=threads)
            yield slice(start, stop), turned[: stop - start, : (samples + 3) // 4]

    return blocks


def turn_packed(packed: Bytes, *, threads: int) -> Bytes:
    """Turn packed genotypes, shape (rows, bytes), into shape (4 x bytes, rows / 4).

    Rows must be a multiple of 32 and bytes of 8.
    """
    from models.ancestry.components_kernels import turn

    turned = np.empty((4 * packed.shape[1], packed.shape[0] // 4), dtype=np.uint8)
    in_threads(turn, packed.shape[1] // 8, threads, packed.view(np.uint64), turned.view(np.uint64))
    return turned


def add_product(packed: Bytes, levels: Floats, matrix: Floats, sums: Floats, threads: int) -> None:
    """Add packed genotypes, as numbers `levels`, times a matrix to `sums`; see the kernel."""
    from models.ancestry.components_kernels import add_products

    in_threads(add_products, packed.shape[0], threads, packed, levels, matrix, sums)


def in_threads(kernel: Callable[..., None], length: int, threads: int, *arrays: Any) -> None:
    """Run a kernel that takes arrays and a span, with the span cut among threads."""
    if threads <= 1 or length < threads:
        kernel(*arrays, (0, length))
        return
    bounds = [length * place // threads for place in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(kernel, *arrays, span) for span in pairwise(bounds)]:
            done.result()


def standard_levels(frequencies: Floats, scale: Floats, width: int) -> Floats:
    """Return the standardised number of each code of each variant, shape (4 x width, 4); 0 where not called."""
    levels = np.zeros((4 * width, 4))
    levels[: len(scale)] = scale[:, None] * (np.array(_COPIES) - 2.0 * frequencies[:, None])
    levels[:, 1] = 0.0
    return levels


def _padded(count: int) -> int:
    """Return the number of genotypes in rows that the kernels take."""
    return (count + 31) // 32 * 32
