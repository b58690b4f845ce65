"""Match the variants of a score to those of a genotype file by place and alleles, and count what does not match."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from features.errors import BadInput
from features.genetics.allele_pairs import allele_pairs
from features.genetics.scoring_files import ScoringFile

PALINDROMIC_POLICIES = ("drop", "keep", "frequency")
PALINDROMIC_MOST_MINOR = 0.4  # a minor allele above this frequency does not tell the strand
UNUSED = (
    "palindromic_dropped",
    "palindromic_ambiguous",
    "absent",
    "allele_mismatch",
    "duplicate",
    "without_position",
    "not_diploid",
    "not_in_every_file",
)
VERDICTS = ("matched", "matched_flipped", "matched_strand", "matched_strand_flipped", *UNUSED)
VERDICT = pl.Enum(VERDICTS)
MODE = pl.Enum(["additive", "dominant", "recessive"])  # a byte a row, where text takes sixteen
PLACE = pl.UInt32  # lines and variants: half of what would stand in memory for each row of each score
_NOT_DIPLOID = ("Y", "MT")


@dataclass(frozen=True)
class Match:
    """What of one score can be computed from one genotype file.

    Attributes:
        used: one row per matched variant in the order of the genotype file: `line` in the scoring file, `variant` (its
            0-based place in the genotype file), `effect_is_a1`, `mode`, `weight`, `frequency` (of the effect allele, null where
            not given).
        counts: rows of the score by what became of them: `matched`; of these `alleles_flipped` (the effect allele
            is A2), `strand_flipped` (alleles agree after complement), `palindromic` (A/T or C/G) and `by_id`; and each of UNUSED.
        rate: matched rows over all rows of the score.
        verdicts: every row of the score in the file's order: `line`, `verdict` (one of VERDICTS) and `variant`, null where not
            matched.
        total_weight: sum of the absolute weights of all rows of the score.
        by_id: whether variants were looked for by their ids, because the score gives no positions.
    """

    used: pl.DataFrame
    counts: dict[str, int]
    rate: float
    verdicts: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"line": PLACE, "verdict": VERDICT, "variant": PLACE})
    )
    total_weight: float = 0.0
    by_id: bool = False

    @property
    def weight_share(self) -> float:
        """The matched part of the sum of absolute weights: a rate by count can hide that the large ones are lost."""
        return float(self.used["weight"].abs().sum()) / self.total_weight if self.total_weight else 0.0

    def restricted(self, lines: pl.Series) -> "Match":
        """The match without the rows that are not among `lines`, which count as `not_in_every_file`."""
        kept = self.used.filter(pl.col("line").is_in(lines.implode()))
        if kept.height == self.used.height:
            return self
        lost = (pl.col("verdict").cast(pl.String).str.starts_with("matched")) & ~pl.col("line").is_in(
            lines.implode()
        )
        verdicts = self.verdicts.with_columns(
            verdict=pl.when(lost).then(pl.lit("not_in_every_file", VERDICT)).otherwise("verdict"),
            variant=pl.when(~lost).then("variant"),
        )
        counts = {**self.counts, **_matched_counts(kept, verdicts, by_id=self.by_id)}
        counts["not_in_every_file"] += self.used.height - kept.height
        return replace(
            self, used=kept, counts=counts, rate=kept.height / self.counts["rows"], verdicts=verdicts
        )


def match_variants(
    scoring: ScoringFile,
    variants: pl.DataFrame,
    *,
    palindromic: str,
    frequencies: pl.DataFrame | None = None,
) -> Match:
    """Match a score to the variants of a genotype file.

    A row of the score matches a variant at its chromosome and position (of a score without any position: of its id) whose
    two alleles are its effect and other allele, as written or, when nothing there agrees as written, both complemented
    (read from the other strand). Of a variant with more than two alleles the effect allele must be the counted one and the
    other among the rest. A variant that the genotype file holds twice, or that an earlier row of the score has taken
    already, counts as duplicate. A variant of which the genotype file knows one allele (everybody homozygous) matches when
    the score has that allele.

    A/T and C/G variants look the same on both strands: they are left out (`drop`), taken as written (`keep`), or
    read by `frequency`: on the strand on which the effect allele is rare, or common, in the genotypes' reference as it is in
    the score's; where a frequency is not known or the minor allele is above 0.4 in either, the variant is left out as
    `palindromic_ambiguous`.

    Args:
        scoring: the score.
        variants: the genotype file's variants, columns features.genetics.genotypes.VARIANTS.
        palindromic: one of PALINDROMIC_POLICIES.
        frequencies: for `frequency`: columns variant (as in `variants`) and frequency, of a1 in a declared reference.

    Raises:
        BadInput: `frequency` was asked for without frequencies.
    """
    if palindromic == "frequency" and frequencies is None:
        raise BadInput(
            "genetic: palindromic: frequency needs a table of allele frequencies of the genotypes; name it under "
            "missing.frequencies, or choose drop or keep."
        )
    rows = scoring.variants.with_row_index("row").with_columns(reason=_unplaced(by_id=scoring.by_id))
    pairs = allele_pairs(rows.filter(pl.col("reason").is_null()), variants, by_id=scoring.by_id)
    if frequencies is not None and palindromic == "frequency":
        pairs = _read_by_frequency(pairs, rows, frequencies)
    else:
        pairs = pairs.with_columns(readable=pl.lit(palindromic == "keep"))
    judged = rows.join(pairs, on="row", how="left", maintain_order="left").with_columns(
        reason=_judgement("palindromic_ambiguous" if palindromic == "frequency" else "palindromic_dropped")
    )
    taken = ["variant", "effect_is_a1", "mode"]
    again = pl.col("reason").is_null() & ~pl.struct(*taken, "reason").is_first_distinct()
    judged = judged.with_columns(reason=pl.when(again).then(pl.lit("duplicate")).otherwise("reason"))
    return _match(judged, by_id=scoring.by_id)


def common_lines(matches: Sequence[Match]) -> pl.Series:
    """The lines of one score that are matched in every genotype file, increasing."""
    first, *others = (match.used.select("line") for match in matches)
    for other in others:
        first = first.join(other, on="line", how="semi")
    return first["line"].sort()


def reasons(match: Match) -> str:
    """Why rows of the score were not matched, counted, the most frequent reason first."""
    counted = sorted((-match.counts[reason], reason) for reason in UNUSED if match.counts[reason])
    listed = ", ".join(f"{-count} {reason.replace('_', ' ')}" for count, reason in counted)
    return f"{listed} (looked for by id: the score gives no positions)" if match.by_id else listed


def _unplaced(*, by_id: bool) -> pl.Expr:
    if by_id:
        return pl.when(pl.col("id").is_null()).then(pl.lit("without_position"))
    missing = pl.col("chromosome").is_null() | pl.col("position").is_null()
    return (
        pl.when(missing)
        .then(pl.lit("without_position"))
        .when(pl.col("chromosome").is_in(_NOT_DIPLOID))
        .then(pl.lit("not_diploid"))
    )


def _read_by_frequency(pairs: pl.DataFrame, rows: pl.DataFrame, frequencies: pl.DataFrame) -> pl.DataFrame:
    """Turn palindromic variants whose effect allele is common on one side and rare on the other."""
    pairs = pairs.join(
        frequencies.select("variant", in_genotypes=pl.col("frequency").fill_nan(None)),
        on="variant",
        how="left",
        maintain_order="left",
    ).join(rows.select("row", in_score="frequency"), on="row", how="left", maintain_order="left")
    written = pl.when("effect_is_a1").then("in_genotypes").otherwise(1 - pl.col("in_genotypes"))
    apart = 0.5 - PALINDROMIC_MOST_MINOR - 1e-9
    told = ((written - 0.5).abs() >= apart) & ((pl.col("in_score") - 0.5).abs() >= apart)
    turned = pl.col("palindromic") & ((written > 0.5) != (pl.col("in_score") > 0.5))
    return pairs.with_columns(
        readable=told.fill_null(False) & ~pl.col("multiallelic"), turned=turned.fill_null(False)
    ).with_columns(
        effect_is_a1=pl.col("effect_is_a1") ^ (pl.col("readable") & pl.col("turned")),
        strand_flipped=pl.col("strand_flipped") | (pl.col("readable") & pl.col("turned")),
    )


def _judgement(unreadable: str) -> pl.Expr:
    """Why a row cannot be used, null where it can: a reason of UNUSED."""
    return (
        pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(pl.col("variant").is_null())
        .then(pl.lit("absent"))
        .when(pl.col("at_chromosome").is_in(_NOT_DIPLOID))
        .then(pl.lit("not_diploid"))
        .when(pl.col("fitting") == 0)
        .then(pl.lit("allele_mismatch"))
        .when(pl.col("fitting") > 1)
        .then(pl.lit("duplicate"))
        .when(pl.col("palindromic") & ~pl.col("readable"))
        .then(pl.lit(unreadable))
    )


def _match(judged: pl.DataFrame, *, by_id: bool) -> Match:
    flipped = pl.when("effect_is_a1").then(pl.lit("")).otherwise(pl.lit("_flipped"))
    strand = pl.when("strand_flipped").then(pl.lit("_strand")).otherwise(pl.lit(""))
    matched = pl.concat_str(pl.lit("matched"), strand, flipped)
    judged = judged.with_columns(verdict=pl.coalesce("reason", matched).cast(VERDICT))
    used = judged.filter(pl.col("reason").is_null()).sort("variant", "line")
    matched_variant = pl.when(pl.col("reason").is_null()).then("variant").cast(PLACE)
    verdicts = judged.select(pl.col("line").cast(PLACE), "verdict", variant=matched_variant)
    found = dict(judged["reason"].drop_nulls().value_counts().iter_rows())
    kept = used.select(
        pl.col("line", "variant").cast(PLACE),
        "effect_is_a1",
        pl.col("mode").cast(MODE),
        "weight",
        "frequency",
        "palindromic",
    )
    counts = {
        "rows": judged.height,
        **_matched_counts(kept, verdicts, by_id=by_id),
        **{reason: found.get(reason, 0) for reason in UNUSED},
    }
    return Match(
        kept,
        counts,
        kept.height / judged.height,
        verdicts,
        float(judged["weight"].abs().sum()),
        by_id,
    )


def _matched_counts(used: pl.DataFrame, verdicts: pl.DataFrame, *, by_id: bool) -> dict[str, int]:
    turned = verdicts["verdict"].is_in(["matched_strand", "matched_strand_flipped"])
    return {
        "matched": used.height,
        "alleles_flipped": int((~used["effect_is_a1"]).sum()),
        "strand_flipped": int(turned.sum()),
        "palindromic": int(used["palindromic"].sum()),
        "by_id": used.height if by_id else 0,
    }
