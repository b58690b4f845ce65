"""Allele frequencies: of a declared reference, read from a file that plink2 or PLINK wrote, or counted in some samples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.delimited import TextFile, read_text_file, table
from features.genetics.genotypes import NO_COPY, ONE_COPY, TWO_COPIES, GenotypeBlock, GenotypeFile
from features.genetics.matching import Match
from features.genetics.scoring_files import chromosome_name
from features.genetics.threads import over_ranges

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PLINK2 = {
    "CHROM": "chromosome",
    "POS": "position",
    "ID": "id",
    "REF": "a2",
    "ALT": "a1",
    "ALT_FREQS": "frequency",
}
_PLINK1 = {"CHR": "chromosome", "SNP": "id", "A1": "a1", "A2": "a2", "MAF": "frequency"}
_NO_IDS = (".", "")
_NOT_COUNTED = ("NA", "nan", ".")  # a variant that nobody was called at


@dataclass(frozen=True)
class AlleleFrequencies:
    """The frequencies of a declared reference.

    Attributes:
        name: the file as messages name it.
        alleles: one row per allele: `chromosome`, `position` and `id` (null where the file gives none), `alleles` (of the variant,
            sorted, separated by commas), `allele`, `frequency`.
    """

    name: str
    alleles: pl.DataFrame

    def of_variants(self, variants: pl.DataFrame) -> Floats:
        """The frequency of a1, shape (variants,): found by id and alleles, else by place and alleles; NaN where neither is there.

        Which allele the file calls the first does not matter; alleles are never complemented.

        Args:
            variants: columns of features.genetics.genotypes.VARIANTS.

        Raises:
            BadInput: the file has none of the variants.
        """
        asked = variants.select(
            "chromosome", "position", "id", allele="a1", alleles=_sorted_alleles(pl.col("a1"), pl.col("a2"))
        )
        by_id = self._joined(asked, ["id"])
        by_place = self._joined(asked, ["chromosome", "position"])
        found = by_id.fill_null(by_place)
        if variants.height and found.null_count() == variants.height:
            raise BadInput(
                f"{self.name}: none of the {variants.height} variants stands there with the same alleles, by id or by position; "
                "name the frequencies of a reference with the same variants."
            )
        return np.asarray(found.fill_null(np.nan), dtype=np.float64)

    def _joined(self, asked: pl.DataFrame, place: Sequence[str]) -> pl.Series:
        keys = [*place, "alleles", "allele"]
        known = self.alleles.drop_nulls(place).unique(keys, keep="any", maintain_order=False)
        return asked.join(known.select(*keys, "frequency"), on=keys, how="left", maintain_order="left")[
            "frequency"
        ]


def read_frequencies(path: Path, *, shown: str) -> AlleleFrequencies:
    """Read a plink2 .afreq or PLINK 1 .frq file, plain, gzip or Zstandard.

    Formats: plink2 `--freq` (Chang et al., GigaScience 2015, 4:7, doi:10.1186/s13742-015-0047-8) and PLINK 1.9 `--freq`.

    Args:
        path: the file.
        shown: how messages name it.

    Raises:
        BadInput: the file is missing, cut short or of another kind; a frequency is not between 0 and 1; a variant has two
            different ones.
    """
    if not path.is_file():
        raise BadInput(f"{shown}: the file of frequencies does not exist; mend missing.frequencies.")
    text = read_text_file(path, shown)
    names, text = _column_names(text)
    rows = _by_allele(table(text, names, _wanted(names, shown)), names)
    _refuse_bad(rows, text)
    alleles = rows.filter(pl.col("frequency").is_finite().fill_null(value=False)).drop("line", "written")
    _refuse_two(alleles, shown)
    return AlleleFrequencies(shown, alleles)


def effect_frequencies(match: Match, frequencies: Floats) -> Floats:
    """The frequency of the effect allele by row of a match.

    Args:
        match: a score matched to a file.
        frequencies: of a1 by variant of the file, NaN where not known.
    """
    of_a1 = frequencies[match.used["variant"].to_numpy()]
    return np.asarray(np.where(match.used["effect_is_a1"].to_numpy(), of_a1, 1 - of_a1))


def count_frequencies(
    genotypes: GenotypeFile, *, samples: Integers, variants: Integers, threads: int = 1
) -> Floats:
    """The frequency of a1 among the alleles called in some samples, shape (variants,); NaN where nobody is called.

    On chromosome X a man by the file counts as one allele, half of what his genotype is coded, as in plink2's --freq.

    Args:
        genotypes: the file.
        samples: places of the samples, increasing.
        variants: places of the variants, increasing.
        threads: share out the variants.

    Raises:
        BadInput: the file is cut short.
    """
    on_x = (genotypes.variants["chromosome"] == "X").to_numpy()[variants]
    male = np.zeros(len(samples), bool) if genotypes.male is None else genotypes.male[samples]
    copies, alleles = np.zeros(len(variants)), np.zeros(len(variants))
    for block in genotypes.blocks(samples=samples, variants=variants):
        counted, called = _counts(block, male, threads)
        # Everybody, and less by half of what men count on X.
        halved = 0.5 * on_x[block.part]
        copies[block.part] = counted[0] - halved * counted[1]
        alleles[block.part] = 2 * (called[0] - halved * called[1])
    frequencies = np.full(len(variants), np.nan)
    np.divide(copies, alleles, out=frequencies, where=alleles > 0)
    return frequencies


def _counts(block: GenotypeBlock, male: NDArray[np.bool_], threads: int) -> tuple[Floats, Floats]:
    """Copies of a1 and genotypes called, of everybody and of men, shapes (2, variants)."""
    from features.genetics.counts_kernels import genotype_counts, packed_words, sample_masks

    if block.dosages is not None:
        groups = (block.dosages, block.dosages[:, male])
        copies = np.stack([np.nansum(one, axis=1, dtype=np.float64) for one in groups])
        return copies, np.stack([np.isfinite(one).sum(axis=1) for one in groups]).astype(np.float64)
    assert block.packed is not None
    words = packed_words(block.packed)
    masks = sample_masks(np.stack([np.ones(len(male), bool), male]))
    counts = np.zeros((len(words), 2, 4), dtype=np.int64)
    over_ranges(
        lambda start, stop: genotype_counts(words, masks, start, stop, counts), len(words), threads=threads
    )
    by_code = counts.transpose(2, 1, 0).astype(np.float64)
    return 2 * by_code[TWO_COPIES] + by_code[ONE_COPY], by_code[TWO_COPIES] + by_code[ONE_COPY] + by_code[
        NO_COPY
    ]


def _column_names(text: TextFile) -> tuple[tuple[str, ...], TextFile]:
    """The names of the columns; PLINK 1 writes them as a row without #."""
    if text.header is not None:
        return text.header, text
    line, _, rest = text.rows.partition(b"\n")
    first = tuple(line.decode(errors="replace").split("\t"))
    return first, replace(text, header=first, rows=rest, first_line=text.first_line + 1)


def _wanted(names: Sequence[str], shown: str) -> list[str]:
    for known in (_PLINK2, _PLINK1):
        if set(known) - {"POS"} <= set(names):
            return [name for name in known if name in names]
    raise BadInput(
        f"{shown}: this is no file of allele frequencies: it has no columns #CHROM, ID, REF, ALT, ALT_FREQS (plink2 --freq) or "
        "CHR, SNP, A1, A2, MAF (PLINK 1.9 --freq)."
    )


def _by_allele(text: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """One row per allele; the reference has what the others leave."""
    known = _PLINK2 if "ALT_FREQS" in names else _PLINK1
    rows = text.rename({name: column for name, column in known.items() if name in names})
    if "position" not in rows.columns:
        rows = rows.with_columns(position=pl.lit(None, dtype=pl.String))
    rows = rows.select(
        line=pl.int_range(pl.len(), dtype=pl.Int64),
        chromosome=chromosome_name("chromosome"),
        position=pl.col("position").cast(pl.Int64, strict=False),
        id=pl.when(~pl.col("id").is_in(_NO_IDS)).then(pl.col("id")),
        alleles=_sorted_alleles(pl.col("a1").str.to_uppercase(), pl.col("a2").str.to_uppercase()),
        first=pl.col("a1").str.to_uppercase().str.split(","),
        reference=pl.col("a2").str.to_uppercase(),
        written=pl.col("frequency"),
    ).with_columns(
        frequency=pl.col("written").str.split(",").list.eval(pl.element().cast(pl.Float64, strict=False))
    )
    fits = pl.col("first").list.len() == pl.col("frequency").list.len()
    stated = rows.filter(fits).explode("first", "frequency").rename({"first": "allele"})
    left = stated.group_by("line").agg(
        left=pl.when(pl.col("frequency").is_null().any()).then(None).otherwise(1 - pl.col("frequency").sum())
    )
    # Written with six digits, several alternatives may add up to a little more than one.
    of_reference = rows.join(left, on="line", how="left", maintain_order="left").with_columns(
        allele="reference",
        frequency=pl.when(pl.col("left").is_between(-1e-5, 0)).then(0.0).otherwise("left"),
    )
    columns = ["line", "chromosome", "position", "id", "alleles", "allele", "frequency", "written"]
    return pl.concat([stated.select(columns), of_reference.select(columns)]).sort("line", maintain_order=True)


def _refuse_bad(rows: pl.DataFrame, text: TextFile) -> None:
    uncounted = pl.col("written").is_in(_NOT_COUNTED)
    bad = rows.filter(~uncounted & ~pl.col("frequency").is_between(0, 1).fill_null(value=False))
    if bad.height:
        raise BadInput(
            f"{text.shown}: {bad['line'].n_unique()} frequencies are not between 0 and 1, one for each allele, first at line "
            f"{text.first_line + bad['line'].min()}; write the file again."  # type: ignore[operator]  # rows are there
        )


def _refuse_two(alleles: pl.DataFrame, shown: str) -> None:
    for place in (["id"], ["chromosome", "position"]):
        keys = [*place, "alleles", "allele"]
        known = alleles.drop_nulls(place).group_by(keys).agg(pl.col("frequency").n_unique())
        twice = known.filter(pl.col("frequency") > 1).select(*place, "alleles").n_unique()
        if twice:
            raise BadInput(
                f"{shown}: {twice} variant(s) stand there with two different frequencies; keep one row for each."
            )


def _sorted_alleles(first: pl.Expr, second: pl.Expr) -> pl.Expr:
    return pl.concat_str(first, second, separator=",").str.split(",").list.sort().list.join(",")
