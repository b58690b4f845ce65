"""All signals of one outcome, in the order of the domains, with the tables shown beside them."""

from typing import Any

import numpy as np
import polars as pl

from experiments.disclosure import suppress_counts
from experiments.signals.analysis import analysis
from experiments.signals.outcome import outcome
from experiments.signals.participants import largest_changes, participants
from experiments.signals.predictors import availability, predictors
from experiments.signals.signal import SCHEMA_VERSION, VERDICTS, Material, Signals, SignalsReport

MOST_GROUPS = 8  # of medications, those whose share changed most


def outcome_signals(material: Material) -> SignalsReport:
    """Return every signal of an outcome; raises BadInput where a declared role names no column."""
    found = [
        *participants(material),
        *predictors(material),
        *outcome(material),
        *analysis(material),
    ]
    frame = pl.DataFrame(
        [
            {
                "schema_version": SCHEMA_VERSION,
                "study": material.study,
                "outcome": material.outcome,
                **vars(signal),
            }
            for signal in found
        ],
        infer_schema_length=None,
    )
    checked = Signals.validate(frame.select(Signals.column_names()), cast=True)
    return SignalsReport(
        checked, {"availability": availability(material), "treatment by year": treatment_table(material)}
    )


def verdicts(signals: pl.DataFrame) -> dict[str, int]:
    """Return how many signals raise which concern."""
    counted = dict(signals.group_by("verdict").len().iter_rows())
    return {verdict: int(counted.get(verdict, 0)) for verdict in VERDICTS}


def treatment_table(material: Material) -> list[dict[str, Any]]:
    """Return the share on each medication by year, the most changed groups, small cells suppressed; then the events."""
    drift = material.drift
    if drift.is_empty():
        return []
    table = drift.with_columns(
        not_on=pl.col("patients") - pl.col("on_patients"),
        # Nobody on a group gives nobody away; a few do.
        few=pl.col("on_patients").is_between(1, max(0, material.smallest_cell - 1)),
    )
    table = suppress_counts(
        table,
        counts=["patients", "event_patients"],
        smallest_cell=material.smallest_cell,
        within=["group"],
        blank=["share", "n", "events", "known"],
    )
    hidden = pl.col("few") | pl.col("not_on").is_between(1, max(0, material.smallest_cell - 1))
    table = table.with_columns(share=pl.when(hidden).then(None).otherwise(pl.col("share")))
    changed = (
        largest_changes(drift)["group"].head(MOST_GROUPS).to_list() if drift["on"].is_not_null().any() else []
    )
    rows = []
    for (year,), part in table.group_by(["year"], maintain_order=True):
        first = part.row(0, named=True)
        own = {row["group"]: row["share"] for row in part.iter_rows(named=True)}
        rows.append(
            {
                "year": int(np.int64(str(year))),
                "predictions": first["n"],
                "events known": first["events"],
                "status known": first["known"],
                **{f"on {group}": own.get(group) for group in changed},
            }
        )
    return rows
