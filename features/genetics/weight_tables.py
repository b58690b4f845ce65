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
from features.genetics.column_names import (
    CATALOG_COLUMNS,
    ODDS,
    P_VALUES,
    PLAIN_COLUMNS,
    SBAYESR_COLUMNS,
    WEIGHTS,
    places_of,
)
from features.genetics.score_text import Opening

CATALOG, PRS_CS, LDPRED2, SBAYESR, PLAIN = "PGS Catalog", "PRS-CS", "LDpred2", "SBayesR", "plain"
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
        layout = Layout(SBAYESR, names, places_of(SBAYESR_COLUMNS, lower, shown), headed=True)
    else:
        layout = _plain(names, lower, column, shown)
    chosen = {} if column is None else {"weight": _named(names, column, shown)}
    places = {**layout.places, **chosen}
    _refuse_missing(places, names, shown)
    unused = tuple(name for name, bare in zip(names, lower, strict=True) if bare in P_VALUES)
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
    places = places_of(CATALOG_COLUMNS, lower, shown)
    if {"harmonised_chromosome", "harmonised_position"} <= set(places):
        for meaning in ("chromosome", "position"):
            if meaning in places:
                places[f"original_{meaning}"] = places[meaning]
            places[meaning] = places[f"harmonised_{meaning}"]
    places.setdefault("id", places.get("harmonised_id", -1))
    return Layout(CATALOG, names, {key: place for key, place in places.items() if place >= 0}, headed=True)


def _plain(names: tuple[str, ...], lower: list[str], column: str | None, shown: str) -> Layout:
    places = places_of(PLAIN_COLUMNS, lower, shown)
    weights = [
        name
        for name, bare in zip(names, lower, strict=True)
        if (bare in WEIGHTS or bare.startswith("beta")) and not _ERRORS.search(bare)
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
    odds = [name for name, bare in zip(names, lower, strict=True) if bare in ODDS]
    if odds:
        raise BadInput(
            f"{shown}: the table gives odds or hazard ratios ({', '.join(odds)}), which cannot be added up; write their natural "
            "logarithm into a column called beta."
        )
    if not known and any(_number(name) for name in names):
        raise BadInput(
            f"{shown}: this is not a scoring file: its first line holds numbers instead of names of columns, and without names only "
            "PRS-CS's six columns (chromosome, id, position, A1, A2, weight) and PLINK's three (id, allele, weight) are known; "
            "write a line of names or fetch the file again."
        )
    left = [name for place, name in enumerate(names) if place not in known]
    advice = (
        f", or name one of {_listed(left)} after the path, such as {shown}#{left[-1][:30]}" if left else ""
    )
    raise BadInput(
        f"{shown}: the scoring file has no column effect_weight, beta or A1Effect; fetch the file again{advice}."
    )


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
