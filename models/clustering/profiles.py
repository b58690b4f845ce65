"""Strata as centre profiles: what a division of patients leaves behind, without any of their rows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.clustering.distances import distances
from models.clustering.mixed_columns import Encoded, MixedColumns
from models.columns import middle_value
from models.errors import BadTarget
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STEEPEST = 10.0  # prior standard deviation of the slope, in logits per standard deviation of the distances
DAMAGED = "The stored profiles of the strata are damaged; stratify again."


def kept_strata(labels: Integers, affinity: Floats, smallest: int) -> Integers:
    """Return labels 0, 1, ... by falling size, members of strata with too few patients in the nearest of the others.

    Args:
        labels: shape (patients,).
        affinity: shape (patients, patients), the larger the nearer.
        smallest: patients of a stratum; some stratum must have them.
    """
    found, sizes = np.unique(labels, return_counts=True)
    kept = found[sizes >= smallest]
    shares = (labels[:, None] == kept) / (labels[:, None] == kept).sum(axis=0)
    lost = ~np.isin(labels, kept)
    settled = labels.copy()
    settled[lost] = kept[(affinity[lost] @ shares).argmax(axis=1)]
    sizes = (settled[:, None] == kept).sum(axis=0)
    order = kept[np.argsort(-sizes, kind="stable")]
    return np.asarray((settled[:, None] == order).argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Profiles:
    """A frozen rule that assigns patients to strata by their distances from the strata's centre profiles.

    A profile is the median of each number and the most frequent category, where 11 members or more have it, else nothing.
    The log-odds of a stratum are its intercept less a slope, common to all strata, times the distance. `fit` takes both from
    the division itself, so a membership says how probable the original method would have put a patient of these distances there;
    `nearest` is for divisions that are nothing but the nearest profile.

    Attributes:
        columns: fitted scales.
        numbers: shape (strata, number columns), NaN where too few have one.
        codes: shape (strata, category columns), -1 where too few have one.
        shares: shape (strata,), of the patients; for who has nothing in common with any profile.
        intercepts: shape (strata,).
        slope: 0 or more.
    """

    columns: MixedColumns
    numbers: Floats
    codes: Integers
    shares: Floats
    intercepts: Floats
    slope: float

    @classmethod
    def fit(cls, columns: MixedColumns, encoded: Encoded, labels: Integers) -> Self:
        """Learn from patients and their strata 0, 1, ..., each of 11 patients or more; labels have the shape (patients,)."""
        plain = cls.of(columns, encoded, labels)
        intercepts, slope = _link(plain.distances(encoded), labels)
        return replace(plain, intercepts=intercepts, slope=slope)

    @classmethod
    def nearest(cls, columns: MixedColumns, encoded: Encoded, labels: Integers) -> Self:
        """Learn from patients in the stratum of the nearest profile; the most probable stratum is always the nearest.

        Deviations from the profile are taken as double exponential in as many independent columns as the patients' distances
        from their own profile vary like: the mean of n half-normal deviations has a squared coefficient of variation of
        (pi / 2 - 1) / n.
        """
        plain = cls.of(columns, encoded, labels)
        own = plain.distances(encoded)[np.arange(len(labels)), labels]
        if own.var() == 0:
            return plain
        independent = (np.pi / 2 - 1) * own.mean() ** 2 / own.var()
        return replace(plain, slope=float(independent / own.mean()))

    @classmethod
    def of(cls, columns: MixedColumns, encoded: Encoded, labels: Integers) -> Self:
        """Return the profiles alone, memberships all alike."""
        strata = range(int(labels.max()) + 1)
        numbers = np.array([_medians(encoded.numbers[labels == one]) for one in strata])
        codes = np.array([_modes(encoded.codes[labels == one]) for one in strata], dtype=np.int64)
        shares = np.bincount(labels) / len(labels)
        return cls(columns, numbers, codes, shares, np.zeros(len(strata)), 0.0)

    def distances(self, encoded: Encoded) -> Floats:
        """Return distances from the profiles, shape (patients, strata); a patient's mean one where nothing is in common."""
        found = distances(encoded, Encoded(self.numbers, self.codes), self.columns)
        known = ~np.isnan(found)
        mean = np.where(known, found, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return np.where(known, found, mean[:, None])

    def probability(self, encoded: Encoded) -> Floats:
        """Return memberships, shape (patients, strata), rows summing to 1."""
        logits = self.intercepts - self.slope * self.distances(encoded)
        found = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        empty = np.isnan(encoded.numbers).all(axis=1) & (encoded.codes < 0).all(axis=1)
        found[empty] = self.shares
        return np.asarray(found, dtype=np.float64)

    def to_state(self) -> dict[str, Any]:
        """Return everything as JSON values; no row of a patient is in it."""
        return {
            "columns": self.columns.to_state(),
            "numbers": [[None if math.isnan(one) else one for one in row] for row in self.numbers.tolist()],
            "codes": self.codes.tolist(),
            "shares": self.shares.tolist(),
            "intercepts": self.intercepts.tolist(),
            "slope": self.slope,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `to_state`; raises BadTarget where it is damaged."""
        try:
            columns = MixedColumns.from_state(state["columns"])
            shares, intercepts = (
                np.array(state[name], dtype=np.float64) for name in ("shares", "intercepts")
            )
            strata = len(shares)
            numbers = np.array(state["numbers"], dtype=np.float64).reshape(strata, len(columns.numbers))
            codes = np.array(state["codes"], dtype=np.int64).reshape(strata, len(columns.categories))
            made = cls(columns, numbers, codes, shares, intercepts, float(state["slope"]))
            whole = made._whole()
        except (KeyError, TypeError, ValueError, OverflowError) as problem:
            raise BadTarget(DAMAGED) from problem
        if not whole:
            raise BadTarget(DAMAGED)
        return made

    def _whole(self) -> bool:
        most = np.array([kind.codes for kind in self.columns.categories])
        return bool(
            len(self.shares) > 0
            and self.intercepts.shape == self.shares.shape == (len(self.numbers),)
            and np.isfinite([*self.shares, *self.intercepts, self.slope]).all()
            and (self.shares > 0).all()
            and abs(self.shares.sum() - 1) < 1e-6
            and self.slope >= 0
            and (self.codes >= -1).all()
            and (self.codes < most).all()
        )


def _medians(values: Floats) -> list[float]:
    known = [column[~np.isnan(column)] for column in values.T]
    return [middle_value(one) if len(one) >= SMALLEST_GROUP else math.nan for one in known]


def _modes(codes: Integers) -> list[int]:
    counts = [np.bincount(column[column >= 0], minlength=1) for column in codes.T]
    return [int(one.argmax()) if one.max() >= SMALLEST_GROUP else -1 for one in counts]


def _link(found: Floats, labels: Integers) -> tuple[Floats, float]:
    """Return intercepts and slope of the memberships, from distances of shape (patients, strata)."""
    from scipy.optimize import minimize

    strata = found.shape[1]
    spread = float(found.std())
    if strata == 1 or spread == 0:
        return np.log(np.bincount(labels, minlength=strata) / len(labels)), 0.0
    scaled, hits = found / spread, np.eye(strata)[labels]

    def loss(values: Floats) -> tuple[float, Floats]:
        logits = values[:-1] - values[-1] * scaled
        logarithms = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        beyond = np.exp(logarithms) - hits
        prior = values / np.array([*[1.0] * strata, STEEPEST**2])
        gradient = np.array([*beyond.sum(axis=0), -(beyond * scaled).sum()]) + prior
        return float(-(hits * logarithms).sum() + (values * prior).sum() / 2), gradient

    start = np.array([*[0.0] * strata, 1.0])
    bounds = [*[(None, None)] * strata, (0.0, None)]
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.asarray(best[:-1], dtype=np.float64), float(best[-1] / spread)
