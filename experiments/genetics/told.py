"""All that there is to tell of a study's genotypes, and what became of scores' rows and of pairs of samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from experiments.disclosure import hidden_cells
from experiments.genetics.matched import NOT_EVERYWHERE
from experiments.genetics.reference import Reference
from experiments.genetics.schemas import FORMS, RELATIONS
from experiments.genetics.scores import ANCESTRY, PatientScores, column_of
from experiments.genetics.summary import score_summary
from features.genetics.inputs import GeneticInputs, MatchedScores
from features.genetics.matching import Match
from features.genetics.quality import GenotypeQuality
from features.genetics.scoring import MissingGenotypes

QUALITY_FAILED = "failed_quality_control"


@dataclass(frozen=True)
class Told:
    """All that there is to tell of.

    Attributes:
        inputs: files and scores.
        people: one row per sample of a patient, with `network`.
        quality: of quality control.
        matched: the scores matched to the files; `used` without variants that failed.
        reference: the panel; None: none was declared.
        scored: the columns of the set by patient.
        missing: by file name, what stood in for missing genotypes.
    """

    inputs: GeneticInputs
    people: pl.DataFrame
    quality: GenotypeQuality
    matched: MatchedScores
    reference: Reference | None
    scored: PatientScores
    missing: Mapping[str, MissingGenotypes]

    def summary(self, study: str, smallest_cell: int) -> pl.DataFrame:
        """Return the scores by network and ancestry, schema ScoreSummary."""
        return score_summary(self.patients(), self.values(), study=study, smallest_cell=smallest_cell)

    def values(self) -> dict[tuple[str, str], str]:
        """Return the column of every score and form that there is."""
        named = {
            (score.name, form): column_of(score.name, form) for score in self.inputs.scoring for form in FORMS
        }
        return {key: column for key, column in named.items() if column in self.scored.frame.columns}

    def patients(self) -> pl.DataFrame:
        """Return one row per patient of the table genotypes: network, ancestry, file and the set's columns.

        Who has no usable sample has null columns.
        """
        files = self.quality.samples.select("patient_id", "file").unique(
            "patient_id", keep="first", maintain_order=True
        )
        frame = (
            self.people.select("patient_id", "network")
            .unique("patient_id", maintain_order=True)
            .join(files, on="patient_id", how="left", maintain_order="left")
            .join(self.scored.frame, on="patient_id", how="left", maintain_order="left")
        )
        ancestry = pl.col(ANCESTRY) if ANCESTRY in frame.columns else pl.lit(None, dtype=pl.String)
        return frame.with_columns(ancestry=ancestry)


def match_rows(told: Told) -> list[dict[str, Any]]:
    """Return per score and file what became of the score's rows."""
    rows = []
    for file in told.inputs.all_files:
        failed = set(told.quality.variants.filter((pl.col("file") == file.name) & ~pl.col("kept"))["variant"])
        for score, whole, used in zip(
            told.inputs.scoring, told.matched.whole[file.name], told.matched.used[file.name], strict=True
        ):
            own = {"score": score.name, "file": file.name, "reference": file is told.inputs.reference}
            rows.append({**own, **_match(whole, used, failed)})
    return sorted(rows, key=lambda row: (row["score"], row["reference"], row["file"]))


def _match(whole: Match, used: Match, failed: set[int]) -> dict[str, Any]:
    bad = sum(variant in failed for variant in whole.used["variant"])
    unused = {name: count for name, count in whole.counts.items() if name not in _OF_MATCHED}
    elsewhere = whole.used.height - used.used.height - bad
    return {
        "rows": whole.counts["rows"],
        "matched": whole.used.height,
        "used": used.used.height,
        "rate": whole.rate,
        "weight_share": used.weight_share,
        "alleles_flipped": whole.counts["alleles_flipped"],
        "strand_flipped": whole.counts["strand_flipped"],
        "unused": {**unused, QUALITY_FAILED: bad, NOT_EVERYWHERE.replace(" ", "_"): elsewhere},
    }


_OF_MATCHED = (
    "rows",
    "matched",
    "alleles_flipped",
    "strand_flipped",
    "palindromic",
    "by_id",
    "not_in_every_file",
)


def related_pairs(quality: GenotypeQuality, smallest_cell: int) -> dict[str, int | None]:
    """Return pairs of different patients by relation, of those that were looked for; null: suppressed.

    The unrelated are the rest of all pairs.
    """
    between = quality.pairs.filter(pl.col("patient_1") != pl.col("patient_2"))
    counts = {name: between.filter(pl.col("relation") == name).height for name in RELATIONS[:3]}
    people = quality.samples.height
    rest = max(people * (people - 1) // 2 - sum(counts.values()), 0)
    cells = np.array([[count] for count in counts.values() if count] + [[rest]], dtype=np.int64)
    hidden = iter(hidden_cells(cells, smallest_cell)) if smallest_cell else iter([np.False_] * len(cells))
    shown = {name: None if count and next(hidden) else count for name, count in counts.items()}
    return {name: shown[name] for name in quality.relations}
