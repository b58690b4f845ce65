"""One variant of the evaluation: the same figures, and what of them may be published beside the main analysis."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.evaluation.sample import Part
from experiments.examination.estimates import (
    Estimate,
    Frame,
    Quantity,
    across_folds,
    across_units,
    estimates,
    measure_of,
    spread,
)
from experiments.examination.setting import (
    Evaluated,
    Examination,
    Row,
    counts,
    few_flagged,
    figure_row,
    hidden_row,
    shown_groups,
)

FIGURES = ("auroc", "observed_to_expected", "event_rate", "brier", "net_benefit")
DIFFERENCE = "auroc_difference"  # to the clinical model


def all_figures(
    frame: Frame, parts: Sequence[Part], reference: Sequence[Part] | None, threshold: float
) -> dict[str, list[Estimate]]:
    """Return the estimates of every figure, and of the paired difference where there is a reference."""
    found = {name: estimates(frame, parts, measure_of(name, threshold)) for name in FIGURES}
    if reference is not None:
        found[DIFFERENCE] = auroc_difference(frame, parts, reference)
    return found


def published(
    examination: Examination,
    own: Evaluated,
    main: Sequence[Part],
    found: Mapping[str, Sequence[Estimate]],
    *,
    analysis: str,
    level: str,
    note: str = "",
) -> list[Row]:
    """Return rows of figures; counts that differ from those of the main analysis by a few are hidden.

    Args:
        examination: what the outcome's examinations share.
        own: the rows as observed in this variant.
        main: the rows as observed in the main analysis.
        found: the estimates, by metric.
        analysis: the name of the kind of analysis.
        level: the name of the variant.
        note: added to that of each figure.
    """
    shown = shown_groups(own.parts, examination.smallest_cell)
    rows = []
    for metric, items in found.items():
        for item in items:
            some = [part for part in own.parts if item.group in (None, part.group)]
            hide = metric == "net_benefit" and few_flagged(
                some, examination.threshold, examination.smallest_cell
            )
            if hide or not shown.get(item.group, False):
                rows.append(hidden_row(own.sample, metric, item.group, analysis=analysis, level=level))
                continue
            n, events = counts(own.parts, item.group)
            before = counts(main, item.group)
            few = any(
                0 < abs(a - b) < examination.smallest_cell for a, b in zip((n, events), before, strict=True)
            )
            row = figure_row(
                own.sample,
                metric,
                item,
                *((None, None) if few else (n, events)),
                analysis=analysis,
                level=level,
            )
            row["note"] = "; ".join(filter(None, [row["note"], note])) or None
            rows.append(row)
    return rows


def auroc_difference(frame: Frame, parts: Sequence[Part], reference: Sequence[Part]) -> list[Estimate]:
    """Return the paired difference of the AUROC, the lead learner's minus the reference's."""
    area = measure_of("auroc")
    pairs = list(zip(frame.pieces(parts), frame.pieces(reference), strict=True))
    values = np.array([area.value(own) - area.value(other) for own, other in pairs])
    if frame.kind == "stratified_kfold":
        return [across_folds(values, frame.test_to_train, "identity")]
    paired = [_paired(area, other) for _, other in pairs]
    if frame.kind == "leave_centre_out":
        spreads = [
            spread(own, quantity, value)
            for (own, _), quantity, value in zip(pairs, paired, values, strict=True)
        ]
        return [across_units(values, np.array(spreads), "identity", frame.note)]
    single = Frame("each on its own", frame.test_to_train)
    return [estimates(single, [own], quantity)[0] for (own, _), quantity in zip(pairs, paired, strict=True)]


def _paired(area: Quantity, other: Part) -> Quantity:
    return Quantity(
        lambda part: area.value(part) - area.value(other),
        lambda part: area.influence(part) - area.influence(other),
    )
