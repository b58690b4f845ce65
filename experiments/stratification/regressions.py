"""Three regressions in one form: scores per row and information, from which estimates, robust errors and tests follow.

Rows may carry negative weights, as patients in every stratum with BCH weights do.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.numeric import logistic

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Derivatives of a log likelihood at some coefficients.

    Attributes:
        scores: shape (rows, columns).
        information: minus the second derivatives, shape (columns, columns).
    """

    scores: Floats
    information: Floats


class Regression(Protocol):
    """A model of one response, linear in columns."""

    @property
    def patients(self) -> Integers:
        """The number of each row's patient, shape (rows,)."""

    @property
    def size(self) -> int:
        """What limits the number of columns: patients of a linear model, else the rarer class or the events."""

    @property
    def intercept(self) -> bool:
        """Whether the columns need a constant."""

    def pieces(self, values: Floats, coefficients: Floats) -> Pieces:
        """Return the derivatives at coefficients, shape (columns,); values are (rows, columns)."""


@dataclass(frozen=True)
class Linear:
    """Least squares: the response, weights and patient of each row, shape (rows,)."""

    response: Floats
    weight: Floats
    patients: Integers
    intercept: bool = field(default=True, init=False)

    @property
    def size(self) -> int:
        """Return the number of patients."""
        return len(np.unique(self.patients))

    def pieces(self, values: Floats, coefficients: Floats) -> Pieces:
        """See Regression."""
        residual = self.weight * (self.response - values @ coefficients)
        return Pieces(values * residual[:, None], (values * self.weight[:, None]).T @ values)


@dataclass(frozen=True)
class Logistic:
    """A label, 0.0 or 1.0, with weight and patient of each row, shape (rows,)."""

    response: Floats
    weight: Floats
    patients: Integers
    intercept: bool = field(default=True, init=False)

    @property
    def size(self) -> int:
        """Return the number of patients in the rarer class."""
        return min(len(np.unique(self.patients[self.response == value])) for value in (0.0, 1.0))

    def pieces(self, values: Floats, coefficients: Floats) -> Pieces:
        """See Regression."""
        risk = logistic(values @ coefficients)
        residual, bend = self.weight * (self.response - risk), self.weight * risk * (1 - risk)
        return Pieces(values * residual[:, None], (values * bend[:, None]).T @ values)


@dataclass(frozen=True)
class Cox:
    """The hazard of one cause, the others censored, with a baseline of its own in each block; ties are Breslow's.

    Rows stand in the order of block and time: use `cox_of`.

    Attributes:
        event: shape (rows,), whether the cause happened.
        weight: shape (rows,).
        patients: shape (rows,).
        first: shape (rows,), the first row of the same block that is still at risk at the row's time.
        last: shape (rows,), the last row of the same block and time.
        end: shape (rows,), one beyond the last row of the block.
    """

    event: NDArray[np.bool_]
    weight: Floats
    patients: Integers
    first: Integers
    last: Integers
    end: Integers
    intercept: bool = field(default=False, init=False)

    @property
    def size(self) -> int:
        """Return the number of patients with the event."""
        return len(np.unique(self.patients[self.event]))

    def pieces(self, values: Floats, coefficients: Floats) -> Pieces:
        """See Regression. Risk sets whose weights do not sum to more than 0 are passed over."""
        scores = values @ coefficients
        hazard = self.weight * np.exp(scores - scores.max(initial=0.0))
        at_risk = self._at_risk(hazard[:, None])[:, 0]
        known = self.event & (at_risk > 1e-10 * max(float(np.abs(hazard).sum()), 1e-300))
        means = np.zeros_like(values)
        means[known] = (self._at_risk(values * hazard[:, None]) / np.where(known, at_risk, 1.0)[:, None])[
            known
        ]
        own = np.where(known, self.weight, 0.0)
        jump = np.where(known, own / np.where(known, at_risk, 1.0), 0.0)
        lived = self._lived(np.column_stack([jump, jump[:, None] * means]))
        expected = hazard[:, None] * (values * lived[:, :1] - lived[:, 1:])
        residual = own[:, None] * (values - means) * known[:, None] - expected
        information = (values * (hazard * lived[:, 0])[:, None]).T @ values - (means * own[:, None]).T @ means
        return Pieces(residual, information)

    def _at_risk(self, amounts: Floats) -> Floats:
        """Return sums over the rows at risk at each row's time, shape (rows, columns)."""
        total = np.vstack([np.cumsum(amounts[::-1], axis=0)[::-1], np.zeros((1, amounts.shape[1]))])
        return np.asarray(total[self.first] - total[self.end], dtype=np.float64)

    def _lived(self, amounts: Floats) -> Floats:
        """Return sums over the rows of the same block up to each row's time, shape (rows, columns)."""
        total = np.vstack([np.zeros((1, amounts.shape[1])), np.cumsum(amounts, axis=0)])
        starts = np.searchsorted(self.end, self.end, side="left")
        return np.asarray(total[self.last + 1] - total[starts], dtype=np.float64)


def cox_of(
    time: Floats, event: NDArray[np.bool_], weight: Floats, patients: Integers, blocks: Integers
) -> tuple[Cox, Integers]:
    """Return the model and the order of its rows: values must be given as values[order]; all arguments (rows,)."""
    order = np.lexsort((time, blocks))
    days, place = time[order], blocks[order]
    starts = np.searchsorted(place, place, side="left")
    key = np.unique(np.column_stack([place, days]), axis=0, return_inverse=True)[1].ravel()
    ends = np.searchsorted(place, place, side="right")
    model = Cox(
        event[order],
        weight[order],
        patients[order],
        np.maximum(np.searchsorted(key, key, side="left"), starts),
        np.searchsorted(key, key, side="right") - 1,
        ends,
    )
    return model, np.asarray(order, dtype=np.int64)
