"""Variants as every format gives them: cleaned, and one row per allele where there are more than two."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from features.errors import BadInput
from features.genetics.genotypes import VARIANTS, Integers
from features.genetics.scoring_files import chromosome_name

_PSEUDOAUTOSOMAL = {"PAR1": "X", "PAR2": "X"}
_NO_IDS = (".", "")


@dataclass(frozen=True)
class AlleleRows:
    """The rows of `GenotypeFile.variants` and where in the file each comes from.

    Attributes:
        variants: columns VARIANTS.
        record: the variant's place in the file, shape (rows,); several rows of a multiallelic variant share one.
        allele: the allele that stands as a1: 0 the reference, 1 the first alternative and so on, shape (rows,).
    """

    variants: pl.DataFrame
    record: Integers
    allele: Integers


def clean_variants(
    text: pl.DataFrame, *, shown: str, first_line: int, lines: Integers | None = None
) -> pl.DataFrame:
    """Give the columns VARIANTS of a table of text, one row per variant with two alleles as written.

    Args:
        text: columns chromosome, position, id, a1, a2.
        shown: the file's name for messages.
        first_line: the line of the first row; the others follow it.
        lines: the line of every row, where they do not follow each other.

    Raises:
        BadInput: a position is not a whole number, or an allele is empty.
    """
    variants = text.select(
        variant=pl.int_range(pl.len(), dtype=pl.Int64),
        chromosome=chromosome_name("chromosome").replace(_PSEUDOAUTOSOMAL),
        position=pl.col("position").cast(pl.Int64, strict=False),
        id=pl.when(~pl.col("id").is_in(_NO_IDS)).then(pl.col("id")),
        a1=pl.col("a1").str.to_uppercase(),
        a2=pl.col("a2").str.to_uppercase(),
        multiallelic=pl.lit(value=False),
    )
    problems = {
        "position(s) are not whole numbers": pl.col("position").is_null(),
        "row(s) lack an allele": pl.col("a1").is_null() | pl.col("a2").is_null(),
    }
    for problem, condition in problems.items():
        found = variants.filter(condition)
        if found.height:
            place = found["variant"].item(0)
            line = first_line + place if lines is None else int(lines[place])
            raise BadInput(f"{shown}: {found.height} {problem}, first at line {line}; write the file again.")
    return variants


def split_alleles(variants: pl.DataFrame) -> AlleleRows:
    """Give one row per allele to each variant with more than two, the reference among them.

    Args:
        variants: columns VARIANTS, one row per variant of the file, a1 the alternatives, separated by commas, a2 the reference.
    """
    several = pl.col("a1").str.contains(",", literal=True)
    two = variants.filter(~several).with_columns(record="variant", allele=pl.lit(1, dtype=pl.Int64))
    rows = []
    for row in variants.filter(several).iter_rows(named=True):
        alleles = [row["a2"], *row["a1"].split(",")]
        for place, allele in enumerate(alleles):
            others = ",".join(alleles[:place] + alleles[place + 1 :])
            rows.append(
                row
                | {
                    "a1": allele,
                    "a2": others,
                    "multiallelic": True,
                    "record": row["variant"],
                    "allele": place,
                }
            )
    every = pl.concat([two, pl.DataFrame(rows, schema=two.schema)]).sort("record", "allele") if rows else two
    return AlleleRows(
        every.with_columns(variant=pl.int_range(pl.len(), dtype=pl.Int64)).select(list(VARIANTS)),
        np.ascontiguousarray(every["record"].to_numpy(), dtype=np.int64),
        np.ascontiguousarray(every["allele"].to_numpy(), dtype=np.int64),
    )
