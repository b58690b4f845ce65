"""Which columns of a scoring file or weight table mean what, by its names or, where it has none, by its shape.

Recognised are PGS Catalog scoring files and the tables that weighing programs write. The weight counts copies of

- PRS-CS and PRS-CSx: A1, the 4th of six columns without names: chromosome, id, position, A1, A2, weight (Ge et al., Nature
  Communications 2019, 10:1776).
- LDpred2: a1 of a bigsnpr data frame with chr, pos, a0, a1 (Prive, Arbel and Vilhjalmsson, Bioinformatics 2020,
  36:5424-5431). `beta` beside another column of weights is the association it started from, so the column must be named.
- SBayesR and SBayesRC: A1 of a .snpRes file, with A1Effect and A1Frq (Lloyd-Jones et al., Nature Communications 2019,
  10:5086; Zheng et al., Nature Genetics 2024, 56:767-777).
- plain tables: A1 or effect_allele, with the other one as A2, A0 or other_allele, as PLINK, PRSice and LDpred2's and
  SBayesRC's R packages write them; without names: id, allele, weight, as PLINK's --score reads them.

Weights are frozen: columns of p-values are named in the report and not used, and no threshold is ever picked here. A table
that has both allele and weight columns of more than one meaning is refused, and so are odds ratios.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from features.errors import BadInput
from features.genetics.score_text import Opening

CATALOG, PRS_CS, LDPRED2, SBAYESR, PLAIN = "PGS Catalog", "PRS-CS", "LDpred2", "SBayesR", "plain"
_CATALOG = {
    "id": ("rsid", "variant_id"),
    "chromosome": ("chr_name",),
    "position": ("chr_position",),
    "effect": ("effect_allele",),
    "other": ("other_allele",),
    "weight": ("effect_weight",),
    "frequency": ("allelefrequency_effect",),
    "inferred": ("hm_inferotherallele",),
    "dominant": ("is_dominant",),
    "recessive": ("is_recessive",),
    "haplotype": ("is_haplotype",),
    "diplotype": ("is_diplotype",),
    "interaction": ("is_interaction",),
    "by_genotype": ("dosage_0_weight",),
    "label": ("locus_name",),
    "harmonised_chromosome": ("hm_chr",),
    "harmonised_position": ("hm_pos",),
    "harmonised_id": ("hm_rsid",),
}
_PLAIN = {
    "id": ("rsid", "rs_id", "rs", "snp", "snpid", "snp_id", "variant_id", "markername", "marker", "id"),
    "chromosome": ("chr", "chrom", "chromosome", "chr_name"),
    "position": ("pos", "bp", "position", "base_pair_location", "chr_position", "physical_pos"),
    "effect": ("effect_allele", "a1", "ea"),
    "other": ("other_allele", "a2", "a0", "omitted", "nea", "non_effect_allele"),
    "frequency": ("a1frq", "a1freq", "a1_freq", "eaf", "effect_allele_frequency", "allelefrequency_effect"),
}
_SBAYESR = {
    "id": ("name",),
    "chromosome": ("chrom",),
    "position": ("position",),
    "effect": ("a1",),
    "other": ("a2",),
    "frequency": ("a1frq",),
    "weight": ("a1effect",),
}
_WEIGHTS = ("effect_weight", "weight", "beta", "b", "effect", "a1effect", "log_or", "logor", "log(or)")
_ODDS = ("or", "odds_ratio", "oddsratio", "hr", "hazard_ratio")
_P_VALUES = ("p", "pval", "p_val", "pvalue", "p_value", "p.value", "p-value", "neg_log10_p", "minuslog10p")
_ERRORS = re.compile("(se|sd|std|stderr|last)$")
_NUCLEOTIDES = re.compile("[ACGTacgt]+")
_PLACE = re.compile("(chr)?([0-9]{1,2}|X|Y|XY|M|MT)", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """What the columns of a table mean.

    Attributes:
        format: CATALOG, PRS_CS, LDPRED2, SBAYESR or PLAIN.
        columns: names of all columns, made unique where the table has none.
        places: meaning to the place of its column.
        headed: whether the first line holds names.
        unused: columns of p-values, by name.
    """

    format: str
    columns: tuple[str, ...]
    places: Mapping[str, int]
    headed: bool
    unused: tuple[str, ...] = ()


def recognise(opening: Opening, *, column: str | None, shown: str) -> Layout:
    """Say what the columns of a table mean.

    Args:
        opening: the table's first lines.
        column: the column of weights where the settings name one; None: the table must hold exactly one.
        shown: how messages name the file.

    Raises:
        BadInput: the table is none of those above, names a column twice, or leaves open what it weighs.
    """
    shape = _without_names(opening)
    if shape is not None:
        if column is not None:
            raise BadInput(
                f"{shown}: the column {column} was asked for, but the table ({shape.format}) has no names of columns; take "
                f"'#{column}' out of the path."
            )
        return shape
    names = _with_row_names(opening)
    lower = [name.lower().lstrip("#") for name in names]
    _refuse_twice(names, shown)
    if "effect_allele" in lower and {"effect_weight", "dosage_0_weight", "hm_chr"} & set(lower):
        layout = _catalog(opening, names, lower, column, shown)
    elif "a1effect" in lower:
        layout = Layout(SBAYESR, names, _places(_SBAYESR, lower, shown), headed=True)
    else:
        layout = _plain(names, lower, column, shown)
    chosen = {} if column is None else {"weight": _named(names, column, shown)}
    places = {**layout.places, **chosen}
    _refuse_missing(places, names, shown)
    unused = tuple(name for name, bare in zip(names, lower, strict=True) if bare in _P_VALUES)
    return Layout(layout.format, names, places, headed=True, unused=unused)


def _without_names(opening: Opening) -> Layout | None:
    """The layout of a table whose first line is a row already."""
    first = opening.names
    columns = tuple(f"column_{number}" for number in range(len(first)))
    prs_cs = len(first) == 6 and _PLACE.fullmatch(first[0]) and first[2].isdigit() and _number(first[5])
    if prs_cs and _alleles(first[3], first[4]):
        meanings = ("chromosome", "id", "position", "effect", "other", "weight")
        return Layout(PRS_CS, columns, {name: place for place, name in enumerate(meanings)}, headed=False)
    if len(first) == 3 and _alleles(first[1]) and _number(first[2]):
        return Layout(PLAIN, columns, {"id": 0, "effect": 1, "weight": 2}, headed=False)
    return None


def _with_row_names(opening: Opening) -> tuple[str, ...]:
    """The names, and one for the row names that R's write.table puts before the first column without naming them."""
    names = opening.names
    if len(opening.second) == len(names) + 1 and opening.separator != "\t":
        return ("row_name", *names)
    return ("row_name", *names[1:]) if not names[0] else names


def _catalog(
    opening: Opening, names: tuple[str, ...], lower: list[str], column: str | None, shown: str
) -> Layout:
    if opening.separator != "\t":
        raise BadInput(
            f"{shown}: cells of a PGS Catalog scoring file are separated by tabs, here by {opening.separated_by}, which cells may "
            "hold themselves; fetch the file again or write it with tabs."
        )
    if "effect_weight" not in lower and column is None and "dosage_0_weight" in lower:
        raise BadInput(
            f"{shown}: the score weighs genotypes (dosage_0_weight, dosage_1_weight, dosage_2_weight), not copies of an allele, "
            "and is not computed; use a score with effect_weight."
        )
    places = _places(_CATALOG, lower, shown)
    if {"harmonised_chromosome", "harmonised_position"} <= set(places):
        for meaning in ("chromosome", "position"):
            if meaning in places:
                places[f"original_{meaning}"] = places[meaning]
            places[meaning] = places[f"harmonised_{meaning}"]
    places.setdefault("id", places.get("harmonised_id", -1))
    return Layout(CATALOG, names, {key: place for key, place in places.items() if place >= 0}, headed=True)


def _plain(names: tuple[str, ...], lower: list[str], column: str | None, shown: str) -> Layout:
    places = _places(_PLAIN, lower, shown)
    weights = [
        name
        for name, bare in zip(names, lower, strict=True)
        if (bare in _WEIGHTS or bare.startswith("beta")) and not _ERRORS.search(bare)
    ]
    if column is None and len(weights) > 1:
        raise BadInput(
            f"{shown}: the table has several columns of weights ({', '.join(weights)}); name the one that is meant after the "
            f"path, such as {shown}#{weights[-1]}."
        )
    if column is None and not weights:
        _refuse_no_weights(names, lower, set(places.values()), shown=shown)
    if weights:
        places["weight"] = names.index(weights[0])
    ours = {"a0", "a1"} <= set(lower) and "a2" not in lower
    return Layout(LDPRED2 if ours else PLAIN, names, places, headed=True)


def _refuse_no_weights(
    names: Sequence[str], lower: Sequence[str], known: Collection[int], *, shown: str
) -> None:
    odds = [name for name, bare in zip(names, lower, strict=True) if bare in _ODDS]
    if odds:
        raise BadInput(
            f"{shown}: the table gives odds or hazard ratios ({', '.join(odds)}), which cannot be added up; write their natural "
            "logarithm into a column called beta."
        )
    left = [name for place, name in enumerate(names) if place not in known]
    advice = (
        f", or name one of {_listed(left)} after the path, such as {shown}#{left[-1][:30]}" if left else ""
    )
    raise BadInput(
        f"{shown}: the scoring file has no column effect_weight, beta or A1Effect; fetch the file again{advice}."
    )


def _places(known: Mapping[str, Sequence[str]], lower: Sequence[str], shown: str) -> dict[str, int]:
    """The place of each meaning; several columns of one meaning are ambiguous, but for ids, where the first name counts."""
    places = {}
    for meaning, called in known.items():
        found = [name for name in called if name in lower]
        if len(found) > 1 and meaning != "id":
            raise BadInput(
                f"{shown}: {' and '.join(found)} may both be the {meaning} {'allele' if meaning in ('effect', 'other') else ''}"
                "column; keep one of them."
            )
        if found:
            places[meaning] = lower.index(found[0])
    return places


def _named(names: Sequence[str], column: str, shown: str) -> int:
    if column not in names:
        raise BadInput(f"{shown}: the table has no column {column}; it has {_listed(names)}.")
    return names.index(column)


def _refuse_missing(places: Mapping[str, int], names: Sequence[str], shown: str) -> None:
    if "effect" not in places:
        raise BadInput(
            f"{shown}: this is not a scoring file: none of its columns ({_listed(names)}) is effect_allele or A1, so nothing says "
            "which allele the weights count; rename the column or fetch the file again."
        )
    if "weight" not in places:
        raise BadInput(
            f"{shown}: the scoring file has no column effect_weight; mend it or fetch the file again."
        )
    if "id" not in places and not {"chromosome", "position"} <= set(places):
        raise BadInput(
            f"{shown}: the scoring file has no positions (chr_name and chr_position, or hm_chr and hm_pos) and no ids (rsID); "
            "use the harmonised file of the genotypes' genome build."
        )


def _refuse_twice(names: Sequence[str], shown: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadInput(f"{shown}: the scoring file has the column {twice[0]!r} twice; keep one of them.")


def _listed(names: Sequence[str]) -> str:
    shown = [name[:30] for name in names[:12]]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")


def _alleles(*cells: str) -> bool:
    return all(_NUCLEOTIDES.fullmatch(cell) for cell in cells)


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
