"""What becomes of those who are censored before the horizon, if their hazard changes when they are no longer seen.

Delta adjustment of a time to an event (Lipkovich, Ratitch and O'Kelly 2016, doi 10.1002/pst.1738; Jackson 2014, doi
10.1002/sim.6274), here by probabilities rather than by drawing times: each such row enters as two copies, with the event
and without, weighted by how likely each is.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part, Sample
from experiments.examination.setting import split_like

FEWEST_GROUPS, MOST_GROUPS = 3, 10
EVENTS_OF_GROUP = 5  # where there are more than a few events, risks are told apart more finely


def event_after_censoring(
    time: Floats, cause: NDArray[np.int64], horizon: float, strata: NDArray[np.int64], multipliers: Floats
) -> Floats:
    """Return the probability of the event by the horizon of each row that is censored before it.

    Cause-specific hazards are the increments of Nelson and Aalen within each stratum; those of the event are multiplied
    after a row's censoring time, those of competing events are not. With a multiplier of 1 the expected events are those of
    Aalen and Johansen's estimator within the strata. An event of the same time as a censoring came before it.

    Args:
        time: shape (n,), days.
        cause: shape (n,), 0 censored, 1 the event, 2 and above competing events.
        horizon: days.
        strata: shape (n,).
        multipliers: shape (m,), positive.

    Returns:
        Shape (m, n); NaN where the status at the horizon is known.
    """
    found = np.full((len(multipliers), len(time)), np.nan)
    unknown = (cause == 0) & (time < horizon)
    for stratum in np.unique(strata[unknown]):
        rows = strata == stratum
        at, ahead = _ahead(time[rows], cause[rows], horizon, multipliers)
        lost = rows & unknown
        found[:, lost] = ahead[:, np.searchsorted(at, time[lost], side="right")]
    return found


def _ahead(
    time: Floats, cause: NDArray[np.int64], horizon: float, multipliers: Floats
) -> tuple[Floats, Floats]:
    """Return the times of events, shape (k,), and the risk of those without one just before each, shape (m, k + 1)."""
    happened = (cause != 0) & (time <= horizon)
    at, place = np.unique(time[happened], return_inverse=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), at, side="left")
    event = np.bincount(place, cause[happened] == 1, minlength=len(at)) / at_risk
    other = np.bincount(place, cause[happened] > 1, minlength=len(at)) / at_risk
    # A hazard multiplied within an increment: 1 - (1 - h)^multiplier stays a probability.
    changed = np.minimum(1 - (1 - event) ** multipliers[:, None], 1 - other)
    ahead = np.zeros((len(multipliers), len(at) + 1), dtype=np.float64)
    for step in range(len(at) - 1, -1, -1):
        stays = 1 - changed[:, step] - other[step]
        ahead[:, step] = changed[:, step] + stays * ahead[:, step + 1]
    return at, ahead


def completion(sample: Sample, parts: Sequence[Part], multipliers: Floats) -> list[Floats]:
    """Return, for each part, the probability of the event of each row censored before the horizon, shape (m, rows).

    Hazards are those of the evaluated population, as the weights are, within groups of similar risk: 3 to 10 by the number
    of its events (5 each), by rank within fold, pooled over the folds of random k-fold. Thirds alone would blur the ranking
    of those lost: with 38 % lost and a multiplier of 1, an AUROC of 0.83 came out 0.010 and a slope of 1 0.08 too low.
    """
    time = split_like(sample, parts, sample.frame["time"].to_numpy().astype(np.float64))
    cause = split_like(sample, parts, sample.frame["cause"].to_numpy().astype(np.int64))
    whole = sample.kind == "stratified_kfold"
    populations: dict[tuple[int, int], list[int]] = {}
    for number, part in enumerate(parts):
        populations.setdefault((part.repeat, -1 if whole else part.fold), []).append(number)
    found = [np.empty(0)] * len(parts)
    for numbers in populations.values():
        times, causes = (np.concatenate([values[number] for number in numbers]) for values in (time, cause))
        events = int(((causes == 1) & (times <= sample.horizon)).sum())
        groups = int(np.clip(events // EVENTS_OF_GROUP, FEWEST_GROUPS, MOST_GROUPS))
        strata = np.concatenate([risk_groups(parts[number].risk, groups) for number in numbers])
        chance = event_after_censoring(times, causes, sample.horizon, strata, multipliers)
        ends = np.cumsum([len(time[number]) for number in numbers])[:-1]
        for number, piece in zip(numbers, np.split(chance, ends, axis=1), strict=True):
            found[number] = piece
    return found


def risk_groups(risk: Floats, groups: int) -> NDArray[np.int64]:
    """Return 0 to `groups` - 1 from the lowest risks to the highest, by mid-rank, so that equal risks stay together."""
    _, place, sizes = np.unique(risk, return_inverse=True, return_counts=True)
    middle = np.cumsum(sizes) - sizes / 2
    return np.minimum((middle[place] / len(risk) * groups).astype(np.int64), groups - 1)


def completed(part: Part, chance: Floats) -> Part:
    """Return the part with each row of unknown status as two copies, weighted by the chance of the event, shape (rows,)."""
    unknown = np.isfinite(chance)
    without = part.take(unknown)
    label = np.where(unknown, 1.0, part.label)
    return replace(
        part,
        label=np.concatenate([label, np.zeros(len(without.label))]),
        risk=np.concatenate([part.risk, without.risk]),
        weight=np.concatenate([np.where(unknown, chance, 1.0), 1 - chance[unknown]]),
        patient=np.concatenate([part.patient, without.patient]),
        places={name: np.concatenate([part.places[name], without.places[name]]) for name in part.places},
        follow_up=None,
        family=_both(part.family, without.family),
    )


def _both(first: NDArray[np.int64] | None, second: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    return None if first is None or second is None else np.concatenate([first, second])
