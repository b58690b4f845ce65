"""What every clusterer promises, and how it is described in the registry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Clusterer(Protocol):
    """A division of patients into k strata, with its preprocessing, fitted on the rows it is given alone.

    X is a polars frame, one row per patient, of feature columns only, found by name.
    """

    def fit(self, X: pl.DataFrame) -> Self:
        """Fit; raises BadTarget where that is impossible."""

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return the probability of each stratum, shape (rows, k), rows summing to 1; strata by falling size in training."""

    def bic(self, X: pl.DataFrame) -> float:
        """Return the Bayesian information criterion on X; the smaller the better, comparable over k on the same rows."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns that the fitted clusterer uses."""

    def to_parts(self) -> dict[str, bytes]:
        """Return the whole fitted state as named files in JSON; nothing is pickled."""

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted clusterer; raises BadTarget on anything unknown or damaged."""


@dataclass(frozen=True)
class ClustererKind:
    """A registered kind of clusterer.

    Attributes:
        build: called as build(k, seed).
        load: rebuilds a fitted clusterer from its parts.
        description: one line for the card.
    """

    build: Callable[[int, int], Clusterer]
    load: Callable[[Mapping[str, bytes]], Clusterer]
    description: str
