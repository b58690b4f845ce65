"""Patients of planted strata, for the tests of what is done with strata once they are found."""

import numpy as np
import polars as pl

from models.strata_model import Recipe

CENTRES = {"DE": ("Bonn", "Ulm"), "FR": ("Brest", "Nancy")}


def planted(
    patients: int, separation: float, seed: int = 1, *, columns: int = 3, strata: int = 2
) -> tuple[pl.DataFrame, pl.DataFrame, np.ndarray]:
    """Return rows, their columns and the true strata: centroids on the axes, `separation` standard deviations from zero."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, strata, patients)
    values = draw.normal(size=(patients, columns))
    for one in range(1, strata):
        values[truth == one, one - 1] += separation
    country = np.where(np.arange(patients) % 2, "FR", "DE")
    centre = [CENTRES[str(name)][place // 2 % 2] for place, name in enumerate(country)]
    rows = pl.DataFrame(
        {
            "prediction_id": [f"visit-{place:04}-1" for place in range(patients)],
            "patient_id": [f"{place:032x}" for place in range(patients)],
            "centre": centre,
            "country": country,
        }
    )
    return rows, pl.DataFrame(values, schema=[f"x_{place}" for place in range(columns)]), truth


def recipe_of(X: pl.DataFrame, clusterer: str = "k_means") -> Recipe:
    return Recipe(clusterer, tuple(sorted(X.columns)))
