"""Genotypes that stand in memory, for tests of what is computed from any genotype file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
from features.genetics.matching import Match

_BY_COPIES = np.array([NO_COPY, ONE_COPY, TWO_COPIES, NOT_CALLED], dtype=np.uint8)
_SHIFTS = np.array([0, 2, 4, 6], dtype=np.uint8)


@dataclass(frozen=True)
class GenotypesInMemory:
    """Copies of a1, samples x variants, NaN where missing; told as packed hard calls or as dosages."""

    copies: NDArray[np.float64]
    block: int = 1_000_000
    holds_dosages: bool = False
    chromosome: str = "1"
    male: NDArray[np.bool_] | None = None
    name: str = "memory"
    genome_build: str | None = None

    @property
    def samples(self) -> tuple[str, ...]:
        return tuple(f"s{place}" for place in range(len(self.copies)))

    @property
    def variants(self) -> pl.DataFrame:
        count = self.copies.shape[1]
        return pl.DataFrame(
            {
                "variant": range(count),
                "chromosome": [self.chromosome] * count,
                "position": [1000 + 10 * place for place in range(count)],
                "id": [f"v{place}" for place in range(count)],
                "a1": ["A", "C"] * (count // 2) + ["A"] * (count % 2),
                "a2": ["G", "A"] * (count // 2) + ["G"] * (count % 2),
                "multiallelic": [False] * count,
            },
            schema=VARIANTS,
        )

    def blocks(self, *, samples: Integers, variants: Integers) -> Iterator[GenotypeBlock]:
        for start in range(0, len(variants), self.block):
            part = slice(start, min(start + self.block, len(variants)))
            chosen = self.copies[np.ix_(samples, variants[part])].T
            if self.holds_dosages:
                yield GenotypeBlock(part, dosages=np.ascontiguousarray(chosen, dtype=np.float32))
            else:
                yield GenotypeBlock(part, packed=packed(chosen))


def packed(copies: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Copies, variants x samples, as two-bit codes."""
    codes = _BY_COPIES[np.where(np.isnan(copies), 3, copies).astype(int)]
    filled = np.zeros((codes.shape[0], -(-codes.shape[1] // 4) * 4), dtype=np.uint8)
    filled[:, : codes.shape[1]] = codes
    shifted = filled.reshape(codes.shape[0], -1, 4) << _SHIFTS
    return np.asarray(np.bitwise_or.reduce(shifted, axis=2), dtype=np.uint8)


def random_copies(
    seed: int, samples: int, variants: int, *, missing: float = 0.05, dosages: bool = False
) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    copies = random.binomial(2, random.uniform(0.05, 0.95, variants), (samples, variants)).astype(float)
    if dosages:
        copies = np.clip(copies + random.normal(0, 0.2, copies.shape), 0, 2).astype(np.float32).astype(float)
    copies[random.random(copies.shape) < missing] = np.nan
    return copies


def match_of(
    variants: Sequence[int] | Integers,
    weights: NDArray[np.float64],
    *,
    effect_is_a1: NDArray[np.bool_] | None = None,
    mode: str | Sequence[str] = "additive",
    frequency: NDArray[np.float64] | None = None,
) -> Match:
    """A match of a score to variants, as match_variants makes it."""
    rows = len(weights)
    turned = np.ones(rows, dtype=bool) if effect_is_a1 is None else effect_is_a1
    used = pl.DataFrame(
        {
            "line": np.arange(rows),
            "variant": np.asarray(variants, dtype=np.int64),
            "effect_is_a1": turned,
            "weight": weights,
            "mode": [mode] * rows if isinstance(mode, str) else list(mode),
            "frequency": np.full(rows, np.nan) if frequency is None else frequency,
        }
    ).with_columns(pl.col("frequency").fill_nan(None))
    return Match(used, {"rows": rows, "matched": rows}, 1.0)
