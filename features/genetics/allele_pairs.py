"""Which variant of a genotype file stands at the place of each row of a score, and how their alleles agree."""

import polars as pl

_COMPLEMENT = str.maketrans("ACGT", "TGCA")
_UNKNOWN_ALLELES = ("0", ".")
_POSITIONS = 1 << 33  # above any position


def allele_pairs(rows: pl.DataFrame, variants: pl.DataFrame, *, by_id: bool) -> pl.DataFrame:
    """The best variant for each row of a score that has any at its place.

    Args:
        rows: `row` and the columns of features.genetics.scoring_files.SCORING_VARIANTS.
        variants: columns features.genetics.genotypes.VARIANTS.
        by_id: look for the row's id instead of its chromosome and position.

    Returns:
        One row per row of the score with a variant at its place, in their order: `row`; `variant`, `at_chromosome` and
        `multiallelic` of the variant that agrees best; `fitting`, the number of variants there whose alleles agree (as written
        or, where none does, from the other strand); `effect_is_a1`; `strand_flipped`; `palindromic`: the alleles agree as
        written and complemented.
    """
    held = variants.select(
        "variant", "id", "chromosome", "position", "a1", "a2", "multiallelic", at_chromosome="chromosome"
    )
    if by_id:
        left, right = rows, held.filter(pl.col("id").is_not_null())
        pairs = left.select("row", "effect", "other", key="id").join(
            right.rename({"id": "key"}), on="key", how="inner", maintain_order="left_right"
        )
    else:
        left, right = _keyed(rows, held)
        pairs = left.select("row", "effect", "other", "key").join(
            right, on="key", how="inner", maintain_order="left_right"
        )
    pairs = pairs.select("row", "effect", "other", "variant", "at_chromosome", "a1", "a2", "multiallelic")
    return _best(_agreement(_turned(_known(pairs))))


def complement(allele: str) -> str | None:
    """The allele read from the other strand (reverse complement), None where it is not written in A, C, G, T."""
    if not allele or set(allele) - set("ACGT"):
        return None
    return allele.translate(_COMPLEMENT)[::-1]


def _keyed(rows: pl.DataFrame, held: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Chromosome and position as one number: joins of numbers are several times faster than those of text."""
    names = pl.concat([rows["chromosome"], held["chromosome"]]).drop_nulls().unique().sort()
    code = pl.col("chromosome").cast(pl.Enum(names)).to_physical().cast(pl.Int64)
    key = (code * _POSITIONS + pl.col("position")).alias("key")
    return rows.with_columns(key), held.with_columns(key).filter(pl.col("key").is_not_null())


def _known(pairs: pl.DataFrame) -> pl.DataFrame:
    """Where the genotype file saw one allele only, the other is the score's other one, if the known one is the score's."""
    unknown = pl.any_horizontal(pl.col("a1", "a2").is_in(_UNKNOWN_ALLELES))
    if not pairs.select(unknown.any()).item():
        return pairs
    for missing, known in (("a1", "a2"), ("a2", "a1")):
        pairs = pairs.with_columns(
            pl.when(~pl.col(missing).is_in(_UNKNOWN_ALLELES))
            .then(missing)
            .when(pl.col(known) == pl.col("effect"))
            .then(pl.coalesce("other", missing))
            .when(pl.col(known) == pl.col("other"))
            .then("effect")
            .otherwise(missing)
            .alias(missing)
        )
    return pairs


def _turned(pairs: pl.DataFrame) -> pl.DataFrame:
    alleles = pl.concat([pairs["effect"], pairs["other"]]).drop_nulls().unique().to_list()
    other_strand = {allele: complement(allele) for allele in alleles}
    turned = pl.col("effect", "other").replace_strict(other_strand, default=None, return_dtype=pl.String)
    return pairs.with_columns(turned.name.suffix("_turned"))


def _agreement(pairs: pl.DataFrame) -> pl.DataFrame:
    """`fits` and `strand_fits` (alleles agree as written, complemented), `effect_is_a1`, `palindromic` (both)."""
    several = pl.col("multiallelic")
    two = pairs.filter(~several)
    on_a1, on_a2 = _agree("effect", "other", "a1", "a2"), _agree("effect", "other", "a2", "a1")
    turned_a1 = _agree("effect_turned", "other_turned", "a1", "a2")
    turned_a2 = _agree("effect_turned", "other_turned", "a2", "a1")
    two = two.select(
        "row",
        "variant",
        "at_chromosome",
        "multiallelic",
        fits=on_a1 | on_a2,
        strand_fits=turned_a1 | turned_a2,
        effect_is_a1=pl.when(on_a1 | on_a2).then(on_a1).otherwise(turned_a1),
        palindromic=(on_a1 | on_a2) & (turned_a1 | turned_a2),
    )
    if two.height == pairs.height:
        return two
    rest = pl.col("a2").str.split(",")
    all_alleles = pl.concat_list(rest, "a1")
    no_other = pl.col("other").is_null()
    as_written = (pl.col("effect") == pl.col("a1")) & (no_other | rest.list.contains(pl.col("other")))
    complemented = (pl.col("effect_turned") == pl.col("a1")) & (
        no_other | rest.list.contains(pl.col("other_turned"))
    )
    both = rest.list.contains(pl.col("effect_turned")) & (
        no_other | all_alleles.list.contains(pl.col("other_turned"))
    )
    more = pairs.filter(several).select(
        "row",
        "variant",
        "at_chromosome",
        "multiallelic",
        fits=as_written.fill_null(False),
        strand_fits=complemented.fill_null(False),
        effect_is_a1=pl.lit(True),
        palindromic=(as_written & both).fill_null(False),
    )
    return pl.concat([two, more]).sort("row", "variant")


def _agree(effect: str, other: str, first: str, second: str) -> pl.Expr:
    """Effect is the first allele and other, where given, the second."""
    other_agrees = (pl.col(other) == pl.col(second)).fill_null(False) | pl.col("other").is_null()
    return (pl.col(effect) == pl.col(first)).fill_null(False) & other_agrees


def _best(pairs: pl.DataFrame) -> pl.DataFrame:
    """One pair per row; most rows have one variant at their place, so only the others are grouped."""
    several = pairs["row"].is_duplicated()
    kept = ["row", "variant", "at_chromosome", "multiallelic", "effect_is_a1", "palindromic"]
    one = pairs.filter(~several).select(
        *kept,
        fitting=(pl.col("fits") | pl.col("strand_fits")).cast(pl.UInt32),
        strand_flipped=~pl.col("fits"),
    )
    if not several.any():
        return one
    chosen = (
        pairs.filter(several)
        .sort("row", ~pl.col("fits"), ~pl.col("strand_fits"), "variant")
        .group_by("row", maintain_order=True)
        .agg(
            pl.col(kept[1:]).first(),
            fitting=pl.when(pl.col("fits").any())
            .then(pl.col("fits").sum())
            .otherwise(pl.col("strand_fits").sum()),
            strand_flipped=~pl.col("fits").first(),
        )
    )
    return pl.concat([one, chosen.select(one.columns)]).sort("row")
