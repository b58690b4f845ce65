"""Figures of outer folds and of centres, and how they become one figure: never by ranking across folds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from experiments.evaluation.influence import clustered_variance
from experiments.evaluation.intervals import (
    SCALES,
    Interval,
    corrected_resampling,
    from_scale,
    patient_multiplicities,
    percentile_interval,
    prediction_interval,
    random_effects,
    slope_of_scale,
    to_scale,
)
from experiments.evaluation.measures import RANKINGS, figures, influence, measure, measured
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part
from experiments.evaluation.sampling_error import SHARE_DEPENDENT, not_narrower
from experiments.evaluation.smooth import ERRORS, QUANTILE_ERRORS

FEWEST = 10  # events, and non-events, that a centre needs for a figure of its own
NO_SPREAD = 1e-12  # a variance below it is rounding: one risk for all
VARIANCE_RESAMPLES, VARIANCE_SEED = 200, 1  # of a unit's figure that has no influence function
CHUNK = 4_000_000  # resample x row cells held at once


@dataclass(frozen=True)
class Units:
    """The centres that a random-effects mean is over.

    Attributes:
        parts: centres with enough events and non-events, and the pools of smaller ones of the same test fold.
        note: how many centres stand alone, were pooled, were left out.
    """

    parts: tuple[Part, ...]
    note: str
    _known: dict[tuple[str, str], list[float]] = field(default_factory=dict, compare=False, repr=False)

    def figures(self, name: str) -> Floats:
        """Return a measure of every unit, shape (units,)."""
        return self._once("figure", name, ERRORS, measured)

    def variances(self, name: str) -> Floats:
        """Return the variance of a measure of every unit over patients, shape (units,)."""
        return self._once("variance", name, QUANTILE_ERRORS, variances)

    def _once(
        self,
        what: str,
        name: str,
        together: tuple[str, ...],
        compute: Callable[[Part, Sequence[str]], dict[str, float]],
    ) -> Floats:
        """Compute what belongs together, as the errors along one curve, a single time."""
        names = together if name in together else (name,)
        if (what, name) not in self._known:
            found = [compute(part, names) for part in self.parts]
            self._known.update({(what, each): [item[each] for item in found] for each in names})
        return np.array(self._known[what, name], dtype=np.float64)


def variances(part: Part, names: Sequence[str]) -> dict[str, float]:
    """Return the variance of figures over patients; NaN where a figure is not defined.

    By influence, or for quantiles, which have none, over bootstrap resamples of patients.
    """
    values = measured(part, names)
    drawn = [name for name in names if name in QUANTILE_ERRORS and np.isfinite(values[name])]
    resamples = resampled(part, drawn, VARIANCE_RESAMPLES, VARIANCE_SEED) if drawn else {}
    found = {}
    for name, value in values.items():
        if not np.isfinite(value):
            found[name] = np.nan
        elif name in resamples:
            seen = resamples[name][np.isfinite(resamples[name])]
            found[name] = float(seen.var(ddof=1)) if len(seen) >= 0.9 * VARIANCE_RESAMPLES else np.nan
        else:
            found[name] = clustered_variance(influence(part, name), part.unit)
    return found


def variance(part: Part, name: str) -> float:
    """Return the variance of one figure over patients; NaN where the figure is not defined."""
    return variances(part, (name,))[name]


def centre_units(parts: Sequence[Part]) -> Units:
    """Return centres with 10 or more events and non-events; smaller ones pooled within their test fold.

    Only centres that one model tested are pooled, so no ranking is across models. A pool that is still too small is left
    out, and counted.
    """
    units: list[Part] = []
    alone = pooled = lost = 0
    for part in parts:
        centres = part.places["centre"]
        names = np.unique(centres)
        small = [name for name in names if not _enough(part.take(centres == name))]
        units += [part.take(centres == name) for name in names if name not in small]
        alone += len(names) - len(small)
        pool = part.take(np.isin(centres, small))
        if small and _enough(pool):
            units.append(pool)
            pooled += len(small)
        else:
            lost += len(small)
    note = f"{alone} centres"
    if pooled:
        note += f", {pooled} smaller ones pooled within their test fold"
    if lost:
        note += f", {lost} left out: too few events or non-events even when pooled"
    return Units(tuple(units), note)


def combined(
    kind: str, parts: Sequence[Part], name: str, test_to_train: float, units: Units
) -> list[Interval]:
    """Return a scheme's combined figures: one, and for leave-centre-out a prediction interval beside it.

    Args:
        kind: the scheme's kind.
        parts: its test folds.
        name: the measure.
        test_to_train: rows tested over rows trained on.
        units: the centres, used for leave_centre_out.
    """
    values = np.array([measure(part, name) for part in parts])
    if kind == "stratified_kfold":
        scale = SCALES.get(name, "identity")
        interval = corrected_resampling(values, test_to_train, scale)
        return [not_narrower(interval, parts, name, scale) if name in SHARE_DEPENDENT else interval]
    if kind == "leave_centre_out":
        return over_units(units, name)
    seen = values[np.isfinite(values)]
    note = "mean of the directions; no variance between them is estimated"
    return [Interval(float(seen.mean()) if len(seen) else None, note=note)]


@dataclass(frozen=True)
class UnitFigures:
    """One measure of every unit in which it can be estimated.

    Attributes:
        values: shape (units,), on the measure's own scale.
        effects, variances: shape (units,), on the scale on which they are combined.
        scale: its name.
        constant: no unit's figure has any variance, as the AUROC of one risk for all.
        note: how the units came about.
    """

    values: Floats
    effects: Floats
    variances: Floats
    scale: str
    constant: bool
    note: str


def unit_figures(units: Units, name: str) -> UnitFigures:
    """Return a measure's figures of units, ready to be combined."""
    scale = SCALES.get(name, "identity")
    values, spreads = units.figures(name), units.variances(name)
    good = np.isfinite(values) & np.isfinite(spreads) & ((spreads > NO_SPREAD) | (name in RANKINGS))
    missing = int((~good).sum())
    note = units.note + (f"; not estimable in {missing} of {len(values)} units" if missing else "")
    constant = not (spreads[good] > NO_SPREAD).any()
    kept = [unit for unit, is_good in zip(units.parts, good, strict=True) if is_good]
    pairs = [
        _on_scale(unit, value, spread, scale)
        for unit, value, spread in zip(kept, values[good], spreads[good], strict=True)
    ]
    effects, variances = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return UnitFigures(values[good], effects, variances, scale, constant, note)


def over_units(units: Units, name: str) -> list[Interval]:
    """Return the random-effects mean over units and, for three or more, where a new unit is expected."""
    own = unit_figures(units, name)
    note, scale = own.note, own.scale
    if not len(own.values):
        return [Interval(None, note=note)]
    if own.constant:
        return [Interval(float(own.values.mean()), note=f"{note}; constant in every unit: no interval")]
    effects, variances = own.effects, own.variances
    if len(effects) < 2:
        return [Interval(float(own.values[0]), note=f"{note}; one unit: no interval")]
    found = random_effects(effects, variances)
    lower, upper = (from_scale(bound, scale) for bound in found.confidence())
    mean = Interval(from_scale(found.mean, scale), lower, upper, "random_effects", note)
    if name != "auroc" or len(effects) < 3:
        return [mean]
    low, high = (from_scale(bound, scale) for bound in prediction_interval(effects, variances))
    return [mean, replace(mean, lower=low, upper=high, kind="prediction_interval")]


def resampled(part: Part, names: Sequence[str], resamples: int, seed: int) -> dict[str, Floats]:
    """Return figures of bootstrap resamples of whole patients and families, shape (resamples,) each; weights are kept as estimated.

    Equal seeds and equal rows give the same resamples, so that two learners' figures are paired.
    """
    found: dict[str, list[Floats]] = {name: [] for name in names}
    rows = max(1, CHUNK // max(1, len(part.label)))
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, rows):
        drawn = patient_multiplicities(part.unit, min(rows, resamples - start), generator)
        for name, values in figures(part, names, drawn).items():
            found[name].append(values)
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


def bootstrap_interval(value: float, figures: Floats) -> Interval:
    """Return a frozen model's figure with the percentile interval over resampled patients."""
    if not np.isfinite(value):
        return Interval(None, note="not estimable")
    found = percentile_interval(figures)
    if found is None:
        return Interval(value, note="not estimable in more than one in ten resamples: no interval")
    if found[1] - found[0] < 1e-12:
        return Interval(value, note="the same in every resample: no interval")
    return Interval(value, *found, "patient_bootstrap")


def _enough(part: Part) -> bool:
    return part.events >= FEWEST and part.others >= FEWEST


def _on_scale(unit: Part, value: float, spread: float, scale: str) -> tuple[float, float]:
    """Carry a unit's figure over to its scale; at 0, at 1 or without variance it is moved half a pair inside."""
    if scale == "logit":
        edge = 0.5 / max(1, unit.events * unit.others)
        inside = float(np.clip(value, edge, 1 - edge))
        if inside != value or spread <= NO_SPREAD:
            spread = _hanley_mcneil(inside, unit.events, unit.others)
        value = inside
    return to_scale(value, scale), spread * slope_of_scale(value, scale) ** 2


def _hanley_mcneil(area: float, events: int, others: int) -> float:
    """Return the variance of an AUROC from its size and counts (Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747)."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (events - 1) * (first - area**2) + (others - 1) * (second - area**2)
    return spread / (events * others)
