"""The hazard of the event after censoring, multiplied: figures at declared multipliers, and where a conclusion tips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.evaluation.intervals import Interval
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part
from experiments.examination.estimates import Estimate, Frame, estimates, measure_of
from experiments.examination.hazards import completed, completion
from experiments.examination.setting import Evaluated, Examination, Row
from experiments.examination.variants import DIFFERENCE, all_figures, auroc_difference, published

HAZARD, TIPPING = "hazard after censoring", "tipping point"
STEPS_PER_DOUBLING = 4  # of the grid on which the tipping point is searched
NO_DIFFERENCE = 1e-12
WITHOUT_TIMES = "the outcome has no times: nobody is censored"


def hazard_after_censoring(
    examination: Examination, tested: Evaluated, asked_for: Sequence[float], up_to: float
) -> tuple[list[Row], str]:
    """Return the rows of one scheme, or why there are none.

    Args:
        examination: what the outcome's examinations share.
        tested: the scheme's rows as evaluated.
        asked_for: multipliers of the hazard of the event after censoring.
        up_to: the tipping point is searched up to this multiplier and down to its inverse.
    """
    if not asked_for:
        return [], "not asked for: examination.hazard_after_censoring is empty"
    sample = tested.sample
    if sample.frame["time"].null_count():
        return [], WITHOUT_TIMES
    lost = (sample.frame["cause"].to_numpy() == 0) & (sample.frame["time"].to_numpy() < sample.horizon)
    if not lost.any():
        return [], "nobody is censored before the horizon"
    if 0 < sample.frame.filter(lost)["position"].n_unique() < examination.smallest_cell:
        return [], "too few patients are censored before the horizon to publish what follows from them"
    asked = np.array(sorted({*asked_for, 1.0, *_grid(up_to)}))
    chances = completion(sample, tested.parts, asked)
    frame = Frame.of(sample.kind, sample.test_to_train, tested.parts)  # units by what was observed
    variants = _Variants(frame, tested, chances, asked)
    rows = []
    for multiplier in asked_for:
        found = variants.figures(multiplier, examination.threshold)
        note = "those censored enter by their chance of the event, taken as known"
        rows += published(
            examination,
            tested,
            tested.parts,
            found,
            analysis=HAZARD,
            level=f"{multiplier:g} times",
            note=note,
        )
    return rows + _tipping_rows(examination, tested, variants, up_to), ""


@dataclass(frozen=True)
class _Variants:
    """The rows as they would be under each multiplier of the hazard after censoring."""

    frame: Frame
    tested: Evaluated
    chances: Sequence[Floats]
    multipliers: Floats

    def parts(self, multiplier: float) -> tuple[list[Part], list[Part] | None]:
        """Return both learners' rows; the chances are by the lead learner's risk in both."""
        row = int(np.searchsorted(self.multipliers, multiplier))

        def of(parts: Sequence[Part]) -> list[Part]:
            return [completed(part, chance[row]) for part, chance in zip(parts, self.chances, strict=True)]

        reference = self.tested.reference
        return of(self.tested.parts), None if reference is None else of(reference)

    def figures(self, multiplier: float, threshold: float) -> dict[str, list[Estimate]]:
        """Return all figures under a multiplier."""
        return all_figures(self.frame, *self.parts(multiplier), threshold)

    def tipped(self, multiplier: float) -> dict[str, list[Estimate]]:
        """Return the two figures that a tipping point is searched for."""
        own, other = self.parts(multiplier)
        name = "observed_to_expected"
        found = {name: estimates(self.frame, own, measure_of(name))}
        if other is not None:
            found[DIFFERENCE] = auroc_difference(self.frame, own, other)
        return found


def _grid(up_to: float) -> Floats:
    steps = max(1, int(np.ceil(np.log2(up_to) * STEPS_PER_DOUBLING)))
    above = np.geomspace(1.0, up_to, steps + 1)
    return np.concatenate([1 / above[:0:-1], above])


def _tipping_rows(
    examination: Examination, tested: Evaluated, variants: _Variants, up_to: float
) -> list[Row]:
    """Return the multipliers nearest to 1, above and below it, at which a conclusion changes."""
    grid = _grid(up_to)
    found = {float(multiplier): variants.tipped(float(multiplier)) for multiplier in grid}
    rows = []
    for side, words in (
        (grid[grid > 1], f"up to {up_to:g}"),
        (grid[grid < 1][::-1], f"down to {1 / up_to:g}"),
    ):
        tips: dict[str, list[Estimate]] = {
            metric: [
                tipping_point(metric, number, found, side, words) for number in range(len(found[1.0][metric]))
            ]
            for metric in found[1.0]
        }
        rows += published(examination, tested, tested.parts, tips, analysis=TIPPING, level=words)
    return rows


def tipping_point(
    metric: str,
    number: int,
    found: Mapping[float, Mapping[str, Sequence[Estimate]]],
    side: Floats,
    words: str,
) -> Estimate:
    """Return the first multiplier of `side` at which a figure leaves its interval, or a difference its sign.

    Observed over expected leaves the interval that it has at a multiplier of 1; the difference of the AUROC to the clinical
    model is 0 or has the other sign.
    """
    start = found[1.0][metric][number]
    if start.interval.estimate is None:
        return Estimate(start.group, Interval(None, note="not estimable"))
    if metric == DIFFERENCE:
        if abs(start.interval.estimate) <= NO_DIFFERENCE:
            return Estimate(start.group, Interval(None, note="no difference to begin with"))
        sign = float(np.sign(start.interval.estimate))
        low, high = (0.0, np.inf) if sign > 0 else (-np.inf, 0.0)
        event = "the difference to the clinical model loses its sign"
    elif start.interval.lower is None or start.interval.upper is None:
        return Estimate(start.group, Interval(None, note="no interval to leave"))
    else:
        low, high = start.interval.lower, start.interval.upper
        event = "observed over expected leaves its interval"
    for multiplier in side:
        value = found[float(multiplier)][metric][number].interval.estimate
        if value is not None and not low < value < high:
            return Estimate(start.group, Interval(float(multiplier), note=event))
    return Estimate(start.group, Interval(None, note=f"none {words}: {event}"))
