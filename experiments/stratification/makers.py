"""Columns that made the strata, and what is derived from them: a p-value of such a column is refused (double dipping)."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from experiments.stratification.profile import require_not_made
from experiments.stratification.responses import FollowedOutcome, Response
from features.errors import BadInput
from models.columns import is_category

TOO_NEAR = 0.95  # rank correlation from which on a column counts as the same measurement
FEWEST = 11
# Words that say how a measurement was taken or written down, not which one it is.
FORMS = frozenset(
    (
        "log",
        "below",
        "limit",
        "latest",
        "class",
        "criterion",
        "above",
        "mean",
        "slope",
        "change",
        "z",
        "index",
    )
)


def refuse_makers(
    columns: pl.DataFrame, makers: pl.DataFrame, descriptions: Mapping[str, str] | None = None
) -> None:
    """Refuse columns that made the strata, or that are the same measurement: strata differ in them by construction.

    A column is the same measurement where its rank correlation with a maker is above 0.95 in absolute value, or where its description
    names what the maker measures, as a ratio of triglycerides and cholesterol does.

    Args:
        columns: what is to be related to the strata, one row per patient.
        makers: what made the strata, in the same order.
        descriptions: of each column, by name; None: names and values alone decide.

    Raises:
        BadInput: naming the columns, and what each is derived from.
    """
    require_not_made(columns.columns, makers.columns)
    problems = [
        problem
        for name in columns.columns
        if (problem := _derived(columns[name], makers, descriptions or {})) is not None
    ]
    if problems:
        raise BadInput(*problems)


def refuse_made_outcomes(
    outcomes: Mapping[str, FollowedOutcome], responses: Sequence[Response], makers: pl.DataFrame
) -> None:
    """Refuse outcomes that are defined by what made the strata: strata differ in them by construction.

    An outcome is so defined where a column is named by every word of a variable that it is read from, or where a label follows from
    one column by a cut-off: all patients with it lie above, or below, all those without.

    Args:
        outcomes: by name.
        responses: the same among the cohort's patients, in their order.
        makers: what made the strata, one row per patient of the cohort.

    Raises:
        BadInput: naming the outcomes and the columns.
    """
    problems = []
    for response in responses:
        name, variables = response.name, outcomes[response.name].variables
        named = next((one for one in makers.columns if any(_holds(one, own) for own in variables)), None)
        if named is None and response.kind == "label":
            named = next((one for one in makers.columns if _cut_off(makers[one], response)), None)
        if named is not None:
            problems.append(
                f"The outcome {name} is defined by what {named} measures, which made these strata: a p-value of it would mean "
                "nothing. Leave it out of value.outcomes."
            )
    if problems:
        raise BadInput(*problems)


def _holds(column: str, variable: str) -> bool:
    """Return whether a column's name holds every word that says what a variable measures."""
    subject = _words(variable)
    return bool(subject) and subject <= _words(column)


def _cut_off(maker: pl.Series, response: Response) -> bool:
    """Return whether patients with a label all lie above, or all below, those without; 11 of each at least."""
    if is_category(maker.dtype):
        return False
    values = maker.cast(pl.Float64).fill_null(np.nan).to_numpy()[response.rows]
    parts = [values[(response.cause == cause) & ~np.isnan(values)] for cause in (0, 1)]
    if min(len(part) for part in parts) < FEWEST:
        return False
    low, high = parts
    return bool(low.max() < high.min() or high.max() < low.min())


def _derived(column: pl.Series, makers: pl.DataFrame, descriptions: Mapping[str, str]) -> str | None:
    told = next((name for name in makers.columns if _names(column.name, name, descriptions)), None)
    if told is not None:
        return (
            f"The column {column.name} is made of the same measurement as {told}, which made these strata: a p-value of it "
            "would mean nothing. Take it out of value.held_out or compare_with."
        )
    near = next((name for name in makers.columns if _near(column, makers[name])), None)
    if near is None:
        return None
    return (
        f"The column {column.name} orders patients as {near} does (rank correlation above {TOO_NEAR:g}), which made these "
        "strata: a p-value of it would mean nothing. Take it out of value.held_out or compare_with."
    )


def _names(column: str, maker: str, descriptions: Mapping[str, str]) -> bool:
    """Return whether a column of the same feature set is named, or described, by every word of what the maker measures."""
    (own_set, own), (maker_set, subject) = _subject(column), _subject(maker)
    words = set(re.findall(r"[a-z0-9]+", descriptions.get(column, "").lower()))
    return own_set == maker_set and bool(subject) and (subject <= words or subject == own)


def _subject(column: str) -> tuple[str, set[str]]:
    """Return a column's feature set and the words of what it measures."""
    head, _, rest = column.lower().partition("_")
    return (head if rest else ""), _words(rest or head)


def _words(name: str) -> set[str]:
    """Return the words of a name that say what is measured."""
    return {word for word in re.findall(r"[a-z0-9]+", name.lower()) if not word.isdigit()} - FORMS


def _near(column: pl.Series, maker: pl.Series) -> bool:
    if is_category(column.dtype) or is_category(maker.dtype):
        return False
    values, other = (one.cast(pl.Float64).fill_null(np.nan).to_numpy() for one in (column, maker))
    both = ~(np.isnan(values) | np.isnan(other))
    if both.sum() < FEWEST:
        return False
    ranks = [pl.Series(one[both]).rank().to_numpy() for one in (values, other)]
    if min(float(one.std()) for one in ranks) <= 0:
        return False
    return bool(abs(float(np.corrcoef(ranks[0], ranks[1])[0, 1])) > TOO_NEAR)


def chosen(beside: pl.DataFrame, names: Sequence[str], setting: str) -> pl.DataFrame:
    """Return columns by name; raises BadInput where one is not there."""
    lacking = sorted(set(names) - set(beside.columns))
    if lacking:
        raise BadInput(
            f"{setting} names {', '.join(lacking)}, which the assembled features do not hold. Name columns of the study's feature "
            "sets."
        )
    return beside.select(names)
