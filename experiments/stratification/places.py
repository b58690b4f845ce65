"""Are the strata places? How far they follow centre, country and network, and which stratum is a centre under another name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import hidden_in_linked_tables
from experiments.seeds import seed_for
from experiments.stratification.explanation_schemas import Places, PlaceShares, table_of
from experiments.stratification.verdict import Figure, Status, TestResult

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PLACES = ("centre", "country", "network")
WITHIN = "centre within country"
PERMUTATIONS = 999
# Declared before any result was seen.
CALLED = 0.01  # p by permutation at which strata follow a place
SOME, STRONG = 0.1, 0.5  # adjusted mutual information from which on they do so somewhat, strongly
NEARLY_ALL = (
    0.75  # of a stratum's patients at one place: it lies in it; of that place's in the stratum too: it is it
)
BEYOND_CHANCE = 0.6  # Cohen's kappa of being in the stratum and being at the place
LIFT = 1.5  # share of a stratum's patients at a place over the place's share of all


@dataclass(frozen=True)
class Located:
    """Places as in `explanation_schemas`, the finding as a test that stands beside the chain, and its sentences.

    Attributes:
        table: schema Places.
        shares: schema PlaceShares.
        result: "failed" where strata are places; it decides no claim but is printed with it.
        sentences: one for each place that strata follow and each stratum that is one or lies in one.
    """

    table: pl.DataFrame
    shares: pl.DataFrame
    result: TestResult
    sentences: tuple[str, ...]


def locate(
    rows: pl.DataFrame,
    strata: Integers,
    *,
    smallest_cell: int,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> Located:
    """Return how far the strata follow the places, with p by shuffling patients over them.

    The mutual information of stratum and place is given in nats and adjusted for chance, over the smaller of the two entropies
    (Vinh, Epps and Bailey 2010, JMLR 11): 0 is what chance gives, 1 that one tells the other, as where strata are groups of
    centres. "Centre within country" shuffles patients within countries only.

    Args:
        rows: centre and country, and network where there is one; one row per patient.
        strata: shape (patients,), from 0.
        smallest_cell: smaller counts, and shares that give one away, are suppressed; 0 for public data.
        seed: study's seed.
        permutations: number of shuffles.
    """
    k = int(strata.max()) + 1
    figures, shares, sentences = [], [], []
    for place in [name for name in PLACES if name in rows.columns and k > 1]:
        known = rows[place].is_not_null().to_numpy()
        levels, codes = np.unique(
            rows[place].cast(pl.String).to_numpy()[known].astype(str), return_inverse=True
        )
        if len(levels) < 2:
            continue
        own = strata[known]
        random = np.random.default_rng(seed_for(seed, "stratify", "places", PLACES.index(place)))
        figures.append(_figures(place, own, codes, groups=None, random=random, permutations=permutations))
        hidden = 0 < int((~known).sum()) < smallest_cell
        figures[-1] |= {"levels": len(levels), "patients": None if hidden else int(known.sum())}
        if smallest_cell:  # with known margins, more digits tell the hidden cell of a small table
            for name in ("mutual_information", "adjusted"):
                figures[-1][name] = round(float(str(figures[-1][name])), 2)
        nowhere = np.bincount(strata[~known], minlength=k).astype(np.float64)
        own_shares = _shares(place, levels, _crossed(own, codes, k, len(levels)), nowhere, smallest_cell)
        if float(str(figures[-1]["p"])) <= CALLED and (own_shares["verdict"] == "is").any():
            figures[-1]["follows"] = "strongly"
        shares.append(own_shares)
        sentences += _sentences(figures[-1], own_shares)
    within = _within_country(rows, strata, seed, permutations) if k > 1 else None
    if within is not None:
        figures.append(within)
    return Located(
        table=table_of(Places, figures),
        shares=PlaceShares.validate(pl.concat(shares), cast=True) if shares else PlaceShares.create_empty(),
        result=_result(figures, sentences, k),
        sentences=tuple(sentences),
    )


def mutual_information(first: Integers, second: Integers, k: int, levels: int) -> float:
    """Return the mutual information of two labellings in nats (Cover and Thomas 2006, chapter 2)."""
    joint = _crossed(first, second, k, levels) / len(first)
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    some = joint > 0
    return max(0.0, float((joint[some] * np.log(joint[some] / apart[some])).sum()))


def _figures(
    place: str,
    strata: Integers,
    codes: Integers,
    *,
    groups: Integers | None,
    random: np.random.Generator,
    permutations: int,
) -> dict[str, object]:
    """Return a row of Places; patients are shuffled within groups, or all."""
    from sklearn.metrics import adjusted_mutual_info_score

    k, levels = int(strata.max()) + 1, int(codes.max()) + 1
    order = np.argsort(groups, kind="stable") if groups is not None else np.arange(len(strata))
    strata, codes = strata[order], codes[order]
    ends = np.flatnonzero(np.diff(groups[order])) + 1 if groups is not None else np.empty(0, dtype=np.int64)
    parts = np.split(np.arange(len(strata)), ends)
    seen = mutual_information(strata, codes, k, levels)
    larger = 0
    for _ in range(permutations):
        shuffled = np.concatenate([random.permutation(part) for part in parts])
        larger += mutual_information(strata[shuffled], codes, k, levels) >= seen - 1e-12
    p = (larger + 1) / (permutations + 1)
    adjusted = None
    if groups is None:
        found = float(adjusted_mutual_info_score(codes, strata, average_method="min"))
        adjusted = round(found, 6) + 0.0
    return {
        "place": place,
        "mutual_information": round(seen, 6),
        "adjusted": adjusted,
        "p": p,
        "permutations": permutations,
        "follows": follows(adjusted, p),
    }


def follows(adjusted: float | None, p: float) -> str:
    """Return no, somewhat or strongly, by the declared thresholds; without an adjusted figure somewhat is the most."""
    if p > CALLED or (adjusted is not None and adjusted < SOME):
        return "no"
    return "strongly" if adjusted is not None and adjusted >= STRONG else "somewhat"


def _within_country(
    rows: pl.DataFrame, strata: Integers, seed: int, permutations: int
) -> dict[str, object] | None:
    if not {"centre", "country"} <= set(rows.columns):
        return None
    known = (rows["centre"].is_not_null() & rows["country"].is_not_null()).to_numpy()
    countries, groups = np.unique(
        rows["country"].cast(pl.String).to_numpy()[known].astype(str), return_inverse=True
    )
    centres, codes = np.unique(
        rows["centre"].cast(pl.String).to_numpy()[known].astype(str), return_inverse=True
    )
    if len(countries) < 2 or len(centres) <= len(countries):
        return None
    random = np.random.default_rng(seed_for(seed, "stratify", "places", WITHIN))
    found = _figures(WITHIN, strata[known], codes, groups=groups, random=random, permutations=permutations)
    return found | {"levels": len(centres), "patients": None}


def _crossed(first: Integers, second: Integers, k: int, levels: int) -> Floats:
    counts = np.bincount(first * levels + second, minlength=k * levels).reshape(k, levels)
    return np.asarray(counts, dtype=np.float64)


def _shares(
    place: str, levels: NDArray[np.str_], counts: Floats, nowhere: Floats, smallest_cell: int
) -> pl.DataFrame:
    """Return the rows of PlaceShares of one place; verdicts are told where shares are not.

    A stratum's size stands elsewhere: less its told cells it is the number of its patients without a place. So these are a level
    of their own when cells are hidden, and shares of a stratum are of all of its patients; verdicts are about those with one.

    Args:
        place: one of PLACES.
        levels: its names.
        counts: patients, shape (k, levels).
        nowhere: patients without one, shape (k,).
        smallest_cell: the smallest count that may be published; 0 hides nothing.
    """
    k, many = counts.shape
    beside = np.column_stack([counts, nowhere]) if nowhere.any() else counts
    whole = beside.astype(np.int64)[:, :, None]
    hidden = hidden_in_linked_tables(whole, np.ones(beside.shape, dtype=np.bool_), smallest_cell)
    hidden = hidden[:, :many].ravel()
    of_stratum = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    of_all = counts / np.maximum(beside.sum(axis=1, keepdims=True), 1)
    of_level = counts / np.maximum(counts.sum(axis=0, keepdims=True), 1)
    frame = pl.DataFrame(
        {
            "place": [place] * (k * many),
            "level": np.tile(levels, k),
            "stratum": np.repeat(np.arange(1, k + 1), many),
            "n": counts.ravel().astype(np.int64),
            "of_stratum": of_all.ravel(),
            "of_level": of_level.ravel(),
            "verdict": _verdicts(counts, of_stratum, of_level).ravel(),
        }
    )
    mask = pl.lit(pl.Series(hidden))
    return frame.with_columns(
        pl.when(mask).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("n", "of_stratum", "of_level")
    ).sort("level", "stratum")


def _verdicts(counts: Floats, of_stratum: Floats, of_level: Floats) -> NDArray[np.str_]:
    """Return "is", "lies in" or "" for each stratum and level.

    Cohen's kappa (1960, doi 10.1177/001316446002000104) keeps a stratum of nearly everybody from being the place of nearly everybody.
    """
    total = counts.sum()
    rows, columns = counts.sum(axis=1, keepdims=True) / total, counts.sum(axis=0, keepdims=True) / total
    both = counts / total
    agreed, chance = 1 - rows - columns + 2 * both, rows * columns + (1 - rows) * (1 - columns)
    kappa = np.divide(agreed - chance, 1 - chance, out=np.zeros_like(both), where=chance < 1)
    mostly = of_stratum >= NEARLY_ALL
    same = mostly & (of_level >= NEARLY_ALL) & (kappa >= BEYOND_CHANCE)
    inside = mostly & (of_stratum >= LIFT * columns)
    return np.where(same, "is", np.where(inside, "lies in", ""))


def _sentences(figures: dict[str, object], shares: pl.DataFrame) -> list[str]:
    place = str(figures["place"])
    if float(str(figures["p"])) > CALLED:
        return []
    found = [_stratum_sentence(place, row) for row in shares.filter(pl.col("verdict") != "").to_dicts()]
    if figures["follows"] == "strongly":
        found.append(
            f"The strata follow the {place}: one tells the other by {figures['adjusted']:.2f} of what can be told beyond "
            f"chance (p = {figures['p']:.2g})."
        )
    return found


def _stratum_sentence(place: str, row: dict[str, object]) -> str:
    told = row["of_stratum"] is not None
    if row["verdict"] == "is":
        words = (
            f"{row['of_stratum']:.0%} of its patients, and {row['of_level']:.0%} of that {place}'s".replace(
                "%", " %"
            )
            if told
            else f"nearly all of its patients, and of that {place}'s (shares suppressed)"
        )
        return f"Stratum {row['stratum']} is {_named(place, row)}: {words}."
    words = (
        f"{row['of_stratum']:.0%} of its patients".replace("%", " %")
        if told
        else "nearly all of its patients (share suppressed)"
    )
    return f"Stratum {row['stratum']} lies in {_named(place, row)}: {words}."


def _named(place: str, row: dict[str, object]) -> str:
    level = str(row["level"])
    return level if level.casefold().startswith(place) else f"{place} {level}"


def _result(figures: Sequence[dict[str, object]], sentences: Sequence[str], k: int) -> TestResult:
    """Return the finding in the form of a test; it is no part of the chain and decides no claim."""
    if k < 2:
        return TestResult("places", "not_asked", "There is one group, which lies everywhere.")
    if not figures:
        return TestResult("places", "not_possible", "No centre, country or network is known at two levels.")
    told = tuple(
        Figure(
            f"{name}_{str(one['place']).replace(' ', '_')}",
            _number(one[name]),
            threshold=limit,
            passed=None if limit is None or one[name] is None else one["follows"] != "strongly",
            n=int(str(one["permutations"])),
        )
        for one in figures
        for name, limit in (("mutual_information", None), ("adjusted", STRONG), ("p", None))
    )
    status: Status = "failed" if sentences else "passed"
    if sentences:
        reason = f"BEWARE: strata are places here, not kinds of patients. {' '.join(sentences)}"
    else:
        some = [f"{one['place']}" for one in figures if one["follows"] == "somewhat"]
        reason = "No stratum is a centre, a country or a network." + (
            f" The strata are not spread evenly over {' and '.join(some)}." if some else ""
        )
    return TestResult("places", status, reason, told)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
