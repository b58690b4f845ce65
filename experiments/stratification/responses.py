"""What strata are related to: outcomes in time, labels, and held-out columns; and how rows become a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.regressions import Cox, Linear, Logistic, cox_of
from models.columns import is_category
from models.target import Target

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Row = dict[str, Any]

FEWEST_EVENTS = 20  # below it nothing is modelled


@dataclass(frozen=True)
class FollowedOutcome:
    """One outcome of the study.

    Attributes:
        frame: features.schema.Outcomes.
        horizons: days, increasing; empty for a label.
        causes: number of causes, competing ones included.
        variables: measured variables whose values define it; empty for events with dates of their own.
    """

    frame: pl.DataFrame
    horizons: tuple[float, ...]
    causes: int = 1
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Response:
    """What strata are related to: an outcome in time, a label, or a held-out column (of a category one of its levels).

    Attributes:
        name: of the outcome or column.
        kind: time, label or held_out.
        level: of a category; "" otherwise.
        model: cox, logistic or linear.
        rows: positions in the cohort of the patients with a value, shape (m,).
        value: shape (m,): label 0 or 1, number, or days.
        cause: shape (m,): 0 censored; of labels as `value`.
        weight: shape (m,), of labels seen at visits; 1 otherwise.
        horizons: days; empty without times.
    """

    name: str
    kind: str
    level: str
    model: str
    rows: Integers
    value: Floats
    cause: Integers
    weight: Floats
    horizons: tuple[float, ...] = ()

    @property
    def events(self) -> int:
        """Patients with the event, the label or the level; of a number all."""
        return len(self.rows) if self.model == "linear" else int((self.cause == 1).sum())

    @property
    def others(self) -> int:
        """The other patients; of a number all."""
        return len(self.rows) if self.model == "linear" else len(self.rows) - self.events

    @property
    def lacking(self) -> str | None:
        """Why nothing can be modelled, in words; None where it can."""
        fewest = min(self.events, self.others if self.model == "logistic" else self.events)
        if fewest < FEWEST_EVENTS:
            return f"fewer than {FEWEST_EVENTS} patients with and without it"
        return "every value is the same" if self.model == "linear" and float(self.value.std()) <= 0 else None

    def regression(
        self, blocks: Integers, some: Integers | None = None
    ) -> tuple[Linear | Logistic | Cox, Integers]:
        """Return the model of these patients, or some of them (positions among them), and the order of its rows.

        Args:
            blocks: of all of the cohort; a Cox model has a baseline in each.
            some: positions among `rows`, a patient may stand in several; None: all.
        """
        taken = np.arange(len(self.rows)) if some is None else some
        return self.weighted(blocks, taken, self.weight[taken])

    def weighted(
        self, blocks: Integers, taken: Integers, weight: Floats
    ) -> tuple[Linear | Logistic | Cox, Integers]:
        """Return the same with weights of the rows taken, shape (len(taken),), which may be negative."""
        if self.model == "cox":
            event = self.cause[taken] == 1
            return cox_of(self.value[taken], event, weight, taken, blocks[self.rows[taken]])
        kind = Linear if self.model == "linear" else Logistic
        return kind(self.value[taken], weight, taken), np.arange(len(taken))


def outcome_response(name: str, outcome: FollowedOutcome, rows: pl.DataFrame) -> Response:
    """Return what happened to the patients that are eligible at their first prediction.

    Args:
        name: of the outcome.
        outcome: of the same index rule.
        rows: with prediction_id, one row per patient.
    """
    eligible = outcome.frame.filter(pl.col("excluded").is_null()).select(
        "prediction_id", "time", "cause", "attendance"
    )
    found = (
        rows.select("prediction_id")
        .with_row_index("row")
        .join(eligible, on="prediction_id", how="inner")
        .sort("row")
    )
    place = found["row"].to_numpy().astype(np.int64)
    if outcome.horizons:
        target = Target.from_times(
            found["time"].to_numpy().astype(np.float64),
            found["cause"].to_numpy().astype(np.int64),
            outcome.horizons,
            causes=outcome.causes,
        )
        days = np.zeros(0) if target.time is None else target.time
        return Response(
            name, "time", "", "cox", place, days, target.cause, np.ones(len(place)), tuple(outcome.horizons)
        )
    known = found["cause"].is_not_null().to_numpy()
    strata = found["attendance"].fill_null("").rank("dense").to_numpy().astype(np.int64)
    cause = found["cause"].fill_null(0).to_numpy().astype(np.int64)
    target = Target.from_labels(cause, known=known, strata=strata)
    return Response(
        name,
        "label",
        "",
        "logistic",
        place[known],
        target.labels()[known].astype(np.float64),
        cause[known],
        target.weights()[known],
    )


def held_out_responses(columns: pl.DataFrame) -> list[Response]:
    """Return each held-out column, of a category each of its levels but the most frequent of two; values known alone."""
    found: list[Response] = []
    for column in columns.iter_columns():
        if is_category(column.dtype) or column.dtype == pl.Boolean:
            found += _levels(column)
            continue
        values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        place = np.flatnonzero(~np.isnan(values)).astype(np.int64)
        own = values[place].astype(np.float64)
        binary = bool(len(own)) and bool(np.isin(own, (0.0, 1.0)).all())
        cause = own.astype(np.int64) if binary else np.ones(len(own), dtype=np.int64)
        model = "logistic" if binary else "linear"
        found.append(Response(column.name, "held_out", "", model, place, own, cause, np.ones(len(own))))
    return found


def _levels(column: pl.Series) -> list[Response]:
    text = column.cast(pl.String)
    place = np.flatnonzero(text.is_not_null().to_numpy()).astype(np.int64)
    own = text.drop_nulls().to_numpy().astype(np.str_)
    levels, counts = np.unique(own, return_counts=True)
    shown = [levels[int(counts.argmin())]] if len(levels) == 2 else list(levels)
    return [
        Response(
            column.name,
            "held_out",
            str(level),
            "logistic",
            place,
            (own == level).astype(np.float64),
            (own == level).astype(np.int64),
            np.ones(len(place)),
        )
        for level in shown
    ]


def table(schema: type[dy.Schema], rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows as a checked frame of a schema; a column that a row lacks is null."""
    if not rows:
        empty: pl.DataFrame = schema.create_empty()
        return empty
    blank = dict.fromkeys(schema.column_names())
    frame = pl.DataFrame([{**blank, **row} for row in rows], infer_schema_length=None)
    checked: pl.DataFrame = schema.validate(frame.select(schema.column_names()), cast=True)
    return checked
