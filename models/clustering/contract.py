"""What every clusterer promises, and how it is described in the registry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClusterOptions:
    """What a study declares about its clusterer beside the number of strata.

    Attributes:
        modalities: the feature set of each column; a column that is not named is of no modality.
        weights: how much a modality counts as a whole, whatever its number of columns; empty: every column counts alike.
        parameters: the clusterer's own settings.
    """

    modalities: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Clusterer(Protocol):
    """A division of patients into k strata, with its preprocessing, fitted on the rows it is given alone.

    X is a polars frame, one row per patient, of feature columns only, found by name: Float64 for numbers (null or NaN where
    missing) and String for categories.
    """

    def fit(self, X: pl.DataFrame, prepared: Any = None) -> Self:
        """Fit; `prepared` is what the kind's `prepare` made of the same rows. Raises BadTarget where that is impossible."""

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return the probability of each stratum, shape (rows, k), rows summing to 1; strata by falling size in training."""

    def bic(self, X: pl.DataFrame) -> float | None:
        """Return the Bayesian information criterion on X, the smaller the better; None for a clusterer without a likelihood."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The feature columns that the fitted clusterer uses."""

    def to_parts(self) -> dict[str, bytes]:
        """Return the whole fitted state as named files in JSON; nothing is pickled and no patient's row is held."""

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted clusterer; raises BadTarget on anything unknown or damaged."""


@dataclass(frozen=True)
class ClustererKind:
    """A registered kind of clusterer.

    Attributes:
        build: called as build(k, seed, options).
        prepare: called as prepare(X, options); what fits of the same rows with other numbers of strata share. It depends on the
            rows and options alone, holds rows and is never stored.
        load: rebuilds a fitted clusterer from its parts.
        description: one line for the card.
        categories: it uses columns of categories; others leave them out.
        likelihood: it has a BIC.
        fewest: patients per stratum without which nothing is fitted.
    """

    build: Callable[[int, int, ClusterOptions], Clusterer]
    prepare: Callable[[pl.DataFrame, ClusterOptions], Any]
    load: Callable[[Mapping[str, bytes]], Clusterer]
    description: str
    categories: bool = False
    likelihood: bool = False
    fewest: int = 10
