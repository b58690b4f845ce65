"""What all figures share: settings, intervals of one fold, disclosure, and a figure's row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.disclosure import SUPPRESSED, hidden_cells
from experiments.evaluation.combining import bootstrap_interval, resampled
from experiments.evaluation.intervals import Interval
from experiments.evaluation.measures import measured
from experiments.evaluation.sample import Part, Sample
from experiments.seeds import seed_for

RESAMPLES = 1000
HIDDEN = Interval(None, note=SUPPRESSED)
Row = dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """What all figures of one outcome share.

    Attributes:
        study, outcome: names.
        seed: the study's seed.
        smallest_cell: the smallest count that may be published; 0 where the data are public.
        subgroups: columns of the rows whose levels are reported.
        resamples: bootstrap resamples of patients.
    """

    study: str
    outcome: str
    seed: int
    smallest_cell: int
    subgroups: tuple[str, ...] = ()
    resamples: int = RESAMPLES

    def seed_of(self, sample: Sample, part: Part) -> int:
        """Return the seed of a fold's resamples: the same for every learner, so that differences are paired."""
        return seed_for(self.seed, "evaluation", self.outcome, sample.scheme, part.repeat, part.fold)


def part_intervals(
    evaluation: Evaluation, sample: Sample, part: Part, names: Sequence[str]
) -> dict[str, Interval]:
    """Return a part's figures; with a patient bootstrap where the part is a left-out group."""
    values = measured(part, names)
    if sample.kind == "stratified_kfold":
        return {name: plain(value, part) for name, value in values.items()}
    defined = [name for name in names if np.isfinite(values[name])]
    figures = resampled(part, defined, evaluation.resamples, evaluation.seed_of(sample, part))
    return {
        name: bootstrap_interval(values[name], figures[name])
        if name in figures
        else plain(values[name], part)
        for name in names
    }


def plain(value: float, part: Part) -> Interval:
    """Return a figure without interval, or why there is none."""
    if np.isfinite(value):
        return Interval(value)
    if not part.events or not part.others:
        return Interval(None, note="not estimable: one class")
    constant = np.ptp(part.risk) < 1e-12
    return Interval(None, note="not estimable: one risk for all" if constant else "not estimable")


def hidden_parts(parts: Sequence[Part], smallest_cell: int) -> NDArray[np.bool_]:
    """Return which parts must be hidden; each repeat is a table, and each country where no part spans two."""
    hidden = np.zeros(len(parts), dtype=np.bool_)
    if smallest_cell <= 0 or not parts:
        return hidden
    countries = [np.unique(part.places["country"]) for part in parts]
    nested = all(len(names) == 1 for names in countries)
    tables = np.array(
        [f"{part.repeat} {names[0] if nested else ''}" for part, names in zip(parts, countries, strict=True)]
    )
    cells = np.array([part.cell() for part in parts], dtype=np.int64)
    for table in np.unique(tables):
        rows = np.flatnonzero(tables == table)
        hidden[rows] = hidden_cells(cells[rows], smallest_cell)
    return hidden


def figure_row(
    metric: str,
    interval: Interval,
    n: int | None,
    events: int | None,
    *,
    patients: int | None = None,
    **place: Any,
) -> Row:
    """Return one row of the metrics table, without what all rows share."""
    empty = {"repeat": None, "fold": None, "group": None, "subgroup": None}
    bounds = {"lower": interval.lower, "upper": interval.upper, "interval_kind": interval.kind}
    figure = {
        "metric": metric,
        "estimate": interval.estimate,
        "n": n,
        "patients": patients,
        "events": events,
        "note": interval.note,
    }
    return {**empty, **place, **figure, **bounds}
