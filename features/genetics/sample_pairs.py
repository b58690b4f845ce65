"""Pairs of samples that are related, and pairs of samples of one patient that should be the same."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.relatedness import STANDARD_ERRORS, KinshipPairs, Planes, kinship_of, related_pairs
from features.genetics.sample_quality import LOW_CALL_RATE
from features.genetics.thresholds import QualityThresholds

DUPLICATE, FIRST_DEGREE, SECOND_DEGREE, NOT_RELATED = (
    "duplicate",
    "first degree",
    "second degree",
    "not related",
)
GROSS = 2  # times the limit of heterozygosity: no chance, a mixture of people
RELATIONS = (DUPLICATE, FIRST_DEGREE, SECOND_DEGREE, NOT_RELATED)
PAIRS = {
    "file_1": pl.String,
    "sample_1": pl.String,
    "patient_1": pl.String,
    "file_2": pl.String,
    "sample_2": pl.String,
    "patient_2": pl.String,
    "variants": pl.Int64,  # called in both
    "kinship": pl.Float64,  # 1/2: the same person, 1/4: first degree, 1/8: second; KING-robust
    "relation": pl.String,  # one of RELATIONS; not related: two samples of one patient that are not of one person
}


def sample_pairs(
    samples: pl.DataFrame,
    planes: Planes,
    standard_error: float,
    thresholds: QualityThresholds,
    *,
    threads: int = 1,
) -> pl.DataFrame:
    """Find related samples, and look at pairs of samples of one patient.

    Samples with far too many heterozygous genotypes are left out: a mixture of people seems related to everybody. Those that
    fail by a little, or by too few, stay: who they are related to is true, and folds must know it. Relatives are judged
    only where unrelated people would not come near the threshold by chance, STANDARD_ERRORS away; duplicates likewise.

    Args:
        samples: columns SAMPLE_QUALITY; those without a low call rate stand in `planes`, in the same order.
        planes: genotypes at the variants of kinship.
        standard_error: of the kinship of unrelated people.
        thresholds: of kinship.
        threads: at most this many at once.

    Returns:
        Columns PAIRS, ordered as the samples.
    """
    called = samples.filter(pl.col("reason").is_null() | (pl.col("reason") != LOW_CALL_RATE))
    excess = (pl.col("heterozygosity_distance") < -GROSS * thresholds.heterozygosity_sd) & (
        pl.col("heterozygosity_f") < -thresholds.heterozygosity_f
    )
    fit = called.select(~excess.fill_null(False)).to_series().to_numpy()
    least = least_kinship(standard_error, thresholds)
    if least is None:
        return pl.DataFrame(schema=PAIRS)
    people = np.flatnonzero(fit)
    chosen = planes if fit.all() else Planes(planes.bits[people], planes.variants)
    related = related_pairs(chosen, least, threads=threads)
    own = _of_one_patient(called["patient_id"].gather(people))
    apart = kinship_of(chosen, own)
    low = ~(apart.kinship > least)
    every = KinshipPairs(
        np.concatenate([related.samples, apart.samples[low]]),
        np.concatenate([related.kinship, apart.kinship[low]]),
        np.concatenate([related.variants, apart.variants[low]]),
    )
    return _frame(called[people], every, thresholds)


def least_kinship(standard_error: float, thresholds: QualityThresholds) -> float | None:
    """The kinship above which pairs are kept: that of relatives, of duplicates, or None: no pair can be judged."""
    for threshold in (thresholds.kinship_relative, thresholds.kinship_duplicate):
        if threshold >= STANDARD_ERRORS * standard_error:
            return threshold
    return None


def judged_relations(standard_error: float, thresholds: QualityThresholds) -> tuple[str, ...]:
    """The relations that pairs can be told to have: all degrees, duplicates alone, or none."""
    least = least_kinship(standard_error, thresholds)
    if least is None:
        return ()
    return RELATIONS[:3] if least == thresholds.kinship_relative else (DUPLICATE,)


def _of_one_patient(patients: pl.Series) -> NDArray[np.int64]:
    """All pairs of places that hold one patient, shape (pairs, 2)."""
    listed = (
        patients.alias("patient")
        .to_frame()
        .with_row_index("place")
        .with_columns(pl.col("place").cast(pl.Int64))
    )
    several = listed.filter(pl.col("patient").is_duplicated())
    pairs = several.join(several, on="patient", suffix="_2").filter(pl.col("place") < pl.col("place_2"))
    return pairs.select("place", "place_2").sort("place", "place_2").to_numpy().reshape(-1, 2)


def _frame(samples: pl.DataFrame, pairs: KinshipPairs, thresholds: QualityThresholds) -> pl.DataFrame:
    sides = [
        samples[pairs.samples[:, side]].select(
            pl.col("file").alias(f"file_{side + 1}"),
            pl.col("sample_id").alias(f"sample_{side + 1}"),
            pl.col("patient_id").alias(f"patient_{side + 1}"),
        )
        for side in (0, 1)
    ]
    kinship = pl.col("kinship")
    relation = (
        pl.when(kinship > thresholds.kinship_duplicate)
        .then(pl.lit(DUPLICATE))
        .when(kinship > thresholds.kinship_first_degree)
        .then(pl.lit(FIRST_DEGREE))
        .when(kinship > thresholds.kinship_relative)
        .then(pl.lit(SECOND_DEGREE))
        .otherwise(pl.lit(NOT_RELATED))
    )
    return (
        pl.concat(sides, how="horizontal")
        .with_columns(
            first=pl.Series(pairs.samples[:, 0]),
            second=pl.Series(pairs.samples[:, 1]),
            variants=pl.Series(pairs.variants),
            kinship=pl.Series(pairs.kinship),
        )
        .with_columns(relation=relation)
        .sort("first", "second")
        .with_columns(pl.col("kinship").fill_nan(None))
        .select(*PAIRS)
    )
