"""All figures of one learner under one scheme: per outer fold, combined, and by subgroup."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from experiments.evaluation.combining import centre_units, combined
from experiments.evaluation.metrics import MEASURES, Floats
from experiments.evaluation.reporting import HIDDEN, Evaluation, Row, figure_row, hidden_parts, part_intervals
from experiments.evaluation.sample import Part, Sample
from experiments.evaluation.subgroups import subgroup_rows
from experiments.results import SCHEMA_VERSION, Metrics
from features.errors import BadInput


def risks_of(sample: Sample, predictions: pl.DataFrame, learner: str) -> Floats:
    """Return a learner's risk of the event for each row of the sample, shape (rows,).

    Raises:
        BadInput: the learner has no prediction for some of the rows.
    """
    own = predictions.filter(
        (pl.col("scheme") == sample.scheme) & (pl.col("cause") == 1) & (pl.col("horizon") == sample.horizon)
    ).select("repeat", "fold", "prediction_id", "risk")
    keys = ["repeat", "fold", "prediction_id"]
    joined = sample.frame.select(keys).join(own, on=keys, how="left", maintain_order="left")
    missing = joined["risk"].null_count()
    if missing:
        raise BadInput(
            f"{learner} has no prediction for {missing} of the {joined.height} rows that {sample.scheme} tests at "
            f"horizon {sample.horizon:g}: its results are from another run. Run dvc repro."
        )
    return joined["risk"].to_numpy()


def learner_metrics(evaluation: Evaluation, sample: Sample, learner: str, risk: Floats) -> pl.DataFrame:
    """Return every figure of one learner under one scheme, schema Metrics."""
    parts = sample.parts(risk)
    rows = [*fold_rows(evaluation, sample, parts), *combined_rows(evaluation, sample, parts)]
    rows += subgroup_rows(evaluation, sample, parts)
    return metrics_frame(evaluation, sample, learner, rows)


def fold_rows(evaluation: Evaluation, sample: Sample, parts: Sequence[Part]) -> list[Row]:
    """Return the figures of each outer fold; left-out groups have a bootstrap interval, random folds none."""
    hidden = hidden_parts(parts, evaluation.smallest_cell)
    rows = []
    for part, is_hidden in zip(parts, hidden, strict=True):
        place = {"repeat": part.repeat, "fold": part.fold, "group": part.group}
        if is_hidden:
            rows += [figure_row(name, HIDDEN, None, None, **place) for name in MEASURES]
            continue
        found = part_intervals(evaluation, sample, part, tuple(MEASURES))
        rows += [figure_row(name, found[name], len(part.label), part.events, **place) for name in MEASURES]
    return rows


def combined_rows(evaluation: Evaluation, sample: Sample, parts: Sequence[Part]) -> list[Row]:
    """Return the scheme's combined figures, `fold` and `group` null."""
    first = [part for part in parts if part.repeat == parts[0].repeat]
    total = np.array([part.cell() for part in first]).sum(axis=0)
    if (total < evaluation.smallest_cell).any():
        return [figure_row(name, HIDDEN, None, None) for name in MEASURES]
    n, events = sum(len(part.label) for part in first), sum(part.events for part in first)
    units = centre_units(parts if sample.kind == "leave_centre_out" else ())
    return [
        figure_row(name, interval, n, events)
        for name in MEASURES
        for interval in combined(sample.kind, parts, name, sample.test_to_train, units)
    ]


def metrics_frame(evaluation: Evaluation, sample: Sample, learner: str, rows: list[Row]) -> pl.DataFrame:
    """Return rows as a frame with the columns of schema Metrics."""
    shared = {
        "schema_version": SCHEMA_VERSION,
        "study": evaluation.study,
        "outcome": evaluation.outcome,
        "learner": learner,
        "scheme": sample.scheme,
        "cause": 1,
        "horizon": sample.horizon,
    }
    return Metrics.validate(
        pl.DataFrame([{**shared, **row} for row in rows], infer_schema_length=None).select(
            Metrics.column_names()
        ),
        cast=True,
    )
