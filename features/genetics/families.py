"""Families: patients who are related to each other, directly or through other patients."""

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from features.errors import BadInput

FAMILIES = {"patient_id": pl.String, "family": pl.Int64}
SMALLEST_GIANT = 20  # patients; a smaller family is never a sign of faulty data


def families_of(pairs: pl.DataFrame, patients: pl.DataFrame, *, largest: float) -> pl.DataFrame:
    """Gather related patients into families, for folds that hold families whole.

    Args:
        pairs: columns `patient_1` and `patient_2`: related patients; rows of one patient with itself say nothing.
        patients: `patient_id` of everybody with genotypes, and `position`, which names a family: that of its first patient.
        largest: greatest share of the patients that one family may hold.

    Returns:
        Columns FAMILIES: patients with a relative among the patients, ordered by family and position.

    Raises:
        BadInput: a family holds more than `largest` of the patients and more than SMALLEST_GIANT: no cohort is one family, the
            genotypes are at fault.
    """
    listed = patients.unique("patient_id").sort("position").with_row_index("place")
    places = dict(listed.select("patient_id", "place").iter_rows())
    first = np.array([places[patient] for patient in pairs["patient_1"]], dtype=np.int64)
    second = np.array([places[patient] for patient in pairs["patient_2"]], dtype=np.int64)
    ties = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(listed.height,) * 2)
    groups = connected_components(ties, directed=False)[1] if listed.height else np.empty(0, dtype=np.int32)
    grouped = (
        listed.with_columns(group=pl.Series(groups, dtype=pl.Int64))
        .filter(pl.col("group").is_duplicated())
        .with_columns(family=pl.col("position").min().over("group").cast(pl.Int64))
    )
    _refuse_giant(grouped, listed.height, largest)
    return grouped.sort("family", "position").select(*FAMILIES)


def _refuse_giant(grouped: pl.DataFrame, patients: int, largest: float) -> None:
    if grouped.is_empty():
        return
    size = int(grouped["group"].value_counts()["count"].max() or 0)  # type: ignore[arg-type]
    if size > SMALLEST_GIANT and size > largest * patients:
        raise BadInput(
            f"genetic: {size} of {patients} patients with genotypes are related to each other, directly or through others; that is "
            f"no family but a fault, such as contaminated samples, a batch effect, or strong admixture. Look at "
            f"the pairs, leave out the batch or the samples, or raise quality.kinship_relative "
            f"(or quality.largest_family, now {largest:g}, where the cohort is one of families)."
        )
