"""How columns are distributed, told so that no patient can be, and how far another site's differ."""

from collections.abc import Mapping, Sequence
from math import isfinite

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.bundle.contents import BaseRate, Summary
from experiments.disclosure import SUPPRESSED, hidden_cells
from features.errors import BadInput
from models.target import Target

DIGITS = 4  # significant ones: enough for a comparison, too few to work counts back
FEW_VALUES = 3  # so few distinct values have counts that follow from mean and spread
NOT_KNOWN = "not known"
WORTH_A_LOOK = 0.25  # standardised mean difference, Rubin 2001, doi 10.1023/A:1020363010465

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Drift(dy.Schema):
    """How one column differs between the site and those that the model was fitted on."""

    column = dy.String(primary_key=True)
    figure = dy.Enum(
        ["standardised_mean_difference", "ratio_of_spreads", "missing_share", "total_variation"],
        primary_key=True,
    )
    reference = dy.Float64(nullable=True)  # among those that the model was fitted on
    here = dy.Float64(nullable=True)
    difference = dy.Float64(nullable=True)  # null: suppressed, or no spread
    note = dy.String(nullable=True)


def summaries_of(X: pl.DataFrame, patients: Integers, smallest_cell: int) -> list[Summary]:
    """Return one summary per column, sorted by name.

    A share is told where the patients with and without it are `smallest_cell` or more (or none); mean and spread where so
    many patients have a value and, with at most three distinct values, each of them.

    Args:
        X: feature columns, shape (rows, columns).
        patients: the patient of each row, shape (rows,).
        smallest_cell: smallest count that may be published; 0 hides nothing.
    """
    numeric = {name for name, kind in X.schema.items() if kind.is_numeric()}
    return [
        _of_number(name, X[name], patients, smallest_cell)
        if name in numeric
        else _of_category(name, X[name], patients, smallest_cell)
        for name in sorted(X.columns)
    ]


def drift_of(reference: Sequence[Summary], here: Sequence[Summary]) -> pl.DataFrame:
    """Return how the columns of both differ, schema Drift: in spreads of the reference, and in shares.

    Raises:
        BadInput: the reference, which comes from elsewhere, tells of a column twice.
    """
    if len({one.column for one in reference}) < len(reference):
        raise BadInput(
            "reference.json of the bundle tells of a column twice: it is not as psystrata freeze writes it. Ask its sender."
        )
    there = {summary.column: summary for summary in here}
    rows = [row for one in reference if one.column in there for row in _rows(one, there[one.column])]
    schema = {name: Drift.columns()[name].dtype for name in Drift.column_names()}
    return Drift.validate(pl.DataFrame(rows, schema=schema, orient="row"), cast=True)


def base_rates(target: Target, patients: Integers, smallest_cell: int) -> list[BaseRate]:
    """Return the cumulative incidence of each cause at each horizon; null where few patients had it, or few did not.

    The mean label weighted by 1/G(min(T, horizon)-) with the Kaplan-Meier G of the same rows is the Aalen-Johansen
    estimate (Satten and Datta 2001, doi 10.1198/000313001317098185; its form for competing risks).
    """
    return [
        BaseRate(
            cause=cause,
            horizon=horizon,
            risk=_incidence(target, horizon, cause)
            if _many(target, horizon, cause, patients, smallest_cell)
            else None,
        )
        for horizon in target.horizons
        for cause in range(1, target.causes + 1)
    ]


def _incidence(target: Target, horizon: float, cause: int) -> float:
    risk = float(target.weights(horizon) @ target.labels(horizon, cause)) / len(target)
    return _rounded(min(1.0, risk))


def _many(target: Target, horizon: float, cause: int, patients: Integers, smallest: int) -> bool:
    label, known = target.labels(horizon, cause), target.weights(horizon) > 0
    return all(_people(patients[known & (label == value)]) >= smallest for value in (0, 1))


def _of_number(name: str, column: pl.Series, patients: Integers, smallest: int) -> Summary:
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = ~np.isnan(values)
    missing = _share(~known, patients, smallest)
    found = values[known]
    distinct, code = np.unique(found, return_inverse=True)
    groups = (
        [patients[known][code == place] for place in range(len(distinct))]
        if len(distinct) <= FEW_VALUES
        else []
    )
    counts = [_people(group) for group in (*groups, patients[known])]
    if not len(found) or min(counts) < smallest:
        return Summary(column=name, mean=None, spread=None, missing=missing, shares=None)
    return Summary(
        column=name,
        mean=_rounded(float(found.mean())),
        spread=_rounded(float(found.std())),
        missing=missing,
        shares=None,
    )


def _of_category(name: str, column: pl.Series, patients: Integers, smallest: int) -> Summary:
    text = column.cast(pl.String).fill_null(NOT_KNOWN).to_numpy()
    levels = np.unique(text)
    counts = np.array([[_people(patients[text == level])] for level in levels], dtype=np.int64)
    hidden = hidden_cells(counts, smallest)
    shares = {
        str(level): _rounded(float((text == level).mean()))
        for level, is_hidden in zip(levels, hidden, strict=True)
        if not is_hidden
    }
    return Summary(column=name, mean=None, spread=None, missing=shares.get(NOT_KNOWN), shares=shares)


def _share(chosen: NDArray[np.bool_], patients: Integers, smallest: int) -> float | None:
    for part in (chosen, ~chosen):
        if 0 < _people(patients[part]) < smallest:
            return None
    return _rounded(float(chosen.mean())) if len(chosen) else None


def _people(patients: Integers) -> int:
    return len(np.unique(patients))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _rows(
    before: Summary, now: Summary
) -> list[tuple[str, str, float | None, float | None, float | None, str | None]]:
    if before.shares is not None or now.shares is not None:
        distance = _distance(before.shares or {}, now.shares or {})
        return [(before.column, "total_variation", None, None, distance, None)]
    mean = ratio = None
    if before.spread and before.mean is not None and now.mean is not None and now.spread is not None:
        mean, ratio = (now.mean - before.mean) / before.spread, now.spread / before.spread
        if not (isfinite(mean) and isfinite(ratio)):  # a spread next to nothing
            mean = ratio = None
    share = None if before.missing is None or now.missing is None else now.missing - before.missing
    note = None if mean is not None else (SUPPRESSED if None in (before.mean, now.mean) else "no spread")
    return [
        (before.column, "standardised_mean_difference", before.mean, now.mean, mean, note),
        (before.column, "ratio_of_spreads", before.spread, now.spread, ratio, note),
        (
            before.column,
            "missing_share",
            before.missing,
            now.missing,
            share,
            None if share is not None else SUPPRESSED,
        ),
    ]


def _distance(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """Return half the sum of absolute differences over the levels told of both, all other levels as one."""
    both = sorted(set(before) & set(now))
    shares = [(before[level], now[level]) for level in both]
    shares.append((1 - sum(before[level] for level in both), 1 - sum(now[level] for level in both)))
    return sum(abs(one - other) for one, other in shares) / 2
