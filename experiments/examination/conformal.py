"""Label sets meant to hold the truth as often as declared, for new patients alike those they were calibrated on.

Class-conditional split conformal prediction (Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World, 4.5):
a label is in the set when its score, one minus its predicted probability, is among the lowest share of those of
out-of-fold predictions of that class. Calibrated on the other folds or left-out groups, never on the tested one. Those
calibrated on carry their censoring weights, and the tested row the largest of them (weighted conformal prediction,
Tibshirani 2019, arXiv 1904.06019; for censored times Candès, Lei and Ren 2023, doi 10.1093/jrsssb/qkac004).

Models of the other folds saw the tested rows in training, and rows of one patient are not independent: the coverage is
shown, not proven, and none is promised for a single centre.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells
from experiments.evaluation.influence import clustered_variance
from experiments.evaluation.intervals import Interval, bounds
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part, distinct
from experiments.examination.estimates import COMBINED_KINDS, NORMAL, Estimate, joined
from experiments.examination.missed import Told, missed_patients, missed_too_few
from experiments.examination.setting import (
    Evaluated,
    Examination,
    Row,
    counts,
    figure_row,
    hidden_row,
    shown_groups,
)

PROMISE = (
    "Coverage is aimed at for patients like those calibrated on, all centres together, and shown, not proven; no coverage is "
    "promised for a single centre."
)
KINDS = ("event", "no event", "both", "neither")
FEWEST_CENTRES = 2
GROUP_COVERAGE = "coverage: left-out group"


@dataclass(frozen=True)
class Sets:
    """Label sets of one part's rows, shape (n,) each."""

    event: NDArray[np.bool_]
    none: NDArray[np.bool_]

    def kind(self, name: str) -> NDArray[np.bool_]:
        """Return which rows have a set of a kind."""
        return np.asarray(
            {
                "event": self.event & ~self.none,
                "no event": self.none & ~self.event,
                "both": self.event & self.none,
                "neither": ~self.event & ~self.none,
            }[name]
        )

    def covers(self, label: Floats) -> NDArray[np.bool_]:
        """Return whether each set holds the label."""
        return np.where(label == 1, self.event, self.none)


def label_sets(parts: Sequence[Part], level: float) -> list[Sets] | None:
    """Return each part's sets, calibrated on the other parts of its repeat; None where there is no other."""
    found = []
    for part in parts:
        others = [other for other in parts if other.repeat == part.repeat and other.fold != part.fold]
        if not others:
            return None
        rows = joined(others)
        event = limit(1 - rows.risk[rows.label == 1], rows.weight[rows.label == 1], level)
        none = limit(rows.risk[rows.label == 0], rows.weight[rows.label == 0], level)
        found.append(Sets(1 - part.risk <= event, part.risk <= none))
    return found


def limit(score: Floats, weight: Floats, level: float) -> float:
    """Return the weighted quantile of the scores up to which a label is in the set; infinite where they are too few.

    The tested row counts as one more, with the largest weight and an infinite score.
    """
    seen = weight > 0
    if not seen.any():
        return np.inf
    order = np.argsort(score[seen], kind="stable")
    so_far = np.cumsum(weight[seen][order])
    wanted = level * (so_far[-1] + weight.max())
    place = int(np.searchsorted(so_far, wanted * (1 - 1e-12)))
    return float(score[seen][order][place]) if place < len(order) else np.inf


def set_rows(
    examination: Examination, tested: Evaluated, levels: Sequence[float]
) -> tuple[list[Row], dict[str, Any], str]:
    """Return shares and coverage of one scheme's label sets at each level, or why there are none."""
    rows: list[Row] = []
    shown: dict[str, list[int]] = {kind: [] for kind in KINDS}
    told: Told = {}
    summary = {}
    for level in sorted(levels, reverse=True):
        sets = label_sets(tested.parts, level)
        if sets is None:
            return [], {}, "one test fold: there is no other to calibrate on"
        own = _share_rows(examination, tested, sets, level, shown) + _coverage_rows(
            examination, tested, sets, level, told
        )
        rows += own + _centre_rows(examination, tested, sets, level, told)
        summary[f"{level:g}"] = {row["metric"]: row["estimate"] for row in own if row["group"] is None}
    return rows, {"levels": summary, "promise": PROMISE}, ""


def _share_rows(
    examination: Examination,
    tested: Evaluated,
    sets: Sequence[Sets],
    level: float,
    shown: dict[str, list[int]],
) -> list[Row]:
    """Return how many sets are of each kind; hidden where a few patients could be counted, also between levels."""
    smallest = examination.smallest_cell
    whole = joined(tested.parts)
    masks = {kind: np.concatenate([own.kind(kind) for own in sets]) for kind in KINDS}
    people = {kind: distinct(whole.patient[mask]) for kind, mask in masks.items()}
    there = [kind for kind in KINDS if people[kind]]
    cells = np.array([[people[kind]] for kind in there], dtype=np.int64)
    few = np.array([any(0 < abs(people[kind] - old) < smallest for old in shown[kind]) for kind in there])
    hidden = dict(zip(there, hidden_cells(cells, smallest, few), strict=True)) if smallest > 0 else {}
    n, events = counts(tested.parts, None)
    rows = []
    for kind in KINDS:
        metric = f"share: {kind}"
        if hidden.get(kind, False):
            rows.append(hidden_row(tested.sample, metric, level=level))
            continue
        shown[kind].append(people[kind])
        found = share(masks[kind], np.ones(len(whole.label)), whole.patient)
        rows.append(figure_row(tested.sample, metric, Estimate(None, found), n, events, level=level))
    return rows


def _coverage_rows(
    examination: Examination, tested: Evaluated, sets: Sequence[Sets], level: float, told: Told
) -> list[Row]:
    whole = joined(tested.parts)
    covered = np.concatenate([own.covers(part.label) for own, part in zip(sets, tested.parts, strict=True)])
    n, events = counts(tested.parts, None)
    classes = {
        "coverage": (np.ones(len(whole.label), dtype=np.bool_), n, events),
        "coverage: event": (whole.label == 1, events, events),
        "coverage: no event": ((whole.label == 0) & (whole.weight > 0), None, 0),
    }
    smallest = examination.smallest_cell
    missed = np.array([missed_patients(covered[own], whole.patient[own]) for own, _, _ in classes.values()])
    few = missed_too_few(missed, list(classes), told, smallest)
    few[1:] |= few.any()  # all less those of one class are those of the other
    rows = []
    for (metric, (chosen, rows_there, events_there)), hidden, (number, _) in zip(
        classes.items(), few, missed, strict=True
    ):
        if hidden:
            rows.append(hidden_row(tested.sample, metric, level=level))
            continue
        told.setdefault(metric, []).append(int(number))
        found = share(covered[chosen], whole.weight[chosen], whole.patient[chosen])
        rows.append(
            figure_row(tested.sample, metric, Estimate(None, found), rows_there, events_there, level=level)
        )
    return rows + _group_rows(examination, tested, sets, level, told)


def _group_rows(
    examination: Examination, tested: Evaluated, sets: Sequence[Sets], level: float, told: Told
) -> list[Row]:
    """Return the coverage in each left-out group where each stands on its own, such as a country."""
    if tested.sample.kind in COMBINED_KINDS:
        return []
    shown = shown_groups(tested.parts, examination.smallest_cell)
    names = [f"{GROUP_COVERAGE}: {part.group}" for part in tested.parts]
    missed = np.array(
        [
            missed_patients(own.covers(part.label), part.patient)
            for own, part in zip(sets, tested.parts, strict=True)
        ]
    )
    few = missed_too_few(missed, names, told, examination.smallest_cell)
    few |= np.array([not shown[part.group] for part in tested.parts])
    hidden = hidden_cells(missed, examination.smallest_cell, few) if few.any() else few
    rows = []
    for own, part, hide, name, (number, _) in zip(sets, tested.parts, hidden, names, missed, strict=True):
        if hide:
            rows.append(hidden_row(tested.sample, GROUP_COVERAGE, part.group, level=level))
            continue
        told.setdefault(name, []).append(int(number))
        item = Estimate(part.group, share(own.covers(part.label), part.weight, part.patient))
        n, events = counts(tested.parts, part.group)
        rows.append(figure_row(tested.sample, GROUP_COVERAGE, item, n, events, level=level))
    return rows


def _centre_rows(
    examination: Examination, tested: Evaluated, sets: Sequence[Sets], level: float, told: Told
) -> list[Row]:
    """Return the coverage within each centre; small ones are hidden, and those that would give them away."""
    whole = joined(tested.parts)
    covered = np.concatenate([own.covers(part.label) for own, part in zip(sets, tested.parts, strict=True)])
    first = joined([part for part in tested.parts if part.repeat == tested.parts[0].repeat])
    names = np.unique(whole.places["centre"])
    if len(names) < FEWEST_CENTRES:
        return []
    cells = np.array([first.take(first.places["centre"] == name).cell() for name in names], dtype=np.int64)
    at = [whole.places["centre"] == name for name in names]
    missed = np.array([missed_patients(covered[here], whole.patient[here]) for here in at], dtype=np.int64)
    keys = [f"centre: {name}" for name in names]
    few = missed_too_few(missed, keys, told, examination.smallest_cell)
    hidden = hidden_centres(first, names, np.column_stack([cells, missed]), examination.smallest_cell, few)
    rows = []
    for name, cell_hidden, here, key, (number, _) in zip(names, hidden, at, keys, missed, strict=True):
        if cell_hidden:
            rows.append(hidden_row(tested.sample, "coverage", str(name), level=level))
            continue
        told.setdefault(key, []).append(int(number))
        own = first.take(first.places["centre"] == name)
        found = share(covered[here], whole.weight[here], whole.patient[here])
        item = Estimate(str(name), found)
        rows.append(figure_row(tested.sample, "coverage", item, len(own.label), own.events, level=level))
    return rows


def hidden_centres(
    first: Part,
    names: NDArray[np.str_],
    cells: NDArray[np.int64],
    smallest_cell: int,
    already: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return which centres are hidden; each country's total is published, so each country is a table.

    Those hidden `already` for another reason, shape (centres,), stay so.
    """
    hidden = np.zeros(len(names), dtype=np.bool_)
    if smallest_cell <= 0:
        return hidden
    countries = np.array([first.places["country"][first.places["centre"] == name][0] for name in names])
    for country in np.unique(countries):
        rows = np.flatnonzero(countries == country)
        hidden[rows] = hidden_cells(cells[rows], smallest_cell, None if already is None else already[rows])
    return hidden


def share(chosen: NDArray[np.bool_], weight: Floats, patient: NDArray[np.int64]) -> Interval:
    """Return the weighted share of chosen rows with its interval over patients, on the logit scale."""
    total = float(weight.sum())
    if total <= 0:
        return Interval(None, note="nobody whose status is known")
    value = float(weight @ chosen) / total
    error = float(np.sqrt(clustered_variance(weight * (chosen - value) / total, patient)))
    if not 0 < value < 1 or error <= 0:
        return Interval(min(max(value, 0.0), 1.0), note="at the end of its range: no interval")
    return Interval(value, *bounds(value, error, NORMAL, "logit"), kind="patient_variance")
