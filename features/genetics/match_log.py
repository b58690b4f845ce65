"""The match log: what became of every row of a score in one genotype file, so that nothing is left out silently."""

import polars as pl

from features.genetics.genotypes import GenotypeFile
from features.genetics.matching import VERDICT, Match
from features.genetics.scoring_files import ScoringFile

MATCH_LOG = {
    "score": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "chromosome": pl.String,
    "position": pl.Int64,
    "effect": pl.String,
    "other": pl.String,
    "weight": pl.Float64,
    "variant": pl.String,
    "verdict": VERDICT,
}


def match_log(scoring: ScoringFile, match: Match, file: GenotypeFile) -> pl.DataFrame:
    """One row per row of the score, in the scoring file's order, columns MATCH_LOG.

    `variant` is the id of the matched variant in the genotype file (chromosome:position:a1:a2 where it has none), null where
    nothing matched. A match log holds variants, never a patient.

    Args:
        scoring: the score.
        match: the score matched to the file.
        file: the genotype file.
    """
    named = pl.coalesce(
        "id", pl.concat_str("chromosome", pl.col("position").cast(pl.String), "a1", "a2", separator=":")
    )
    names = file.variants.select("variant", name=named)
    verdicts = match.verdicts.with_columns(pl.col("line", "variant").cast(pl.Int64))
    rows = verdicts.join(names, on="variant", how="left", maintain_order="left").drop("variant")
    return (
        scoring.variants.join(rows, on="line", how="left", maintain_order="left")
        .with_columns(score=pl.lit(scoring.name), file=pl.lit(file.name))
        .rename({"name": "variant"})
        .select(*MATCH_LOG)
    )
