"""What adjustments need of a patient's genotypes when components or frequencies are fitted in the training fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.genetics.packed import (
    GENOTYPES,
    MISSING,
    VARIANTS,
    genotype_bytes,
    missing_bytes,
    order_name,
)
from features.genetics.common import locate_variants
from features.genetics.genotypes import GenotypeFile
from features.genetics.inputs import GeneticInputs, MatchedScores
from features.genetics.matching import Match

Integers = NDArray[np.int64]
FAMILY = "genetic_family"
WORDS = {
    VARIANTS: "genotypes at variants that hardly correlate, two bits each: components are fitted on them in the training fold",
    GENOTYPES: "genotypes at the variants of the scores, two bits each: frequencies are counted on them in the training fold",
    FAMILY: "relatives share a name; null: no relative in the study",
}
MISSING_WORDS = "missing genotypes of the score, which the training fold's frequencies fill"


@dataclass(frozen=True)
class FoldColumns:
    """Columns of one patient each that no learner sees, and what they are by name."""

    frame: pl.DataFrame
    words: Mapping[str, str]


def component_columns(
    inputs: GeneticInputs,
    chosen: Mapping[str, pl.DataFrame],
    pruned: pl.DataFrame,
    families: pl.DataFrame,
) -> FoldColumns:
    """Return each patient's genotypes at the pruned variants, and the family.

    Args:
        inputs: genotype files.
        chosen: by file name, `patient_id` and `place` in the file, increasing.
        pruned: the variants, features.genetics.common.SHARED_VARIANTS; every file holds them.
        families: patient_id and family.
    """
    located = [locate_variants(pruned, file.variants) for file in inputs.files]
    named = order_name(located[0].variants)
    frames = [
        chosen[file.name].select(
            "patient_id",
            pl.Series(
                VARIANTS,
                genotype_bytes(
                    file,
                    own.places[0],
                    own.turned[0],
                    _samples(chosen[file.name]),
                    named=named,
                ),
                dtype=pl.Binary,
            ),
        )
        for file, own in zip(inputs.files, located, strict=True)
    ]
    family = families.select("patient_id", pl.col("family").cast(pl.String).alias(FAMILY))
    frame = pl.concat(frames).join(family, on="patient_id", how="left")
    return FoldColumns(frame, {name: WORDS[name] for name in (VARIANTS, FAMILY)})


def frequency_columns(
    inputs: GeneticInputs, matched: MatchedScores, chosen: Mapping[str, pl.DataFrame], columns: Sequence[str]
) -> FoldColumns:
    """Return each patient's genotypes at the scores' variants, and which of them each score misses.

    Args:
        inputs: genotype files.
        matched: scores whose used lines are the same in every file.
        chosen: by file name, `patient_id` and `place` in the file, increasing.
        columns: of the scores.
    """
    first = inputs.files[0]
    own = matched.used[first.name]
    union = np.unique(np.concatenate([match.used["variant"].to_numpy() for match in own])).astype(np.int64)
    named = order_name(first.variants[union])
    frames = []
    for file in inputs.files:
        places, turned, index, counted = _aligned(own, matched.used[file.name], union)
        samples = _samples(chosen[file.name])
        gone = missing_bytes(file, matched.used[file.name], samples, index, counted)
        frames.append(
            chosen[file.name].select(
                "patient_id",
                pl.Series(
                    GENOTYPES, genotype_bytes(file, places, turned, samples, named=named), dtype=pl.Binary
                ),
                *(
                    pl.Series(f"{column}{MISSING}", values, dtype=pl.Binary)
                    for column, values in zip(columns, gone, strict=True)
                ),
            )
        )
    words = {GENOTYPES: WORDS[GENOTYPES], **{f"{column}{MISSING}": MISSING_WORDS for column in columns}}
    return FoldColumns(pl.concat(frames), words)


def samples_by_file(files: Sequence[GenotypeFile], chosen: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return by file name the patients of the chosen samples (sample_id, patient_id, file) with their `place`, increasing."""
    found = {}
    for file in files:
        at = pl.DataFrame({"sample_id": file.samples}).with_columns(
            place=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        found[file.name] = at.join(
            chosen.filter(pl.col("file") == file.name), on="sample_id", how="inner"
        ).sort("place")
    return found


def _samples(chosen: pl.DataFrame) -> Integers:
    return chosen["place"].to_numpy().astype(np.int64)


def _aligned(
    first: Sequence[Match], other: Sequence[Match], union: Integers
) -> tuple[Integers, NDArray[np.bool_], list[Integers], list[NDArray[np.bool_]]]:
    """Return the union's places in a file, whether it counts the other allele, and by score and row of the file the place in
    the union and whether its effect allele is the first file's a1.
    """  # noqa: D205
    places = np.full(len(union), -1, dtype=np.int64)
    turned = np.zeros(len(union), dtype=np.bool_)
    index, counted = [], []
    for one, two in zip(first, other, strict=True):
        known = one.used.select("line", start="variant", counted="effect_is_a1")
        joined = two.used.select("line", "variant", "effect_is_a1").join(
            known, on="line", how="left", maintain_order="left", validate="1:1"
        )
        where = np.searchsorted(union, joined["start"].to_numpy())
        places[where] = joined["variant"].to_numpy()
        turned[where] = (joined["effect_is_a1"] != joined["counted"]).to_numpy()
        index.append(where.astype(np.int64))
        counted.append(joined["counted"].to_numpy())
    return places, turned, index, counted
