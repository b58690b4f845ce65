"""Sum weights over genotypes in one pass over a file, many columns at once, without looking at any other sample.

What every genotype adds to every column is scaled to whole numbers of 62 bits and added up exactly: a sample's sum is the same to
the last bit alone or in a batch, whatever the blocks that the file is read in, the order of variants or the number of threads.
Dosages are added in double precision, variant by variant in the order of the file.

Expected before it was written: a kernel of 0.5 s for 5,000 x 200,000 x 4. What came of it stands in docs/benchmarks.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.genetics.genotypes import NO_COPY, NOT_CALLED, ONE_COPY, TWO_COPIES, GenotypeBlock, GenotypeFile
from features.genetics.threads import over_ranges

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COPIES = np.empty(4)  # of a1 by code; of a missing genotype none
COPIES[[TWO_COPIES, NOT_CALLED, ONE_COPY, NO_COPY]] = 2, 0, 1, 0
_TABLE_BYTES = 16_000_000
_MOST_BITS = 62  # of 63: the sum of any sample stays within, whatever its genotypes
_LANES, _STEP = 4, 8  # of score_kernels


@dataclass(frozen=True)
class Column:
    """One sum per sample.

    Attributes:
        rows: places of its variants among those read, increasing.
        weights: by row.
        states: for a part of the rows, what a genotype counts by its code, shape (rows, 4).
        scale: a power of two that makes whole numbers of weights times states.
    """

    rows: Integers
    weights: Floats
    states: Callable[[slice], Floats]
    scale: float


def weighted_sums(
    genotypes: GenotypeFile,
    weights: Floats,
    *,
    places: Integers,
    frequencies: Floats,
    samples: Integers,
    centred: bool = False,
    threads: int = 1,
) -> Floats:
    """The sum over variants of weight x copies of a1, a missing genotype counting 2f: plink2's --score with several columns.

    Args:
        genotypes: the file.
        weights: by variant and column, shape (variants, columns), finite.
        places: the variants in the file, increasing.
        frequencies: f of a1 by variant, between 0 and 1.
        samples: places in the file's samples, increasing.
        centred: count copies - 2f instead, a missing genotype nothing. Complete genotypes then sum up as under plink2's `center`
            (2.00a3.5 adds 2f for a missing genotype even there); divide the weights by sqrt(2f(1 - f)) beforehand for its
            `variance-standardize`.
        threads: each takes a range of samples; they do not change a figure.

    Returns:
        shape (samples, columns).

    Raises:
        BadInput: the file is cut short.
        ValueError: a weight is not finite or a frequency is not between 0 and 1.
    """
    if not (np.isfinite(weights).all() and ((frequencies >= 0) & (frequencies <= 1)).all()):
        raise ValueError("weights must be finite, and frequencies between 0 and 1")
    shift = 2 * frequencies if centred else np.zeros(len(frequencies))

    def states(part: slice) -> Floats:
        counted = np.tile(COPIES, (part.stop - part.start, 1))
        counted[:, NOT_CALLED] = 2 * frequencies[part]
        return counted - shift[part, None]

    rows = np.arange(len(places))
    columns = [
        Column(rows, np.ascontiguousarray(column), states, scale_for(2 * np.abs(column).sum()))
        for column in np.asarray(weights, dtype=np.float64).T
    ]
    sums = Sums(columns, [], samples=len(samples), threads=threads)
    for block in genotypes.blocks(samples=samples, variants=places):
        sums.add(block)
    return sums.values


class Sums:
    """Sums by sample and column, and counts of missing genotypes by sample and set of variants, block by block."""

    def __init__(
        self, columns: Sequence[Column], sets: Sequence[Integers], *, samples: int, threads: int
    ) -> None:
        self._columns, self._sets, self._samples, self._threads = columns, sets, samples, threads
        self._tiles = -(-len(columns) // _LANES)
        filled = 4 * -(-samples // 4)
        self._whole = np.zeros((self._tiles, filled, _LANES), dtype=np.int64)
        self._fractions: Floats | None = None  # of dosages
        self._counts = np.zeros((len(sets), filled), dtype=np.int64)

    @property
    def values(self) -> Floats:
        """The sums, shape (samples, columns)."""
        total = self._whole.astype(np.float64)
        if self._fractions is not None:
            total += self._fractions
        by_sample = total.transpose(1, 0, 2).reshape(total.shape[1], self._tiles * _LANES)
        scales = np.array([column.scale for column in self._columns])
        return np.asarray(by_sample[: self._samples, : len(self._columns)] / scales)

    @property
    def counts(self) -> Integers:
        """Missing genotypes, shape (samples, sets)."""
        return self._counts[:, : self._samples].T

    def add(self, block: GenotypeBlock) -> None:
        """Add a block, a part of its variants at a time, in threads over ranges of samples."""
        width = max(_STEP, _TABLE_BYTES // (128 * max(1, self._tiles)) // _STEP * _STEP)
        for start in range(block.part.start, block.part.stop, width):
            part = slice(start, min(start + width, block.part.stop))
            inside = slice(part.start - block.part.start, part.stop - block.part.start)
            if block.packed is not None:
                self._add_packed(block.packed[inside], part)
            elif block.dosages is not None:
                self._add_dosages(block.dosages[inside], part)

    def _add_packed(self, packed: NDArray[np.uint8], part: slice) -> None:
        from features.genetics.score_kernels import add_packed, count_missing

        table, sets = _table(self._columns, part), self._inside(part)

        def work(first: int, last: int) -> None:
            add_packed(packed, table, self._whole, first, last)
            for place, rows in sets:
                count_missing(packed, rows, self._counts[place], first, last)

        over_ranges(work, packed.shape[1], threads=self._threads)

    def _add_dosages(self, dosages: NDArray[np.float32], part: slice) -> None:
        from features.genetics.score_kernels import add_dosages, count_missing_dosages

        table, sets = _table(self._columns, part).astype(np.float64), self._inside(part)
        fractions = np.zeros(self._whole.shape) if self._fractions is None else self._fractions
        self._fractions = fractions

        def work(first: int, last: int) -> None:
            add_dosages(dosages, table, fractions, first, last)
            for place, rows in sets:
                count_missing_dosages(dosages, rows, self._counts[place], first, last)

        over_ranges(work, dosages.shape[1], threads=self._threads)

    def _inside(self, part: slice) -> list[tuple[int, Integers]]:
        """The rows of every set that stand in a part of the variants, counted from its start."""
        found = []
        for place, rows in enumerate(self._sets):
            low, high = np.searchsorted(rows, (part.start, part.stop))
            if high > low:
                found.append((place, rows[low:high] - part.start))
        return found


def _table(columns: Sequence[Column], part: slice) -> Integers:
    """What each genotype of some variants adds to each column, as score_kernels.fill describes it."""
    from features.genetics.score_kernels import fill

    variants = -(-(part.stop - part.start) // _STEP) * _STEP
    table = np.zeros((-(-len(columns) // _LANES), variants, 4, _LANES), dtype=np.int64)
    for place, column in enumerate(columns):
        low, high = np.searchsorted(column.rows, (part.start, part.stop))
        rows = slice(int(low), int(high))
        if high > low:
            weights = column.weights[rows] * column.scale
            fill(table, place, column.rows[rows] - part.start, column.states(rows), weights)
    return table


def scale_for(most: float) -> float:
    """The power of two by which no sum of absolute size `most` needs more than _MOST_BITS bits."""
    exponent = int(np.frexp(most)[1])
    return float(np.ldexp(1.0, min(_MOST_BITS - exponent, 1000))) if most > 0 else 1.0
