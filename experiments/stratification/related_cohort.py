"""Patients with their memberships and scores in one order: who strata are related to anything for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.continuous import dummies, encoded, places_of
from experiments.stratification.uncertainty import Classified
from features.errors import BadInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class RelatedCohort:
    """Patients of a stratification, one row each; arrays in the order of `rows`.

    Attributes:
        rows: prediction_id, patient_id, centre, country, ...
        classified: memberships; of one stratum where the verdict is a continuum.
        scores: the dimensions, shape (n, dimensions).
        makers: columns that made the strata, as numbers, shape (n, columns).
        covariates: as numbers, shape (n, columns); `curved` with splines.
        curved: the same with splines of the numbers.
        centres, countries: codes, shape (n,); centres of fewer than 11 patients are taken together within their country.
        places: a column per centre but one, shape (n, centres - 1); `lands` per country.
        lands: a column per country but one.
    """

    rows: pl.DataFrame
    classified: Classified
    scores: Floats
    makers: Floats
    covariates: Floats
    curved: Floats
    centres: Integers
    countries: Integers
    places: Floats
    lands: Floats


def related_cohort(
    rows: pl.DataFrame,
    memberships: pl.DataFrame,
    dimensions: pl.DataFrame,
    makers: pl.DataFrame,
    covariates: pl.DataFrame,
    *,
    knots: int,
) -> RelatedCohort:
    """Bring everything into the order of `rows`; raises BadInput where a patient has no memberships or scores.

    Args:
        rows: prediction_id, patient_id, centre, country; one row per patient.
        memberships: schemas.Memberships.
        dimensions: schemas.Dimensions.
        makers: one row per patient, in the order of `rows`.
        covariates: the same.
        knots: of splines.
    """
    if rows["patient_id"].n_unique() != rows.height:
        raise BadInput(
            "Strata are related to outcomes with one row per patient; some stand twice. Run dvc repro."
        )
    none = np.empty((rows.height, 0))  # a frame without columns has no rows either
    places = places_of(rows)
    countries = rows["country"].cast(pl.String).fill_null("not recorded").to_list()
    return RelatedCohort(
        rows=rows,
        classified=Classified.of(_wide(rows, memberships, "stratum", "probability")),
        scores=_wide(rows, dimensions, "dimension", "score"),
        makers=encoded(makers),
        covariates=encoded(covariates) if covariates.width else none,
        curved=encoded(covariates, knots=knots) if covariates.width else none,
        centres=codes(places),
        countries=codes(countries),
        places=dummies(places),
        lands=dummies(countries),
    )


def codes(names: Sequence[str]) -> Integers:
    """Return the number of each name in their order, shape (n,)."""
    return np.asarray(np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)[1], dtype=np.int64)


def _wide(rows: pl.DataFrame, long: pl.DataFrame, column: str, value: str) -> Floats:
    wide = long.sort(column).pivot(on=column, index="prediction_id", values=value)
    joined = rows.select("prediction_id").join(
        wide, on="prediction_id", how="left", validate="1:1", maintain_order="left"
    )
    found = joined.drop("prediction_id").cast(pl.Float64)
    if found.width == 0 or sum(found.null_count().row(0)):
        raise BadInput(
            f"Some patients have no {value} of their own {column}s: they are of another run. Run dvc repro."
        )
    return found.to_numpy().astype(np.float64)
