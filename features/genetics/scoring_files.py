"""Read PGS Catalog scoring files (format 2.0, harmonised or not) into one table of variants and weights."""

import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.errors import BadInput

SCORING_VARIANTS = {
    "line": pl.Int64,
    "chromosome": pl.String,
    "position": pl.Int64,
    "effect": pl.String,
    "other": pl.String,
    "weight": pl.Float64,
    "mode": pl.String,
    "frequency": pl.Float64,
}
NUCLEOTIDES = "^[ACGT]+$"
_TRUE = ("TRUE", "1", "T", "YES", "Y")
_COMPLEX_FLAGS = {
    "is_haplotype": "haplotypes",
    "is_diplotype": "diplotypes",
    "is_interaction": "interactions",
}
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class ScoringFile:
    """One polygenic score: what to weigh, and where it comes from.

    Attributes:
        name: the score's name in the settings.
        path: the file relative to the study's source folder.
        header: the `#key=value` lines.
        variants: one row per variant with the columns of SCORING_VARIANTS: `line` of the file (from 1), `chromosome`
            without prefix, `position` (null: not placed), upper-case alleles (`other` null: not given), `weight` per
            copy of the effect allele, `mode` additive, dominant or recessive, `frequency` of the effect allele in the
            score's declared reference (null: not given).
        repeated: rows left out because an identical row stood before them.
    """

    name: str
    path: str
    header: dict[str, str]
    variants: pl.DataFrame
    repeated: int

    @property
    def source(self) -> str:
        """The score's PGS Catalog id and citation, as far as its header gives them."""
        known = [self.header[key] for key in ("pgs_id", "citation") if self.header.get(key)]
        return ": ".join(known) if known else self.path

    @property
    def genome_build(self) -> str:
        """The build of the positions that are used: the harmonised one where there is one."""
        return self.header.get("HmPOS_build") or self.header.get("genome_build") or "not stated"


def read_scoring_file(path: Path, *, name: str, shown: str) -> ScoringFile:
    """Read one scoring file, plain or gzip.

    Positions are `hm_chr`/`hm_pos` where the file has them, else `chr_name`/`chr_position`. The other allele is
    `other_allele`, else `hm_inferOtherAllele` where that is a single allele.

    Format: PGS Catalog scoring files 2.0, Lambert et al., Nature Genetics 2021, 53:420-425.

    Args:
        path: the file.
        name: the score's name in the settings.
        shown: how messages name the file.

    Raises:
        BadInput: the file is missing or not a scoring file; rows hold haplotypes, interactions or other alleles that
            PLINK 1 genotypes do not have; weights are not finite numbers; a variant has two different weights.
    """
    content = _content(path, shown)
    header, body, first_line = _split_header(content)
    raw = _raw_table(body, first_line, shown)
    _refuse_missing_columns(raw, shown)
    _refuse_complex(raw, shown)
    variants = _typed(raw)
    _refuse_bad_rows(raw, variants, shown)
    distinct = variants.unique(
        ["chromosome", "position", "effect", "other", "mode", "weight"], keep="first", maintain_order=True
    )
    _refuse_two_weights(distinct, shown)
    return ScoringFile(name, shown, header, distinct, variants.height - distinct.height)


def chromosome_name(column: str) -> pl.Expr:
    """The chromosome without prefix and with PLINK's numbers for X, Y and MT written as letters."""
    bare = pl.col(column).str.to_uppercase().str.replace("^CHR", "").str.replace("^0+([1-9])", "${1}")
    return bare.replace({"23": "X", "24": "Y", "25": "X", "26": "MT", "XY": "X", "M": "MT"})


def _content(path: Path, shown: str) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except FileNotFoundError:
        raise BadInput(f"{shown}: the scoring file does not exist; mend its path under scores.") from None
    except (OSError, EOFError, zlib.error):
        raise BadInput(f"{shown}: the scoring file cannot be read; fetch it again.") from None


def _split_header(content: bytes) -> tuple[dict[str, str], bytes, int]:
    """The header's keys and values, the rest of the file, and the number of the rest's first line."""
    header: dict[str, str] = {}
    rest = content.removeprefix(b"\xef\xbb\xbf")
    lines = 1
    while rest.startswith(b"#"):
        line, _, rest = rest.partition(b"\n")
        key, found, value = line.decode(errors="replace").lstrip("#").partition("=")
        if found:
            header[key.strip()] = value.strip()
        lines += 1
    return header, rest, lines


def _raw_table(body: bytes, first_line: int, shown: str) -> pl.DataFrame:
    """Every cell as text, null where empty, with its line number in the file."""
    try:
        raw = pl.read_csv(
            io.BytesIO(body),
            separator="\t",
            infer_schema=False,
            quote_char=None,
            encoding="utf8-lossy",
            row_index_name="line",
            row_index_offset=first_line + 1,
        )
    except pl.exceptions.PolarsError:
        raise BadInput(
            f"{shown}: this is not a PGS Catalog scoring file (tab-separated, one header row, then one row a variant)."
        ) from None
    cells = pl.exclude("line").str.strip_chars().replace("", None)
    raw = raw.rename(lambda column: column.strip()).with_columns(pl.col("line").cast(pl.Int64), cells)
    return raw.filter(~pl.all_horizontal(pl.exclude("line").is_null()))


def _refuse_missing_columns(raw: pl.DataFrame, shown: str) -> None:
    if "effect_weight" not in raw.columns and "dosage_0_weight" in raw.columns:
        raise BadInput(
            f"{shown}: weights by genotype (dosage_0_weight, ...) are not supported; use a score with effect_weight."
        )
    missing = [column for column in ("effect_allele", "effect_weight") if column not in raw.columns]
    if missing:
        raise BadInput(f"{shown}: the scoring file has no column {', '.join(missing)}.")
    if raw.is_empty():
        raise BadInput(f"{shown}: the scoring file has no variants.")


def _refuse_complex(raw: pl.DataFrame, shown: str) -> None:
    """Leaving out what cannot be scored would make another score under the same name."""
    counts = {
        kind: raw.filter(_flag(flag)).height for flag, kind in _COMPLEX_FLAGS.items() if flag in raw.columns
    }
    named = ~pl.col("effect_allele").str.to_uppercase().str.contains(NUCLEOTIDES)
    flagged = [~_flag(flag) for flag in _COMPLEX_FLAGS if flag in raw.columns]
    counts["alleles not written in A, C, G, T (such as HLA alleles)"] = raw.filter(named, *flagged).height
    found = [f"{count} {kind}" for kind, count in counts.items() if count]
    if found:
        raise BadInput(
            f"{shown}: {', '.join(found)} among {raw.height} rows cannot be scored from PLINK 1 genotypes; "
            "use a score of single variants."
        )
    if not ({"hm_chr", "hm_pos"} <= set(raw.columns) or {"chr_name", "chr_position"} <= set(raw.columns)):
        raise BadInput(
            f"{shown}: the scoring file has no positions (chr_name, chr_position or hm_chr, hm_pos); "
            "use the harmonised file of the genotypes' genome build."
        )


def _flag(column: str) -> pl.Expr:
    return pl.col(column).str.to_uppercase().is_in(_TRUE).fill_null(False)


def _typed(raw: pl.DataFrame) -> pl.DataFrame:
    """The columns of SCORING_VARIANTS from a table of text; what is no number becomes null."""
    harmonised = {"hm_chr", "hm_pos"} <= set(raw.columns)
    chromosome, position = ("hm_chr", "hm_pos") if harmonised else ("chr_name", "chr_position")
    optional = {
        "other_allele",
        "hm_inferOtherAllele",
        "allelefrequency_effect",
        "is_dominant",
        "is_recessive",
    }
    raw = raw.with_columns(pl.lit(None, pl.String).alias(name) for name in optional - set(raw.columns))
    other = pl.coalesce("other_allele", "hm_inferOtherAllele").str.to_uppercase()
    mode = pl.when(_flag("is_dominant")).then(pl.lit("dominant")).when(_flag("is_recessive"))
    return raw.select(
        "line",
        chromosome=chromosome_name(chromosome),
        position=pl.col(position).cast(pl.Int64, strict=False),
        effect=pl.col("effect_allele").str.to_uppercase(),
        other=pl.when(other.str.contains(NUCLEOTIDES)).then(other),
        weight=pl.col("effect_weight").cast(pl.Float64, strict=False),
        mode=mode.then(pl.lit("recessive")).otherwise(pl.lit("additive")),
        frequency=pl.col("allelefrequency_effect").cast(pl.Float64, strict=False),
    )


def _refuse_bad_rows(raw: pl.DataFrame, variants: pl.DataFrame, shown: str) -> None:
    never = pl.lit(False)
    both = (
        _flag("is_dominant") & _flag("is_recessive")
        if {"is_dominant", "is_recessive"} <= set(raw.columns)
        else never
    )
    bad = {
        "effect_weight is not a finite number": variants.filter(
            ~pl.col("weight").is_finite().fill_null(False)
        ),
        "effect_allele is empty": variants.filter(pl.col("effect").is_null()),
        "effect and other allele are the same": variants.filter(pl.col("effect") == pl.col("other")),
        "allelefrequency_effect is not between 0 and 1": variants.filter(
            ~pl.col("frequency").is_between(0, 1)
        ),
        "both is_dominant and is_recessive are true": raw.filter(both),
    }
    problems = [
        f"{shown}: {what} in {rows.height} row(s), first at line {rows['line'].item(0)}; mend or fetch the file again."
        for what, rows in bad.items()
        if rows.height
    ]
    if problems:
        raise BadInput(*problems)


def _refuse_two_weights(distinct: pl.DataFrame, shown: str) -> None:
    key = ["chromosome", "position", "effect", "other", "mode"]
    placed = distinct.filter(pl.col("position").is_not_null())
    again = placed.filter(pl.struct(key).is_duplicated())
    if again.height:
        raise BadInput(
            f"{shown}: {again.select(key).unique().height} variant(s) have two different weights, first at line "
            f"{again['line'].item(0)}; keep one row for each."
        )
