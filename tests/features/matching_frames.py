"""Scores and variants of genotype files as small frames, for the tests of matching."""

from collections.abc import Mapping, Sequence

import polars as pl

from features.genetics.genotypes import VARIANTS
from features.genetics.scoring_files import SCORING_VARIANTS, ScoringFile

Row = tuple[str | None, int | None, str, str | None]  # chromosome, position, effect, other
Held = tuple[str, int, str, str]  # chromosome, position, a1, a2; several others separated by commas


def score_of(
    rows: Sequence[Row],
    *,
    weights: Sequence[float] | None = None,
    frequencies: Sequence[float | None] | None = None,
    ids: Sequence[str | None] | None = None,
    header: Mapping[str, str] | None = None,
    original: pl.DataFrame | None = None,
) -> ScoringFile:
    """A score whose first row stands in line 2."""
    table = [
        (
            number + 2,
            *row,
            weights[number] if weights else 1.0,
            "additive",
            frequencies[number] if frequencies else None,
            ids[number] if ids else None,
        )
        for number, row in enumerate(rows)
    ]
    variants = pl.DataFrame(table, schema=SCORING_VARIANTS, orient="row")
    return ScoringFile("x", "x.txt", dict(header or {}), variants, 0, original=original)


def held_variants(variants: Sequence[Held], ids: Sequence[str | None] | None = None) -> pl.DataFrame:
    """Columns VARIANTS."""
    rows = [
        (number, c, p, ids[number] if ids else None, a1, a2, "," in a2)
        for number, (c, p, a1, a2) in enumerate(variants)
    ]
    return pl.DataFrame(rows, schema=VARIANTS, orient="row")
