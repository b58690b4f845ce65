"""Genome builds: what they are called, how long their chromosomes are, and how a score in another build is told.

Positions are never lifted over here: a score is taken in the build of the genotypes.
"""

import re
from collections.abc import Mapping

import polars as pl

from features.genetics.contigs import BUILDS, LENGTHS
from features.genetics.scoring_files import ScoringFile

GRCH37, GRCH38, NCBI36 = "GRCh37", "GRCh38", "NCBI36"
CHROMOSOMES = tuple(LENGTHS)
CHROMOSOME_LENGTHS: Mapping[str, tuple[int, ...]] = {
    build: tuple(lengths[place] for lengths in LENGTHS.values()) for place, build in enumerate(BUILDS)
}
_CALLED = {
    GRCH37: ("grch37", "hg19", "b37", "37"),
    GRCH38: ("grch38", "hg38", "b38", "38"),
    NCBI36: ("ncbi36", "hg18", "b36", "36"),
}
_FEWEST = 5  # shared ids, or rows, below which a disagreement says nothing
_MANY = 0.5  # share of shared ids that stand elsewhere, or of rows that only the other positions fit


def build_name(text: str | None) -> str | None:
    """GRCh37, GRCh38 or NCBI36 from the names in use (hg19, b37, GRCh38.p13, hg18, ...); None: none of them."""
    bare = re.sub(r"[\s_-]|\.?p[0-9]+$", "", (text or "").lower())
    return next((build for build, names in _CALLED.items() if bare in names), None)


def build_by_length(places: pl.DataFrame) -> str | None:
    """The only build whose chromosomes are long enough for all positions; None: both are, or neither.

    Args:
        places: columns chromosome and position.
    """
    last = places.group_by("chromosome").agg(pl.col("position").max())
    fitting = [build for build in CHROMOSOME_LENGTHS if not _beyond(last, build)]
    return fitting[0] if len(fitting) == 1 else None


def declared_wrongly(variants: pl.DataFrame, declared: str | None) -> str | None:
    """Say in a few words that positions cannot be in the declared build; None: nothing tells so.

    Args:
        variants: columns chromosome and position.
        declared: GRCh37 or GRCh38; None: nothing was declared.
    """
    held = build_by_length(variants)
    if declared is None or held in (None, declared):
        return None
    return f"positions lie beyond the ends of {declared}'s chromosomes, so that the genotypes are in {held}"


def build_mismatch(scoring: ScoringFile, variants: pl.DataFrame, genotypes_build: str | None) -> str | None:
    """Say in one sentence that a score is not in the genotypes' build, and how that is known; None: nothing tells so.

    Looked at are, in this order: positions beyond the end of a chromosome; declared builds; rs numbers that both hold, but
    at other positions; and the other positions of a harmonised file, where they fit the genotypes and those used do not. A
    score without positions has no build.

    Args:
        scoring: the score.
        variants: the genotype file's variants, columns features.genetics.genotypes.VARIANTS.
        genotypes_build: as the study or the file declares it; None: nothing does.
    """
    if scoring.by_id:
        return None
    declared, long_enough = build_name(scoring.genome_build), build_by_length(scoring.variants)
    score = long_enough or declared
    held_long_enough = build_by_length(variants)
    held = held_long_enough or build_name(genotypes_build)
    ours = "positions beyond the ends of the other build's chromosomes" if long_enough else "by its header"
    theirs = (
        "positions beyond the ends of the other build's chromosomes" if held_long_enough else "as declared"
    )
    if score is not None and held is not None and score != held:
        return _sentence(scoring, f"is in {score} ({ours})", f"are in {held} ({theirs})", held)
    return _by_ids(scoring, variants, score, held) or _by_other_positions(scoring, variants, score)


def _by_ids(scoring: ScoringFile, variants: pl.DataFrame, score: str | None, held: str | None) -> str | None:
    """By rs numbers of both, on the same chromosome, whose positions differ."""
    shared = (
        scoring.variants.select("id", "chromosome", "position")
        .drop_nulls()
        .filter(pl.col("id").str.starts_with("rs"))
        .join(variants.select("id", "chromosome", there="position"), on=["id", "chromosome"], how="inner")
    )
    apart = shared.filter(pl.col("position") != pl.col("there")).height
    if shared.height < _FEWEST or apart < _MANY * shared.height:
        return None
    known = f"{apart} of {shared.height} rs numbers that both hold stand at other positions"
    wanted = _other(score) if held in (None, score) else held
    named = f"is in {score}" if score else "is in a build that its header does not state"
    return _sentence(
        scoring, named, f"are not, most likely in {wanted}" if wanted else "are in another", wanted, known
    )


def _by_other_positions(scoring: ScoringFile, variants: pl.DataFrame, score: str | None) -> str | None:
    """By the positions of the score's authors, where they fit much better than the harmonised ones."""
    if scoring.original is None:
        return None
    places = variants.select("chromosome", "position").unique()
    rows = scoring.variants.height
    used, original = (
        table.select("chromosome", "position").join(places, on=["chromosome", "position"], how="semi").height
        for table in (scoring.variants, scoring.original.drop_nulls())
    )
    if original - used < max(_FEWEST, _MANY * rows):
        return None
    build = build_name(scoring.header.get("genome_build")) or _other(score)
    known = f"{original} of its {rows} original positions are theirs, but {used} of the harmonised ones"
    return _sentence(
        scoring,
        f"is in {score}" if score else "is harmonised to another build",
        f"are in {build}",
        build,
        known,
    )


def _sentence(scoring: ScoringFile, score: str, genotypes: str, build: str | None, known: str = "") -> str:
    advice = f"take the scoring file in {build}" if build else "take the scoring file in the genotypes' build"
    return (
        f"the score {scoring.name} ({scoring.path}) {score}, the genotypes {genotypes}{': ' if known else ''}{known}; {advice} (such as "
        f"the one harmonised to it by the PGS Catalog), or mend the build that is declared; positions are not lifted over here."
    )


def _other(build: str | None) -> str | None:
    return {GRCH37: GRCH38, GRCH38: GRCH37}.get(build or "")


def _beyond(last: pl.DataFrame, build: str) -> bool:
    """Whether a chromosome's last position lies beyond its end."""
    ends = dict(zip(CHROMOSOMES, CHROMOSOME_LENGTHS[build], strict=True))
    end = pl.col("chromosome").replace_strict(ends, default=None, return_dtype=pl.Int64)
    return last.filter(pl.col("position") > end).height > 0
