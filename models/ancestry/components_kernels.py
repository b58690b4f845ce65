"""Compiled loops over packed genotypes: products with a matrix, counts, and turning variants into samples.

A product of genotypes with a matrix of 16 columns needs no multiplication per genotype: two neighbouring genotypes have
16 joint states, so the 16 possible sums of their two rows of the matrix stand in a small table, and each half-byte of the
packed genotypes picks its row of it (the method of the four Russians: Arlazarov, Dinic, Kronrod and Faradzhev 1970). All
sums are float64 and run in one order for each row, whatever the rows of the call, so results depend on no thread count.

Packed: two bits a genotype, four a byte, the first in the lowest bits, rows padded with zero bytes to a multiple of
BYTES_AT_ONCE. Codes: 0 two copies of a1, 1 not called, 2 one copy, 3 none.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.core.cgutils import ir  # of llvmlite, which numba comes with
from numba.extending import intrinsic
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

COLUMNS = 16  # of the matrix, at once: two registers of 512 bits
BYTES_AT_ONCE = 8  # 32 genotypes: their tables are 32 kB, which a first-level cache holds
_PAIRS = 2 * BYTES_AT_ONCE
_STATES = 16
_TABLES = _PAIRS * _STATES * COLUMNS
_ROW_BYTES = COLUMNS * 8
_ALIGNMENT = 64
_WORD_LOW = np.uint64(0x5555555555555555)
_WORD_PAIRS = np.uint64(0x3333333333333333)
_WORD_HALVES = np.uint64(0x0F0F0F0F0F0F0F0F)
_WORD_ONES = np.uint64(0x0101010101010101)
_TILE = 64  # bytes of four variants each: 256 rows of 64 bytes stay in a first-level cache


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def _add_rows(typing_context: Any, out: Any, tables: Any, codes: Any) -> Any:
    """Add the table rows that BYTES_AT_ONCE packed bytes pick to one row of the sums; arguments are addresses.

    Written as vector instructions: the compiler does not find them, since it cannot know that the arrays do not overlap.
    """
    signature = types.void(types.intp, types.intp, types.intp)

    def generate(context: Any, build: Any, _: Any, arguments: Any) -> Any:
        whole, vector = ir.IntType(64), ir.VectorType(ir.DoubleType(), COLUMNS)
        row, table = (build.inttoptr(one, vector.as_pointer()) for one in arguments[:2])
        byte = build.inttoptr(arguments[2], ir.IntType(8).as_pointer())
        picked = []
        for place in range(BYTES_AT_ONCE):
            code = build.zext(build.load(build.gep(byte, [whole(place)]), align=1), whole)
            for half, state in enumerate((build.and_(code, whole(15)), build.lshr(code, whole(4)))):
                at = build.add(state, whole(_STATES * (2 * place + half)))
                picked.append(build.load(build.gep(table, [at]), align=_ALIGNMENT))
        while len(picked) > 1:
            picked = [
                build.fadd(first, second) for first, second in zip(picked[::2], picked[1::2], strict=True)
            ]
        build.store(build.fadd(build.load(row, align=8), picked[0]), row, align=8)
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, cache=True)
def add_products(packed: Bytes, levels: Floats, matrix: Floats, sums: Floats, span: tuple[int, int]) -> None:
    """Add genotypes times a matrix to `sums`, for a span of rows.

    Args:
        packed: shape (rows, bytes), bytes a multiple of BYTES_AT_ONCE.
        levels: the number that each of the four codes stands for in each column of genotypes, shape (4 x bytes, 4).
        matrix: shape (4 x bytes, COLUMNS); rows beyond the last genotype must be 0.
        sums: shape (rows, COLUMNS), changed in place.
        span: the first row and the one after the last.
    """
    space = np.empty(_TABLES + _ALIGNMENT // 8)
    skipped = (-space.ctypes.data) % _ALIGNMENT // 8
    tables = space[skipped : skipped + _TABLES].reshape(_PAIRS, _STATES, COLUMNS)
    codes_at, tables_at, sums_at = packed.ctypes.data, tables.ctypes.data, sums.ctypes.data
    row_length = packed.shape[1]
    for start in range(0, row_length, BYTES_AT_ONCE):
        for pair in range(_PAIRS):
            one = 4 * start + 2 * pair
            for state in range(_STATES):
                low, high = levels[one, state & 3], levels[one + 1, state >> 2]
                for column in range(COLUMNS):
                    tables[pair, state, column] = low * matrix[one, column] + high * matrix[one + 1, column]
        for row in range(span[0], span[1]):
            _add_rows(sums_at + row * _ROW_BYTES, tables_at, codes_at + row * row_length + start)


@njit(nogil=True, cache=True)
def _ones(word: np.uint64) -> np.int64:
    """Return how many bits are set, of a word whose odd bits are 0."""
    word = (word & _WORD_PAIRS) + ((word >> np.uint64(2)) & _WORD_PAIRS)
    word = (word + (word >> np.uint64(4))) & _WORD_HALVES
    return np.int64((word * _WORD_ONES) >> np.uint64(56))


@njit(nogil=True, cache=True)
def count_codes(words: NDArray[np.uint64], counts: NDArray[np.int64], span: tuple[int, int]) -> None:
    """Count the codes 1, 2 and 3 of a span of rows.

    Args:
        words: packed genotypes seen as words, shape (rows, bytes / 8).
        counts: shape (rows, 3), changed in place: not called, one copy, no copy.
        span: the first row and the one after the last.
    """
    for row in range(span[0], span[1]):
        not_called = one_copy = no_copy = np.int64(0)
        for place in range(words.shape[1]):
            word = words[row, place]
            low, high = word & _WORD_LOW, (word >> np.uint64(1)) & _WORD_LOW
            not_called += _ones(low & ~high)
            one_copy += _ones(high & ~low)
            no_copy += _ones(low & high)
        counts[row, 0], counts[row, 1], counts[row, 2] = not_called, one_copy, no_copy


@njit(nogil=True, cache=True)
def add_not_called(
    packed: Bytes, weight: Floats, matrix: Floats, sums: Floats, span: tuple[int, int]
) -> None:
    """Add `weight` of the row times the matrix rows of its genotypes that are not called (code 1).

    Args:
        packed: shape (rows, bytes).
        weight: shape (rows,); a row with weight 0 is passed over.
        matrix: shape (4 x bytes, COLUMNS).
        sums: shape (rows, COLUMNS), changed in place.
        span: the first row and the one after the last.
    """
    for row in range(span[0], span[1]):
        if weight[row] == 0.0:
            continue
        for place in range(packed.shape[1]):
            byte = packed[row, place]
            found = byte & ~(byte >> 1) & 0x55
            if found == 0:
                continue
            for inner in range(4):
                if (found >> (2 * inner)) & 1:
                    for column in range(COLUMNS):
                        sums[row, column] += weight[row] * matrix[4 * place + inner, column]


@njit(nogil=True, cache=True)
def turn(packed: Bytes, turned: Bytes, span: tuple[int, int]) -> None:
    """Turn rows of genotypes into columns: four by four, in words of 32 bits.

    Args:
        packed: shape (rows, bytes), rows a multiple of 4.
        turned: shape (4 x bytes, at least rows / 4), changed in place in its first rows / 4 bytes.
        span: the first byte and the one after the last.
    """
    groups = packed.shape[0] // 4
    for tile in range(0, groups, _TILE):
        for place in range(span[0], span[1]):
            for group in range(tile, min(tile + _TILE, groups)):
                row = 4 * group
                word = (
                    np.uint32(packed[row, place])
                    | (np.uint32(packed[row + 1, place]) << np.uint32(8))
                    | (np.uint32(packed[row + 2, place]) << np.uint32(16))
                    | (np.uint32(packed[row + 3, place]) << np.uint32(24))
                )
                swap = (word ^ (word >> np.uint32(6))) & np.uint32(0x00CC00CC)
                word = word ^ swap ^ (swap << np.uint32(6))
                swap = (word ^ (word >> np.uint32(12))) & np.uint32(0x0000F0F0)
                word = word ^ swap ^ (swap << np.uint32(12))
                for inner in range(4):
                    turned[4 * place + inner, group] = (word >> np.uint32(8 * inner)) & np.uint32(255)
