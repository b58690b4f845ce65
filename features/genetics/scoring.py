"""Sum weights over effect alleles, a block of variants at a time, without looking at any other sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.matching import Match
from features.genetics.plink import MISSING, GenotypeFile, genotype_blocks

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SampleScores:
    """Scores of some samples of one genotype file.

    Attributes:
        values: samples x scores; NaN where a sample has no genotype of the score's variants.
        missing: missing genotypes per score among the matched variants of all these samples.
    """

    values: Floats
    missing: NDArray[np.int64]


def score_samples(
    genotypes: GenotypeFile, matches: Sequence[Match], *, samples: NDArray[np.int64]
) -> SampleScores:
    """The scores of some samples: sum over variants of weight x dosage of the effect allele (dominant: carried at all;
    recessive: carried twice).

    A missing genotype counts with its expectation where the scoring file states the effect allele's frequency f: 2f,
    dominant 1 - (1 - f)^2, recessive f^2 (Hardy-Weinberg). Where it states none, the missing genotype adds nothing and
    the sum is multiplied by matched variants over variants not missing: plink2's `no-mean-imputation` average
    (Chang et al., GigaScience 2015, 4:7) times the number of alleles. No frequency is ever taken from the samples.

    Args:
        genotypes: the file.
        matches: the scores matched to this file.
        samples: places in the .fam file.
    """  # noqa: D205
    wanted = np.unique(
        np.concatenate([match.used["variant"].to_numpy() for match in matches] or [np.empty(0, int)])
    )
    tables = [_contributions(match.used) for match in matches]
    places = [np.searchsorted(wanted, match.used["variant"].to_numpy()) for match in matches]
    imputed = [match.used["frequency"].is_not_null().to_numpy() for match in matches]
    totals = np.zeros((len(matches), len(samples)))
    missing = np.zeros((len(matches), len(samples)), dtype=np.int64)
    left_out = np.zeros((len(matches), len(samples)), dtype=np.int64)
    for part, codes in genotype_blocks(genotypes, samples=samples, variants=wanted):
        absent = codes == MISSING
        for score, table in enumerate(tables):
            inside = np.flatnonzero((places[score] >= part.start) & (places[score] < part.stop))
            columns = places[score][inside] - part.start
            # One addition per variant, elementwise: a sample's sum does not depend on who else is in the batch.
            for row, column in zip(inside, columns, strict=True):
                totals[score] += table[row].take(codes[:, column])
            missing[score] += absent[:, columns].sum(axis=1)
            left_out[score] += absent[:, columns[~imputed[score][inside]]].sum(axis=1)
    sizes = np.array([match.used.height for match in matches]).reshape(-1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(missing < sizes, totals * (sizes / (sizes - left_out)), np.nan)
    return SampleScores(values.T, missing.sum(axis=1))


def _contributions(used: pl.DataFrame) -> Floats:
    """What a variant adds to the score: variants x (0, 1, 2 copies of A1, missing)."""
    a1_copies = np.arange(3)
    effect_copies = np.where(used["effect_is_a1"].to_numpy()[:, None], a1_copies, 2 - a1_copies)
    frequency = used["frequency"].to_numpy()
    mode = used["mode"].to_numpy()[:, None]
    counted = np.select(
        [mode == "dominant", mode == "recessive"], [effect_copies >= 1, effect_copies == 2], effect_copies
    )
    expected = np.select(
        [mode[:, 0] == "dominant", mode[:, 0] == "recessive"],
        [1 - (1 - frequency) ** 2, frequency**2],
        2 * frequency,
    )
    known = np.column_stack([counted.astype(np.float64), np.nan_to_num(expected)])
    return np.asarray(known * used["weight"].to_numpy()[:, None], dtype=np.float64)
