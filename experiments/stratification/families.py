"""Families kept whole: relatives, and rows of one person, are halved and drawn together.

A stratum that one half of the patients foretells in the other because siblings or duplicates stand in both is no finding, and a
bootstrap that draws relatives one by one takes them for independent.
"""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def families_of(rows: pl.DataFrame) -> Integers | None:
    """Return the number of each patient's family, counted in the order of the rows, shape (patients,); None: nobody has any.

    Args:
        rows: one row per patient; `family` names who is related and is null for who is not, `position` is shared by rows that are
            suspected of being one person (features.schema.Rows). Rows without these columns have no relatives.
    """
    if not {"family", "position"} <= set(rows.columns):
        return None
    # A family is named by the smallest position in it, so that it shares no name with a patient outside.
    named = rows.select(pl.coalesce(pl.col("family", "position").cast(pl.Int64))).to_series().to_numpy()
    _, first, number = np.unique(named, return_index=True, return_inverse=True)
    if len(first) == rows.height:
        return None
    return np.asarray(np.argsort(np.argsort(first))[number.ravel()], dtype=np.int64)


def number_of_units(families: Integers | None, patients: int) -> int:
    """Return how many are drawn as one: families, and patients without relatives."""
    return patients if families is None else len(np.unique(families))


def rows_of_units(units: Integers, families: Integers | None) -> Integers:
    """Return the rows of units, increasing; those of a unit that stands there twice are there twice.

    Args:
        units: places of units, in the order of their first patients, any shape (drawn,).
        families: number of each patient's family, shape (patients,); None: every patient is a unit.
    """
    if families is None:
        return np.sort(units)
    first, number = np.unique(families, return_inverse=True)
    times = np.bincount(units, minlength=len(first))
    return np.repeat(np.arange(len(families), dtype=np.int64), times[number.ravel()])


def halves(patients: int, families: Integers | None, generator: np.random.Generator) -> list[Integers]:
    """Return the rows of two halves of the units at random, increasing; no family is in both."""
    order = generator.permutation(number_of_units(families, patients))
    return [rows_of_units(half, families) for half in np.array_split(order, 2)]


def draw_within(
    groups: Integers, generator: np.random.Generator, families: Integers | None = None
) -> Integers:
    """Return rows drawn with replacement within each group, as many units as it has; increasing.

    A family is drawn whole, in the group of its first patient.

    Args:
        groups: code of each patient's centre, shape (patients,).
        generator: of the draw.
        families: number of each patient's family, shape (patients,); None: nobody has relatives.
    """
    own = groups if families is None else groups[np.unique(families, return_index=True)[1]]
    drawn = [
        generator.choice(units, size=len(units), replace=True)
        for units in (np.flatnonzero(own == group) for group in np.unique(own))
    ]
    return rows_of_units(np.concatenate(drawn), families)


def of_one_place(places: pl.Series, families: Integers | None) -> pl.Series:
    """Return each patient's country or centre; null where the family has patients in several.

    Replication is between others: whoever has relatives or a double on the other side takes part on neither.
    """
    if families is None:
        return places
    frame = pl.DataFrame({"place": places, "family": families})
    several = pl.col("place").drop_nulls().n_unique().over("family") > 1
    return frame.select(pl.when(~several).then("place").alias(places.name)).to_series()


def families_fingerprint(families: Integers | None) -> str | None:
    """Return what of a journal's fingerprint says who is related; None where nobody is."""
    return None if families is None else hashlib.sha256(families.astype(np.int64).tobytes()).hexdigest()
