"""Signals of the predictors: when they were known, how often they are missing, what they are declared to be."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.signals.signal import (
    PROBAST,
    Material,
    Signal,
    Verdict,
    graded_if_told,
    listed,
    patients_with,
    percent,
    ranged,
    shares,
    spread,
)
from features.errors import BadInput

ROLES = "VanderWeele 2019, doi 10.1007/s10654-019-00494-6"
MISSING = "Sperrin 2020, doi 10.1016/j.jclinepi.2020.03.028"


def predictors(material: Material) -> list[Signal]:
    """Return the signals of this domain; raises BadInput where a role is declared of a column that does not exist."""
    return [
        *_windows(material),
        *_missing(material),
        _proxies(material),
        *_roles(material),
    ]


def missing_rows(column: pl.Series) -> NDArray[np.bool_]:
    """Return where a column has no value, shape (n,)."""
    lacking = column.is_null()
    if column.dtype.is_float():
        lacking = lacking | column.is_nan().fill_null(value=False)
    return lacking.to_numpy()


def _windows(material: Material) -> list[Signal]:
    found = []
    for name, days in sorted(material.look_behind.items()):
        number = material.columns.filter(pl.col("feature_set") == name).height
        behind = "any time" if days is None else f"at most {days:g} days"
        found.append(
            Signal(
                "predictors",
                "timing",
                f"{number} columns, available strictly before the prediction, {behind} behind it",
                "known when the prediction is made, and not older than it would be in use",
                "unclear" if days is None else "low",
                PROBAST,
                place=name,
                value=days,
            )
        )
    return found


def _missing(material: Material) -> list[Signal]:
    found = []
    used = {column for columns in material.learners.values() for column in columns}
    for name in sorted(set(material.columns["feature_set"])):
        own = material.columns.filter(pl.col("feature_set") == name)["column"].to_list()
        columns = [column for column in own if column in used]
        if not columns:
            continue
        lacking = np.column_stack([missing_rows(material.X[column]) for column in columns])
        some, whole = np.asarray(lacking.any(axis=1)), np.asarray(lacking.all(axis=1))
        people = (patients_with(material.position, some), patients_with(material.position, ~whole))
        few = any(0 < number < material.smallest_cell for number in people)  # who lack a value, or have any
        share = None if few else float(lacking.mean())
        found.append(
            Signal(
                "predictors",
                "values missing",
                f"{percent(share)} of the values of {len(columns)} columns",
                "few; what is missing in use must be missing alike",
                graded_if_told(share, 0.1, 0.4),
                MISSING,
                place=name,
                value=share,
            )
        )
        found += _by_place(material, name, lacking.mean(axis=1) > 0.5)
    return found


def _by_place(material: Material, name: str, mostly: NDArray[np.bool_]) -> list[Signal]:
    """Return how the share of predictions that lack most of a set differs over centres."""
    if not mostly.any():
        return []
    found = shares(material.rows["centre"].to_list(), mostly, material.position, material.smallest_cell)
    apart = spread(found)
    return [
        Signal(
            "predictors",
            "set missing by centre",
            f"most of its values lacking in {ranged(found)} centres",
            "alike over centres: else a missing value says where, not who",
            graded_if_told(apart, 0.1, 0.3),
            MISSING,
            place=name,
            value=apart,
        )
    ]


def _proxies(material: Material) -> Signal:
    signed = [column for column in material.signed_off if column in material.X.columns]
    words = f"none ({material.proxy_limits})"
    return Signal(
        "predictors",
        "columns that give the outcome away",
        f"signed off: {', '.join(signed)}; else {words}" if signed else words,
        "none: such a column is refused until it is signed off",
        "unclear" if signed else "low",
        "Kapoor and Narayanan 2023, doi 10.1016/j.patter.2023.100804",
        value=float(len(signed)),
    )


def _roles(material: Material) -> list[Signal]:
    unknown = sorted(set(material.roles) - set(material.X.columns))
    if unknown:
        raise BadInput(
            f"roles: {', '.join(unknown)} are not feature columns. Name columns as "
            "artifacts/<study>/assembled/columns.parquet does, or remove them."
        )
    if not material.roles:
        return [_role("none declared", "unclear", 0)]
    found = []
    for role, words, verdict in (
        ("mediator", "on the way from other predictors or from treatment to the outcome", "high"),
        ("design", "says how the study was made, not who the patient is", "high"),
        ("confounder", "of a treatment: kept for adjustment, its weight is no effect", "unclear"),
    ):
        used = {
            column: sorted(name for name, own in material.learners.items() if column in own)
            for column, declared in sorted(material.roles.items())
            if declared == role
        }
        among = {column: names for column, names in used.items() if names}
        if among:
            told = "; ".join(f"{column} ({', '.join(names)})" for column, names in among.items())
            grade: Verdict = "high" if verdict == "high" else "unclear"
            found.append(_role(f"{role}: {told}: {words}", grade, len(among)))
    return found or [_role(f"{len(material.roles)} declared, none of concern among the predictors", "low", 0)]


def _role(found: str, verdict: Verdict, number: int) -> Signal:
    return Signal(
        "predictors",
        "roles as declared",
        found,
        "no mediator and no variable of the design among the predictors",
        verdict,
        ROLES,
        value=float(number),
    )


def availability(material: Material) -> list[dict[str, str]]:
    """Return one row per column that a learner uses: its set, what it is, from where, and how often it is missing."""
    used = sorted({column for columns in material.learners.values() for column in columns})
    described = {row["column"]: row for row in material.columns.iter_rows(named=True)}
    table = []
    for column in used:
        lacking = missing_rows(material.X[column])
        some = patients_with(material.position, lacking)
        small = 0 < some < material.smallest_cell
        by_country = shares(
            material.rows["country"].to_list(), lacking, material.position, material.smallest_cell
        )
        table.append(
            {
                "column": column,
                "set": described[column]["feature_set"],
                "what it is": described[column]["description"],
                "source": described[column]["source"],
                "role": material.roles.get(column, ""),
                "missing": percent(None if small else float(lacking.mean())),
                "missing by country": listed(by_country) if len(by_country) > 1 else "",
            }
        )
    return table
