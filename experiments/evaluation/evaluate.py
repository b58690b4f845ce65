"""All figures of one learner under one scheme: per outer fold, combined, and by subgroup."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from experiments.evaluation.combining import centre_units, combined
from experiments.evaluation.definitions import PER_PATIENT
from experiments.evaluation.measures import names_of
from experiments.evaluation.metrics import Floats
from experiments.evaluation.reporting import HIDDEN, Evaluation, Row, figure_row, hidden_parts, part_intervals
from experiments.evaluation.sample import Part, Sample, distinct
from experiments.evaluation.subgroups import subgroup_rows
from experiments.results import SCHEMA_VERSION, Metrics
from features.errors import BadInput

PATIENT_WEIGHED = ("auroc", "brier", "observed_to_expected")  # also given with patients counted equally


def risks_of(sample: Sample, predictions: pl.DataFrame, learner: str, horizon: float | None = None) -> Floats:
    """Return a learner's risk of the event for each row of the sample, shape (rows,); None: at the sample's horizon.

    Raises:
        BadInput: the learner has no prediction for some of the rows.
    """
    at = sample.horizon if horizon is None else horizon
    own = predictions.filter(
        (pl.col("scheme") == sample.scheme) & (pl.col("cause") == 1) & (pl.col("horizon") == at)
    ).select("repeat", "fold", "prediction_id", "risk")
    keys = ["repeat", "fold", "prediction_id"]
    joined = sample.frame.select(keys).join(own, on=keys, how="left", maintain_order="left")
    missing = joined["risk"].null_count()
    if missing:
        raise BadInput(
            f"{learner} has no prediction for {missing} of the {joined.height} rows that {sample.scheme} tests at "
            f"horizon {at:g}: its results are from another run. Run dvc repro."
        )
    return joined["risk"].to_numpy()


def predicted_parts(sample: Sample, predictions: pl.DataFrame, learner: str) -> list[Part]:
    """Return each outer fold's rows with a learner's risks at the sample's horizon and at those before it.

    Raises:
        BadInput: the learner has no prediction for some of the rows.
    """
    risk = risks_of(sample, predictions, learner)
    if sample.follow_up is None:
        return sample.parts(risk)
    earlier = [risks_of(sample, predictions, learner, step) for step in sample.follow_up.horizons[:-1]]
    return sample.parts(risk, np.stack([*earlier, risk], axis=1))


def learner_metrics(
    evaluation: Evaluation, sample: Sample, learner: str, parts: Sequence[Part], *, whole: bool = True
) -> pl.DataFrame:
    """Return the figures of one learner under one scheme at one horizon, schema Metrics.

    Args:
        evaluation: what the outcome's figures share.
        sample: the scheme's evaluated rows.
        learner: its name.
        parts: its test folds.
        whole: also subgroups and, where patients have several predictions, figures with patients counted equally.
    """
    rows = scheme_rows(evaluation, sample, parts, names_of(parts))
    if whole:
        rows += per_patient_rows(evaluation, sample, parts)
        rows += subgroup_rows(evaluation, sample, parts)
    return metrics_frame(evaluation, sample, learner, rows)


def scheme_rows(
    evaluation: Evaluation, sample: Sample, parts: Sequence[Part], names: Sequence[str]
) -> list[Row]:
    """Return the figures of each outer fold and the combined ones; later patients are one fold, and both at once."""
    folds = fold_rows(evaluation, sample, parts, names)
    if sample.kind == "temporal" and len(parts) == 1:
        return folds + [{**row, "repeat": None, "fold": None, "group": None} for row in folds]
    return folds + combined_rows(evaluation, sample, parts, names)


def per_patient_rows(evaluation: Evaluation, sample: Sample, parts: Sequence[Part]) -> list[Row]:
    """Return figures in which each patient counts once, however many predictions it has; none where each has one.

    A row's weight is divided by the number of its patient's rows in the part. Their names end in `_per_patient`.
    """
    if all(distinct(part.patient) == len(part.patient) for part in parts):
        return []
    equal = [part.per_patient() for part in parts]
    rows = scheme_rows(evaluation, sample, equal, PATIENT_WEIGHED)
    return [{**row, "metric": row["metric"] + PER_PATIENT} for row in rows]


def fold_rows(
    evaluation: Evaluation, sample: Sample, parts: Sequence[Part], names: Sequence[str]
) -> list[Row]:
    """Return the figures of each outer fold; left-out groups have a bootstrap interval, random folds none."""
    hidden = hidden_parts(parts, evaluation.smallest_cell)
    rows = []
    for part, is_hidden in zip(parts, hidden, strict=True):
        place: Row = {"repeat": part.repeat, "fold": part.fold, "group": part.group}
        if is_hidden:
            rows += [figure_row(name, HIDDEN, None, None, **place) for name in names]
            continue
        found = part_intervals(evaluation, sample, part, names)
        n, patients = len(part.label), distinct(part.patient)
        rows += [figure_row(name, found[name], n, part.events, patients=patients, **place) for name in names]
    return rows


def combined_rows(
    evaluation: Evaluation, sample: Sample, parts: Sequence[Part], names: Sequence[str]
) -> list[Row]:
    """Return the scheme's combined figures, `fold` and `group` null."""
    first = [part for part in parts if part.repeat == parts[0].repeat]
    if too_few(first, evaluation.smallest_cell):
        return [figure_row(name, HIDDEN, None, None) for name in names]
    n, events = sum(len(part.label) for part in first), sum(part.events for part in first)
    patients = distinct(np.concatenate([part.patient for part in first]))
    units = centre_units(parts if sample.kind == "leave_centre_out" else ())
    return [
        figure_row(name, interval, n, events, patients=patients)
        for name in names
        for interval in combined(sample.kind, parts, name, sample.test_to_train, units)
    ]


def too_few(parts: Sequence[Part], smallest_cell: int) -> bool:
    """Return whether all parts together are too few patients, with or without an event, to be published."""
    total = np.array([part.cell() for part in parts]).sum(axis=0)
    return bool((total < smallest_cell).any())


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
