"""Genotypes of populations that drifted apart by a known amount, as arrays, packed bytes and PLINK files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

COPIES = np.array([2.0, np.nan, 1.0, 0.0])  # of a1, by code


def planted(
    people: int, variants: int, *, populations: int, fst: float, missing: float, seed: int
) -> tuple[Bytes, NDArray[np.int64]]:
    """Return codes, shape (people, variants), and populations, shape (people,); frequencies after Balding and Nichols 1995."""
    draws = np.random.default_rng(seed)
    population = draws.integers(0, populations, people)
    ancestral, spread = draws.uniform(0.1, 0.9, variants), (1 - fst) / fst
    frequency = draws.beta(ancestral * spread, (1 - ancestral) * spread, (populations, variants))
    copies = draws.binomial(2, np.clip(frequency, 0.03, 0.97)[population])
    codes = np.array([3, 2, 0], dtype=np.uint8)[copies]
    codes[draws.random(codes.shape) < missing] = 1
    return codes, population


def packed(codes: Bytes) -> Bytes:
    """Pack codes along the last axis, four a byte, the first in the lowest bits, zeros beyond the last."""
    padded = np.zeros((len(codes), (codes.shape[1] + 3) // 4, 4), dtype=np.uint8)
    padded.reshape(len(codes), -1)[:, : codes.shape[1]] = codes
    return np.asarray(padded[..., 0] | padded[..., 1] << 2 | padded[..., 2] << 4 | padded[..., 3] << 6)


def standardised(codes: Bytes) -> Floats:
    """Return standardised genotypes, missing ones at the mean, variants without variation at 0."""
    copies = COPIES[codes]
    frequency = np.nanmean(copies, axis=0) / 2
    spread = np.sqrt(2 * frequency * (1 - frequency))
    made = np.divide(copies - 2 * frequency, spread, out=np.zeros_like(copies), where=spread > 0)
    return np.asarray(np.nan_to_num(made))


def write_plink(prefix: Path, codes: Bytes) -> None:
    """Write .bed, .bim and .fam."""
    prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01]) + packed(codes.T).tobytes())
    variants = (f"1\trs{place}\t0\t{place + 1}\tA\tG\n" for place in range(codes.shape[1]))
    prefix.with_suffix(".bim").write_text("".join(variants), encoding="utf-8")
    people = (f"0 s{place} 0 0 1 -9\n" for place in range(len(codes)))
    prefix.with_suffix(".fam").write_text("".join(people), encoding="utf-8")
