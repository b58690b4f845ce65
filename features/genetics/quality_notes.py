"""What quality control could not judge as usual, in plain sentences that hold no count of people."""

import numpy as np
import polars as pl

from features.genetics.pooled_quality import Heterozygosity, PooledQuality
from features.genetics.sample_pairs import least_kinship
from features.genetics.sex_check import FEWEST_VARIANTS, SexCheck
from features.genetics.thresholds import QualityThresholds
from features.genetics.variant_quality import FEWEST_CONTROLS, NOT_HARDY_WEINBERG, VariantQuality

MANY_NOT_IN_PROPORTIONS = 0.05  # of the variants: more are no errors of genotyping
FEW_CHROMOSOMES = 10


def file_notes(
    quality: VariantQuality, heterozygosity: Heterozygosity, sex: SexCheck, thresholds: QualityThresholds
) -> list[str]:
    """Say what could not be judged in one file, and what its variants hint at.

    Args:
        quality: its variants; at least one.
        heterozygosity: of its samples.
        sex: of its samples.
        thresholds: the thresholds.
    """
    name = quality.table["file"].item(0)
    share = quality.table.filter(pl.col("reason") == NOT_HARDY_WEINBERG).height / quality.table.height
    notes = {
        f"fewer than {FEWEST_CONTROLS} controls are declared; Hardy-Weinberg proportions were tested in everybody, at p below "
        f"{thresholds.hardy_weinberg_everybody:g}; variants that lack heterozygotes as mixed ancestries do are kept.": not quality.tested_controls,
        f"{share:.0%} of the variants are not in Hardy-Weinberg proportions, {_explained(quality)}": share
        > MANY_NOT_IN_PROPORTIONS,
        f"sex was not checked: fewer than {FEWEST_VARIANTS} usable variants of chromosome X.": sex.variants
        < FEWEST_VARIANTS,
        "heterozygosity was not judged: too few people or variants.": not np.isfinite(
            heterozygosity.distance
        ).any(),
    }
    return [f"{name}: {note}" for note, holds in notes.items() if holds]


def _explained(quality: VariantQuality) -> str:
    """What so many variants hint at."""
    if quality.tested_controls:
        return (
            "which errors of genotyping hardly explain: controls of several ancestries are tested together. Lower "
            "quality.hardy_weinberg, or declare controls of one ancestry."
        )
    return "with too many heterozygotes or hardly any, which ancestry does not explain: look at how the genotypes were called."


def kinship_notes(pooled: PooledQuality, thresholds: QualityThresholds) -> list[str]:
    """Say which pairs could not be judged, or not well.

    Args:
        pooled: what kinship rests on.
        thresholds: of kinship.
    """
    least = least_kinship(pooled.standard_error, thresholds)
    if least != thresholds.kinship_relative:
        what = "neither duplicates nor relatives" if least is None else "duplicates but no relatives"
        return [
            f"Too few independent common variants stand in every file to tell relatives from chance: {what} were looked for."
        ]
    if pooled.pruned["chromosome"].n_unique() < FEW_CHROMOSOMES:
        return [
            "Kinship rests on few chromosomes; relatives who inherited the same parts of them look closer than they are."
        ]
    return []
