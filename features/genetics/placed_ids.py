"""Places and alleles of variants whose ids name them, such as 22:17080378:G:A, chr1:754182 or 7_55249071_C_T."""

import polars as pl

_PLACE = r"(?i)^(?:chr)?([0-9]{1,2}|X|Y|XY|M|MT)[:_]([0-9]{1,9})(?:[:_]([ACGT]+)[:_]([ACGT]+))?$"


def placed_by_ids(variants: pl.DataFrame) -> pl.DataFrame:
    """Fill in `chromosome`, `position` and, where it is not given, `other` of a score whose every id names a place.

    The other allele is the one of the id's two that is not the effect allele. Where an id names no place, nothing is filled
    in: the ids are then taken as the genotype file's.

    Args:
        variants: columns id, chromosome, position, effect and other, without any position.

    Returns:
        The same columns; `chromosome` as the id writes it.
    """
    named = variants.select(
        pl.col("id").str.extract_groups(_PLACE).struct.rename_fields(["c", "p", "a", "b"])
    )
    places = named.unnest("id").with_columns(pl.col("a", "b").str.to_uppercase())
    if places["p"].null_count() or places.is_empty():
        return variants
    effect, other = variants["effect"], variants["other"]
    of_id = places.select(
        other=pl.when(pl.col("a") == effect).then("b").when(pl.col("b") == effect).then("a")
    ).to_series()
    return variants.with_columns(
        chromosome=places["c"],
        position=places["p"].cast(pl.Int64),
        other=other.zip_with(other.is_not_null(), of_id),
    )
