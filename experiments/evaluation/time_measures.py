"""Measures that need times, not only a label at one horizon: Uno's concordance and the integrated Brier score.

Each takes a part and how often each of its rows counts, shape (..., n): one leading index is one weighting, as of a
bootstrap resample of patients. The censoring weights stay as estimated.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.follow_up import Floats, FollowUp
from experiments.evaluation.metrics import brier
from experiments.evaluation.sample import Part

TimeMeasure = Callable[[Part, Floats], Floats]
TimeInfluence = Callable[[Part], Floats]
CELLS = 4_000_000  # case x row cells held at once


def concordance(part: Part, counts: Floats) -> Floats:
    """Return Uno's C truncated at the horizon, with competing risks; ties of the risk count half.

    Of all pairs in which one row has the event by the horizon and the other is still without it then, or had a competing
    event before (and so never has it), the weighted share in which the first has the higher risk. Weights:
    1/(G_i(T_i-) G_j(T_i-)) where the other, j, is still followed at the time T_i of the case, i (Uno 2011, doi
    10.1002/sim.4154), 1/(G_i(T_i-) G_j(T_j-)) where it had a competing event at T_j by then (Wolbers 2014, doi
    10.1093/biostatistics/kxt059); G_i is the Kaplan-Meier curve of the censoring in the evaluated population, within i's
    level of the covariates that censoring may depend on (Gerds 2013, doi 10.1002/sim.5681). Rows censored on the day of
    an event were followed through that day, as everywhere here, so they are compared; and those with an event on the
    horizon itself are cases.

    Args:
        part: with its follow-up.
        counts: shape (..., n), how often each row counts.

    Returns:
        Shape (...,); NaN where no pair can be compared.
    """
    above = np.zeros(counts.shape[:-1], dtype=np.float64)
    below = np.zeros_like(above)
    for cases, concordant, comparable in _pairs(_follow_up(part), part.risk):
        above += (counts[..., cases] * (counts @ concordant.T)).sum(axis=-1)
        below += (counts[..., cases] * (counts @ comparable.T)).sum(axis=-1)
    return _ratio(above, below)


def concordance_influence(part: Part) -> Floats:
    """Return each row's influence on Uno's C, shape (n,): its part in pairs as the case and as the other."""
    moved_above, moved_below = np.zeros((2, len(part.risk)), dtype=np.float64)
    total_above = total_below = 0.0
    for cases, concordant, comparable in _pairs(_follow_up(part), part.risk):
        moved_above[cases] += concordant.sum(axis=1)
        moved_below[cases] += comparable.sum(axis=1)
        moved_above += concordant.sum(axis=0)
        moved_below += comparable.sum(axis=0)
        total_above += float(concordant.sum())
        total_below += float(comparable.sum())
    share = total_above / total_below
    return np.asarray((moved_above - share * moved_below) / total_below, dtype=np.float64)


def integrated_brier(part: Part, counts: Floats) -> Floats:
    """Return the Brier score averaged over the time up to the horizon.

    By the trapezoid rule over the declared horizons, from 0 at time 0 where nothing has happened yet; weights at each
    horizon are those of its own Brier score (Graf 1999, doi 10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529). Shapes
    as in `concordance`.
    """
    follow_up, risks = _follow_up(part), _risks(part)
    steps = _trapezoid(follow_up.horizons)
    found = np.zeros(counts.shape[:-1], dtype=np.float64)
    for number, step in enumerate(steps):
        weight = counts * follow_up.weights[:, number]
        found += step * brier(follow_up.labels[:, number], risks[:, number], weight)
    return found


def integrated_brier_skill(part: Part, counts: Floats) -> Floats:
    """Return the integrated index of prediction accuracy: 1 - integrated Brier / that of the Aalen-Johansen risk.

    The null predicts for everybody the cumulative incidence of the evaluated rows, which is the weighted share of events
    at each horizon. Kattan and Gerds 2018, doi 10.1186/s41512-018-0029-2. NaN without events.
    """
    return 1 - _ratio(integrated_brier(part, counts), _integrated_null(_follow_up(part), counts))


def integrated_brier_influence(part: Part) -> Floats:
    """Return each row's influence on the integrated Brier score, shape (n,)."""
    follow_up, risks = _follow_up(part), _risks(part)
    terms = (
        step * _mean_influence((follow_up.labels[:, k] - risks[:, k]) ** 2, follow_up.weights[:, k])
        for k, step in enumerate(_trapezoid(follow_up.horizons))
    )
    return np.asarray(sum(terms), dtype=np.float64)


def integrated_brier_skill_influence(part: Part) -> Floats:
    """Return each row's influence on the integrated index of prediction accuracy, shape (n,)."""
    follow_up = _follow_up(part)
    ones = np.ones(len(part.risk), dtype=np.float64)
    score, null = float(integrated_brier(part, ones)), float(_integrated_null(follow_up, ones))
    of_null = np.zeros_like(ones)
    for k, step in enumerate(_trapezoid(follow_up.horizons)):
        label, weight = follow_up.labels[:, k], follow_up.weights[:, k]
        share = float(weight @ label / weight.sum())
        of_null += step * (1 - 2 * share) * _mean_influence(label, weight)
    return np.asarray(-integrated_brier_influence(part) / null + score / null**2 * of_null, dtype=np.float64)


def measures_of_time(part: Part) -> tuple[str, ...]:
    """Return the names of the measures of time that a part can have: none for a label, integrated ones over horizons."""
    if part.follow_up is None:
        return ()
    integrated = part.follow_up.risks is not None and len(part.follow_up.horizons) > 1
    return tuple(TIME_MEASURES) if integrated else ("concordance",)


def _pairs(
    follow_up: FollowUp, risk: Floats
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
    """Yield some cases with the weight of each pair they are in, concordant and comparable: shape (cases, n) each."""
    time, cause = follow_up.time, follow_up.cause
    of_levels, level = 1 / np.maximum(follow_up.uncensored, 1e-12), follow_up.level
    inverse = of_levels[np.arange(len(time)), level]
    all_cases = np.flatnonzero((cause == 1) & (time <= follow_up.horizon))
    size = max(1, CELLS // max(1, len(time)))
    for start in range(0, len(all_cases), size):
        cases = all_cases[start : start + size]
        at = time[cases][:, None]
        later = (time > at) | ((time == at) & (cause == 0))
        competed = (time <= at) & (cause > 1)
        own = inverse[cases][:, None]
        others = own if of_levels.shape[1] == 1 else of_levels[cases][:, level]
        comparable = own * (later * others + competed * inverse)
        higher = risk[cases][:, None]
        yield cases, comparable * ((higher > risk) + 0.5 * (higher == risk)), comparable


def _trapezoid(horizons: tuple[float, ...]) -> Floats:
    """Return the weight of the value at each horizon in the mean over the time from 0, where it is 0."""
    edges = np.array([0.0, *horizons])
    gaps = np.diff(edges)
    return np.asarray((gaps + np.append(gaps[1:], 0.0)) / 2 / edges[-1], dtype=np.float64)


def _integrated_null(follow_up: FollowUp, counts: Floats) -> Floats:
    found = np.zeros(counts.shape[:-1], dtype=np.float64)
    for number, step in enumerate(_trapezoid(follow_up.horizons)):
        weight = counts * follow_up.weights[:, number]
        share = _ratio(weight @ follow_up.labels[:, number], weight.sum(axis=-1))
        found += step * share * (1 - share)
    return found


def _mean_influence(values: Floats, weight: Floats) -> Floats:
    total = weight.sum()
    return np.asarray(weight * (values - weight @ values / total) / total, dtype=np.float64)


def _follow_up(part: Part) -> FollowUp:
    if part.follow_up is None:
        raise ValueError("A label has no times: measures of time are not for it.")
    return part.follow_up


def _risks(part: Part) -> Floats:
    risks = _follow_up(part).risks
    if risks is None:
        raise ValueError("Integrated measures need the risks at every horizon.")
    return risks


def _ratio(above: Floats, below: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan), dtype=np.float64)


TIME_MEASURES: dict[str, TimeMeasure] = {
    "concordance": concordance,
    "integrated_brier": integrated_brier,
    "integrated_brier_skill": integrated_brier_skill,
}
TIME_INFLUENCES: dict[str, TimeInfluence] = {
    "concordance": concordance_influence,
    "integrated_brier": integrated_brier_influence,
    "integrated_brier_skill": integrated_brier_skill_influence,
}
