"""Performance in the predictions that have the same modalities, computed within fold as subgroups are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.evaluation.intervals import Interval
from experiments.evaluation.sample import Part
from experiments.examination.estimates import Estimate, Frame, enough, estimates, joined, measure_of
from experiments.examination.setting import (
    Evaluated,
    Examination,
    Row,
    counts,
    figure_row,
    hidden_levels,
    hidden_row,
    split_like,
)

PATTERN = "pattern"  # as a place of a part
OTHER_PATTERNS = "other patterns"
FEW = Interval(None, note="fewer than ten events or ten non-events")
FIGURES = ("auroc", "observed_to_expected", "brier")


def pattern_rows(
    examination: Examination, tested: Evaluated, patterns: Mapping[str, str]
) -> tuple[list[Row], str]:
    """Return the figures of each pattern under one scheme, or why there are none.

    Args:
        examination: what the outcome's examinations share.
        tested: the scheme's rows as evaluated.
        patterns: the pattern of each prediction, by prediction_id.
    """
    names = tested.sample.frame["prediction_id"].replace_strict(patterns, return_dtype=pl.String).to_numpy()
    parts = _with_patterns(tested, names.astype(np.str_))
    kept = kept_patterns(parts, examination.smallest_cell)
    parts = [_pooled(part, kept) for part in parts]
    levels, hidden = hidden_levels(parts, PATTERN, examination.smallest_cell)
    if len(levels) < 2:
        return [], "every prediction has the same modalities, or too few have others"
    rows = []
    for number, level in enumerate(levels):
        own = [part.take(part.places[PATTERN] == level) for part in parts]
        own = [part for part in own if len(part.label)]
        large = enough(joined([part for part in own if part.repeat == own[0].repeat]))
        frame = Frame.of(tested.sample.kind, tested.sample.test_to_train, own)
        for metric in FIGURES:
            for item in estimates(frame, own, measure_of(metric)):
                if hidden.get(item.group, hidden[None])[number]:
                    rows.append(hidden_row(tested.sample, metric, item.group, pattern=level))
                    continue
                n, events = counts(own, item.group)
                found = item if large else Estimate(item.group, FEW)
                rows.append(figure_row(tested.sample, metric, found, n, events, pattern=level))
    return rows, ""


def kept_patterns(parts: Sequence[Part], smallest_cell: int) -> list[str]:
    """Return the patterns that stand alone: ten events and ten non-events, and patients enough to be published.

    The others are pooled, with the smallest of these until the pool may be published too.
    """
    whole = joined([part for part in parts if part.repeat == parts[0].repeat])
    names, sizes = np.unique(whole.places[PATTERN], return_counts=True)
    by_size = [str(names[number]) for number in np.argsort(-sizes, kind="stable")]

    def rows_of(some: Sequence[str]) -> Part:
        return whole.take(np.isin(whole.places[PATTERN], list(some)))

    def published(part: Part) -> bool:
        return min(part.cell()) >= smallest_cell

    kept = [name for name in by_size if enough(rows_of([name])) and published(rows_of([name]))]
    while kept and len(kept) < len(by_size):
        if published(rows_of([name for name in by_size if name not in kept])):
            break
        kept.pop()
    return kept


def _with_patterns(tested: Evaluated, names: NDArray[np.str_]) -> list[Part]:
    split = split_like(tested.sample, tested.parts, names)
    return [
        replace(part, places={**part.places, PATTERN: own})
        for part, own in zip(tested.parts, split, strict=True)
    ]


def _pooled(part: Part, kept: Sequence[str]) -> Part:
    own = part.places[PATTERN]
    named = np.where(np.isin(own, list(kept)), own, OTHER_PATTERNS)
    return replace(part, places={**part.places, PATTERN: named})
