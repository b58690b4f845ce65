"""Modalities: the feature set that each column belongs to, and which of them a row has."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

NO_MODALITY = "none"
JOINED_BY = " + "


def columns_by_modality(
    modalities: Mapping[str, str], columns: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Return the sorted columns of each modality among `columns`, modalities sorted; columns of no modality are left out."""
    found: dict[str, list[str]] = {}
    for column in sorted(set(columns)):
        if column in modalities:
            found.setdefault(modalities[column], []).append(column)
    return {name: tuple(found[name]) for name in sorted(found)}


def modality_presence(X: pl.DataFrame, columns: Mapping[str, tuple[str, ...]]) -> NDArray[np.bool_]:
    """Return whether each row has each modality, shape (rows, modalities), in the order of `columns`.

    A row lacks a modality when every column of it is missing (null, or NaN in a number). A set with a column that is
    never missing, such as a count of stays, is therefore never lacked.

    Args:
        X: feature columns, at least those named.
        columns: the columns of each modality.
    """
    present = np.zeros((X.height, len(columns)), dtype=np.bool_)
    for place, names in enumerate(columns.values()):
        for name in names:
            column = X[name]
            known = column.is_not_null()
            if column.dtype.is_float():
                known &= column.is_not_nan().fill_null(False)
            present[:, place] |= known.to_numpy()
    return present


def modality_patterns(X: pl.DataFrame, modalities: Mapping[str, str]) -> list[str]:
    """Return the name of each row's pattern: the modalities that it has, sorted and joined by " + ", or "none".

    Args:
        X: feature columns, one row per prediction; columns that `modalities` does not name are ignored.
        modalities: the feature set of each column, as the column descriptions give it.

    Returns:
        One name per row, such as "clinical + cognitive".
    """
    columns = columns_by_modality(modalities, tuple(X.columns))
    present = modality_presence(X, columns)
    names = np.asarray(list(columns), dtype=object)
    kinds, place = np.unique(present, axis=0, return_inverse=True)
    texts = [JOINED_BY.join(names[kind]) or NO_MODALITY for kind in kinds]
    return [texts[kind] for kind in place.reshape(-1)]
