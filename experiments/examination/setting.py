"""What every table of one outcome's examination shares: names, disclosure, and how a figure becomes a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import SUPPRESSED, hidden_cells, hidden_in_linked_tables
from experiments.evaluation.decision import FEWEST_FLAGGED
from experiments.evaluation.intervals import Interval
from experiments.evaluation.metrics import Floats
from experiments.evaluation.sample import Part, Sample, distinct
from experiments.examination.estimates import Estimate
from experiments.results import SCHEMA_VERSION
from features.errors import BadInput

Row = dict[str, Any]
HIDDEN = Interval(None, note=SUPPRESSED)


@dataclass(frozen=True)
class Examination:
    """What all examinations of one outcome share.

    Attributes:
        study, outcome, learner: names; the learner is the outcome's lead learner.
        reference: the clinical model, None where the outcome has none beside the lead learner.
        seed: the study's seed.
        smallest_cell: the smallest count that may be published; 0 where the data are public.
        horizon: the main horizon in days; 0 for a label.
        threshold: of the net benefit: the middle of the declared range.
    """

    study: str
    outcome: str
    learner: str
    reference: str | None
    seed: int
    smallest_cell: int
    horizon: float
    threshold: float

    def table(self, schema: type[dy.Schema], rows: Sequence[Row]) -> pl.DataFrame:
        """Return rows, each with its scheme, as a frame of a schema of this package; rows without a figure too."""
        if not rows:
            empty: pl.DataFrame = schema.create_empty()
            return empty
        shared = {
            "schema_version": SCHEMA_VERSION,
            "study": self.study,
            "outcome": self.outcome,
            "learner": self.learner,
            "horizon": self.horizon,
        }
        frame = pl.DataFrame([{**shared, **row} for row in rows], infer_schema_length=None)
        checked: pl.DataFrame = schema.validate(frame.select(schema.column_names()), cast=True)
        return checked


@dataclass(frozen=True)
class Evaluated:
    """One scheme's evaluated rows with the risks of the lead learner and of the reference.

    Attributes:
        sample: the evaluated rows.
        parts: each outer fold's rows with the lead learner's risks.
        reference: the same rows with the reference's risks; None without one.
    """

    sample: Sample
    parts: tuple[Part, ...]
    reference: tuple[Part, ...] | None = None

    def weighted(self, weights: Sequence[Floats]) -> "Evaluated":
        """Return the same with other weights, one array per part."""
        return replace(
            self,
            parts=_reweighted(self.parts, weights),
            reference=None if self.reference is None else _reweighted(self.reference, weights),
        )


def _reweighted(parts: Sequence[Part], weights: Sequence[Floats]) -> tuple[Part, ...]:
    return tuple(replace(part, weight=weight) for part, weight in zip(parts, weights, strict=True))


def evaluated_of(
    sample: Sample, predictions: pl.DataFrame, reference: pl.DataFrame | None, learner: str
) -> Evaluated:
    """Join a sample with out-of-fold risks of the event.

    Raises:
        BadInput: the learner has no prediction for some of the rows.
    """
    parts = tuple(sample.parts(_risks(sample, predictions, learner)))
    other = None if reference is None else tuple(sample.parts(_risks(sample, reference, "the reference")))
    return Evaluated(sample, parts, other)


def _risks(sample: Sample, predictions: pl.DataFrame, learner: str) -> Floats:
    keys = ["repeat", "fold", "prediction_id"]
    own = predictions.filter(
        (pl.col("scheme") == sample.scheme) & (pl.col("cause") == 1) & (pl.col("horizon") == sample.horizon)
    ).select(*keys, "risk")
    found = sample.frame.select(keys).join(own, on=keys, how="left", maintain_order="left")["risk"]
    if found.null_count():
        raise BadInput(
            f"{learner} has no prediction for {found.null_count()} of the {len(found)} rows that {sample.scheme} tests "
            f"at horizon {sample.horizon:g}: its results are from another run. Run dvc repro."
        )
    return found.to_numpy()


def split_like(sample: Sample, parts: Sequence[Part], values: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the values of each part's rows; `values` has shape (rows of the sample, ...)."""
    repeat, fold = sample.frame["repeat"].to_numpy(), sample.frame["fold"].to_numpy()
    return [values[(repeat == part.repeat) & (fold == part.fold)] for part in parts]


def hidden_levels(
    parts: Sequence[Part], variable: str, smallest_cell: int
) -> tuple[list[str], dict[str | None, NDArray[np.bool_]]]:
    """Return the levels of a place, and which of them are hidden in the table of all (None) and of each country.

    The schemes report the same levels for all and for each country: their tables are linked.
    """
    own = [part for part in parts if part.repeat == parts[0].repeat]
    levels = sorted({str(level) for part in own for level in np.unique(part.places[variable])})
    countries = sorted({str(name) for part in own for name in np.unique(part.places["country"])})
    tables: list[str | None] = [None, *countries]
    cells = np.array(
        [[_cell_of(own, variable, level, country) for level in levels] for country in tables], dtype=np.int64
    )
    hidden = hidden_in_linked_tables(cells, cells[:, :, 0] > 0, smallest_cell)
    return levels, dict(zip(tables, hidden, strict=True))


def _cell_of(parts: Sequence[Part], variable: str, level: str, country: str | None) -> tuple[int, int, int]:
    some = [
        part.take((part.places[variable] == level) & (country is None or part.places["country"] == country))
        for part in parts
    ]
    patient = np.concatenate([part.patient for part in some])
    label = np.concatenate([part.label for part in some])
    return distinct(patient), distinct(patient[label == 1]), distinct(patient[label == 0])


def counts(parts: Sequence[Part], group: str | None) -> tuple[int, int]:
    """Return rows and events of the first repeat, of one left-out group or (None) of all."""
    own = [part for part in parts if part.repeat == parts[0].repeat and group in (None, part.group)]
    return sum(len(part.label) for part in own), sum(part.events for part in own)


def shown_groups(parts: Sequence[Part], smallest_cell: int) -> dict[str | None, bool]:
    """Return whether the figures of all rows (None) and of each left-out group may be published.

    A group is hidden where it holds few patients, patients with an event or patients without one, and so is a further
    one that would give it away by subtraction.
    """
    own = [part for part in parts if part.repeat == parts[0].repeat]
    cells = np.array([part.cell() for part in own], dtype=np.int64)
    hidden = hidden_cells(cells, smallest_cell) if smallest_cell > 0 else np.zeros(len(own), dtype=np.bool_)
    total = bool((cells.sum(axis=0) >= smallest_cell).all())
    return {None: total, **{part.group: not bool(hide) for part, hide in zip(own, hidden, strict=True)}}


def few_flagged(parts: Sequence[Part], threshold: float, smallest_cell: int) -> bool:
    """Whether too few patients with an event are flagged for a net benefit, or some but few are left unflagged."""
    flagged = [part.take((part.risk >= threshold) & (part.label == 1)) for part in parts]
    left = [part.take((part.risk < threshold) & (part.label == 1)) for part in parts]
    there, missed = (distinct(np.concatenate([part.patient for part in side])) for side in (flagged, left))
    return there < max(FEWEST_FLAGGED, smallest_cell) or 0 < missed < smallest_cell


def figure_row(
    sample: Sample, metric: str, found: Estimate, n: int | None, events: int | None, **place: Any
) -> Row:
    """Return one row of a table of figures."""
    interval = found.interval
    return {
        "scheme": sample.scheme,
        "metric": metric,
        "group": found.group,
        "estimate": interval.estimate,
        "lower": interval.lower,
        "upper": interval.upper,
        "interval_kind": interval.kind,
        "n": n,
        "events": events,
        "note": interval.note,
        **place,
    }


def hidden_row(sample: Sample, metric: str, group: str | None = None, **place: Any) -> Row:
    """Return the row of a figure that is not published."""
    return figure_row(sample, metric, Estimate(group, HIDDEN), None, None, **place)
