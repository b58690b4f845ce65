"""Variants for components and kinship: common, well called, alike in every file, and hardly correlated."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.common import PooledGenotypes, SharedVariants
from features.genetics.genotypes import NOT_CALLED, ONE_COPY, TWO_COPIES
from features.genetics.threads import over_ranges
from features.genetics.thresholds import QualityThresholds

Mask = NDArray[np.bool_]

MOST_CANDIDATES = 100_000
CANDIDATE_BYTES = 300_000_000  # of packed genotypes; more people have fewer candidates
# Long-range linkage disequilibrium, chromosome: megabases from and to. Price et al., American Journal of Human Genetics
# 2008, 83:132-135, doi 10.1016/j.ajhg.2008.06.005, and Anderson 2010, at the positions of each genome build; ends are widened to
# a tenth of a megabase.
LONG_RANGE: dict[str, dict[int, list[tuple[float, float]]]] = {
    "GRCh37": {
        1: [(48, 52)],
        2: [(86, 100.5), (134.5, 138), (183, 190)],
        3: [(47.5, 50), (83.5, 87), (89, 97.5)],
        5: [(44.5, 50.5), (98, 100.5), (129, 132), (135.5, 138.5)],
        6: [(25, 35), (57, 64), (140, 142.5)],
        7: [(55, 66)],
        8: [(7, 13), (43, 50), (112, 115)],
        10: [(37, 43)],
        11: [(46, 57), (87.5, 90.5)],
        12: [(33, 40), (109.5, 112)],
        20: [(32, 34.5)],
    },
    "GRCh38": {
        1: [(47.5, 51.8)],
        2: [(85.9, 100.6), (133.7, 137.3), (182.1, 189.2)],
        3: [(47.4, 50), (83.3, 87), (89, 97.8)],
        5: [(44.4, 51.2), (98.6, 101.2), (129.6, 132.7), (136.1, 139.2)],
        6: [(24.9, 35.1), (57.7, 63.4), (139.6, 142.2)],
        7: [(54.9, 66.9)],
        8: [(7.1, 13.2), (43, 49.1), (110.9, 114)],
        10: [(36.6, 43.2)],
        11: [(45.9, 57.3), (87.7, 91.2)],
        12: [(32.9, 41.4), (109, 111.6)],
        20: [(33.4, 36.5)],
    },
}


def in_long_range(variants: pl.DataFrame, genome_build: str | None) -> Mask:
    """Tell which variants lie in a region of long-range linkage disequilibrium, shape (variants,).

    Args:
        variants: columns `chromosome` and `position`.
        genome_build: GRCh37 or GRCh38; None: not known, then the regions of both are meant.
    """
    position = pl.col("position")
    inside = pl.lit(False)
    for build, regions in LONG_RANGE.items():
        if genome_build in (None, build):
            for chromosome, spans in regions.items():
                near = [position.is_between(int(start * 1e6), int(stop * 1e6)) for start, stop in spans]
                inside = inside | ((pl.col("chromosome") == str(chromosome)) & pl.any_horizontal(near))
    return variants.select(inside=inside).to_series().to_numpy()


def candidates(
    shared: SharedVariants,
    qualities: Sequence[pl.DataFrame],
    people: Sequence[int],
    thresholds: QualityThresholds,
    *,
    genome_build: str | None,
) -> SharedVariants:
    """Choose the shared variants that pruning looks at: kept in every file, well called, common over all files together.

    Where more are left than memory should hold, they are thinned evenly along the genome.

    Args:
        shared: variants that all files share.
        qualities: each file's table of `variant_quality`; further files of `shared` (a reference) are not judged.
        people: samples counted in each file.
        thresholds: the thresholds.
        genome_build: see `in_long_range`.
    """
    copies = np.zeros(shared.variants.height)
    called = np.zeros(shared.variants.height)
    chosen = ~in_long_range(shared.variants, genome_build)
    for table, size, places, turned in zip(qualities, people, shared.places, shared.turned, strict=False):
        rate = table["call_rate"].to_numpy()[places]
        frequency = table["frequency"].fill_null(0.0).to_numpy()[places]
        chosen &= table["kept"].to_numpy()[places] & (rate >= thresholds.pruning_call_rate)
        copies += np.where(turned, 1 - frequency, frequency) * rate * size
        called += rate * size
    minor = np.divide(copies, called, out=np.zeros_like(copies), where=called > 0)
    chosen &= np.minimum(minor, 1 - minor) >= thresholds.pruning_frequency
    width = sum(-(-size // 4) for size in people)
    most = min(MOST_CANDIDATES, CANDIDATE_BYTES // max(1, width))
    return shared.take(spread(np.flatnonzero(chosen), most))


def spread(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Take at most `most` of them, evenly along their order."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).round().astype(np.int64)]


def pruned_variants(
    pooled: PooledGenotypes,
    chromosomes: pl.Series,
    thresholds: QualityThresholds,
    *,
    threads: int = 1,
) -> Mask:
    """Prune so that no two variants in one window are correlated more than the threshold.

    As plink2 --indep-pairwise WINDOW STEP R2: correlations of copies, phase unknown, over the samples called in both; windows
    slide along each chromosome; of a pair the one with the lower minor allele frequency goes.

    Args:
        pooled: genotypes of the candidates in the order of positions.
        chromosomes: of the candidates, shape (variants,); each in one piece.
        thresholds: window, step and r^2.
        threads: share out the chromosomes.

    Returns:
        Which stay, shape (variants,).
    """
    from features.genetics.counts_kernels import genotype_counts, packed_words, sample_masks
    from features.genetics.pruning_kernels import prune

    size = pooled.packed.shape[1] * 4
    counts = np.zeros((len(chromosomes), 1, 4), dtype=np.int64)
    masks = sample_masks(np.ones((1, size), dtype=np.bool_))
    removed = np.zeros(len(chromosomes), dtype=np.bool_)
    names = chromosomes.to_numpy()
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.array([], dtype=int)
    pieces = list(zip(starts, [*starts[1:], len(names)][: len(starts)], strict=True))

    def one(place: int) -> None:
        start, stop = pieces[place]
        words = packed_words(pooled.packed[start:stop])
        genotype_counts(words, masks, 0, stop - start, counts[start:stop])
        of_piece = counts[start:stop, 0]
        called = size - of_piece[:, NOT_CALLED]
        frequency = (2 * of_piece[:, TWO_COPIES] + of_piece[:, ONE_COPY]) / np.maximum(1, 2 * called)
        minor = np.minimum(frequency, 1 - frequency)
        filled = _unknown_beyond(words, size)
        gone = minor == 0
        windows = (thresholds.pruning_window, thresholds.pruning_step)
        prune(filled, minor, windows, thresholds.pruning_r2, gone)
        removed[start:stop] = gone

    def several(start: int, stop: int) -> None:
        for place in range(start, stop):
            one(place)

    over_ranges(several, len(pieces), threads=threads)
    return ~removed


def _unknown_beyond(words: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    """Code the places beyond the last sample as not called."""
    spare = words.shape[1] * 32 - size
    if spare == 0:
        return words
    filled = words.copy()
    unknown = np.uint64(sum(1 << 2 * place for place in range(32 - spare, 32)))
    filled[:, -1] |= unknown
    return filled
