"""Quality control of genotypes before any score: which variants, samples and pairs of samples can be relied on.

The order is that of Anderson et al. (Nature Protocols 2010, 5:1564-1573): samples by call rate; variants by call rate, frequency
and Hardy-Weinberg proportions in the samples left; then, on variants that hardly correlate, heterozygosity, sex and kinship.
Nothing is fitted on outcomes. Samples are marked, never left out silently, and only samples of the study's patients are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.common import SharedVariants, shared_variants
from features.genetics.counting import People, count_genotypes
from features.genetics.families import FAMILIES, families_of
from features.genetics.genotypes import GenotypeFile
from features.genetics.pooled_quality import PRUNED, PooledQuality, pooled_quality
from features.genetics.quality_flow import quality_flow
from features.genetics.quality_notes import file_notes, kinship_notes
from features.genetics.sample_pairs import DUPLICATE, NOT_RELATED, PAIRS, judged_relations, sample_pairs
from features.genetics.sample_quality import (
    HETEROZYGOSITY,
    LOW_CALL_RATE,
    SAMPLE_QUALITY,
    SEX,
    TWO_PEOPLE,
)
from features.genetics.sex_check import CONTRADICTS, NOT_CHECKED, SexCheck, check_sex, x_variants
from features.genetics.thresholds import QualityThresholds
from features.genetics.variant_quality import VARIANT_QUALITY, VariantQuality, variant_quality

_FEWEST_ALIGNABLE = 100  # two files with that many variants that share none are of two builds


@dataclass(frozen=True)
class GenotypeQuality:
    """What quality control found.

    Attributes:
        samples: one row per sample of a patient, files in their order; columns SAMPLE_QUALITY.
        variants: one row per variant of each file; columns VARIANT_QUALITY.
        pairs: pairs of samples that are related, or of one patient; columns PAIRS.
        pruned: variants for components and kinship, that every file (and the reference) has, ordered by chromosome and
            position, as the first file writes them; columns PRUNED. `common.locate_variants` finds them in a file.
        families: related patients; columns FAMILIES.
        flow: counts by step, exact: nothing is suppressed here. See `quality_flow`.
        relations: those that could be told from chance; no pair of another one was looked for.
    """

    samples: pl.DataFrame
    variants: pl.DataFrame
    pairs: pl.DataFrame
    pruned: pl.DataFrame
    families: pl.DataFrame
    flow: dict[str, object]
    relations: tuple[str, ...] = ()


@dataclass(frozen=True)
class _OfFile:
    """One file after its counts: all samples of patients, and those with a call rate that is high enough."""

    file: GenotypeFile
    known: pl.DataFrame  # place, sample_id, patient_id, sex, control
    call_rate: NDArray[np.float64]
    called: People
    quality: VariantQuality


def check_genotypes(
    files: Sequence[GenotypeFile],
    people: pl.DataFrame,
    thresholds: QualityThresholds | None = None,
    *,
    reference: GenotypeFile | None = None,
    genome_build: str | None = None,
    threads: int = 1,
) -> GenotypeQuality:
    """Check the genotypes of the study's patients.

    Each file is read twice, out of core: all variants for counts, and the candidates of pruning. Samples that fail by call
    rate are read once more to take them out of the counts, variants of chromosome X for the sex check.

    Args:
        files: the genotype files; a sample stands in one of them.
        people: one row per sample that belongs to a patient: `sample_id`, `patient_id`, `sex` (female, male, null), `control`
            (Boolean, null: not declared), and `position` of the patient where families are to be named by it. Samples that the
            files hold beside are not read.
        thresholds: None: the defaults.
        reference: a file of other people whose variants the pruned ones must be among; its genotypes are not read.
        genome_build: GRCh37 or GRCh38; None: regions of both are left out of pruning.
        threads: at most this many at once; the result does not depend on it.

    Raises:
        BadInput: files share no variants, everybody in a file fails, or a family is too large to be one.
    """
    limits = thresholds or QualityThresholds()
    if "position" not in people.columns:
        order = people.select("patient_id").unique(maintain_order=True).with_row_index("position")
        people = people.join(order, on="patient_id", how="left", maintain_order="left")
    found = [_count(file, people, limits, threads) for file in files]
    _refuse_all_failing(found, limits)
    judged = [of_file for of_file in found if of_file.known.height]
    if not judged:
        return _nothing(files)
    nobodys = [of_file.file for of_file in found if not of_file.known.height]
    beside = [*nobodys, *([reference] if reference is not None else [])]
    panels = [*(of_file.file for of_file in judged), *beside]
    shared = shared_variants([panel.variants for panel in panels])
    _refuse_no_overlap(panels, shared)
    pooled = pooled_quality(
        [of_file.file for of_file in judged],
        [of_file.called for of_file in judged],
        [of_file.quality.table for of_file in judged],
        shared,
        limits,
        genome_build=genome_build,
        threads=threads,
    )
    sexes = [_sex(of_file, limits, genome_build, threads) for of_file in judged]
    samples = _samples(judged, pooled, sexes, limits)
    pairs = sample_pairs(samples, pooled.planes, pooled.standard_error, limits, threads=threads)
    samples = _mark_two_people(samples, pairs)
    related = pairs.filter(pl.col("relation") != NOT_RELATED)
    patients = people.filter(pl.col("patient_id").is_in(samples["patient_id"].implode()))
    families = families_of(related, patients.select("patient_id", "position"), largest=limits.largest_family)
    variants = pl.concat([of_file.quality.table for of_file in judged])
    flow = {
        **quality_flow(files, samples=samples, variants=variants, pairs=pairs, families=families),
        "pruning": pooled.steps,
        "notes": [
            *(
                note
                for of_file, heterozygosity, sex in zip(judged, pooled.heterozygosity, sexes, strict=True)
                for note in file_notes(of_file.quality, heterozygosity, sex, limits)
            ),
            *kinship_notes(pooled, limits),
        ],
    }
    relations = judged_relations(pooled.standard_error, limits)
    return GenotypeQuality(samples, variants, pairs, pooled.pruned, families, flow, relations)


def _count(file: GenotypeFile, people: pl.DataFrame, limits: QualityThresholds, threads: int) -> _OfFile:
    places = pl.DataFrame({"sample_id": file.samples}, schema={"sample_id": pl.String}).with_row_index(
        "place"
    )
    known = places.join(people, on="sample_id", how="inner").sort("place")
    everybody = People.of(known)
    if not known.height:
        nobody = VariantQuality(pl.DataFrame(schema=VARIANT_QUALITY), False)
        return _OfFile(file, known, np.empty(0), everybody, nobody)
    counts = count_genotypes(file, everybody, threads=threads)
    call_rate = 1 - counts.sample_missing / counts.looked_at if counts.looked_at else np.zeros(known.height)
    fails = call_rate < limits.sample_call_rate
    if fails.any() and not fails.all():
        counts = counts.without(count_genotypes(file, everybody.take(fails), threads=threads))
    called = everybody.take(~fails)
    quality = variant_quality(file, called, counts, limits, threads=threads)
    return _OfFile(file, known, call_rate, called, quality)


def _refuse_all_failing(found: Sequence[_OfFile], limits: QualityThresholds) -> None:
    problems = [
        f"{of_file.file.name}: no sample has a genotype at {limits.sample_call_rate:.0%} of the variants; look at how the file was "
        "made (two arrays merged without imputation?), or lower quality.sample_call_rate."
        for of_file in found
        if of_file.known.height and not len(of_file.called.places)
    ]
    if problems:
        raise BadInput(*problems)


def _refuse_no_overlap(panels: Sequence[GenotypeFile], shared: SharedVariants) -> None:
    """Files that hold enough to be compared must have variants in common."""
    if shared.variants.height:
        return
    alignable = [shared_variants([panel.variants]).variants.height for panel in panels]
    if min(alignable) >= _FEWEST_ALIGNABLE:
        raise BadInput(
            f"{', '.join(panel.name for panel in panels)}: these genotype files have no variant in common by chromosome, position "
            "and alleles; bring them to one genome build, and impute them to one panel where their arrays differ."
        )


def _sex(of_file: _OfFile, limits: QualityThresholds, genome_build: str | None, threads: int) -> SexCheck:
    build = genome_build or of_file.file.genome_build
    chosen = x_variants(of_file.quality.table, limits, build)
    return check_sex(of_file.file, of_file.called, chosen, limits, threads=threads)


def _samples(
    judged: Sequence[_OfFile],
    pooled: PooledQuality,
    sexes: Sequence[SexCheck],
    limits: QualityThresholds,
) -> pl.DataFrame:
    """Put together what is known of each sample; those without a call rate that is high enough have no more than that."""
    frames = []
    for of_file, heterozygosity, sex in zip(judged, pooled.heterozygosity, sexes, strict=True):
        later = pl.DataFrame(
            {
                "place": of_file.called.places,
                "heterozygosity_f": heterozygosity.f,
                "heterozygosity_distance": heterozygosity.distance,
                "x_f": sex.f,
                "sex_check": sex.judged,
            },
            schema_overrides={"place": of_file.known.schema["place"]},
        ).fill_nan(None)
        frames.append(
            of_file.known.select("place", "sample_id", "patient_id")
            .with_columns(file=pl.lit(of_file.file.name), call_rate=pl.Series(of_file.call_rate))
            .join(later, on="place", how="left", maintain_order="left")
        )
    samples = pl.concat(frames).with_columns(pl.col("sex_check").fill_null(NOT_CHECKED))
    reason = (
        pl.when(pl.col("call_rate") < limits.sample_call_rate)
        .then(pl.lit(LOW_CALL_RATE))
        .when(
            (pl.col("heterozygosity_distance").abs() > limits.heterozygosity_sd)
            & (pl.col("heterozygosity_f").abs() > limits.heterozygosity_f)
        )
        .then(pl.lit(HETEROZYGOSITY))
        .when(pl.col("sex_check") == CONTRADICTS)
        .then(pl.lit(SEX))
        .otherwise(pl.lit(None, dtype=pl.String))
    )
    return samples.with_columns(reason=reason, kept=reason.is_null()).select(*SAMPLE_QUALITY)


def _mark_two_people(samples: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Mark samples of one patient that are not of one person: which of them is the patient's cannot be told."""
    apart = pairs.filter((pl.col("patient_1") == pl.col("patient_2")) & (pl.col("relation") != DUPLICATE))
    theirs = pl.concat([apart["patient_1"], apart["patient_2"]]).unique().implode()
    return samples.with_columns(
        reason=pl.when(pl.col("reason").is_null() & pl.col("patient_id").is_in(theirs))
        .then(pl.lit(TWO_PEOPLE))
        .otherwise("reason")
    ).with_columns(kept=pl.col("reason").is_null())


def _nothing(files: Sequence[GenotypeFile]) -> GenotypeQuality:
    """Nobody of the study stands in the files."""
    samples, variants = pl.DataFrame(schema=SAMPLE_QUALITY), pl.DataFrame(schema=VARIANT_QUALITY)
    pairs, families = pl.DataFrame(schema=PAIRS), pl.DataFrame(schema=FAMILIES)
    flow = quality_flow(files, samples=samples, variants=variants, pairs=pairs, families=families)
    return GenotypeQuality(
        samples, variants, pairs, pl.DataFrame(schema=PRUNED), families, {**flow, "pruning": [], "notes": []}
    )
