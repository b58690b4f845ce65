"""What needs the genotypes of all files together: pruned variants, heterozygosity, and planes for kinship."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.common import PooledGenotypes, SharedVariants, pool_genotypes
from features.genetics.counting import People
from features.genetics.genotypes import NO_COPY, ONE_COPY, TWO_COPIES, GenotypeFile
from features.genetics.heterozygosity import (
    FEWEST_ADJUSTED,
    FEWEST_VARIANTS,
    ancestry_components,
    distances,
    inbreeding,
)
from features.genetics.pruning import candidates, pruned_variants, spread
from features.genetics.relatedness import MOST_VARIANTS, Planes, bit_planes, kinship_standard_error
from features.genetics.threads import over_ranges
from features.genetics.thresholds import QualityThresholds

Floats = NDArray[np.float64]

_VARIANTS_AT_ONCE = 1000

PRUNED = {
    "chromosome": pl.String,
    "position": pl.Int64,
    "a1": pl.String,
    "a2": pl.String,
    "in_kinship": pl.Boolean,  # kinship and heterozygosity rest on it
}


@dataclass(frozen=True)
class Heterozygosity:
    """Of the samples of one file: F, and its distance in robust standard deviations; NaN where not known or not judged."""

    f: Floats
    distance: Floats


@dataclass(frozen=True)
class PooledQuality:
    """What the pruned variants of all files say.

    Attributes:
        pruned: columns PRUNED, ordered by chromosome and position.
        planes: genotypes at the variants of kinship, of all samples, files one after the other.
        standard_error: of the kinship of unrelated people at these variants.
        heterozygosity: one a file.
        steps: variants left after each step.
    """

    pruned: pl.DataFrame
    planes: Planes
    standard_error: float
    heterozygosity: list[Heterozygosity]
    steps: list[dict[str, object]]


def pooled_quality(
    files: Sequence[GenotypeFile],
    people: Sequence[People],
    qualities: Sequence[pl.DataFrame],
    shared: SharedVariants,
    thresholds: QualityThresholds,
    *,
    genome_build: str | None,
    threads: int = 1,
) -> PooledQuality:
    """Prune the variants that all files share, and look at heterozygosity on those left.

    Args:
        files: the files.
        people: the samples of each file that are called well enough.
        qualities: each file's table of `variant_quality`.
        shared: variants of all files, which come first in it, and perhaps of a reference.
        thresholds: the thresholds.
        genome_build: GRCh37, GRCh38 or not known.
        threads: at most this many at once.

    Raises:
        BadInput: a file turns out not to hold what its index says.
    """
    build = genome_build or next((file.genome_build for file in files if file.genome_build), None)
    sizes = [len(of_file.places) for of_file in people]
    chosen = candidates(shared, qualities, sizes, thresholds, genome_build=build)
    pooled = pool_genotypes(files, [of_file.places for of_file in people], chosen, threads=threads)
    kept = np.flatnonzero(pruned_variants(pooled, chosen.variants["chromosome"], thresholds, threads=threads))
    thinned = spread(kept, MOST_VARIANTS)
    planes = bit_planes(pooled, thinned, threads=threads)
    frequencies = [_frequencies(pooled, thinned, span, threads) for span in pooled.spans]
    overall = _frequencies(pooled, thinned, slice(0, pooled.packed.shape[1]), threads)
    pruned = chosen.take(kept).variants.with_columns(in_kinship=pl.Series(np.isin(kept, thinned)))
    return PooledQuality(
        pruned.select(*PRUNED),
        planes,
        kinship_standard_error(overall),
        _heterozygosity(pooled, planes, thinned, frequencies=frequencies, sizes=sizes, threads=threads),
        [
            {
                "step": "variants that all files share and that can be aligned",
                "variants": shared.variants.height,
            },
            {"step": "common, well called, outside long-range linkage", "variants": chosen.variants.height},
            {"step": "left by pruning", "variants": len(kept)},
            {"step": "used for kinship and heterozygosity", "variants": len(thinned)},
        ],
    )


def _frequencies(pooled: PooledGenotypes, variants: NDArray[np.int64], span: slice, threads: int) -> Floats:
    """Frequencies of a1 among the samples of some bytes; 0 where nobody is called."""
    from features.genetics.counts_kernels import genotype_counts, packed_words, sample_masks

    masks = sample_masks(np.ones((1, 4 * (span.stop - span.start)), dtype=np.bool_))
    counts = np.zeros((len(variants), 1, 4), dtype=np.int64)

    def count(start: int, stop: int) -> None:
        for low in range(start, stop, _VARIANTS_AT_ONCE):
            part = slice(low, min(low + _VARIANTS_AT_ONCE, stop))
            words = packed_words(pooled.packed[variants[part], span])
            genotype_counts(words, masks, 0, len(words), counts[part])

    over_ranges(count, len(variants), threads=threads)
    two, one, none = (counts[:, 0, code] for code in (TWO_COPIES, ONE_COPY, NO_COPY))
    return np.asarray((2 * two + one) / np.maximum(1, 2 * (two + one + none)), dtype=np.float64)


def _heterozygosity(
    pooled: PooledGenotypes,
    planes: Planes,
    variants: NDArray[np.int64],
    *,
    frequencies: Sequence[Floats],
    sizes: Sequence[int],
    threads: int,
) -> list[Heterozygosity]:
    found, start = [], 0
    adjusted = len(variants) >= FEWEST_VARIANTS and max(sizes) >= FEWEST_ADJUSTED
    components = ancestry_components(pooled, variants) if adjusted else np.zeros((sum(sizes), 0))
    for size, of_file in zip(sizes, frequencies, strict=True):
        people = slice(start, start + size)
        f = inbreeding(planes, of_file, people, threads=threads)
        judged = len(variants) >= FEWEST_VARIANTS
        distance = distances(f, components[people]) if judged else np.full(size, np.nan)
        found.append(Heterozygosity(f, distance))
        start += size
    return found
