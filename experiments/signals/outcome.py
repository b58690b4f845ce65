"""Signals of the outcome: how common it is, who was lost before it could be seen, who came to be asked."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.signals.signal import (
    HIDDEN,
    PROBAST,
    Material,
    Signal,
    graded_if_told,
    listed,
    percent,
    ranged,
    shares,
    spread,
    told_share,
)

LOST = "Clark 2003, doi 10.1038/sj.bjc.6601118; Robins and Finkelstein 2000, doi 10.1111/j.0006-341X.2000.00779.x"
ATTENDANCE = "Robins, Rotnitzky and Zhao 1995, doi 10.2307/2291134"


def outcome(material: Material) -> list[Signal]:
    """Return the signals of this domain."""
    return [*_prevalence(material), *_lost(material), *_asked(material)]


def weighted_risk(material: Material) -> float:
    """Return the share with the event by the main horizon, with weights for those whose status is not known."""
    weights = material.target.weights()
    return float(np.average(material.target.labels(), weights=weights))


def _prevalence(material: Material) -> list[Signal]:
    known = material.status.event | material.status.none
    event = material.status.event[known]
    few = told_share(event, material.position[known], material.smallest_cell) is None
    whole = None if few else weighted_risk(material)
    found = shares(
        material.rows.filter(pl.Series(known))["country"].to_list(),
        event,
        material.position[known],
        material.smallest_cell,
    )
    apart = spread(found)
    signals = [
        Signal(
            "outcome",
            "prevalence",
            HIDDEN
            if whole is None
            else f"{100 * whole:.1f} % with the event by the horizon, weighted for those not known",
            "as in the patients that the model is for, between 1 and 99 %",
            "low" if whole is not None and 0.01 <= whole <= 0.99 else "unclear",
            PROBAST,
            value=whole,
        )
    ]
    if len(found) > 1:
        signals.append(
            Signal(
                "outcome",
                "prevalence by country",
                f"of those whose status is known: {listed(found)}",
                "alike: else it is found and defined alike, and recalibrated in each",
                graded_if_told(apart, 0.1, 0.2),
                PROBAST,
                value=apart,
            )
        )
    return signals


def _lost(material: Material) -> list[Signal]:
    """Return who was censored before each horizon, in all, by country and by centre."""
    if material.target.time is None:
        return []
    signals = []
    before: list[NDArray[np.bool_]] = []
    for horizon in material.target.horizons:
        lost = (material.target.cause == 0) & (material.target.time < horizon)
        whole = told_share(lost, material.position, material.smallest_cell, before)
        if whole is not None:
            before.append(lost)
        signals.append(_censored(horizon, "all", percent(whole), whole, (0.1, 0.3)))
        for level in ("country", "centre"):
            found = shares(material.rows[level].to_list(), lost, material.position, material.smallest_cell)
            if len(found) > 1:
                words = listed(found) if level == "country" else ranged(found)
                signals.append(_censored(horizon, f"by {level}", words, spread(found), (0.1, 0.3)))
    return signals


def _censored(
    horizon: float, place: str, words: str, value: float | None, limits: tuple[float, float]
) -> Signal:
    apart = "" if place == "all" else "apart by "
    return Signal(
        "outcome",
        f"censored before day {horizon:g}",
        words,
        f"{apart}at most {100 * limits[0]:.0f} %; more rests on the weights",
        graded_if_told(value, *limits),
        LOST,
        place=place,
        value=value,
    )


def _asked(material: Material) -> list[Signal]:
    """Return how many of those asked at visits never came, for outcomes that are only seen there."""
    unknown = ~material.target.seen()
    if material.target.time is not None or not unknown.any():
        return []
    whole = told_share(unknown, material.position, material.smallest_cell)
    signals = [
        Signal(
            "outcome",
            "attendance",
            f"the status of {percent(whole)} is not known: the visit was not attended",
            "at most 10 %; those who came stand for those who did not",
            graded_if_told(whole, 0.1, 0.3),
            ATTENDANCE,
            value=whole,
        )
    ]
    for level in ("country", "centre"):
        found = shares(material.rows[level].to_list(), unknown, material.position, material.smallest_cell)
        if len(found) > 1:
            apart = spread(found)
            signals.append(
                Signal(
                    "outcome",
                    "attendance",
                    f"not known: {listed(found) if level == 'country' else ranged(found)}",
                    "alike",
                    graded_if_told(apart, 0.1, 0.3),
                    ATTENDANCE,
                    place=f"by {level}",
                    value=apart,
                )
            )
    return signals
