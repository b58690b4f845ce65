"""What is told of strata: among the patients that a model was fitted on, and among those of another site."""

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.bundle.strata import ExtentReference, StrataReference, StratumReference
from experiments.bundle.summaries import summaries_of
from experiments.disclosure import hidden_cells
from experiments.stratification.assignment import (
    Extent,
    assign_patients,
    certainty_table,
    extent_of,
    in_group_proportions,
    nearest_distance,
)
from features.errors import BadInput
from models.strata_model import StrataModel

DIGITS = 4


class CarriedStrata(dy.Schema):
    """How another site's patients fall into the strata, beside those that the model was fitted on; stratum 0 is all."""

    stratum = dy.Int32(primary_key=True, min=0)
    n = dy.Int64(nullable=True)  # null where suppressed, and every figure of the row with it
    share = dy.Float64(nullable=True)
    share_reference = dy.Float64(nullable=True)
    probability = dy.Float64(nullable=True)  # mean, of the most probable stratum
    probability_reference = dy.Float64(nullable=True)
    entropy = dy.Float64(nullable=True)  # mean, over log k
    entropy_reference = dy.Float64(nullable=True)
    certain = dy.Float64(nullable=True)  # share with a probability of 0.8 or more
    certain_reference = dy.Float64(nullable=True)
    in_group = dy.Float64(nullable=True)  # in-group proportion
    in_group_reference = dy.Float64(nullable=True)


class AssignedPatients(dy.Schema):
    """Each patient's stratum by a frozen model; row-level, stays at the site."""

    patient_id = dy.String(nullable=False)
    prediction_id = dy.String(primary_key=True)
    stratum = dy.Int32(nullable=False, min=1)
    probability = dy.Float64(nullable=False, min=0, max=1)
    entropy = dy.Float64(nullable=False, min=0, max=1)
    outside = dy.Bool(
        nullable=False
    )  # farther from every stratum than the model's own patients are, but a known share


def strata_reference(
    model: StrataModel, rows: pl.DataFrame, X: pl.DataFrame, columns: tuple[str, ...], smallest_cell: int
) -> StrataReference:
    """Return the aggregates of the patients that a model was fitted on.

    Args:
        model: the frozen model.
        rows: prediction_id, one row per patient.
        X: their columns, in the same order.
        columns: feature columns whose distribution is told.
        smallest_cell: smallest count that may be published; 0 hides nothing.

    Raises:
        BadInput: a stratum has fewer than 11 patients, of whom nothing may be stored.
    """
    points, labels = model.points(X), model.assign(X)
    extent = extent_of(points, labels, model.k)
    if extent is None:
        raise BadInput(
            "A stratum has fewer than 11 patients, of whom a bundle would tell the mean. Ask for larger strata (smallest_share) "
            "and stratify again."
        )
    strata, _ = assign_patients(rows, X, model)
    table = certainty_table(strata, model.k, smallest_cell)
    hidden = table.filter(pl.col("stratum") > 0)["n"].is_null().to_numpy()
    closed = in_group_proportions(points, labels, model.k)
    return StrataReference(
        strata=tuple(StratumReference(**_rounded(row)) for row in table.iter_rows(named=True)),
        in_group=tuple(
            None if gone or np.isnan(value) else _digits(value)
            for value, gone in zip(closed, hidden, strict=True)
        ),
        extent=ExtentReference(
            centroids=tuple(tuple(map(float, row)) for row in extent.centroids),
            limit=extent.limit,
            beyond=extent.beyond,
        ),
        summaries=tuple(summaries_of(X.select(columns), np.arange(X.height), smallest_cell)),
    )


def assigned_patients(
    model: StrataModel, reference: StrataReference, rows: pl.DataFrame, X: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return AssignedPatients and schemas.Memberships; each row follows from the patient's own columns and the bundle alone."""
    strata, memberships = assign_patients(rows, X, model)
    extent = extent_from(reference, model)
    outside = nearest_distance(model.points(X), extent.centroids) > extent.limit
    frame = rows.select("patient_id", "prediction_id").with_columns(outside=pl.Series(outside))
    joined = frame.join(strata, on="prediction_id", validate="1:1").sort("prediction_id")
    return AssignedPatients.validate(joined.select(AssignedPatients.column_names()), cast=True), memberships


def carried_strata(
    model: StrataModel,
    reference: StrataReference,
    assigned: pl.DataFrame,
    rows: pl.DataFrame,
    X: pl.DataFrame,
    *,
    smallest_cell: int,
) -> pl.DataFrame:
    """Return schema CarriedStrata of a site's patients, small strata suppressed."""
    here = certainty_table(assigned, model.k, smallest_cell)
    labels = rows.select("prediction_id").join(
        assigned, on="prediction_id", how="left", maintain_order="left"
    )
    closed = in_group_proportions(model.points(X), labels["stratum"].to_numpy() - 1, model.k)
    in_group = pl.DataFrame(
        {
            "stratum": np.arange(1, model.k + 1, dtype=np.int32),
            "in_group": closed,
            "in_group_reference": pl.Series(reference.in_group, dtype=pl.Float64),
        }
    ).with_columns(pl.col("in_group").fill_nan(None))
    schema = dict.fromkeys(("share", "probability", "entropy", "certain"), pl.Float64)
    before = pl.DataFrame(
        [one.model_dump() for one in reference.strata], schema={"stratum": pl.Int32, "n": pl.Int64, **schema}
    ).drop("n")
    frame = (
        here.join(before, on="stratum", how="left", suffix="_reference", maintain_order="left")
        .join(in_group, on="stratum", how="left", maintain_order="left")
        .with_columns(in_group=pl.when(pl.col("n").is_null()).then(None).otherwise(pl.col("in_group")))
    )
    return CarriedStrata.validate(frame.select(CarriedStrata.column_names()), cast=True)


def share_outside(outside: NDArray[np.bool_], smallest_cell: int) -> float | None:
    """Return the share of patients outside every stratum; None where those outside, or those inside, are few but not none."""
    counts = np.array([[outside.sum()], [(~outside).sum()]], dtype=np.int64)
    told = counts[counts[:, 0] > 0]
    if not len(outside) or hidden_cells(told, smallest_cell).any():
        return None
    return float(outside.mean())


def extent_from(reference: StrataReference, model: StrataModel) -> Extent:
    """Return where a bundle's strata lie; raises BadInput where that does not fit its model."""
    told = reference.extent
    widths = {len(row) for row in told.centroids}
    if len(told.centroids) != model.k or widths != {model.representation.axes.shape[1]}:
        raise BadInput(
            "reference.json of the bundle does not fit its model: centroids are of other strata or dimensions."
        )
    return Extent(np.array(told.centroids, dtype=np.float64), told.limit, told.beyond)


def _rounded(row: dict[str, float | int | None]) -> dict[str, float | int | None]:
    return {key: _digits(value) if isinstance(value, float) else value for key, value in row.items()}


def _digits(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
