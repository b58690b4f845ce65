"""People of populations that drifted apart, their genotypes as context columns give them, and scores of them."""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CODES = np.array(
    [3, 2, 0, 1], dtype=np.uint8
)  # of no, one and two copies of the counted allele, and of not called
NOT_CALLED = 3  # in `copies`


@dataclass(frozen=True)
class People:
    """Simulated people.

    Attributes:
        copies: of the counted allele, 3 where not called, shape (people, variants).
        population: of each, shape (people,).
    """

    copies: Integers
    population: Integers

    @property
    def centred(self) -> Integers:
        """The population, from -1 up."""
        return self.population - 1


@cache
def drifted(
    people: int,
    variants: int,
    populations: int,
    fst: float,
    *,
    seed: int,
    lost: float = 0.0,
    rarest: float = 0.1,
) -> People:
    """Draw people of populations that drifted from common frequencies (Balding and Nichols 1995)."""
    draws = np.random.default_rng(seed)
    common = draws.uniform(rarest, 1 - rarest, variants)
    size = (1 - fst) / fst
    own = draws.beta(common * size, (1 - common) * size, (populations, variants))
    population = draws.integers(0, populations, people)
    copies = draws.binomial(2, own[population])
    copies[draws.random(copies.shape) < lost] = NOT_CALLED
    return People(copies, population)


def order_of(names: Sequence[str]) -> bytes:
    """Return the name of variants in an order."""
    return hashlib.sha256("\n".join(names).encode()).digest()[:8]


def packed(copies: Integers) -> NDArray[np.uint8]:
    """Return two bits per genotype, four a byte, shape (people, bytes); zeros behind the last."""
    codes = CODES[copies]
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % 4)))
    shifted = padded.reshape(len(codes), -1, 4) << np.array([0, 2, 4, 6], dtype=np.uint8)
    return np.asarray(shifted.sum(axis=2), dtype=np.uint8)


def genotype_column(name: str, copies: Integers, order: bytes | None = None) -> pl.Series:
    """Return the context column of genotypes."""
    start = order_of([str(place) for place in range(copies.shape[1])]) if order is None else order
    return pl.Series(name, [start + row.tobytes() for row in packed(copies)], dtype=pl.Binary)


def scored(
    copies: Integers, variants: Integers, weights: Floats, kinds: Integers
) -> tuple[Floats, pl.Series]:
    """Return sums over called genotypes, and the column of missing ones, of one score."""
    sums, missing = np.zeros(len(copies)), []
    for person, own in enumerate(copies):
        entries = b""
        for variant, weight, kind in zip(variants, weights, kinds, strict=True):
            if own[variant] == NOT_CALLED:
                entries += struct.pack("<IdB", variant, weight, kind)
            else:
                dosage = own[variant] if kind % 2 == 0 else 2 - own[variant]
                sums[person] += weight * (dosage, min(1, dosage), max(0, dosage - 1))[kind // 2]
        missing.append(entries)
    return sums, pl.Series("missing", missing, dtype=pl.Binary)
