"""Which variants of a genotype file can be relied on: call rate, frequency, Hardy-Weinberg proportions."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.counting import (
    CONTROLS,
    EVERYBODY,
    FEMALE_CONTROLS,
    MEN,
    WOMEN,
    GenotypeCounts,
    People,
)
from features.genetics.genotypes import NO_COPY, ONE_COPY, TWO_COPIES, GenotypeFile
from features.genetics.hardy_weinberg import hardy_weinberg_p
from features.genetics.thresholds import QualityThresholds

FEWEST_CONTROLS = 50  # fewer say little of Hardy-Weinberg; then everybody is tested, at a stricter p
MOST_OF_ANCESTRY = 0.5  # share of heterozygotes that mixed ancestries may lack: at most 0.43 in the 1000 Genomes, of 1,797 variants
NOT_DIPLOID, LOW_CALL_RATE, RARE, NOT_HARDY_WEINBERG = (
    "not diploid",
    "low call rate",
    "rare",
    "not in Hardy-Weinberg proportions",
)
REASONS = (NOT_DIPLOID, LOW_CALL_RATE, RARE, NOT_HARDY_WEINBERG)  # a variant has the first that holds
VARIANT_QUALITY = {
    "file": pl.String,
    "variant": pl.Int64,  # place in the file
    "chromosome": pl.String,
    "position": pl.Int64,
    "id": pl.String,
    "a1": pl.String,
    "a2": pl.String,
    "call_rate": pl.Float64,
    "frequency": pl.Float64,  # of a1; on X men count once
    "minor_allele_frequency": pl.Float64,
    "hardy_weinberg_p": pl.Float64,  # null: not tested
    "kept": pl.Boolean,
    "reason": pl.String,  # one of REASONS; null: kept
}


@dataclass(frozen=True)
class VariantQuality:
    """The variants of one file.

    Attributes:
        table: one row per variant in the file's order, columns VARIANT_QUALITY.
        tested_controls: whether Hardy-Weinberg proportions were tested in controls; otherwise in everybody.
    """

    table: pl.DataFrame
    tested_controls: bool


def variant_quality(
    file: GenotypeFile,
    people: People,
    counts: GenotypeCounts,
    thresholds: QualityThresholds,
    *,
    threads: int = 1,
) -> VariantQuality:
    """Judge the variants of one file by the counts of one pass.

    Hardy-Weinberg proportions are tested in controls, because a variant that acts on the illness may leave them in patients
    (Anderson 2010); with fewer than FEWEST_CONTROLS controls in everybody, at a p that only gross errors pass. Everybody may be
    of several ancestries, and then good variants lack heterozygotes (Wahlund), the more so the more their frequencies differ: in
    everybody variants fail that have too many, or lack more than MOST_OF_ANCESTRY of them (as plink2 --hwe keep-fewhet, which
    keeps those too). On chromosome X women alone are tested.

    Args:
        file: the file.
        people: the samples that were counted.
        counts: what was counted.
        thresholds: the thresholds.
        threads: share out the variants.
    """
    chromosome = file.variants["chromosome"]
    on_x = (chromosome == "X").to_numpy()
    call_rate = counts.present / max(1, len(people.places))
    frequency = _frequency(counts, on_x)
    minor = np.minimum(frequency, 1 - frequency)
    tested_controls = int(people.groups[CONTROLS].sum()) >= FEWEST_CONTROLS
    tested = _tested(counts, on_x, controls=tested_controls)
    p = hardy_weinberg_p(tested, threads=threads)
    least_p = thresholds.hardy_weinberg if tested_controls else thresholds.hardy_weinberg_everybody
    lacking = _lacking(tested)
    unlike_ancestry = pl.Series(tested_controls | (lacking < 0) | (lacking > MOST_OF_ANCESTRY))
    table = file.variants.select(
        pl.lit(file.name).alias("file"), "variant", "chromosome", "position", "id", "a1", "a2"
    ).with_columns(
        call_rate=pl.Series(call_rate),
        frequency=pl.Series(frequency).fill_nan(None),
        minor_allele_frequency=pl.Series(minor).fill_nan(None),
        hardy_weinberg_p=pl.when(chromosome.is_in(["Y", "MT"]))
        .then(None)
        .otherwise(pl.Series(p).fill_nan(None)),
    )
    reason = (
        pl.when(pl.col("chromosome").is_in(["Y", "MT"]))
        .then(pl.lit(NOT_DIPLOID))
        .when(pl.col("call_rate") < thresholds.variant_call_rate)
        .then(pl.lit(LOW_CALL_RATE))
        .when(pl.col("minor_allele_frequency").fill_null(0) < thresholds.minor_allele_frequency)
        .then(pl.lit(RARE))
        .when((pl.col("hardy_weinberg_p") < least_p) & unlike_ancestry)
        .then(pl.lit(NOT_HARDY_WEINBERG))
        .otherwise(pl.lit(None, dtype=pl.String))
    )
    judged = table.with_columns(reason=reason).with_columns(kept=pl.col("reason").is_null())
    return VariantQuality(judged.select(*VARIANT_QUALITY), tested_controls)


def _frequency(counts: GenotypeCounts, on_x: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The frequency of a1, NaN where nobody is called; on X men count once, half where they are miscalled heterozygous (plink2)."""
    copies, alleles = counts.copies.copy(), 2.0 * counts.present
    women = counts.codes[on_x, WOMEN].astype(np.float64)
    men = counts.codes[on_x, MEN].astype(np.float64)
    copies[on_x] = 2 * women[:, TWO_COPIES] + women[:, ONE_COPY] + men[:, TWO_COPIES] + men[:, ONE_COPY] / 2
    called = [TWO_COPIES, ONE_COPY, NO_COPY]
    alleles[on_x] = 2 * women[:, called].sum(axis=1) + men[:, called].sum(axis=1)
    frequency: NDArray[np.float64] = np.divide(
        copies, alleles, out=np.full(len(copies), np.nan), where=alleles > 0
    )
    return frequency


def _tested(counts: GenotypeCounts, on_x: NDArray[np.bool_], *, controls: bool) -> NDArray[np.int64]:
    """People with two copies, one and none, shape (variants, 3)."""
    everybody, women = (CONTROLS, FEMALE_CONTROLS) if controls else (EVERYBODY, WOMEN)
    tested = counts.codes[:, everybody].astype(np.int64)
    tested[on_x] = counts.codes[on_x, women]
    return np.ascontiguousarray(tested[:, [TWO_COPIES, ONE_COPY, NO_COPY]])


def _lacking(tested: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of the expected heterozygotes that is not there, below 0 where there are more, shape (variants,)."""
    two, one, none = tested.T.astype(np.float64)
    expected = (2 * two + one) * (2 * none + one) / np.maximum(2 * (two + one + none), 1)
    found: NDArray[np.float64] = np.divide(one, expected, out=np.ones(len(one)), where=expected > 0)
    return 1 - found
