"""Clusterers of points: what they have in common; the kinds differ in how they come to their mixture alone."""

import json
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.clustering.mixture import Mixture
from models.clustering.representation import Prepared, Representation, prepare
from models.errors import BadTarget
from models.fixed_horizon import STATE_FILE, VERSION, read_state
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]


class PointsClusterer:
    """Strata as components of a Gaussian mixture on the points of a `Representation`; subclasses fit the mixture."""

    KIND: ClassVar[str]
    TITLE: ClassVar[str]

    def __init__(self, k: int, seed: int, options: ClusterOptions | None = None) -> None:
        if k < 1:
            raise BadTarget(f"The number of strata must be 1 or more; got {k}.")
        self._k, self._seed = int(k), int(seed)
        self._options = options or ClusterOptions()
        self._representation: Representation | None = None
        self._mixture: Mixture | None = None
        self._smallest = 0

    def fit(self, X: pl.DataFrame, prepared: Prepared | None = None) -> Self:
        """Fit on X, shape (rows, columns); raises BadTarget with too few rows or no numeric column."""
        made = prepared or prepare(X, self._options)
        if SMALLEST_GROUP * self._k > X.height:
            raise BadTarget(
                f"{self.TITLE} of {self._k} strata needs {SMALLEST_GROUP * self._k} rows; got {X.height}. Look for fewer strata."
            )
        self._representation = made.representation
        self._mixture = self._divide(made).ordered()
        found = self._mixture.probability(made.points).argmax(axis=1)
        self._smallest = int(np.bincount(found, minlength=self._k).min())
        return self

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return the probability of each stratum, shape (rows, k); strata by falling size in training."""
        representation, mixture = self._fitted()
        return mixture.probability(representation.transform(X))

    def bic(self, X: pl.DataFrame) -> float | None:
        """Return the Bayesian information criterion on X; the smaller the better."""
        representation, mixture = self._fitted()
        return mixture.bic(representation.transform(X))

    @property
    def columns(self) -> tuple[str, ...]:
        """The numeric columns used, sorted by name."""
        return () if self._representation is None else self._representation.columns

    def to_parts(self) -> dict[str, bytes]:
        """Return the fitted state as one JSON file; raises BadTarget where a stratum holds fewer than 11 patients."""
        representation, mixture = self._fitted()
        if self._smallest < SMALLEST_GROUP:
            raise BadTarget(
                f"A stratum of {self.TITLE[0].lower()}{self.TITLE[1:]} of {self._k} strata holds fewer than {SMALLEST_GROUP} "
                "patients and is not stored. Look for fewer strata."
            )
        state = {
            "kind": self.KIND,
            "version": VERSION,
            "k": self._k,
            "seed": self._seed,
            "representation": representation.to_state(),
            **mixture.to_state(),
        }
        return {STATE_FILE: json.dumps(state, sort_keys=True, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted clusterer; raises BadTarget on another kind, another version or damaged bytes."""
        state = read_state(parts, cls.KIND)
        try:
            made = cls(state["k"], state["seed"])
            made._representation = Representation.from_state(state["representation"])
            made._mixture = Mixture.from_state(state, made._k, made._representation.axes.shape[1])
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise BadTarget(f"The stored {cls.KIND} is damaged; fit it again.") from problem
        made._smallest = SMALLEST_GROUP  # or it would not have been stored
        return made

    def _divide(self, prepared: Prepared) -> Mixture:
        """Return the mixture of k components of the prepared points."""
        raise NotImplementedError

    def _fitted(self) -> tuple[Representation, Mixture]:
        if self._representation is None or self._mixture is None:
            raise BadTarget(f"{self.TITLE} has not been fitted yet; call fit first.")
        return self._representation, self._mixture
