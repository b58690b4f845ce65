"""A part with its follow-up from plain vectors, for the tests of measures of time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.follow_up import FollowUp
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part
from models.censoring import censoring_survival, inverse_probability_weights


def followed_part(
    time: Floats,
    cause: NDArray[np.int64],
    risks: Floats,
    horizons: Sequence[float],
    patient: NDArray[np.int64] | None = None,
) -> Part:
    """Return all rows as one part at the last horizon, weighted by one Kaplan-Meier curve; risks are (n, horizons)."""
    labels = np.stack([(cause == 1) & (time <= horizon) for horizon in horizons], axis=1).astype(float)
    weights = np.stack([inverse_probability_weights(time, cause, step) for step in horizons], axis=1)
    population = np.zeros(len(time), dtype=np.int64)
    follow_up = FollowUp(
        horizons[-1],
        time,
        cause,
        censoring_survival(time, cause, time)[:, None],
        population,
        population,
        tuple(horizons),
        labels,
        weights,
        risks,
    )
    places = {"country": np.full(len(time), "FR"), "centre": np.full(len(time), "FR 1")}
    rows = np.arange(len(time)) if patient is None else patient
    return Part(0, 0, "", labels[:, -1], risks[:, -1], weights[:, -1], rows, places, follow_up)
