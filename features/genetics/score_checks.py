"""What a row of a scoring file can be refused for, counted and named with its lines."""

import polars as pl

from features.errors import BadInput

_NAMED = 3  # lines and ids of that many rows stand in the sentence
_RATIOS = ("OR", "HR", "OR/HR", "ODDS RATIO", "HAZARD RATIO")
_LEAST_RATIO = 0.5
_LARGEST_WEIGHT = 1e100  # sums of squares of larger ones are beyond the largest number
_COMPLEX = {
    "haplotype": "haplotypes",
    "diplotype": "diplotypes",
    "interaction": "interactions",
    "genotype": "weights by genotype",
    "allele": "alleles not written in A, C, G, T (such as HLA alleles)",
}
_WRONG = {
    "no_allele": "the effect allele is empty",
    "comma": "the weight is written with a decimal comma",
    "weight": "the weight is not a finite number",
    "large": "the weight is beyond 1e100 in size",
    "same": "effect and other allele are the same",
    "frequency": "the effect allele's frequency is not between 0 and 1",
    "both_modes": "both is_dominant and is_recessive are true",
}


class Findings:
    """Gathers rows that cannot be used, a block at a time.

    Args:
        shown: how messages name the file.
    """

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._rows = 0
        self._counts: dict[str, int] = {}
        self._first: dict[str, list[tuple[int, str | None]]] = {}

    def add(self, rows: pl.DataFrame) -> None:
        """Look at a block of rows as features.genetics.scoring_files types them."""
        self._rows += rows.height
        spelled = pl.when(~pl.col("effect").str.contains("^[ACGT]*$")).then(pl.col("effect").str.slice(0, 40))
        found = rows.lazy().select("line", kind=_kind(), name=pl.coalesce(spelled, "id", "label"))
        for kind, line, name in (
            found.filter(pl.col("kind").is_not_null()).select("kind", "line", "name").collect().iter_rows()
        ):
            self._counts[kind] = self._counts.get(kind, 0) + 1
            first = self._first.setdefault(kind, [])
            if len(first) < _NAMED:
                first.append((line, name))

    def refuse(self) -> None:
        """Raise BadInput when there are no rows, or any that cannot be used; leaving some out would make another score."""
        if not self._rows:
            raise BadInput(f"{self._shown}: the scoring file has no variants; fetch the file again.")
        problems = [
            f"{self._shown}: {what} in {self._counts[kind]} row(s), first at line {self._first[kind][0][0]}; mend or fetch the "
            "file again."
            for kind, what in _WRONG.items()
            if kind in self._counts
        ]
        found = [self._phrase(kind) for kind in _COMPLEX if kind in self._counts]
        if found:
            problems.append(
                f"{self._shown}: {', '.join(found)} among {self._rows} rows cannot be scored from genotypes of single variants, "
                "and without them it would be another score; use a score of single variants."
            )
        if problems:
            raise BadInput(*problems)

    def _phrase(self, kind: str) -> str:
        first = self._first[kind]
        lines = ", ".join(str(line) for line, _ in first)
        plural = "s" if len(first) > 1 else ""
        names = ", ".join(name for _, name in first if name)
        more = ", ..." if self._counts[kind] > len(first) else ""
        return f"{self._counts[kind]} {_COMPLEX[kind]} (line{plural} {lines}{more}{': ' if names else ''}{names})"


def refuse_two_weights(rows: pl.DataFrame, shown: str) -> None:
    """Raise BadInput where rows, none of which repeats another, give one allele of a variant two different weights."""
    unplaced = pl.col("position").is_null()
    key = pl.struct(
        "chromosome", "position", "effect", "other", "mode", pl.when(unplaced).then("id").alias("id")
    )
    again = rows.filter(~unplaced | pl.col("id").is_not_null()).filter(key.is_duplicated())
    if again.height:
        raise BadInput(
            f"{shown}: {again.select(key.alias('key')).n_unique()} variant(s) have two different weights, first at line "
            f"{again['line'].item(0)}; keep one row for each."
        )


def refuse_ratios(rows: pl.DataFrame, weight_type: str, shown: str) -> None:
    """Raise BadInput where the header calls the weights odds or hazard ratios and they look like some: all above 0, half of
    them above 0.5. Logarithms of published ratios are smaller, or negative for some variants.
    """  # noqa: D205
    weights = rows["weight"]
    named = weight_type.strip().upper() in _RATIOS
    if named and (weights > 0).all() and float(weights.quantile(0.5) or 0.0) > _LEAST_RATIO:
        raise BadInput(
            f"{shown}: the header calls the weights {weight_type} and they look like ratios, which cannot be added up; write their "
            "natural logarithm as effect_weight and weight_type=beta."
        )


def _kind() -> pl.Expr:
    """Why a row cannot be used, null where it can."""
    weight = pl.col("weight").is_finite().fill_null(False)
    return (
        pl.when("haplotype")
        .then(pl.lit("haplotype"))
        .when("diplotype")
        .then(pl.lit("diplotype"))
        .when("interaction")
        .then(pl.lit("interaction"))
        .when(pl.col("effect").is_null())
        .then(pl.lit("no_allele"))
        .when(~pl.col("effect").str.contains("^[ACGT]+$"))
        .then(pl.lit("allele"))
        .when(~weight & pl.col("by_genotype").is_not_null())
        .then(pl.lit("genotype"))
        .when(~weight & pl.col("weight_text").str.contains("^[-+0-9.eE]+,[0-9eE+-]+$"))
        .then(pl.lit("comma"))
        .when(~weight)
        .then(pl.lit("weight"))
        .when(pl.col("weight").abs() > _LARGEST_WEIGHT)
        .then(pl.lit("large"))
        .when(pl.col("effect") == pl.col("other"))
        .then(pl.lit("same"))
        .when(~pl.col("frequency").is_between(0, 1))
        .then(pl.lit("frequency"))
        .when(pl.col("dominant") & pl.col("recessive"))
        .then(pl.lit("both_modes"))
    )
