"""The sampling error of the tested patients, below which no interval of a mean over folds may go."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from experiments.evaluation.influence import clustered_variance
from experiments.evaluation.intervals import NORMAL, Interval, bounds
from experiments.evaluation.measures import influence, measure
from experiments.evaluation.sample import Part

SHARE_DEPENDENT = (
    "brier",
    "integrated_brier",
)  # measures that follow the share of events, which stratified folds hold equal


def not_narrower(interval: Interval, parts: Sequence[Part], name: str, scale: str) -> Interval:
    """Return the interval of a mean over folds, not narrower than the sampling error of the tested patients.

    Stratified folds have equal shares of events, so the spread between folds does not show how the share varies from sample
    to sample, and intervals of the Brier score covered 0.91 to 0.94 (docs/validity.md). A patient's influences over folds and
    repeats are summed first (LeDell, Petersen and van der Laan 2015, doi 10.1214/15-EJS1035, for the AUROC).
    """
    if interval.estimate is None or interval.lower is None or interval.upper is None:
        return interval
    seen = [part for part in parts if np.isfinite(measure(part, name))]
    moved = np.concatenate([influence(part, name) for part in seen]) / len(seen)
    error = float(np.sqrt(clustered_variance(moved, np.concatenate([part.unit for part in seen]))))
    lower, upper = bounds(interval.estimate, error, NORMAL, scale)
    return replace(interval, lower=min(lower, interval.lower), upper=max(upper, interval.upper))
