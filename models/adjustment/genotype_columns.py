"""Genotypes as context columns give them: one value of bytes per row.

A value is 8 bytes that name the variants and their order (the first 8 of the SHA-256 of their keys), then two bits per
variant, four variants a byte from the lowest bits up: 0 two copies of the counted allele, 1 not called, 2 one copy, 3 none.
Without the name a model carried elsewhere could not tell that bytes of the same length are of other variants.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.errors import BadTarget

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]

ORDER_BYTES = 8


@dataclass(frozen=True)
class Genotypes:
    """Genotypes of the rows that have any.

    Attributes:
        rows: their positions in the frame, shape (people,).
        packed: two bits per variant, shape (people, bytes); no column where nobody has genotypes.
        order: the name of the variants in hexadecimal digits; empty where nobody has genotypes.
    """

    rows: Integers
    packed: Bytes
    order: str


def read_genotypes(X: pl.DataFrame, column: str) -> Genotypes:
    """Return what a column of genotypes holds; null: the row has none.

    Raises:
        BadTarget: the column holds no bytes, or values of different variants.
    """
    own = X[column]
    if own.null_count() == len(own):
        return Genotypes(np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.uint8), "")
    if own.dtype != pl.Binary:
        raise BadTarget(
            f"The column {column} should hold genotypes as bytes but is {own.dtype}; build the genetic feature set again."
        )
    rows = np.flatnonzero(own.is_not_null().to_numpy()).astype(np.int64)
    values = own.drop_nulls().to_list()
    width = len(values[0])
    if (
        width <= ORDER_BYTES
        or len({len(value) for value in values}) > 1
        or len({value[:ORDER_BYTES] for value in values}) > 1
    ):
        raise BadTarget(
            f"The column {column} holds genotypes of different variants in different rows, or of none; build the genetic feature "
            "set again for all rows at once."
        )
    packed = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), width)[:, ORDER_BYTES:]
    return Genotypes(rows, packed, values[0][:ORDER_BYTES].hex())


def require_same_variants(found: Genotypes, order: str, width: int, column: str) -> None:
    """Refuse rows whose genotypes are of other variants than those that were trained on."""
    if len(found.rows) and (found.order != order or found.packed.shape[1] != width):
        raise BadTarget(
            f"The genotypes of the rows ({column}) are of other variants, or of the same in another order, than those the model "
            "was trained on; build the genetic feature set with the variants of the model, counting the same alleles."
        )


def first_of(rows: Integers, groups: NDArray[np.generic]) -> Integers:
    """Return the places in `rows` that stand for each group once: the first of each; groups has shape (all rows,)."""
    return np.sort(np.unique(groups[rows], return_index=True)[1]).astype(np.int64)
