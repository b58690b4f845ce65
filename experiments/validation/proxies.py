"""Predictors that are the outcome in disguise: refused before anything is fitted, unless signed off."""

from collections.abc import Sequence
from math import log, sqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from features.errors import BadInput
from models.target import Target

Floats = NDArray[np.float64]
TOO_GOOD = 0.98  # AUROC of one predictor alone
SURPRISE = 3.5  # standard errors from 0.5 that chance does not explain, however few rows there are
CHANCE = 1e-6  # a column seen in one class alone is suspect where chance would do that less often
FEW_VALUES = 20  # a number with so few values is also judged as a category


def refuse_proxies(
    X: pl.DataFrame, target: Target, position: NDArray[np.int64], signed_off: Sequence[str], outcome: str
) -> None:
    """Refuse predictors that alone give the outcome away; raises BadInput naming every such column.

    A column is suspect when its value, or whether it is missing, tells events from non-events with an AUROC above 0.98
    in either direction, or when it was recorded in one class alone (a scale given only to patients). Categories, and
    numbers of few values, are judged by their levels' event rates, learned in one half of the patients and applied to
    the other.

    Args:
        X: shape (rows, columns), eligible rows.
        target: judged at its first horizon; rows whose status is unknown count for nothing.
        position: shape (rows,), the patients' canonical order, which halves them.
        signed_off: columns that were judged not to be the outcome.
        outcome: its name in the study file.
    """
    known = target.weights() > 0
    labels, half = target.labels()[known] == 1, position[known] % 2 == 0
    found = {}
    for name in sorted(set(X.columns) - set(signed_off)):
        reason = suspicion(X[name].filter(pl.Series(known)), labels, half)
        if reason:
            found[name] = reason
    if found:
        raise BadInput(
            *[
                f"{name} gives the outcome {outcome} away: {reason}. Remove it (learners: ... predictors, or its feature "
                f"set), or, where it is truly known beforehand, list it under outcomes.{outcome}.signed_off."
                for name, reason in found.items()
            ]
        )


def suspicion(column: pl.Series, labels: NDArray[np.bool_], half: NDArray[np.bool_]) -> str | None:
    """Return why a column is suspect, or None. Shapes (rows,)."""
    missing = _missing(column)
    if _too_good(missing.astype(np.float64), labels):
        return "whether it is missing tells events from non-events almost without error"
    seen = ~missing
    if _one_class(labels[seen], labels):
        return "it was recorded in one class of the outcome alone"
    values, truth = column.filter(pl.Series(seen)), labels[seen]
    if column.dtype.is_numeric() and _too_good(values.cast(pl.Float64).to_numpy(), truth):
        return f"alone it has an AUROC above {TOO_GOOD}"
    few = not column.dtype.is_numeric() or values.n_unique() <= FEW_VALUES
    if few and len(truth) and _levels_too_good(values, truth, half[seen]):
        return f"its levels alone have an AUROC above {TOO_GOOD}"
    return None


def _missing(column: pl.Series) -> NDArray[np.bool_]:
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(False)
    return missing.to_numpy()


def _too_good(scores: Floats, labels: NDArray[np.bool_]) -> bool:
    """Tell whether the AUROC is above the limit in either direction and beyond chance (Mann-Whitney)."""
    events, nones = int(labels.sum()), int((~labels).sum())
    if not events or not nones:
        return False
    ranks = rankdata(scores)
    area = (float(ranks[labels].sum()) - events * (events + 1) / 2) / (events * nones)
    error = sqrt((events + nones + 1) / (12 * events * nones))
    return max(area, 1 - area) > TOO_GOOD and abs(area - 0.5) / error > SURPRISE


def _one_class(seen: NDArray[np.bool_], labels: NDArray[np.bool_]) -> bool:
    """Tell whether every row with a value is of one class, and chance would not do that."""
    if not len(seen) or len(seen) == len(labels) or seen.any() != seen.all():
        return False
    share = float(labels.mean() if seen.all() else 1 - labels.mean())
    return 0 < share < 1 and len(seen) * log(share) < log(CHANCE)


def _levels_too_good(values: pl.Series, labels: NDArray[np.bool_], half: NDArray[np.bool_]) -> bool:
    codes = values.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
    for learned in (half, ~half):
        if not learned.any() or learned.all():
            return False
        rows = np.bincount(codes[learned], minlength=codes.max() + 1)
        events = np.bincount(codes[learned], weights=labels[learned], minlength=codes.max() + 1)
        overall = float(labels[learned].mean())
        rates = (events + overall) / (rows + 1)
        if not _too_good(rates[codes[~learned]], labels[~learned]):
            return False
    return True
