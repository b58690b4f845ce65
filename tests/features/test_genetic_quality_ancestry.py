"""Quality control takes neither people nor variants away for ancestry: minorities, admixed people, children of cousins."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from features.genetics.quality import GenotypeQuality, check_genotypes
from features.genetics.sample_quality import HETEROZYGOSITY
from features.genetics.thresholds import QualityThresholds
from features.genetics.variant_quality import NOT_HARDY_WEINBERG
from tests.features.genotypes_in_memory import GenotypesInMemory

VARIANTS = 7000
MANY, FEW = 110, 50  # of two ancestries: too few in all for heterozygosity to be predicted from components
ADMIXED, COUSINS, MIXTURE = (slice(MANY + FEW + start, MANY + FEW + start + 8) for start in (0, 8, 16))
ALL_HETEROZYGOUS, NONE_HETEROZYGOUS = 3, 4
DIFFERENT = slice(20, 50)
LEAST_P = 1e-5  # so that a small cohort tells


def _copies(random: np.random.Generator) -> NDArray[np.float64]:
    common = random.uniform(0.15, 0.85, VARIANTS)
    rare = random.beta(common * 5, (1 - common) * 5)  # Fst 1 / 6
    common[DIFFERENT], rare[DIFFERENT] = 0.15, 0.75
    frequencies = np.vstack(
        [np.tile(common, (MANY, 1)), np.tile(rare, (FEW, 1)), np.tile((common + rare) / 2, (8, 1))]
    )
    people = [random.binomial(2, frequencies)]
    one, other = random.binomial(1, np.tile(common, (2, 8, 1)))
    from_one_ancestor = np.repeat(random.random((8, VARIANTS // 100)) < 1 / 16, 100, axis=1)
    people.append(one + np.where(from_one_ancestor, one, other))
    first, second = people[0][:8], people[0][8:16]
    people.append(np.where(first == second, first, 1))
    copies = np.vstack(people).astype(np.float64)
    copies[:, ALL_HETEROZYGOUS] = 1
    copies[:, NONE_HETEROZYGOUS] = 2 * (np.arange(len(copies)) % 2)
    return copies


@pytest.fixture(scope="module")
def file() -> GenotypesInMemory:
    number = np.arange(VARIANTS)
    places = pl.DataFrame(
        {
            "chromosome": [str(1 + place % 20) for place in number],
            "position": 50_000_000 + 2_000 * number,
            "a1": ["A"] * VARIANTS,
            "a2": ["G"] * VARIANTS,
        }
    )
    return GenotypesInMemory(_copies(np.random.default_rng(6)), places)


def _people(file: GenotypesInMemory, *, control: bool | None) -> pl.DataFrame:
    return pl.DataFrame({"sample_id": file.samples, "patient_id": file.samples}).with_columns(
        sex=pl.lit(None, dtype=pl.String), control=pl.lit(control, dtype=pl.Boolean)
    )


@pytest.fixture(scope="module")
def quality(file: GenotypesInMemory) -> GenotypeQuality:
    return check_genotypes(
        [file], _people(file, control=None), QualityThresholds(hardy_weinberg_everybody=LEAST_P)
    )


def test_heterozygosity_fails_mixed_samples_not_ancestry_or_cousins(quality: GenotypeQuality) -> None:
    samples = quality.samples
    assert (samples["reason"][MIXTURE] == HETEROZYGOSITY).all()
    assert samples["kept"].sum() == samples.height - 8
    # The rule by standard deviations alone would have taken these.
    far = np.abs(samples["heterozygosity_distance"].to_numpy()) > 3
    assert far[:MANY].sum() == 0
    assert far[MANY : MANY + FEW].mean() > 0.5


def test_a_threshold_of_nothing_leaves_standard_deviations_alone(file: GenotypesInMemory) -> None:
    alone = check_genotypes(
        [file], _people(file, control=None), QualityThresholds(heterozygosity_f=0)
    ).samples
    beyond = alone["heterozygosity_distance"].abs() > 3
    assert (alone["reason"].eq_missing(HETEROZYGOSITY) == beyond).all()
    assert beyond.sum() > FEW / 2


def test_variants_of_different_frequency_stay_where_everybody_is_tested(
    file: GenotypesInMemory, quality: GenotypeQuality
) -> None:
    variants = quality.variants
    assert (variants["hardy_weinberg_p"].to_numpy()[DIFFERENT] < LEAST_P).sum() > 5
    failed = variants.filter(pl.col("reason") == NOT_HARDY_WEINBERG)["variant"].to_list()
    assert failed == [ALL_HETEROZYGOUS, NONE_HETEROZYGOUS]
    declared = check_genotypes([file], _people(file, control=True)).variants
    assert (declared["kept"] == (declared["hardy_weinberg_p"] >= 1e-6)).all()
