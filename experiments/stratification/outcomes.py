"""Outcomes by stratum: cumulative incidence with competing events, and restricted mean times, with class uncertainty."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.stratification.related_cohort import RelatedCohort
from experiments.stratification.responses import Response, Row
from experiments.stratification.uncertainty import Classified, weighted_means

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CHUNK = 25  # resamples held at once
NORMAL = 1.959963984540054
LEAST_AT_RISK = 0.5  # weights of a stratum that sum to less give no hazard: negative ones have taken the rest
SIGNED = "BCH weights, some of them negative: risks are held within 0 and 1, and a curve is drawn as the nearest that never falls"
TOLD_APART = "the strata are too uncertain for BCH weights: patients are assigned to several alike"


@dataclass(frozen=True)
class Steps:
    """Aalen-Johansen curves of each stratum, as they jump.

    Attributes:
        days: distinct days, increasing, shape (days,).
        free: alive and without the event after each, shape (..., days, k).
        event: cumulative incidence of cause 1, same shape.
    """

    days: Floats
    free: Floats
    event: Floats

    def at(self, day: float) -> tuple[Floats, Floats, Floats]:
        """Return the incidence of cause 1 and of the others, and what is free, at a day, shape (..., k) each."""
        place = int(np.searchsorted(self.days, day, side="right")) - 1
        if place < 0:
            nothing = np.zeros((*self.free.shape[:-2], self.free.shape[-1]))
            return nothing, nothing, nothing + 1.0
        event, free = self.event[..., place, :], self.free[..., place, :]
        return event, 1.0 - event - free, free

    def means(self, limit: float) -> tuple[Floats, Floats]:
        """Return days free of any event and days lost to cause 1 up to `limit`, shape (..., k) each: areas under steps."""
        inside = self.days < limit
        edges = np.concatenate([[0.0], self.days[inside], [limit]])
        width = np.diff(edges)
        start = np.ones((*self.free.shape[:-2], 1, self.free.shape[-1]))
        free = np.concatenate([start, self.free[..., inside, :]], axis=-2)
        event = np.concatenate([0 * start, self.event[..., inside, :]], axis=-2)
        return (free * width[:, None]).sum(axis=-2), (event * width[:, None]).sum(axis=-2)


def aalen_johansen(time: Floats, cause: Integers, weights: Floats) -> Steps:
    """Return weighted Aalen-Johansen curves of each stratum (Aalen and Johansen 1978, Scandinavian Journal of Statistics 5).

    Args:
        time: shape (n,), days.
        cause: shape (n,), 0 censored, 1 the event, 2 and above competing.
        weights: how much each patient counts in each stratum, shape (..., n, k); may be negative.
    """
    order = np.argsort(time, kind="stable")
    days, starts = np.unique(time[order], return_index=True)
    sorted_weights, kind = weights[..., order, :], cause[order][:, None]
    leaving = np.add.reduceat(sorted_weights, starts, axis=-2)
    first = np.add.reduceat(sorted_weights * (kind == 1), starts, axis=-2)
    every = np.add.reduceat(sorted_weights * (kind > 0), starts, axis=-2)
    at_risk = np.cumsum(leaving[..., ::-1, :], axis=-2)[..., ::-1, :]
    known = at_risk >= LEAST_AT_RISK
    below = np.where(known, at_risk, 1.0)
    hazard = np.clip(np.where(known, every / below, 0.0), -1.0, 1.0)
    free = np.cumprod(1.0 - hazard, axis=-2)
    before = np.concatenate([np.ones_like(free[..., :1, :]), free[..., :-1, :]], axis=-2)
    event = np.cumsum(before * np.clip(np.where(known, first / below, 0.0), -1.0, 1.0), axis=-2)
    return Steps(days, np.asarray(free, dtype=np.float64), event)


@dataclass(frozen=True)
class Occurred:
    """What happened in each stratum, with standard errors.

    Attributes:
        measures: name and horizon of each figure.
        estimate: shape (measures, k).
        resampled: shape (resamples, measures, k).
    """

    measures: tuple[tuple[str, float], ...]
    estimate: Floats
    resampled: Floats

    def rows_of(self, correction: str, outcome: str) -> list[Row]:
        """Return rows of schema Incidence."""
        error = self.resampled.std(axis=0, ddof=1)
        found = []
        for number, (measure, horizon) in enumerate(self.measures):
            top = horizon if measure in ("free_time", "time_lost") else 1.0
            for stratum, (value, width) in enumerate(
                zip(self.estimate[number], NORMAL * error[number], strict=True), 1
            ):
                bounds = np.clip([value, value - width, value + width], 0.0, top)
                found.append(
                    {
                        "outcome": outcome,
                        "measure": measure,
                        "horizon": horizon,
                        "correction": correction,
                        "stratum": stratum,
                        **dict(zip(("estimate", "lower", "upper"), bounds.tolist(), strict=True)),
                        "note": SIGNED if correction == "bch" else None,
                    }
                )
        return found

    def contrasts(self, correction: str, outcome: str) -> list[Row]:
        """Return rows of schema Contrasts: differences of risks and of times free of the event, every pair of strata."""
        names = {"risk": "risk_difference", "free_time": "free_time_difference"}
        found = []
        for number, (measure, horizon) in enumerate(self.measures):
            for reference, stratum in pairs(self.estimate.shape[1]) if measure in names else ():
                value = self.estimate[number, stratum] - self.estimate[number, reference]
                drawn = self.resampled[:, number, stratum] - self.resampled[:, number, reference]
                width = NORMAL * float(drawn.std(ddof=1))
                found.append(
                    {
                        "outcome": outcome,
                        "measure": names[measure],
                        "horizon": horizon,
                        "correction": correction,
                        "stratum": stratum + 1,
                        "reference": reference + 1,
                        "estimate": float(value),
                        "lower": float(value) - width,
                        "upper": float(value) + width,
                        "adjusted": False,
                    }
                )
        return found


def pairs(k: int) -> list[tuple[int, int]]:
    """Return every pair of strata, the smaller number first, counted from 0."""
    return [(low, high) for low in range(k) for high in range(low + 1, k)]


def occurred(
    cohort: RelatedCohort, response: Response, correction: str, *, bootstraps: int, seed: int
) -> Occurred:
    """Return what happened in each stratum; intervals by a bootstrap of patients within centre, errors estimated anew in each.

    Args:
        cohort: all patients.
        response: an outcome in time or a label.
        correction: "none" or "bch".
        bootstraps: resamples.
        seed: the study's.
    """
    classified = cohort.classified.take(response.rows)
    generator = np.random.default_rng(seed_for(seed, "strata_outcomes", response.name, correction))
    limit = followed_to(response, classified)
    parts = []
    for start in range(0, bootstraps, CHUNK):
        counts = multiplicities(cohort.centres[response.rows], min(CHUNK, bootstraps - start), generator)
        parts.append(_figures(response, classified, correction, counts, limit))
    estimate = _figures(response, classified, correction, None, limit)
    return Occurred(_measures(response, limit), estimate, np.concatenate(parts))


def multiplicities(centres: Integers, resamples: int, generator: np.random.Generator) -> Floats:
    """Return how often each patient stands in each bootstrap resample within centres, shape (resamples, n)."""
    counts = np.zeros((resamples, len(centres)))
    for centre in np.unique(centres):
        rows = np.flatnonzero(centres == centre)
        counts[:, rows] = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    return counts


MONTH = 30.0  # days


def followed_to(response: Response, classified: Classified) -> float:
    """Return the day to which times are restricted: the largest horizon, or before it the last of a stratum's follow-up.

    The latter is rounded down to whole months of 30 days, so that it is no patient's day.
    """
    if response.kind != "time":
        return 0.0
    last = [
        float(response.value[classified.assigned == stratum].max(initial=0.0))
        for stratum in range(classified.k)
    ]
    shortest = min((day for day in last if day > 0), default=response.horizons[-1])
    if shortest >= response.horizons[-1]:
        return response.horizons[-1]
    return max(float(np.floor(shortest / MONTH)) * MONTH, 1.0)


def _measures(response: Response, limit: float) -> tuple[tuple[str, float], ...]:
    if response.kind != "time":
        return (("risk", 0.0),)
    risks = [(name, horizon) for horizon in response.horizons for name in ("risk", "competing")]
    return (*risks, ("free_time", limit), ("time_lost", limit))


def _figures(
    response: Response, classified: Classified, correction: str, counts: Floats | None, limit: float
) -> Floats:
    weights = classified.weights(counts) if correction == "bch" else classified.naive_weights(counts)
    if response.kind != "time":
        each = response.weight if counts is None else counts * response.weight
        return weighted_means(response.value, weights, each)[..., None, :]
    steps = aalen_johansen(
        response.value, response.cause, weights if counts is None else counts[..., None] * weights
    )
    found = [figure for horizon in response.horizons for figure in steps.at(horizon)[:2]]
    return np.stack([*found, *steps.means(limit)], axis=-2)
