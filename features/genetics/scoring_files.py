"""Read a polygenic score, a PGS Catalog scoring file or a plain weight table, into one table of variants and weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.genetics.placed_ids import placed_by_ids
from features.genetics.score_checks import Findings, refuse_ratios, refuse_two_weights
from features.genetics.score_text import Opening, read_opening, read_rows
from features.genetics.weight_tables import CATALOG, Layout, recognise

SCORING_VARIANTS = {
    "line": pl.Int64,
    "chromosome": pl.String,
    "position": pl.Int64,
    "effect": pl.String,
    "other": pl.String,
    "weight": pl.Float64,
    "mode": pl.String,
    "frequency": pl.Float64,
    "id": pl.String,
}
_PLACED = ("chromosome", "position")
_FLAGS = ("dominant", "recessive", "haplotype", "diplotype", "interaction")
_TEXTS = (
    *_PLACED,
    *(f"original_{name}" for name in _PLACED),
    "id",
    "effect",
    "other",
    "inferred",
    "weight",
    "frequency",
    *_FLAGS,
    "by_genotype",
    "label",
)
NUCLEOTIDES = "^[ACGT]+$"
_TRUE = ("TRUE", "1", "T", "YES", "Y")
_MOST_POSITION = 1e9
_CHROMOSOMES = {"23": "X", "24": "Y", "25": "X", "26": "MT", "XY": "X", "PAR1": "X", "PAR2": "X", "M": "MT"}


@dataclass(frozen=True)
class ScoringFile:
    """One polygenic score: what to weigh, and where it comes from.

    Attributes:
        name: the score's name in the settings.
        path: the file relative to the study's source folder, with `#column` where one of several is meant.
        header: the `#key=value` lines.
        variants: one row per variant with the columns of SCORING_VARIANTS: `line` of the file (from 1), `chromosome`
            without prefix, `position` (null: not placed), upper-case alleles (`other` null: not given), `weight` per
            copy of the effect allele, `mode` additive, dominant or recessive, `frequency` of the effect allele in the
            score's declared reference (null: not given), `id` (null: not given).
        repeated: rows left out because an identical row stood before them.
        format: one of the formats of features.genetics.weight_tables.
        original: `line`, `chromosome` and `position` as the score's authors gave them, where the file has harmonised
            positions too; None: it has not.
        unused: columns of p-values, which are not used.
    """

    name: str
    path: str
    header: dict[str, str]
    variants: pl.DataFrame
    repeated: int
    format: str = CATALOG
    original: pl.DataFrame | None = None
    unused: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The score's PGS Catalog id and citation, as far as its header gives them."""
        keys = ("pgs_id", "PGS ID", "citation", "Citation")
        known = [self.header[key] for key in keys if self.header.get(key)]
        return ": ".join(known) if known else self.path

    @property
    def genome_build(self) -> str:
        """The build of the positions that are used: the harmonised one where there is one."""
        keys = ("HmPOS_build", "genome_build", "Original Genome Build")
        return next((self.header[key] for key in keys if self.header.get(key)), "not stated")

    @property
    def by_id(self) -> bool:
        """Tell whether the score gives ids and no position at all, so that variants are found by their ids."""
        rows = self.variants.height
        return self.variants["position"].null_count() == rows > self.variants["id"].null_count()

    def facts(self) -> dict[str, object]:
        """What the report says of the file."""
        modes = dict(self.variants["mode"].value_counts().sort("mode").iter_rows())
        return {
            "file": self.path,
            "format": self.format,
            "source": self.source,
            "genome_build": self.genome_build,
            "rows": self.variants.height,
            "repeated_rows": self.repeated,
            "rows_by_mode": modes,
            "matched_by": "id" if self.by_id else "position",
            "unused_columns": list(self.unused),
        }


def split_column(path: str) -> tuple[str, str | None]:
    """The file, and the column of weights where the settings name one: `weights/many.txt#second`."""
    file, mark, column = path.rpartition("#")
    return (file, column) if mark and file and column and "/" not in column else (path, None)


def read_scoring_file(path: Path, *, name: str, shown: str) -> ScoringFile:
    """Read one score from a scoring file or weight table, plain or gzip.

    Positions are `hm_chr`/`hm_pos` where the file has them, else its own, else those that all of its ids name; a file
    without any is matched by id. The other allele is `other_allele`, else `hm_inferOtherAllele` where that is a single allele. What else is recognised stands in
    features.genetics.weight_tables. A path may name one column of weights after a '#' (unless a file is called so).

    Format: PGS Catalog scoring files 2.0, Lambert et al., Nature Genetics 2021, 53:420-425.

    Args:
        path: the file.
        name: the score's name in the settings.
        shown: how messages name the file.

    Raises:
        BadInput: the file is missing or not a scoring file; rows hold haplotypes, interactions, weights by genotype or
            alleles that genotype files do not have (named with their lines); weights are not finite numbers; a variant has
            two different weights.
    """
    column = None
    if not path.exists():
        file, column = split_column(path.name)
        path = path.with_name(file)
    opening = read_opening(path, shown)
    layout = recognise(opening, column=column, shown=shown)
    findings = Findings(shown)
    frames, originals = [], []
    for raw in read_rows(
        path,
        opening,
        columns=layout.columns,
        wanted=list(layout.places.values()),
        headed=layout.headed,
        shown=shown,
    ):
        rows = _typed(raw, layout)
        findings.add(rows)
        frames.append(rows.select(*SCORING_VARIANTS))
        if "original_position" in layout.places:
            originals.append(rows.select("line", **{name: f"original_{name}" for name in _PLACED}))
    findings.refuse()
    variants = _placed(pl.concat(frames))
    distinct = _distinct(variants, shown)
    refuse_ratios(distinct, opening.header.get("weight_type", ""), shown)
    return ScoringFile(
        name,
        shown,
        _header_of(opening, layout),
        distinct,
        variants.height - distinct.height,
        layout.format,
        pl.concat(originals) if originals else None,
        layout.unused,
    )


def chromosome_name(column: str) -> pl.Expr:
    """The chromosome without prefix and with PLINK's numbers and names for X, Y and MT written as letters."""
    bare = pl.col(column).str.to_uppercase().str.replace("^CHR", "").str.replace("^0+([1-9])", "${1}")
    return bare.replace(_CHROMOSOMES)


def _typed(raw: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """The columns of SCORING_VARIANTS from a table of text, and what features.genetics.score_checks looks at; what is no
    number becomes null.
    """  # noqa: D205
    text = raw.select("line", *_texts(layout.places, layout.columns))
    text = text.with_columns(
        *(_chromosomes(text[name]) for name in ("chromosome", "original_chromosome")),
        *(_whole(text[name]) for name in ("position", "original_position")),
    )
    other = pl.coalesce("other", "inferred").str.to_uppercase()
    mode = pl.when("dominant").then(pl.lit("dominant")).when("recessive").then(pl.lit("recessive"))
    return text.with_columns(
        *(pl.col(flag).str.to_uppercase().is_in(_TRUE).fill_null(False) for flag in _FLAGS)
    ).with_columns(
        pl.col("effect").str.to_uppercase(),
        other=pl.when(other.str.contains(NUCLEOTIDES)).then(other),
        weight_text=pl.col("weight"),
        weight=pl.col("weight").cast(pl.Float64, strict=False),
        frequency_text=pl.col("frequency"),
        frequency=pl.col("frequency").cast(pl.Float64, strict=False),
        mode=mode.otherwise(pl.lit("additive")),
    )


def _texts(places: Mapping[str, int], columns: tuple[str, ...]) -> list[pl.Expr]:
    return [
        (pl.col(columns[places[name]]) if name in places else pl.lit(None, pl.String)).alias(name)
        for name in _TEXTS
    ]


def _header_of(opening: Opening, layout: Layout) -> dict[str, str]:
    """The header; the build of harmonised positions counts only where the table has them."""
    harmonised = "harmonised_position" in layout.places
    return {key: value for key, value in opening.header.items() if harmonised or key != "HmPOS_build"}


def _placed(variants: pl.DataFrame) -> pl.DataFrame:
    """The rows with the places that their ids name, where the file gives no position."""
    if variants["position"].null_count() < variants.height:
        return variants
    placed = placed_by_ids(variants)
    return placed.with_columns(_chromosomes(placed["chromosome"]))


def _chromosomes(written: pl.Series) -> pl.Series:
    """Names of chromosomes, of which a file has few."""
    known = written.unique().to_frame().with_columns(named=chromosome_name(written.name))
    return written.replace_strict(known[written.name], known["named"], return_dtype=pl.String)


def _whole(text: pl.Series) -> pl.Series:
    """Positions; R writes 100000 as 1e+05."""
    number = text.cast(pl.Int64, strict=False)
    if number.null_count() > text.null_count():
        real = text.cast(pl.Float64, strict=False)
        whole = real.is_finite() & (real == real.floor()) & (real.abs() < _MOST_POSITION)
        number = number.zip_with(
            number.is_not_null() | ~whole.fill_null(False), real.cast(pl.Int64, strict=False)
        )
    return number.set((number <= 0).fill_null(False), None)


def _distinct(variants: pl.DataFrame, shown: str) -> pl.DataFrame:
    """The rows without those that repeat an earlier one; only rows that share their place can repeat or contradict."""
    again = variants.select(_place(variants["chromosome"]).is_duplicated()).to_series()
    if not again.any():
        return variants
    keys = ["chromosome", "position", "id", "effect", "other", "mode", "weight"]
    shared = variants.filter(again).unique(keys, keep="first", maintain_order=True)
    refuse_two_weights(shared, shown)
    return pl.concat([variants.filter(~again), shared]).sort("line")


def _place(chromosomes: pl.Series) -> pl.Expr:
    """A number that rows of one place share: a struct of its columns would take several times the memory."""
    names = chromosomes.drop_nulls().unique().sort()
    code = pl.col("chromosome").cast(pl.Enum(names)).to_physical().cast(pl.UInt64)
    number = code * (1 << 34) + pl.col("position").cast(pl.UInt64, strict=False)
    return pl.coalesce(number, pl.col("id").hash())
