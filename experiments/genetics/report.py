"""What is told of a study's genotypes in words and in counts that may leave the site."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import polars as pl

from experiments.genetics.told import Told, match_rows, related_pairs
from experiments.genetics.warnings import warnings_of
from features.genetics.genotypes import GenotypeFile
from features.genetics.quality import GenotypeQuality
from features.genetics.settings import GeneticSettings


def report_of(
    told: Told, settings: GeneticSettings, summary: pl.DataFrame, smallest_cell: int
) -> dict[str, Any]:
    """Return what cards, MLflow and readers are told, as JSON values; no count of patients in it is small."""
    matches, missing = match_rows(told), _missing(told, smallest_cell)
    return {
        "sentence": _sentence(told, settings),
        "settings": _settings(settings),
        "files": [_file(file, reference=file is told.inputs.reference) for file in told.inputs.all_files],
        "scores": _scores(told),
        "matches": matches,
        "missing": missing,
        "relatives": related_pairs(told.quality, smallest_cell),
        "relative_words": _relative_words(told.quality, smallest_cell),
        "quality_words": [
            *_absent_words(told, smallest_cell),
            *cast("Sequence[str]", told.quality.flow["notes"]),
        ],
        "variants": {"pruned": told.quality.pruned.height},
        "warnings": warnings_of(
            told.patients(),
            told.values(),
            matches,
            missing,
            pruned=told.quality.pruned.height,
            settings=settings,
            smallest_cell=smallest_cell,
        ),
    }


def _sentence(told: Told, settings: GeneticSettings) -> str:
    files = len(told.inputs.files)
    ancestry = settings.ancestry
    if ancestry is None:
        words = "ancestry was not looked at"
    elif ancestry.in_fold:
        words = f"{ancestry.components} components of ancestry are fitted inside each training fold"
    else:
        assert told.inputs.reference is not None
        words = f"{ancestry.components} components of ancestry come from the reference {told.inputs.reference.name}"
    return (
        f"{files} genotype file{'s' if files > 1 else ''}, {len(told.inputs.scoring)} polygenic scores; "
        f"{told.quality.pruned.height:,} independent common variants stand in every file; {words}."
    )


def _settings(settings: GeneticSettings) -> dict[str, Any]:
    ancestry = settings.ancestry
    shown = None if ancestry is None else ancestry.reference
    return {
        "genome_build": settings.genome_build,
        "minimum_match": settings.minimum_match,
        "palindromic": settings.palindromic,
        "variants": settings.variants,
        "missing": {"imputation": settings.missing.imputation, "frequencies": settings.missing.frequencies},
        "quality": dict(settings.quality),
        "ancestry": None
        if ancestry is None
        else {
            "reference": ", ".join(shown) if isinstance(shown, tuple) else shown,
            "components": ancestry.components,
            "normalise": ancestry.normalise,
        },
    }


def _file(file: GenotypeFile, *, reference: bool) -> dict[str, Any]:
    return {
        "file": file.name,
        "reference": reference,
        "variants": file.variants.height,
        "genome_build": file.genome_build,
        "dosages": file.holds_dosages,
    }


def _scores(told: Told) -> list[dict[str, Any]]:
    return [
        {
            "score": score.name,
            "trait": score.header.get("trait_reported"),
            **score.facts(),
            "used": max(of_file[place].used.height for of_file in told.matched.used.values()),
        }
        for place, score in enumerate(told.inputs.scoring)
    ]


def _missing(told: Told, smallest_cell: int) -> list[dict[str, Any]]:
    """Per file and score the share of missing genotypes, and how many variants have no frequency to fill them by."""
    people = dict(told.quality.samples["file"].value_counts().iter_rows())
    unknown = {
        (file, score.name): int(np.isnan(told.missing[file].of_match(place, match)).sum())
        for file in told.scored.missing
        for place, (score, match) in enumerate(zip(told.inputs.scoring, told.matched.used[file], strict=True))
    }
    return [
        {
            "score": score,
            "file": file,
            "share": share if people.get(file, 0) >= smallest_cell else None,
            "without_frequency": unknown[file, score],
        }
        for file, shares in sorted(told.scored.missing.items())
        for score, share in sorted(shares.items())
    ]


def _absent_words(told: Told, smallest_cell: int) -> list[str]:
    """Say that samples of patients stand in no file: wrong ids, or genotypes that have not come yet."""
    lost = told.people.height - told.quality.samples.height
    if not lost:
        return []
    many = f"Fewer than {smallest_cell}" if lost < smallest_cell else f"{lost:,}"
    return [f"{many} samples of the table genotypes stand in no genotype file."]


def _relative_words(quality: GenotypeQuality, smallest_cell: int) -> list[str]:
    pairs = related_pairs(quality, smallest_cell)
    words = []
    twice = pairs.get("duplicate", 0)
    if twice is None or twice > 0:
        many = "Pairs" if twice is None else f"{twice:,} pair{'s' if twice > 1 else ''}"
        words.append(
            f"{many} of samples under two patients' ids are genetically one person, or identical twins: look at relatives.parquet "
            "and mend the ids where it is one person."
        )
    if any(count is None or count > 0 for count in pairs.values()):
        words.append("Relatives, to the second degree, are dealt to one fold together.")
    return words
