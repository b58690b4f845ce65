"""Sums over each patient's visits: all that mixed models and classes of growth need of the values.

With the basis 1, t, t^2, ... the normal equations of a patient hold powers of the years t, their products with the value y and
the sum of y^2 only, so that a fit of 20,000 patients is arithmetic on small arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.errors import BadTarget

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class CourseSums:
    """Sums over the visits of each patient at which a variable is known.

    Attributes:
        moments: sums of t^0 .. t^(2 degree), shape (patients, variables, 2 degree + 1); the first is the number of values.
        products: sums of t^0 y .. t^degree y, shape (patients, variables, degree + 1).
        squares: sums of y^2, shape (patients, variables).
    """

    moments: Floats
    products: Floats
    squares: Floats

    @classmethod
    def of_values(
        cls, place: tuple[Ints, Ints], years: Floats, value: Floats, *, shape: tuple[int, int], degree: int
    ) -> Self:
        """Sum values, one entry each.

        Args:
            place: number of the patient and of the variable of each value, shapes (values,).
            years: since the baseline, shape (values,).
            value: shape (values,).
            shape: patients, variables.
            degree: of the polynomial.
        """
        cell = place[0] * shape[1] + place[1]
        cells = shape[0] * shape[1]

        def summed(weights: Floats) -> Floats:
            found = np.bincount(cell, weights=weights, minlength=cells)
            return np.asarray(found, dtype=np.float64).reshape(shape)

        moments = np.stack([summed(years**power) for power in range(2 * degree + 1)], axis=-1)
        products = np.stack([summed(years**power * value) for power in range(degree + 1)], axis=-1)
        return cls(moments, products, summed(value**2))

    @property
    def degree(self) -> int:
        """Degree of the polynomial."""
        return int(self.products.shape[-1]) - 1

    @property
    def counts(self) -> Floats:
        """Number of values, shape (patients, variables)."""
        return self.moments[..., 0]

    @property
    def grams(self) -> Floats:
        """Cross products of the basis, shape (patients, variables, degree + 1, degree + 1)."""
        q = self.degree + 1
        return self.moments[..., np.add.outer(np.arange(q), np.arange(q))]

    def taken(self, rows: NDArray[np.bool_] | Ints) -> Self:
        """Return the sums of some patients."""
        return type(self)(self.moments[rows], self.products[rows], self.squares[rows])

    def to_columns(self, variables: Sequence[str]) -> dict[str, Floats]:
        """Return the sums as named columns, shape (patients,) each."""
        columns = {}
        for at, name in enumerate(variables):
            names = sum_columns(name, self.degree)
            stacked = np.column_stack([self.moments[:, at], self.products[:, at], self.squares[:, at]])
            columns.update(dict(zip(names, stacked.T, strict=True)))
        return columns

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, variables: Sequence[str], degree: int) -> Self:
        """Read back `to_columns`; raises BadTarget where a column is missing or holds no number."""
        lacking = [
            name
            for variable in variables
            for name in sum_columns(variable, degree)
            if name not in frame.columns
        ]
        if lacking:
            raise BadTarget(
                f"Columns of the course are missing: {', '.join(lacking)}. Make them with the same course settings."
            )
        found = np.stack(
            [
                frame.select(sum_columns(name, degree)).fill_null(float("nan")).to_numpy()
                for name in variables
            ],
            axis=1,
        )
        if not np.isfinite(found).all():
            raise BadTarget(
                "A sum of the course is missing or not finite; its columns hold a number for every patient."
            )
        split = 2 * degree + 1
        return cls(found[..., :split], found[..., split:-1], found[..., -1])


def sum_columns(variable: str, degree: int) -> list[str]:
    """Return the names of one variable's sums, in the order of moments, products and squares."""
    powers = [f"sum_{variable}_t{power}" for power in range(2 * degree + 1)]
    products = [f"sum_{variable}_y_t{power}" for power in range(degree + 1)]
    return [*powers, *products, f"sum_{variable}_yy"]
