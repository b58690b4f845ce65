"""Where the patients to stratify come from, and how as many are drawn from one group."""

from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

NULLS = ("copula", "continuum")


class Source(Protocol):
    """The patients of a stratification, and draws of one group that resemble them."""

    @property
    def X(self) -> pl.DataFrame:  # noqa: N802
        """One row per patient, with every column that the recipe needs."""

    @property
    def centres(self) -> NDArray[np.int64]:
        """Code of each patient's centre, shape (patients,)."""

    def draw(self, null: str, generator: np.random.Generator) -> pl.DataFrame:
        """Return X as one group would give it: the same patients, centres, context and missing cells, other values.

        "copula" keeps marginals, rank correlation, missing pattern and centre structure. "continuum" keeps the shape that the
        patients' points have in few dimensions, curves included, without a valley between groups.
        """
