"""Compiled loops over blocks of genotypes. Imported only by functions that use them: compiling machinery starts slowly.

Genotypes of four samples stand in a byte, one variant a row. Four variants are turned so that a byte holds four variants
of one sample; that byte finds the sum of what the four add to four columns at once in a table of 256 rows, which is made once
per four variants. Sums are whole numbers (columns are scaled beforehand): adding them is exact, so neither the order of
variants nor the blocks they come in nor other samples change a figure.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]
Floats = NDArray[np.float64]

LANES = 4  # columns side by side: four whole numbers of 64 bits are one register
STRETCH = 64  # bytes of a row turned at a time: 256 samples, whose sums stay in the fastest memory
FEW = 8  # bytes of a row below which a table of 256 rows costs more than it saves


@njit(nogil=True, cache=True)
def fill(table: Whole, column: int, rows: Whole, states: Floats, weights: Floats) -> None:
    """Add weights times states to one column of a table.

    Args:
        table: shape (columns / LANES, variants, 4 codes, LANES).
        column: the place of the column.
        rows: variants, shape (rows,).
        states: what a genotype counts, by its code, shape (rows, 4).
        weights: scaled, shape (rows,).
    """
    tile, lane = column // LANES, column % LANES
    for row in range(rows.shape[0]):
        for code in range(4):
            table[tile, rows[row], code, lane] += np.int64(np.rint(states[row, code] * weights[row]))


@njit(nogil=True, cache=True)
def add_packed(packed: Bytes, table: Whole, sums: Whole, first: int, last: int) -> None:
    """Add a block of hard calls to the sums of the samples in the bytes `first` to `last` of each row.

    Args:
        packed: hard calls, shape (variants, bytes).
        table: as in `fill`, its variants filled up with rows of 0 to a multiple of four.
        sums: shape (columns / LANES, 4 x bytes, LANES).
        first: the first byte.
        last: behind the last byte.
    """
    if last - first < FEW:
        _add_one_by_one(packed, table, sums, first, last)
        return
    variants = packed.shape[0]
    sum_of_four = np.empty((256, LANES), np.int64)
    turned = np.empty((4, last - first), np.uint8)
    for start in range(0, variants, 4):
        ready = False
        for tile in range(table.shape[0]):
            if not _counts(table, tile, start):
                continue
            if not ready:
                _turn(packed, start, first, last, turned)
                ready = True
            _combine(table, tile, start, sum_of_four)
            _add(sum_of_four, turned, sums[tile], first, last)


@njit(nogil=True, cache=True)
def _counts(table: Whole, tile: int, start: int) -> bool:
    """Tell whether any of four variants adds anything to the four columns."""
    for variant in range(start, start + 4):
        for code in range(4):
            for lane in range(LANES):
                if table[tile, variant, code, lane] != 0:
                    return True
    return False


@njit(nogil=True, cache=True)
def _turn(packed: Bytes, start: int, first: int, last: int, turned: Bytes) -> None:
    """From four bytes with four samples of a variant each to four bytes with four variants of a sample each."""
    end = packed.shape[0] - 1
    a, b = packed[start], packed[min(start + 1, end)]
    c, d = packed[min(start + 2, end)], packed[min(start + 3, end)]
    for place in range(last - first):
        w, x, y, z = a[first + place], b[first + place], c[first + place], d[first + place]
        turned[0, place] = (w & 3) | ((x & 3) << 2) | ((y & 3) << 4) | ((z & 3) << 6)
        turned[1, place] = ((w >> 2) & 3) | (x & 12) | ((y & 12) << 2) | ((z & 12) << 4)
        turned[2, place] = ((w >> 4) & 3) | ((x & 48) >> 2) | (y & 48) | ((z & 48) << 2)
        turned[3, place] = (w >> 6) | ((x & 192) >> 4) | ((y & 192) >> 2) | (z & 192)


@njit(nogil=True, cache=True)
def _combine(table: Whole, tile: int, start: int, sum_of_four: Whole) -> None:
    """The sum of what four variants add, for each of the 256 bytes that a sample can have there."""
    for high in range(16):
        for lane in range(LANES):
            above = table[tile, start + 2, high & 3, lane] + table[tile, start + 3, high >> 2, lane]
            for low in range(16):
                below = table[tile, start, low & 3, lane] + table[tile, start + 1, low >> 2, lane]
                sum_of_four[high * 16 + low, lane] = above + below


@njit(nogil=True, cache=True)
def _add(sum_of_four: Whole, turned: Bytes, sums: Whole, first: int, last: int) -> None:
    for place in range(last - first):
        for within in range(4):
            byte = turned[within, place]
            sample = np.uint64(4 * (first + place) + within)
            # All are read before any is written, so that the compiler may take four at once.
            one = sums[sample, 0] + sum_of_four[byte, 0]
            two = sums[sample, 1] + sum_of_four[byte, 1]
            three = sums[sample, 2] + sum_of_four[byte, 2]
            four = sums[sample, 3] + sum_of_four[byte, 3]
            sums[sample, 0] = one
            sums[sample, 1] = two
            sums[sample, 2] = three
            sums[sample, 3] = four


@njit(nogil=True, cache=True)
def _add_one_by_one(packed: Bytes, table: Whole, sums: Whole, first: int, last: int) -> None:
    for tile in range(table.shape[0]):
        for variant in range(packed.shape[0]):
            for place in range(first, last):
                for within in range(4):
                    code = (packed[variant, place] >> (2 * within)) & 3
                    for lane in range(LANES):
                        sums[tile, 4 * place + within, lane] += table[tile, variant, code, lane]


@njit(nogil=True, cache=True)
def add_dosages(dosages: NDArray[np.float32], table: Floats, sums: Floats, first: int, last: int) -> None:
    """Add a block of dosages to the sums of the samples `first` to `last`.

    What a dosage counts lies on the straight line between the states of the two whole numbers of copies beside it: d for an
    additive row, min(1, d) for a dominant, max(0, d - 1) for a recessive one, as in plink2.

    Args:
        dosages: copies of a1, NaN where missing, shape (variants, samples).
        table: as in `fill`, in floating point.
        sums: shape (columns / LANES, samples, LANES).
        first: the first sample.
        last: behind the last sample.
    """
    for tile in range(table.shape[0]):
        for begin in range(first, last, 4 * STRETCH):
            end = min(last, begin + 4 * STRETCH)
            for variant in range(dosages.shape[0]):
                for sample in range(begin, end):
                    dosage = np.float64(dosages[variant, sample])
                    for lane in range(LANES):
                        none, one = table[tile, variant, 3, lane], table[tile, variant, 2, lane]
                        if np.isnan(dosage):
                            added = table[tile, variant, 1, lane]
                        elif dosage <= 1:
                            added = none + dosage * (one - none)
                        else:
                            added = one + (dosage - 1) * (table[tile, variant, 0, lane] - one)
                        sums[tile, sample, lane] += added
