"""Whether a sample's chromosome X agrees with its patient's sex."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.common import PooledGenotypes, SharedVariants, pool_genotypes
from features.genetics.counting import MEN, WOMEN, People
from features.genetics.genotypes import NO_COPY, ONE_COPY, TWO_COPIES, GenotypeFile
from features.genetics.pruning import spread
from features.genetics.thresholds import QualityThresholds

Floats = NDArray[np.float64]

MOST_VARIANTS = 2000
FEWEST_VARIANTS = 50  # fewer: F of women scatters over the limits
# Pseudo-autosomal regions, which men have twice: base pairs from and to, ends of chromosome X (Genome Reference Consortium).
PSEUDO_AUTOSOMAL = {
    "GRCh37": ((60_001, 2_699_520), (154_931_044, 155_260_560)),
    "GRCh38": ((10_001, 2_781_479), (155_701_383, 156_030_895)),
}
AGREES, CONTRADICTS, UNCLEAR, NOT_CHECKED = "agrees", "contradicts", "unclear", "not checked"
SEX_CHECKS = (AGREES, CONTRADICTS, UNCLEAR, NOT_CHECKED)


@dataclass(frozen=True)
class SexCheck:
    """The sex check of one file's samples.

    Attributes:
        f: inbreeding coefficient on chromosome X: about 0 with two, 1 with one; shape (samples,), NaN where not known.
        judged: one of SEX_CHECKS each.
        variants: how many were looked at; with fewer than FEWEST_VARIANTS nobody is judged.
    """

    f: Floats
    judged: list[str]
    variants: int


def x_variants(
    quality: pl.DataFrame, thresholds: QualityThresholds, genome_build: str | None
) -> NDArray[np.int64]:
    """Choose the variants of chromosome X: common, well called, kept, outside the pseudo-autosomal regions.

    Args:
        quality: the file's table of `variant_quality`.
        thresholds: the thresholds of pruning.
        genome_build: None: the regions of both builds are left out.
    """
    position = pl.col("position")
    shared = [
        position.is_between(start, stop)
        for build, regions in PSEUDO_AUTOSOMAL.items()
        if genome_build in (None, build)
        for start, stop in regions
    ]
    fit = quality.filter(
        (pl.col("chromosome") == "X")
        & pl.col("kept")
        & (pl.col("call_rate") >= thresholds.pruning_call_rate)
        & (pl.col("minor_allele_frequency") >= thresholds.pruning_frequency)
        & ~pl.any_horizontal(shared)
    )
    return spread(fit["variant"].to_numpy(), MOST_VARIANTS)


def check_sex(
    file: GenotypeFile,
    people: People,
    variants: NDArray[np.int64],
    thresholds: QualityThresholds,
    *,
    threads: int = 1,
) -> SexCheck:
    """Compare each sample's heterozygosity on chromosome X with the patient's sex, as PLINK --check-sex.

    A sample whose F lies between the limits is unclear: it is reported and kept, because F of few variants scatters.

    Args:
        file: the file.
        people: the samples; men and women by their patients' records.
        variants: see `x_variants`.
        thresholds: `female_f` and `male_f`.
        threads: share out work on dosages.

    Raises:
        BadInput: the file turns out not to hold what its index says.
    """
    size = len(people.places)
    if len(variants) < FEWEST_VARIANTS or not size:
        return SexCheck(np.full(size, np.nan), [NOT_CHECKED] * size, len(variants))
    chosen = SharedVariants(
        file.variants[variants].select("chromosome", "position", "a1", "a2"),
        variants.reshape(1, -1),
        np.zeros((1, len(variants)), dtype=np.bool_),
    )
    f = _f_on_x(pool_genotypes([file], [people.places], chosen, threads=threads), people)
    by_record = np.where(people.groups[WOMEN], "w", np.where(people.groups[MEN], "m", ""))
    found = np.where(f < thresholds.female_f, "w", np.where(f > thresholds.male_f, "m", ""))
    judged = [
        NOT_CHECKED
        if not record or np.isnan(value)
        else UNCLEAR
        if not sex
        else AGREES
        if sex == record
        else CONTRADICTS
        for record, sex, value in zip(by_record, found, f, strict=True)
    ]
    return SexCheck(f, judged, len(variants))


def _f_on_x(pooled: PooledGenotypes, people: People) -> Floats:
    rows = pooled.rows[0]
    women, men = people.groups[WOMEN], people.groups[MEN]
    heterozygous, called, expected = (np.zeros(len(rows)) for _ in range(3))
    for packed in pooled.packed:
        codes = packed[rows >> 2] >> (2 * (rows & 3)).astype(np.uint8) & 3
        two, one, none = (codes == code for code in (TWO_COPIES, ONE_COPY, NO_COPY))
        copies = 2 * (two & women).sum() + (one & women).sum() + (two & men).sum()
        alleles = 2 * ((two | one | none) & women).sum() + ((two | none) & men).sum()
        frequency = copies / alleles if alleles else 0.0
        there = two | one | none
        heterozygous += one
        called += there
        expected += there * (2 * frequency * (1 - frequency))
    f: Floats = np.divide(
        expected - heterozygous, expected, out=np.full(len(rows), np.nan), where=expected > 0
    )
    return f
