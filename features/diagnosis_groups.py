"""ICD-9 codes in the ten groups of Strack 2014 (BioMed Res Int 781670, table 2), mental disorders apart."""

import polars as pl

SOURCE = "Strack 2014, BioMed Res Int 781670, table 2; mental disorders (290-319) apart"
# Whole-number part of the code, first and last; the first group that holds it counts.
GROUPS: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
    ("diabetes", ((250, 250),)),
    ("circulatory", ((390, 459), (785, 785))),
    ("respiratory", ((460, 519), (786, 786))),
    ("digestive", ((520, 579), (787, 787))),
    ("genitourinary", ((580, 629), (788, 788))),
    ("neoplasms", ((140, 239),)),
    ("mental", ((290, 319),)),
    ("musculoskeletal", ((710, 739),)),
    ("injury", ((800, 999),)),
)


def icd9_group(codes: pl.Series) -> pl.Series:
    """Return each code's group, "other" for the rest (E and V codes among them), null where there is no code."""
    whole = pl.col("code").str.extract(r"^\s*(\d{1,3})(?:\.|$)").cast(pl.Int32)
    group = pl.lit("other")
    for name, ranges in reversed(GROUPS):
        inside = pl.any_horizontal(whole.is_between(first, last) for first, last in ranges)
        group = pl.when(inside).then(pl.lit(name)).otherwise(group)
    grouped = pl.when(pl.col("code").is_not_null()).then(group)
    return pl.DataFrame({"code": codes}, schema={"code": pl.String}).select(grouped.alias("group"))["group"]
