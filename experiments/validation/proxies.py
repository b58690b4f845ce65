"""Predictors that are the outcome in disguise: refused before anything is fitted, unless signed off."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from features.errors import BadInput
from models.target import Target

Floats = NDArray[np.float64]
CONCORDANCE_ROWS = 2_000  # the concordance of one column needs no more
SURPRISE = 3.5  # standard errors from 0.5 that chance does not explain, however few rows there are
CHANCE = 1e-6  # a column seen in one class alone is suspect where chance would do that less often
FEW_VALUES = 20  # a number with so few values is also judged as a category
FEWEST_CENSORED = 20  # with fewer nothing is said of follow-up


@dataclass(frozen=True)
class ProxyLimits:
    """Above what a single column is refused.

    Attributes:
        area: AUROC at a horizon, or concordance with the time to the event, in either direction.
        follow_up: rank correlation with the time under observation among the censored, in either direction.
    """

    area: float = 0.95
    follow_up: float = 0.9


def refuse_proxies(
    X: pl.DataFrame,
    target: Target,
    position: NDArray[np.int64],
    signed_off: Sequence[str],
    outcome: str,
    *,
    limits: ProxyLimits | None = None,
) -> None:
    """Refuse predictors that alone give the outcome away; raises BadInput naming every such column.

    Args:
        X: shape (rows, columns), eligible rows.
        target: judged at each of its horizons; rows whose status is unknown count for nothing.
        position: shape (rows,), the patients' canonical order, which halves them.
        signed_off: columns that were judged not to be the outcome.
        outcome: its name in the study file.
        limits: None: the usual ones.
    """
    found = suspicious_columns(X.drop(signed_off, strict=False), target, position, limits or ProxyLimits())
    if found:
        raise BadInput(
            *[
                f"{name} gives the outcome {outcome} away: {reason}. Remove it (learners: ... predictors, or its feature "
                f"set), or, where it is truly known beforehand, list it under outcomes.{outcome}.signed_off."
                for name, reason in found.items()
            ]
        )


def suspicious_columns(
    X: pl.DataFrame, target: Target, position: NDArray[np.int64], limits: ProxyLimits
) -> dict[str, str]:
    """Return why columns are suspect, by name: those that give the outcome away, or follow from the follow-up.

    A column is suspect when its value, or whether it is missing, tells events from non-events at a horizon with an AUROC
    above the limit in either direction, or when it was recorded in one class alone (a scale given only to patients).
    Categories, and numbers of few values, are judged by their levels' event rates, learned in one half of the patients
    and applied to the other. With times, also when its concordance with the time to the event (Harrell 1982, doi
    10.1001/jama.1982.03320430047030) is above the limit, or when among the censored it goes with the time that they were
    followed: what is known only because a patient was seen longer lies ahead of the prediction.
    """
    found = {}
    for name in sorted(X.columns):
        reason = _at_horizons(X[name], target, position, limits) or _of_time(X[name], target, limits)
        if reason:
            found[name] = reason
    return found


def _at_horizons(
    column: pl.Series, target: Target, position: NDArray[np.int64], limits: ProxyLimits
) -> str | None:
    for horizon in target.horizons:
        known = target.weights(horizon) > 0
        reason = suspicion(
            column.filter(pl.Series(known)),
            target.labels(horizon)[known] == 1,
            position[known] % 2 == 0,
            limits.area,
        )
        if reason:
            return reason
    return None


def _of_time(column: pl.Series, target: Target, limits: ProxyLimits) -> str | None:
    """Return what is suspect of a column beside the times; None for labels."""
    if target.time is None:
        return None
    missing = _missing(column)
    censored = target.cause == 0
    if _parts_follow_up(missing[censored], target.time[censored], limits.follow_up):
        return "whether it is missing goes with how long the censored were followed"
    if not column.dtype.is_numeric():
        return None
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    seen = censored & ~missing
    if _follows(values[seen], target.time[seen], limits.follow_up):
        return (
            f"its rank correlation with the follow-up of the censored is above {limits.follow_up:g} in size, so it is "
            "known only because the patient was followed"
        )
    if _concordance_too_good(values[~missing], target.rows(~missing), limits.area):
        return f"alone it has a concordance with the time to the event above {limits.area:g}"
    return None


def _follows(values: Floats, time: Floats, limit: float) -> bool:
    """Tell whether values and times of follow-up have a rank correlation above the limit, and beyond chance."""
    if len(values) < FEWEST_CENSORED:
        return False
    ranks = np.vstack([rankdata(values), rankdata(time)])
    if (ranks.std(axis=1) == 0).any():
        return False
    correlation = abs(float(np.corrcoef(ranks)[0, 1]))
    return correlation > limit and correlation * sqrt(len(values) - 1) > SURPRISE


def _parts_follow_up(chosen: NDArray[np.bool_], time: Floats, limit: float) -> bool:
    """Tell the same of a yes or no by its rank-biserial correlation (2 AUROC - 1), which reaches 1 at any share."""
    some, others = int(chosen.sum()), int((~chosen).sum())
    if some + others < FEWEST_CENSORED or not some or not others:
        return False
    area = (float(rankdata(time)[chosen].sum()) - some * (some + 1) / 2) / (some * others)
    error = sqrt((some + others + 1) / (3 * some * others))
    return abs(2 * area - 1) > limit and abs(2 * area - 1) / error > SURPRISE


def _concordance_too_good(values: Floats, target: Target, limit: float) -> bool:
    """Tell whether Harrell's C of cause 1 is above the limit in either direction and beyond chance."""
    assert target.time is not None
    if not len(values):
        return False
    rows = np.unique(np.linspace(0, len(values) - 1, CONCORDANCE_ROWS).astype(np.int64))
    values, time, cause = values[rows], target.time[rows], target.cause[rows]
    events = np.flatnonzero(cause == 1)
    if not len(events) or 2 * sqrt(len(events)) * (limit - 0.5) <= SURPRISE:
        return False
    # Who died of a competing cause never has the event: comparable with every event (Wolbers 2009,
    # doi 10.1097/EDE.0b013e3181a39056).
    later = (time[None, :] > time[events, None]) | (
        (cause > 1)[None, :] & (time[None, :] <= time[events, None])
    )
    pairs = int(later.sum())
    if not pairs:
        return False
    above = (values[events, None] > values[None, :]) + 0.5 * (values[events, None] == values[None, :])
    area = float((above * later).sum()) / pairs
    return max(area, 1 - area) > limit


def suspicion(
    column: pl.Series, labels: NDArray[np.bool_], half: NDArray[np.bool_], limit: float = ProxyLimits.area
) -> str | None:
    """Return why a column is suspect at one horizon, or None. Shapes (rows,)."""
    missing = _missing(column)
    if _too_good(missing.astype(np.float64), labels, limit):
        return "whether it is missing tells events from non-events almost without error"
    seen = ~missing
    if _one_class(labels[seen], labels):
        return "it was recorded in one class of the outcome alone"
    values, truth = column.filter(pl.Series(seen)), labels[seen]
    if column.dtype.is_numeric() and _too_good(values.cast(pl.Float64).to_numpy(), truth, limit):
        return f"alone it has an AUROC above {limit:g}"
    few = not column.dtype.is_numeric() or values.n_unique() <= FEW_VALUES
    if few and len(truth) and _levels_too_good(values, truth, half[seen], limit):
        return f"its levels alone have an AUROC above {limit:g}"
    return None


def _missing(column: pl.Series) -> NDArray[np.bool_]:
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(False)
    return missing.to_numpy()


def _too_good(scores: Floats, labels: NDArray[np.bool_], limit: float) -> bool:
    """Tell whether the AUROC is above the limit in either direction and beyond chance (Mann-Whitney)."""
    events, nones = int(labels.sum()), int((~labels).sum())
    if not events or not nones:
        return False
    ranks = rankdata(scores)
    area = (float(ranks[labels].sum()) - events * (events + 1) / 2) / (events * nones)
    error = sqrt((events + nones + 1) / (12 * events * nones))
    return max(area, 1 - area) > limit and abs(area - 0.5) / error > SURPRISE


def _one_class(seen: NDArray[np.bool_], labels: NDArray[np.bool_]) -> bool:
    """Tell whether every row with a value is of one class, and chance would not do that."""
    if not len(seen) or len(seen) == len(labels) or seen.any() != seen.all():
        return False
    share = float(labels.mean() if seen.all() else 1 - labels.mean())
    return 0 < share < 1 and len(seen) * log(share) < log(CHANCE)


def _levels_too_good(
    values: pl.Series, labels: NDArray[np.bool_], half: NDArray[np.bool_], limit: float
) -> bool:
    codes = values.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
    for learned in (half, ~half):
        if not learned.any() or learned.all():
            return False
        rows = np.bincount(codes[learned], minlength=codes.max() + 1)
        events = np.bincount(codes[learned], weights=labels[learned], minlength=codes.max() + 1)
        overall = float(labels[learned].mean())
        rates = (events + overall) / (rows + 1)
        if not _too_good(rates[codes[~learned]], labels[~learned], limit):
            return False
    return True
