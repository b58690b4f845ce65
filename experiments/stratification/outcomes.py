"""Outcomes by stratum: cumulative incidence with competing events, and restricted mean times, with class uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells
from experiments.seeds import seed_for
from experiments.stratification.related_cohort import RelatedCohort, Response, Row
from experiments.stratification.uncertainty import Classified, weighted_means
from models.incidence import interval_edges

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CHUNK = 25  # resamples held at once
NORMAL = 1.959963984540054
LEAST_AT_RISK = 0.5  # weights of a stratum that sum to less give no hazard: negative ones have taken the rest
SIGNED = "BCH weights, some of them negative: risks are held within 0 and 1, and a curve is drawn as the nearest that never falls"
TOLD_APART = "the strata are too uncertain for BCH weights: patients are assigned to several alike"
SUPPRESSED = "suppressed: a small cell, or one that would give a small cell away"


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


def followed_to(response: Response, classified: Classified) -> float:
    """Return the day to which times are restricted: the largest horizon, or before it the last of a stratum's follow-up."""
    if response.kind != "time":
        return 0.0
    last = [
        float(response.value[classified.assigned == stratum].max(initial=0.0))
        for stratum in range(classified.k)
    ]
    return min(response.horizons[-1], *(day for day in last if day > 0))


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


def assigned_counts(response: Response, classified: Classified, horizon: float) -> Integers:
    """Return patients, those with the event by the horizon, and the others, by assigned stratum, shape (k, 3)."""
    inside = response.cause == 1
    if response.kind == "time" and horizon > 0:
        inside = inside & (response.value <= horizon)
    n = np.bincount(classified.assigned, minlength=classified.k)
    events = np.bincount(classified.assigned[inside], minlength=classified.k)
    return np.stack([n, events, n - events], axis=1).astype(np.int64)


def hidden_strata(response: Response, classified: Classified, smallest_cell: int) -> dict[float, Flags]:
    """Return which strata must be hidden at each horizon, and at 0 (a label, or the whole follow-up as at the last horizon).

    From the last horizon to the first: where events of a horizon, or those between it and the next that is shown, are few.
    """
    steps = sorted(response.horizons, reverse=True) or [0.0]
    found: dict[float, Flags] = {}
    later: Integers | None = None
    for step in steps:
        counts = assigned_counts(response, classified, step)
        few = np.zeros(classified.k, dtype=np.bool_)
        if later is not None:
            between = later - counts[:, 1]
            few = (between > 0) & (between < smallest_cell)
        found[step] = hidden_cells(counts, smallest_cell, few) if smallest_cell > 0 else few & False
        later = counts[:, 1] if later is None else np.where(found[step], later, counts[:, 1])
    return found | {0.0: found[steps[0]]}


def hidden_competing(response: Response, classified: Classified, horizon: float, smallest_cell: int) -> Flags:
    """Return which strata had so few competing events by a horizon that their incidence would give the number away."""
    inside = (response.cause > 1) & (response.value <= horizon)
    counts = np.bincount(classified.assigned[inside], minlength=classified.k)
    return np.asarray(
        hidden_cells(counts[:, None].astype(np.int64), smallest_cell) & counts.any(), dtype=np.bool_
    )


def drawn_curves(
    response: Response, classified: Classified, weights: Floats, hidden: Flags, hidden_others: Flags
) -> list[Row]:
    """Return points of the curves, rows of schema Curves: at ends of intervals with 11 events or more, and never falling.

    Args:
        response: an outcome in time.
        classified: of its patients.
        weights: shape (n, k).
        hidden: strata that are not drawn.
        hidden_others: strata whose competing events are not.
    """
    steps = aalen_johansen(response.value, response.cause, weights)
    found: list[Row] = []
    for stratum in range(classified.k):
        own = classified.assigned == stratum
        if hidden[stratum] or not own.any():
            continue
        edges = interval_edges(response.value[own], response.cause[own] > 0, response.horizons, most=24)
        event, competing, _ = (
            np.stack([figure[stratum] for figure in figures])
            for figures in zip(*(steps.at(day) for day in edges), strict=True)
        )
        points = zip(
            (0.0, *edges), [0.0, *never_falling(event)], [0.0, *never_falling(competing)], strict=True
        )
        found += [
            {
                "outcome": response.name,
                "stratum": stratum + 1,
                "day": day,
                "event": one,
                "competing": None if hidden_others[stratum] else other,
            }
            for day, one, other in points
        ]
    return found


def never_falling(values: Sequence[float] | Floats) -> list[float]:
    """Return the nearest values that never fall (pool adjacent violators), within 0 and 1."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    return [min(max(mean, 0.0), 1.0) for mean, size in blocks for _ in range(size)]
