"""Every measure of a part by name: its figure, its figures of resamples, and how rows move it.

AUROC: cases are those with the event by the horizon, controls all who are known to be without it then, those who had a
competing event first among them (cumulative cases, dynamic controls; definition 2 of Blanche 2013, doi 10.1002/sim.5958).
"""

from collections.abc import Callable, Sequence

import numpy as np

from experiments.evaluation.influence import INFLUENCES
from experiments.evaluation.metrics import MEASURES, Floats
from experiments.evaluation.sample import Part
from experiments.evaluation.smooth import ERRORS, calibration_errors, ici_influence
from experiments.evaluation.time_measures import TIME_INFLUENCES, TIME_MEASURES, measures_of_time

ROW_MEASURES = (*MEASURES, *ERRORS)
ROW_INFLUENCES: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    **INFLUENCES,
    "ici": ici_influence,
}
RANKINGS = ("auroc", "concordance")  # 0.5, without any variance, where all have one risk


def names_of(parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the measures that the parts of one scheme have, in the order of the tables."""
    return (*ROW_MEASURES, *(measures_of_time(parts[0]) if parts else ()))


def figures(part: Part, names: Sequence[str], counts: Floats) -> dict[str, Floats]:
    """Return measures with each row counted `counts` times, shape (..., n) to (...,); NaN where one is not defined."""
    found: dict[str, Floats] = {}
    weight = counts * part.weight
    if set(ERRORS) & set(names):  # one curve gives them all
        found |= calibration_errors(part.label, part.risk, weight)
    for name in names:
        if name in TIME_MEASURES:
            found[name] = TIME_MEASURES[name](part, counts)
        elif name in MEASURES:
            found[name] = MEASURES[name](part.label, part.risk, weight)
    return {name: found[name] for name in names}


def measured(part: Part, names: Sequence[str]) -> dict[str, float]:
    """Return figures of a part; NaN where one is not defined."""
    once = np.ones(len(part.label), dtype=np.float64)
    return {name: float(value) for name, value in figures(part, names, once).items()}


def measure(part: Part, name: str) -> float:
    """Return one figure of a part; NaN where it is not defined."""
    return measured(part, (name,))[name]


def influence(part: Part, name: str) -> Floats:
    """Return each row's influence on a defined figure, shape (n,); quantiles (E50, E90) have none."""
    if name in TIME_INFLUENCES:
        return TIME_INFLUENCES[name](part)
    return ROW_INFLUENCES[name](part.label, part.risk, part.weight)
