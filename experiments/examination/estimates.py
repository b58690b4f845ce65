"""From figures of folds, centres or left-out groups to one estimate with its error, for figures and for differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from experiments.evaluation.combining import FEWEST, Units, centre_units, over_units
from experiments.evaluation.influence import INFLUENCES, clustered_variance
from experiments.evaluation.intervals import (
    SCALES,
    Interval,
    bounds,
    corrected_resampling,
    from_scale,
    random_effects,
    slope_of_scale,
    to_scale,
)
from experiments.evaluation.metrics import MEASURES, Floats
from experiments.evaluation.sample import Part, pooled

SMALLEST_VARIANCE = 1e-12
COMBINED_KINDS = ("stratified_kfold", "leave_centre_out")  # others: each left-out group on its own
NORMAL = 1.959963984540054


@dataclass(frozen=True)
class Frame:
    """How a scheme's figures become one: its kind, its parts and, for leave-centre-out, which rows make a unit.

    Attributes:
        kind: stratified_kfold, leave_centre_out, or one where each left-out group stands on its own.
        test_to_train: rows tested over rows trained on.
        units: of each centre or pool of small centres: repeat, fold and names of the centres.
        note: how the units came about.
    """

    kind: str
    test_to_train: float
    units: tuple[tuple[int, int, tuple[str, ...]], ...] = ()
    note: str | None = None

    @classmethod
    def of(cls, kind: str, test_to_train: float, parts: Sequence[Part]) -> "Frame":
        """Return the frame of a scheme; centres are pooled by what was seen in these parts."""
        if kind != "leave_centre_out":
            return cls(kind, test_to_train)
        found = centre_units(parts)
        units = tuple(
            (unit.repeat, unit.fold, tuple(map(str, np.unique(unit.places["centre"]))))
            for unit in found.parts
        )
        return cls(kind, test_to_train, units, found.note)

    def pieces(self, parts: Sequence[Part]) -> list[Part]:
        """Return what a figure is computed in: the units' rows for leave-centre-out, else the parts."""
        if self.kind != "leave_centre_out":
            return list(parts)
        place = {(part.repeat, part.fold): part for part in parts}
        return [
            place[repeat, fold].take(np.isin(place[repeat, fold].places["centre"], names))
            for repeat, fold, names in self.units
            if (repeat, fold) in place
        ]


Value = Callable[[Part], float]
Influence = Callable[[Part], Floats]


@dataclass(frozen=True)
class Quantity:
    """A figure of a part: its value, each row's influence on it, and the scale on which it is about normal.

    `adds_up` says that it is a mean over rows, which may be pooled over folds; `measure` names one of stage compare's.
    """

    value: Value
    influence: Influence
    scale: str = "identity"
    adds_up: bool = False
    measure: str | None = None


def measure_of(name: str, threshold: float = 0.5) -> Quantity:
    """Return a measure by name: one of MEASURES, `event_rate`, or `net_benefit` at a threshold."""
    if name == "event_rate":
        return _mean(lambda part: part.label)
    if name == "net_benefit":
        odds = threshold / (1 - threshold)
        return _mean(lambda part: (part.risk >= threshold) * (part.label - (1 - part.label) * odds))
    return Quantity(
        lambda part: float(MEASURES[name](part.label, part.risk, part.weight)) if len(part.label) else np.nan,
        lambda part: INFLUENCES[name](part.label, part.risk, part.weight),
        SCALES.get(name, "identity"),
        measure=name,
    )


def _mean(of: Callable[[Part], Floats]) -> Quantity:
    """Return the weighted mean of a value of each row (Vickers and Elkin 2006, doi 10.1177/0272989X06295361)."""

    def value(part: Part) -> float:
        total = float(part.weight.sum())
        return float(part.weight @ of(part)) / total if total > 0 else np.nan

    def influence(part: Part) -> Floats:
        return np.asarray(part.weight * (of(part) - value(part)) / part.weight.sum(), dtype=np.float64)

    return Quantity(value, influence, adds_up=True)


@dataclass(frozen=True)
class Estimate:
    """An estimate on its own scale with what a test of it needs.

    Attributes:
        group: the left-out group; None: combined.
        interval: the estimate and its bounds.
        p: two-sided, of the hypothesis that the value on its scale is 0; None without an error.
    """

    group: str | None
    interval: Interval
    p: float | None = None


def estimates(frame: Frame, parts: Sequence[Part], quantity: Quantity) -> list[Estimate]:
    """Return a scheme's estimate of a quantity, or one of each left-out group where these stand on their own.

    What adds up is a mean over all rows, whole patients (`patient_variance`). The rest is computed within fold and its
    mean has Nadeau and Bengio's interval; within centre and has a random-effects mean; else one per left-out group.
    """
    if frame.kind not in COMBINED_KINDS:
        return [alone(part, quantity, part.group) for part in parts]
    if quantity.adds_up:
        return [alone(joined(parts), quantity, None)]
    pieces = frame.pieces(parts)
    values = np.array([quantity.value(piece) for piece in pieces], dtype=np.float64)
    if frame.kind == "stratified_kfold":
        return [across_folds(values, frame.test_to_train, quantity.scale)]
    if quantity.measure is not None:  # as stage compare combines it, perfect centres included
        return [Estimate(None, over_units(Units(tuple(pieces), frame.note or ""), quantity.measure)[0])]
    spreads = np.array([spread(piece, quantity, value) for piece, value in zip(pieces, values, strict=True)])
    return [across_units(values, spreads, quantity.scale, frame.note)]


def across_folds(values: Floats, test_to_train: float, scale: str) -> Estimate:
    """Return the mean over folds with the corrected interval and its p (t with folds - 1 degrees of freedom)."""
    interval = corrected_resampling(values, test_to_train, scale)
    if interval.estimate is None or interval.lower is None or interval.upper is None:
        return Estimate(None, interval)
    mean, low, high = (
        to_scale(bound, scale) for bound in (interval.estimate, interval.lower, interval.upper)
    )
    degrees = int(np.isfinite(values).sum()) - 1
    error = (high - low) / 2 / float(stats.t.ppf(0.975, degrees))
    return Estimate(None, interval, float(2 * stats.t.sf(abs(mean) / error, degrees)) if error > 0 else None)


def across_units(values: Floats, spreads: Floats, scale: str, note: str | None) -> Estimate:
    """Return the random-effects mean over units, Hartung-Knapp-Sidik-Jonkman, and its p."""
    good = np.isfinite(values) & np.isfinite(spreads) & (spreads > SMALLEST_VARIANCE)
    pairs = [
        (to_scale(value, scale), variance * slope_of_scale(value, scale) ** 2)
        for value, variance in zip(values[good], spreads[good], strict=True)
        if np.isfinite(slope_of_scale(value, scale))
    ]
    words = "; ".join(filter(None, [note, f"over {len(pairs)} of {len(values)} units"]))
    if len(pairs) < 2:
        seen = values[np.isfinite(values)]
        return Estimate(None, Interval(float(seen.mean()) if len(seen) else None, note=words))
    effects, variances = np.array(pairs, dtype=np.float64).T
    found = random_effects(effects, variances)
    lower, upper = (from_scale(bound, scale) for bound in found.confidence())
    interval = Interval(from_scale(found.mean, scale), lower, upper, "random_effects", words)
    return Estimate(None, interval, float(2 * stats.t.sf(abs(found.mean) / found.error, found.units - 1)))


def alone(part: Part, quantity: Quantity, group: str | None) -> Estimate:
    """Return the estimate of one part, by the normal approximation over its patients on the quantity's scale."""
    value = quantity.value(part)
    if not np.isfinite(value):
        return Estimate(group, Interval(None, note="not estimable"))
    variance = spread(part, quantity, value)
    if not np.isfinite(variance) or variance <= SMALLEST_VARIANCE:
        return Estimate(group, Interval(value, note="no variance between patients: no interval"))
    slope = slope_of_scale(value, quantity.scale)
    if not np.isfinite(slope):
        return Estimate(group, Interval(value, note="at the end of its range: no interval"))
    error = float(np.sqrt(variance))
    lower, upper = bounds(value, error, NORMAL, quantity.scale)
    statistic = abs(to_scale(value, quantity.scale)) / (error * slope)
    return Estimate(
        group, Interval(value, lower, upper, "patient_variance"), float(2 * stats.norm.sf(statistic))
    )


def spread(part: Part, quantity: Quantity, value: float) -> float:
    """Return a quantity's variance over patients and families; NaN where the quantity is not defined."""
    return clustered_variance(quantity.influence(part), part.unit) if np.isfinite(value) else np.nan


def joined(parts: Sequence[Part]) -> Part:
    """Return the rows of all parts as one, for means over rows alone: never for ranking.

    Under several repeats a prediction stands there once per repeat; a patient's rows are summed, so this adds nothing.
    """
    rows = pooled(parts)
    places = {name: np.concatenate([part.places[name] for part in parts]) for name in parts[0].places}
    family = None if all(part.family is None for part in parts) else rows.unit
    arrays = (rows.label, rows.risk, rows.weight, rows.patient)
    return Part(parts[0].repeat, -1, "", *arrays, places, family=family)


def enough(part: Part) -> bool:
    """Return whether a part has ten events and ten non-events, as a figure of its own needs."""
    return part.events >= FEWEST and part.others >= FEWEST
