"""Signals of the outcome: how common it is, who was lost before it could be seen, who came to be asked."""

import numpy as np
import polars as pl

from experiments.signals.signal import (
    PROBAST,
    Material,
    Signal,
    graded,
    listed,
    percent,
    ranged,
    shares,
    spread,
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
    whole = weighted_risk(material)
    known = material.status.event | material.status.none
    found = shares(
        material.rows.filter(pl.Series(known))["country"].to_list(),
        material.status.event[known],
        material.position[known],
        material.smallest_cell,
    )
    apart = spread(found)
    signals = [
        Signal(
            "outcome",
            "prevalence",
            f"{100 * whole:.1f} % with the event by the horizon, weighted for those not known",
            "as in the patients that the model is for, between 1 and 99 %",
            "low" if 0.01 <= whole <= 0.99 else "unclear",
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
                "unclear" if apart is None else graded(apart, 0.1, 0.2),
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
    for horizon in material.target.horizons:
        lost = (material.target.cause == 0) & (material.target.time < horizon)
        signals.append(_censored(horizon, "all", percent(float(lost.mean())), float(lost.mean()), (0.1, 0.3)))
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
        "unclear" if value is None else graded(value, *limits),
        LOST,
        place=place,
        value=value,
    )


def _asked(material: Material) -> list[Signal]:
    """Return how many of those asked at visits never came, for outcomes that are only seen there."""
    unknown = ~material.target.seen()
    if material.target.time is not None or not unknown.any():
        return []
    whole = float(unknown.mean())
    signals = [
        Signal(
            "outcome",
            "attendance",
            f"the status of {percent(whole)} is not known: the visit was not attended",
            "at most 10 %; those who came stand for those who did not",
            graded(whole, 0.1, 0.3),
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
                    "unclear" if apart is None else graded(apart, 0.1, 0.3),
                    ATTENDANCE,
                    place=f"by {level}",
                    value=apart,
                )
            )
    return signals
