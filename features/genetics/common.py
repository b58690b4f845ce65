"""Variants that several genotype files share, aligned so that the same allele is counted everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.genotypes import NO_COPY, NOT_CALLED, TWO_COPIES, GenotypeFile
from features.genetics.threads import over_ranges

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]

AUTOSOMES = tuple(map(str, range(1, 23)))
SHARED_VARIANTS = {"chromosome": pl.String, "position": pl.Int64, "a1": pl.String, "a2": pl.String}
_PLACE = 1_000_000_000  # more than the longest chromosome
_TURNED = np.array(
    [
        sum(
            {TWO_COPIES: NO_COPY, NO_COPY: TWO_COPIES}.get(byte >> shift & 3, byte >> shift & 3) << shift
            for shift in (0, 2, 4, 6)
        )
        for byte in range(256)
    ],
    dtype=np.uint8,
)


@dataclass(frozen=True)
class SharedVariants:
    """Variants that stand in every one of several files, ordered by chromosome and position.

    Attributes:
        variants: columns SHARED_VARIANTS, as the first file writes them.
        places: place of each variant in each file, shape (files, variants).
        turned: whether a file counts the other allele than the first file, shape (files, variants).
    """

    variants: pl.DataFrame
    places: Integers
    turned: NDArray[np.bool_]

    def take(self, rows: Integers | NDArray[np.bool_]) -> "SharedVariants":
        """Return some of the variants, by place or by a mask."""
        kept = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return SharedVariants(self.variants[kept], self.places[:, kept], self.turned[:, kept])


@dataclass(frozen=True)
class PooledGenotypes:
    """Genotypes of shared variants of all files side by side, in memory.

    Attributes:
        packed: shape (variants, bytes): codes as in a GenotypeBlock; each file's samples start at a new byte, and places
            that belong to no sample are NOT_CALLED.
        spans: which bytes are each file's.
        rows: where each file's samples stand among the 4 x bytes places, one array a file.
    """

    packed: Bytes
    spans: tuple[slice, ...]
    rows: tuple[Integers, ...]


def shared_variants(frames: Sequence[pl.DataFrame]) -> SharedVariants:
    """Find the variants of several files that can be aligned without doubt.

    These are single-base variants of the autosomes with two alleles that are not palindromic (A/T, C/G), alone at their
    position, with the same alleles in every file: as written, or read from the other strand.

    Args:
        frames: the variants of each file, columns VARIANTS; at least one.
    """
    aligned = [_alignable(frame) for frame in frames]
    first = aligned[0]
    keys = first["key"]
    for other in aligned[1:]:
        keys = keys.filter(keys.is_in(other["key"].implode()))
    places, counted = [], []
    for frame in aligned:
        known = frame["key"].to_numpy()
        rows = np.searchsorted(known, keys.to_numpy())
        places.append(frame["variant"].to_numpy()[rows])
        counted.append(frame["counts_weak"].to_numpy()[rows])
    weak = np.array(counted, dtype=np.bool_).reshape(len(frames), -1)
    written = first.filter(pl.col("key").is_in(keys.implode())).select(*SHARED_VARIANTS)
    return SharedVariants(
        written, np.array(places, dtype=np.int64).reshape(len(frames), -1), weak != weak[:1]
    )


def locate_variants(wanted: pl.DataFrame, variants: pl.DataFrame) -> SharedVariants:
    """Find variants that `shared_variants` gave, such as a stored list, in one file.

    Args:
        wanted: columns SHARED_VARIANTS.
        variants: the file's variants, columns VARIANTS.

    Returns:
        Those of `wanted` that the file has, by chromosome and position, with one row in `places` and `turned`: the file's.
    """
    listed = wanted.with_row_index("variant").with_columns(
        pl.col("variant").cast(pl.Int64), multiallelic=pl.lit(False)
    )
    found = shared_variants([listed, variants])
    return SharedVariants(found.variants, found.places[1:], found.turned[1:])


def pool_genotypes(
    files: Sequence[GenotypeFile], samples: Sequence[Integers], shared: SharedVariants, *, threads: int = 1
) -> PooledGenotypes:
    """Read the shared variants of all files into memory, aligned.

    Args:
        files: the files that `shared` was made of, in that order; it may have further ones at its end, which are not read.
        samples: places of the samples to read in each file, increasing.
        shared: the variants.
        threads: for dosages that are turned into hard calls.

    Raises:
        BadInput: a file turns out not to hold what its index says.
    """
    widths = [-(-len(of_file) // 4) for of_file in samples]
    starts = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    packed = np.full((shared.variants.height, int(starts[-1])), _unknown_byte(), dtype=np.uint8)
    spans = tuple(slice(int(start), int(stop)) for start, stop in pairwise(starts))
    for number, (file, of_file, span) in enumerate(zip(files, samples, spans, strict=True)):
        if len(of_file):
            places, turned = shared.places[number], shared.turned[number]
            _fill(packed[:, span], file, of_file, places=places, turned=turned, threads=threads)
    rows = tuple(
        4 * span.start + np.arange(len(of_file)) for span, of_file in zip(spans, samples, strict=True)
    )
    return PooledGenotypes(packed, spans, rows)


def hard_calls(dosages: NDArray[np.float32], *, threads: int = 1) -> tuple[Bytes, Bytes, NDArray[np.float64]]:
    """Turn dosages into packed hard calls, packed presence, and the sum of copies by variant.

    Args:
        dosages: shape (variants, samples), NaN where missing.
        threads: variants are shared out among them.
    """
    from features.genetics.counts_kernels import pack_dosages

    shape = (dosages.shape[0], -(-dosages.shape[1] // 4))
    calls, present = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.uint8)
    copies = np.zeros(dosages.shape[0])
    over_ranges(
        lambda start, stop: pack_dosages(
            dosages[start:stop], calls[start:stop], present[start:stop], copies[start:stop]
        ),
        dosages.shape[0],
        threads=threads,
    )
    return calls, present, copies


def _alignable(variants: pl.DataFrame) -> pl.DataFrame:
    """Variants that can be aligned, sorted by `key`; `counts_weak`: a1 is A or T."""
    weak = {side: pl.col(side).is_in(["A", "T"]) for side in ("a1", "a2")}
    strong = {side: pl.col(side).is_in(["C", "G"]) for side in ("a1", "a2")}
    placed = variants.filter(pl.col("chromosome").is_in(AUTOSOMES)).with_columns(
        place=pl.col("chromosome").cast(pl.Int64) * _PLACE + pl.col("position")
    )
    transition = pl.concat_str("a1", "a2").is_in(["AG", "GA", "CT", "TC"])  # the same read from either strand
    return (
        placed.filter(
            ~pl.col("place").is_duplicated()
            & ~pl.col("multiallelic")
            & ((weak["a1"] & strong["a2"]) | (strong["a1"] & weak["a2"]))
        )
        .with_columns(key=2 * pl.col("place") + transition.cast(pl.Int64), counts_weak=weak["a1"])
        .select("variant", *SHARED_VARIANTS, "key", "counts_weak")
        .sort("key")
    )


def _fill(
    target: Bytes,
    file: GenotypeFile,
    samples: Integers,
    *,
    places: Integers,
    turned: NDArray[np.bool_],
    threads: int,
) -> None:
    order = np.argsort(places, kind="stable")
    spare = -len(samples) % 4
    for block in file.blocks(samples=samples, variants=places[order]):
        if block.packed is None:
            assert block.dosages is not None
            codes = hard_calls(block.dosages, threads=threads)[0]
        else:
            codes = block.packed.copy()
        rows = order[block.part]
        codes[turned[rows]] = _TURNED[codes[turned[rows]]]
        if spare:
            keep = np.uint8(0xFF >> (2 * spare))
            codes[:, -1] = (codes[:, -1] & keep) | (_unknown_byte() & ~keep)
        target[rows] = codes


def _unknown_byte() -> np.uint8:
    return np.uint8(sum(NOT_CALLED << shift for shift in (0, 2, 4, 6)))
