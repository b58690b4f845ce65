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
Words = NDArray[np.uint64]
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
_WORD_BYTES = np.uint64(0x00FF00FF00FF00FF)
_WORD_TWOS = np.uint64(0x0000FFFF0000FFFF)
_WORD_FOURS = np.uint64(0x00000000FFFFFFFF)
_ROWS_AT_ONCE = 2048  # whose sums stay in a second-level cache


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


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def _lowest_bit(typing_context: Any, word: Any) -> Any:
    """Return the place of the lowest bit that is set; of a word that is not 0."""

    def generate(context: Any, build: Any, _: Any, arguments: Any) -> Any:
        return build.cttz(arguments[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), generate


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
    for tile in range(span[0], span[1], _ROWS_AT_ONCE):
        for start in range(0, row_length, BYTES_AT_ONCE):
            for pair in range(_PAIRS):
                one = 4 * start + 2 * pair
                for state in range(_STATES):
                    low, high = levels[one, state & 3], levels[one + 1, state >> 2]
                    for column in range(COLUMNS):
                        tables[pair, state, column] = (
                            low * matrix[one, column] + high * matrix[one + 1, column]
                        )
            for row in range(tile, min(tile + _ROWS_AT_ONCE, span[1])):
                _add_rows(sums_at + row * _ROW_BYTES, tables_at, codes_at + row * row_length + start)


@njit(nogil=True, cache=True)
def _ones(word: np.uint64) -> np.int64:
    """Return how many bits are set, of a word whose odd bits are 0."""
    word = (word & _WORD_PAIRS) + ((word >> np.uint64(2)) & _WORD_PAIRS)
    word = (word + (word >> np.uint64(4))) & _WORD_HALVES
    return np.int64((word * _WORD_ONES) >> np.uint64(56))


@njit(nogil=True, cache=True)
def count_codes(words: Words, counts: NDArray[np.int64], span: tuple[int, int]) -> None:
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
def add_not_called(words: Words, weight: Floats, matrix: Floats, sums: Floats, span: tuple[int, int]) -> None:
    """Add `weight` of the row times the matrix rows of its genotypes that are not called (code 1), for a span of rows.

    Args:
        words: packed genotypes seen as words, shape (rows, bytes / 8).
        weight: shape (rows,); a row with weight 0 is passed over.
        matrix: shape (4 x bytes, COLUMNS).
        sums: shape (rows, COLUMNS), changed in place.
        span: the first row and the one after the last.
    """
    total = np.empty(COLUMNS)
    for row in range(span[0], span[1]):
        if weight[row] == 0.0:
            continue
        total[:] = 0.0
        for place in range(words.shape[1]):
            word = words[row, place]
            found = word & ~(word >> np.uint64(1)) & _WORD_LOW
            while found != 0:
                genotype = 32 * place + (np.int64(_lowest_bit(found)) >> 1)
                for column in range(COLUMNS):
                    total[column] += matrix[genotype, column]
                found &= found - np.uint64(1)
        for column in range(COLUMNS):
            sums[row, column] += weight[row] * total[column]


@njit(nogil=True, cache=True)
def turn(words: Words, turned: Words, span: tuple[int, int]) -> None:
    """Turn rows of genotypes into columns, 32 rows by 32 columns at a time in registers.

    Words of four rows first exchange genotypes, so that each holds those of one column in four; then 8 x 8 bytes are turned.

    Args:
        words: packed genotypes seen as words, shape (rows, bytes / 8), rows a multiple of 32.
        turned: shape (4 x bytes, rows / 32), words too, changed in place.
        span: the first word of a row to turn and the one after the last.
    """
    kept = np.empty((4, 8), dtype=np.uint64)
    for place in range(span[0], span[1]):
        for tile in range(words.shape[0] // 32):
            for group in range(8):
                row = 32 * tile + 4 * group
                one, two, three, four = (
                    words[row, place],
                    words[row + 1, place],
                    words[row + 2, place],
                    words[row + 3, place],
                )
                one, two = _exchange(one, two, np.uint64(2), _WORD_PAIRS)
                three, four = _exchange(three, four, np.uint64(2), _WORD_PAIRS)
                one, three = _exchange(one, three, np.uint64(4), _WORD_HALVES)
                two, four = _exchange(two, four, np.uint64(4), _WORD_HALVES)
                kept[0, group], kept[1, group], kept[2, group], kept[3, group] = one, two, three, four
            for inner in range(4):
                for low in range(4):
                    kept[inner, low], kept[inner, low + 4] = _exchange(
                        kept[inner, low], kept[inner, low + 4], np.uint64(32), _WORD_FOURS
                    )
                for low in (0, 1, 4, 5):
                    kept[inner, low], kept[inner, low + 2] = _exchange(
                        kept[inner, low], kept[inner, low + 2], np.uint64(16), _WORD_TWOS
                    )
                for low in (0, 2, 4, 6):
                    kept[inner, low], kept[inner, low + 1] = _exchange(
                        kept[inner, low], kept[inner, low + 1], np.uint64(8), _WORD_BYTES
                    )
                for byte in range(8):
                    turned[32 * place + 4 * byte + inner, tile] = kept[inner, byte]


@njit(nogil=True, cache=True)
def _exchange(
    low: np.uint64, high: np.uint64, shift: np.uint64, mask: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Exchange the upper bits of each field of one word with the lower ones of another."""
    swap = ((low >> shift) ^ high) & mask
    return low ^ (swap << shift), high ^ swap
