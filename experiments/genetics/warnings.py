"""What a reader should take care of: differences between files that may be technical, and scores that lost much."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from experiments.genetics.schemas import FORMS, NOT_ASSIGNED
from features.genetics.scoring import NONE
from features.genetics.settings import GeneticSettings

APART = 0.2  # SD between two files: small, but as much as many polygenic effects
LOST = 0.05  # share of matched variants that quality control took
FEW_PRUNED = 1000  # with fewer independent variants people between two ancestries are taken for a third
UNLIKE = 0.1  # share of patients near no population of the reference
FEW_MISSING = 0.001  # below this share of missing genotypes it hardly matters how they are filled


def warnings_of(
    patients: pl.DataFrame,
    values: Mapping[tuple[str, str], str],
    matches: Sequence[Mapping[str, Any]],
    missing: Sequence[Mapping[str, Any]],
    *,
    pruned: int,
    settings: GeneticSettings,
    smallest_cell: int,
) -> list[str]:
    """Return sentences.

    Args:
        patients: `file`, `ancestry` and the columns of `values`.
        values: score and form to its column.
        matches: as told.match_rows gives them.
        missing: score, file, share of missing genotypes (None: of few people), without_frequency.
        pruned: variants that components stand on.
        settings: of the genetic set.
        smallest_cell: files with fewer scored patients are not compared.
    """
    return [
        *_nobody(patients.select(sorted(values.values()))),
        *_settings(settings),
        *_few_variants(pruned, settings),
        *_lost(matches, settings),
        *_unfilled(matches, missing, settings),
        *_unlike(patients, max(smallest_cell, 2)),
        *_apart(patients, values, max(smallest_cell, 2)),
    ]


def _nobody(scores: pl.DataFrame) -> list[str]:
    if not scores.width or scores.select(pl.any_horizontal(pl.all().is_not_null()).any()).item():
        return []
    return [
        "no patient has a score: none has a sample in the genotype files that passed quality control; samples.parquet says why "
        "of each sample."
    ]


def _settings(settings: GeneticSettings) -> list[str]:
    found = []
    ancestry = settings.ancestry
    referenced = ancestry is not None and not ancestry.in_fold
    if settings.variants == "each" and len(settings.files) > 1:
        found.append(
            "each file's scores stand on its own variants (variants: each): differences between files need have no biological "
            "reason" + (", and the reference's normalisation stands on others again." if referenced else ".")
        )
    if settings.missing.in_fold and referenced:
        found.append(
            "missing genotypes are filled in the fold, after the scores were normalised by the reference: normalise in the fold, too."
        )
    return found


def _few_variants(pruned: int, settings: GeneticSettings) -> list[str]:
    if settings.ancestry is None or pruned >= FEW_PRUNED:
        return []
    return [
        f"components of ancestry stand on {pruned:,} independent variants; with fewer than {FEW_PRUNED:,} people of mixed ancestry are "
        "placed near populations that are not theirs, and normalised scores keep part of the difference that ancestry makes. Use "
        "genotypes of the whole genome, imputed to one panel where arrays differ."
    ]


def _lost(matches: Sequence[Mapping[str, Any]], settings: GeneticSettings) -> list[str]:
    found = []
    for name in sorted({item["score"] for item in matches}):
        own = [item for item in matches if item["score"] == name]
        used, rows = min(item["used"] for item in own), own[0]["rows"]
        failed = max(item["unused"].get("failed_quality_control", 0) for item in own)
        if used < settings.minimum_match * rows:
            found.append(
                f"{name}: {used:,} of {rows:,} variants are left once all files and quality control agree, fewer than minimum_match "
                f"({settings.minimum_match:g}) asks of each file."
            )
        if failed > LOST * rows:
            found.append(f"{name}: quality control left out {failed:,} of its {rows:,} variants in one file.")
    return found


def _unfilled(
    matches: Sequence[Mapping[str, Any]], missing: Sequence[Mapping[str, Any]], settings: GeneticSettings
) -> list[str]:
    """Say where missing genotypes were to be filled by frequencies that nobody states: most scoring files have none."""
    if settings.missing.imputation == NONE:
        return []
    used = {(item["score"], item["file"]): item["used"] for item in matches}
    return [
        f"{item['score']} in {item['file']}: the frequency of {item['without_frequency']:,} of its "
        f"{used[item['score'], item['file']]:,} variants is not known, so that a missing genotype there counts as under "
        "imputation: none; name a file of frequencies under missing.frequencies, or cohort."
        for item in missing
        if (item["share"] or 0) >= FEW_MISSING
        and item["without_frequency"] > LOST * used[item["score"], item["file"]]
    ]


def _unlike(patients: pl.DataFrame, fewest: int) -> list[str]:
    """Say, without a count, that many patients are like nobody in the reference: what follows from it is a guess for them."""
    placed = patients["ancestry"].drop_nulls()
    count = int((placed == NOT_ASSIGNED).sum())
    if count < max(fewest, UNLIKE * len(placed)):
        return []
    return [
        "more than a tenth of the patients lie outside all populations of the reference, or between two of them. Where their ancestors "
        "are not in the panel, normalised scores keep part of the difference that ancestry makes: take a wider panel, and compare "
        "scores by ancestry."
    ]


def _apart(patients: pl.DataFrame, values: Mapping[tuple[str, str], str], fewest: int) -> list[str]:
    """Name scores whose mean differs between files, by the most normalised form that there is."""
    found = []
    for score in sorted({score for score, _ in values}):
        form = max((form for name, form in values if name == score), key=FORMS.index)
        known = patients.select("file", value=values[score, form]).drop_nulls()
        groups = {
            str(name): own["value"].to_numpy()
            for (name,), own in known.sort("file").group_by("file", maintain_order=True)
            if own.height >= fewest
        }
        for (one, first), (other, second) in combinations(groups.items(), 2):
            spread = float(np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2))
            apart = abs(float(first.mean() - second.mean())) / spread if spread > 0 else 0.0
            if apart > APART:
                normalised = (
                    "though normalised by ancestry" if form != "raw" else "not normalised by ancestry"
                )
                found.append(
                    f"{score}, {normalised}: the means of {one} and {other} lie {apart:.1f} SD apart; look for differences of arrays, "
                    "imputation, recruitment or ancestry before the score is read across them."
                )
    return found
