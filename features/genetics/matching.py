"""Match the variants of a score to those of a genotype file by place and alleles, and count what does not match."""

from dataclasses import dataclass

import polars as pl

from features.genetics.scoring_files import ScoringFile

PALINDROMIC_POLICIES = ("drop", "keep")
UNUSED = (
    "palindromic_dropped",
    "absent",
    "allele_mismatch",
    "duplicate",
    "without_position",
    "not_diploid",
)
_COMPLEMENT = str.maketrans("ACGT", "TGCA")
_NOT_DIPLOID = ("Y", "MT")
_UNKNOWN_ALLELES = ("0", ".")


@dataclass(frozen=True)
class Match:
    """What of one score can be computed from one genotype file.

    Attributes:
        used: one row per matched variant in the order of the genotype file: `line` in the scoring file, `variant` (its
            0-based place in the genotype file), `effect_is_a1`, `weight`, `mode`, `frequency` (of the effect allele, null where not given).
        counts: rows of the score by what became of them: `matched`; of these `alleles_flipped` (the effect allele
            is A2) and `strand_flipped` (alleles agree after complement); and each of UNUSED.
        rate: matched rows over all rows of the score.
    """

    used: pl.DataFrame
    counts: dict[str, int]
    rate: float


def match_variants(scoring: ScoringFile, variants: pl.DataFrame, *, palindromic: str) -> Match:
    """Match a score to the variants of a genotype file.

    A row of the score matches a variant at its chromosome and position whose two alleles are its effect and other
    allele, as written or, when nothing there agrees as written, both complemented (read from the other strand). A/T and
    C/G variants look the same on both strands: they are left out (`drop`) or taken as written (`keep`). A variant
    that the genotype file holds twice, or that an earlier row of the score has taken already, counts as duplicate. A
    variant of which the genotype file knows one allele (everybody homozygous) matches when the score has that allele.

    Args:
        scoring: the score.
        variants: the genotype file's variants, as in GenotypeFile.variants.
        palindromic: one of PALINDROMIC_POLICIES.
    """
    rows = scoring.variants.with_columns(reason=_unplaced())
    candidates = _candidates(rows.filter(pl.col("reason").is_null()), variants)
    chosen = candidates.group_by("line", maintain_order=True).agg(
        pl.col("variant", "effect_is_a1", "strand_flipped", "palindromic").first(),
        fitting=pl.col("fits").sum(),
        strand_fitting=pl.col("strand_fits").sum(),
    )
    judged = rows.join(chosen, on="line", how="left", maintain_order="left").with_columns(
        reason=_judgement(palindromic)
    )
    taken = ["variant", "effect_is_a1", "mode"]
    again = (pl.col("reason") == "matched") & ~pl.struct(*taken, "reason").is_first_distinct()
    judged = judged.with_columns(reason=pl.when(again).then(pl.lit("duplicate")).otherwise("reason"))
    used = judged.filter(pl.col("reason") == "matched").sort("variant", "line")
    found = dict(judged["reason"].value_counts().iter_rows())
    counts = {
        "rows": rows.height,
        "matched": used.height,
        "alleles_flipped": used.filter(~pl.col("effect_is_a1")).height,
        "strand_flipped": used.filter("strand_flipped").height,
        **{reason: found.get(reason, 0) for reason in UNUSED},
    }
    return Match(used.select("line", *taken, "weight", "frequency"), counts, used.height / rows.height)


def complement(allele: str) -> str | None:
    """The allele read from the other strand (reverse complement), None where it is not written in A, C, G, T."""
    if not allele or set(allele) - set("ACGT"):
        return None
    return allele.translate(_COMPLEMENT)[::-1]


def _unplaced() -> pl.Expr:
    missing = pl.col("chromosome").is_null() | pl.col("position").is_null()
    return (
        pl.when(missing)
        .then(pl.lit("without_position"))
        .when(pl.col("chromosome").is_in(_NOT_DIPLOID))
        .then(pl.lit("not_diploid"))
    )


def _candidates(rows: pl.DataFrame, variants: pl.DataFrame) -> pl.DataFrame:
    """Every pair of a score's row and a variant at its place, those that fit best first."""
    pairs = rows.join(variants, on=["chromosome", "position"], how="inner", maintain_order="left_right")
    for known, unknown in (("a1", "a2"), ("a2", "a1")):
        pairs = pairs.with_columns(_fill_unknown(unknown, known))
    alleles = (
        pl.concat([pairs["effect"], pairs["other"], pairs["a1"], pairs["a2"]]).drop_nulls().unique().to_list()
    )
    other_strand = {allele: complement(allele) for allele in alleles}
    turned = pl.col("effect", "other", "a1").replace_strict(
        other_strand, default=None, return_dtype=pl.String
    )
    pairs = pairs.with_columns(turned.name.suffix("_turned"))
    on_a1, on_a2 = _agree("effect", "other", "a1", "a2"), _agree("effect", "other", "a2", "a1")
    turned_a1 = _agree("effect_turned", "other_turned", "a1", "a2")
    turned_a2 = _agree("effect_turned", "other_turned", "a2", "a1")
    return (
        pairs.with_columns(
            fits=on_a1 | on_a2,
            strand_fits=turned_a1 | turned_a2,
            palindromic=(pl.col("a1_turned") == pl.col("a2")).fill_null(False),
            on_a1=on_a1,
            turned_a1=turned_a1,
        )
        .with_columns(
            effect_is_a1=pl.when("fits").then("on_a1").otherwise("turned_a1"),
            strand_flipped=~pl.col("fits"),
        )
        .sort(pl.col("line"), ~pl.col("fits"), ~pl.col("strand_fits"), pl.col("variant"))
    )


def _fill_unknown(unknown: str, known: str) -> pl.Expr:
    """Where the genotype file saw one allele only, the other is the score's other one, if the known one is the score's."""
    return (
        pl.when(~pl.col(unknown).is_in(_UNKNOWN_ALLELES))
        .then(unknown)
        .when(pl.col(known) == pl.col("effect"))
        .then(pl.coalesce("other", unknown))
        .when(pl.col(known) == pl.col("other"))
        .then("effect")
        .otherwise(unknown)
        .alias(unknown)
    )


def _agree(effect: str, other: str, first: str, second: str) -> pl.Expr:
    """Effect is the first allele and other, where given, the second."""
    other_agrees = (pl.col(other) == pl.col(second)).fill_null(False) | pl.col("other").is_null()
    return (pl.col(effect) == pl.col(first)).fill_null(False) & other_agrees


def _judgement(palindromic: str) -> pl.Expr:
    """What becomes of each row: a reason of UNUSED or matched."""
    fitting = pl.when(pl.col("fitting") > 0).then("fitting").otherwise("strand_fitting")
    dropped = pl.col("palindromic") & (palindromic == "drop")
    return (
        pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(pl.col("variant").is_null())
        .then(pl.lit("absent"))
        .when(fitting == 0)
        .then(pl.lit("allele_mismatch"))
        .when(fitting > 1)
        .then(pl.lit("duplicate"))
        .when(dropped)
        .then(pl.lit("palindromic_dropped"))
        .otherwise(pl.lit("matched"))
    )
