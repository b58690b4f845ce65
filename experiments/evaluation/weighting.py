"""Labels and weights of tested rows at each horizon, from the censoring of the evaluated population."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.evaluation.follow_up import Floats, FollowUp
from models.censoring import attendance_weights, censoring_survival, inverse_probability_weights


def with_labels(
    tested: pl.DataFrame,
    horizon: float,
    horizons: Sequence[float],
    population: Sequence[str],
    covariates: Sequence[str],
) -> tuple[pl.DataFrame, FollowUp | None]:
    """Return the rows with `label` and `weight` at the horizon, and their follow-up where the outcome has times.

    Args:
        tested: with `cause` and `time`.
        horizon: days; 0 for a label.
        horizons: every horizon of the outcome; those after `horizon` play no part.
        population: columns that name the population in which censoring is estimated.
        covariates: further columns, within whose levels it is estimated.
    """
    cause = tested["cause"].fill_null(0).to_numpy().astype(np.int64)
    if tested["time"].null_count() == tested.height:
        # Attendance has covariates of its own, declared with the outcome: they are in the stratum's name.
        present = tested["cause"].is_not_null().to_numpy()
        weight = attendance_weights(present, strata_of(tested, [*population, "attendance"]))
        label = (cause == 1).astype(np.float64)
        return tested.with_columns(label=pl.Series(label), weight=pl.Series(weight)), None
    time = tested["time"].to_numpy().astype(np.float64)
    strata = strata_of(tested, [*population, *covariates])
    steps = tuple(sorted({*(step for step in horizons if step < horizon), horizon}))
    labels = np.stack([(cause == 1) & (time <= step) for step in steps], axis=1).astype(np.float64)
    weights = np.stack([inverse_probability_weights(time, cause, step, strata) for step in steps], axis=1)
    level = strata_of(tested, covariates) - 1 if covariates else np.zeros(len(time), dtype=np.int64)
    uncensored = _censoring_of_levels(time, cause, strata_of(tested, population), level)
    follow_up = FollowUp(horizon, time, cause, uncensored, level, strata, steps, labels, weights)
    frame = tested.with_columns(label=pl.Series(labels[:, -1]), weight=pl.Series(weights[:, -1]))
    return frame, follow_up


def strata_of(frame: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each row's combination of values, shape (rows,)."""
    ranked = frame.select(pl.struct(columns).rank("dense")).to_series()
    return ranked.to_numpy().astype(np.int64)


def tested_to_trained(frame: pl.DataFrame) -> float:
    """Return rows tested over rows trained on, mean over the outer folds of a frame with `repeat` and `fold`."""
    sizes = frame.group_by("repeat", "fold", maintain_order=True).len()["len"].to_numpy().astype(np.float64)
    everybody = frame.height / frame["repeat"].n_unique()
    rest = np.maximum(everybody - sizes, 1.0)
    return float((sizes / rest).mean())


def _censoring_of_levels(
    time: Floats, cause: NDArray[np.int64], population: NDArray[np.int64], level: NDArray[np.int64]
) -> Floats:
    """Return G(T-) of each level in each row's population, shape (rows, levels); 1 for levels that are not in it."""
    found = np.ones((len(time), int(level.max()) + 1), dtype=np.float64)
    for place in np.unique(population):
        rows = np.flatnonzero(population == place)
        for own in np.unique(level[rows]):
            some = rows[level[rows] == own]
            found[rows, own] = censoring_survival(time[some], cause[some], time[rows])
    return found
