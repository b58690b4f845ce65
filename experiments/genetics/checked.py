"""What stage genotypes gives: tables of the site, and what of them may leave it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from experiments.genetics.schemas import (
    GenotypeSamples,
    GenotypeVariants,
    MatchLog,
    Panel,
    PrunedVariants,
    Relatives,
    ScoreSummary,
)
from features.schema import ColumnDescriptions, Families

NO_GENOTYPES = "This study has no genetic feature set: no genotypes were read."


@dataclass(frozen=True)
class CheckedGenotypes:
    """Genotypes checked, matched and placed among a reference; of a study without genotypes all of it is empty.

    Attributes:
        samples: schema GenotypeSamples.
        variants: schema GenotypeVariants.
        relatives: schema Relatives.
        families: schema Families.
        pruned: schema PrunedVariants.
        match_log: schema MatchLog.
        panel: schema Panel; empty without a reference.
        normalisation: states of the reference's components, populations and normalised scores; no row of anybody.
        scores: patient_id and the columns of the genetic set, one row per patient with a usable sample.
        columns: what those columns are, schema ColumnDescriptions.
        summary: schema ScoreSummary.
        flow: exact counts of each step, of the site; `mapped_samples`: those of the table genotypes.
        report: words and counts that may leave the site.
        figures: name to matplotlib figure.
    """

    samples: pl.DataFrame = field(default_factory=GenotypeSamples.create_empty)
    variants: pl.DataFrame = field(default_factory=GenotypeVariants.create_empty)
    relatives: pl.DataFrame = field(default_factory=Relatives.create_empty)
    families: pl.DataFrame = field(default_factory=Families.create_empty)
    pruned: pl.DataFrame = field(default_factory=PrunedVariants.create_empty)
    match_log: pl.DataFrame = field(default_factory=MatchLog.create_empty)
    panel: pl.DataFrame = field(default_factory=Panel.create_empty)
    normalisation: Mapping[str, Any] = field(default_factory=dict)
    scores: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"patient_id": pl.String}))
    columns: pl.DataFrame = field(default_factory=ColumnDescriptions.create_empty)
    summary: pl.DataFrame = field(default_factory=ScoreSummary.create_empty)
    flow: Mapping[str, Any] = field(default_factory=lambda: {"samples": [], "patients": [], "variants": []})
    report: Mapping[str, Any] = field(
        default_factory=lambda: {"sentence": NO_GENOTYPES, "files": [], "scores": []}
    )
    figures: Mapping[str, Any] = field(default_factory=dict)
