"""What it costs to give no answer: how many get none, how good the rest are, and the events among those left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.sample import Part
from experiments.examination.conformal import label_sets, share
from experiments.examination.estimates import Estimate, Frame, estimates, joined, measure_of
from experiments.examination.setting import (
    Evaluated,
    Examination,
    Row,
    few_flagged,
    figure_row,
    hidden_row,
    shown_groups,
)

NEVER, NO_SINGLE_LABEL, NEAR = "never", "no single label", "near the threshold"
FIGURES = ("share_abstained", "events_missed", "auroc", "net_benefit")


@dataclass(frozen=True)
class Rule:
    """When no answer is given.

    Attributes:
        name: never, no single label, near the threshold.
        level: wanted coverage of the sets, or half the width of the band.
        kept: for each part, which rows get an answer.
    """

    name: str
    level: float
    kept: Sequence[NDArray[np.bool_]]


def abstaining_rows(
    examination: Examination, tested: Evaluated, levels: Sequence[float], within: Sequence[float]
) -> list[Row]:
    """Return the rows of one scheme.

    Args:
        examination: what the outcome's examinations share.
        tested: the scheme's rows as evaluated.
        levels: of label sets; the rule abstains where the set is not one label.
        within: half widths; the rule abstains where the risk is so near the threshold of the net benefit.
    """
    rules = [Rule(NEVER, 0.0, [np.ones(len(part.label), np.bool_) for part in tested.parts])]
    for level in sorted(levels):
        sets = label_sets(tested.parts, level)
        if sets is not None:
            rules.append(Rule(NO_SINGLE_LABEL, level, [own.event != own.none for own in sets]))
    for width in sorted(within):
        near = [np.abs(part.risk - examination.threshold) > width for part in tested.parts]
        rules.append(Rule(NEAR, width, near))
    rows: list[Row] = []
    shown: list[tuple[int, int]] = []
    for rule in rules:
        rows += rule_rows(examination, tested, rule, shown)
    return rows


def rule_rows(
    examination: Examination, tested: Evaluated, rule: Rule, shown: list[tuple[int, int]]
) -> list[Row]:
    """Return the figures of one rule.

    Counts that differ from those `shown` before by a few are not published, and are added to them where they are.
    """
    place: dict[str, Any] = {"rule": rule.name, "level": rule.level}
    kept = rule.kept
    whole, answered = joined(tested.parts), np.concatenate(kept)
    first = [part.repeat == tested.parts[0].repeat for part in tested.parts]
    out = [part.take(~rows) for part, rows, own in zip(tested.parts, kept, first, strict=True) if own]
    rest = [part.take(rows) for part, rows in zip(tested.parts, kept, strict=True)]
    numbers = (sum(len(part.label) for part in out), sum(part.events for part in out))
    kept_once = [part for part, own in zip(rest, first, strict=True) if own]
    if _too_few(out, kept_once, examination.smallest_cell) or _near(
        numbers, shown, examination.smallest_cell
    ):
        return [hidden_row(tested.sample, metric, **place) for metric in FIGURES]
    shown.append(numbers)
    missed = whole.weight * whole.label
    costs = {
        "share_abstained": share(~answered, np.ones(len(answered)), whole.patient),
        "events_missed": share(~answered, missed, whole.patient),
    }
    rows = [
        figure_row(tested.sample, metric, Estimate(None, found), *numbers, **place)
        for metric, found in costs.items()
    ]
    left = [part for part in rest if len(part.label)]
    if not left:
        return rows
    shown_rest = shown_groups(left, examination.smallest_cell)
    frame = Frame.of(tested.sample.kind, tested.sample.test_to_train, left)
    total = [part for part in left if part.repeat == left[0].repeat]
    n, events = sum(len(part.label) for part in total), sum(part.events for part in total)
    for metric in ("auroc", "net_benefit"):
        for item in estimates(frame, left, measure_of(metric, examination.threshold)):
            some = [part for part in left if item.group in (None, part.group)]
            hide = metric == "net_benefit" and few_flagged(
                some, examination.threshold, examination.smallest_cell
            )
            if hide or not shown_rest[item.group]:
                rows.append(hidden_row(tested.sample, metric, item.group, **place))
                continue
            counted = (n, events) if item.group is None else (None, None)
            rows.append(figure_row(tested.sample, metric, item, *counted, **place))
    return rows


def _too_few(out: Sequence[Part], rest: Sequence[Part], smallest_cell: int) -> bool:
    """Whether some but few patients, patients with an event or without one are left out, or get an answer."""
    cells = [np.array([part.cell() for part in side]).sum(axis=0) for side in (out, rest) if side]
    return any(0 < count < smallest_cell for cell in cells for count in np.atleast_1d(cell))


def _near(numbers: tuple[int, int], shown: Sequence[tuple[int, int]], smallest_cell: int) -> bool:
    return any(
        0 < abs(own - old) < smallest_cell
        for before in shown
        for own, old in zip(numbers, before, strict=True)
    )
