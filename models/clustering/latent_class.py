"""Latent classes and profiles: a mixture over numbers and categories with missing cells."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.clustering.latent_density import Design, LatentDensity
from models.clustering.mixed_columns import MixedColumns
from models.clustering.profile_clusterer import require_parameters, require_rows, require_strata
from models.errors import BadTarget
from models.fixed_horizon import STATE_FILE, VERSION, read_state
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]

KIND = "latent_class"
PARAMETERS: Mapping[str, Any] = MappingProxyType({"starts": 10})
DAMAGED = "The stored latent classes are damaged; stratify again."


@dataclass(frozen=True)
class PreparedDesign:
    """What searches for other numbers of classes among the same patients share; it holds rows and is never stored."""

    columns: MixedColumns
    design: Design


def prepare_design(X: pl.DataFrame, options: ClusterOptions) -> PreparedDesign:
    """Return the patients on common scales; numbers with fewer than ten distinct values are taken as categories."""
    columns = MixedColumns.fit(X, options, "robust", coded=True)
    return PreparedDesign(columns, Design.of(columns.encode(X), columns))


class LatentClassClusterer:
    """Strata as latent classes and profiles (Vermunt and Magidson 2002; StepMix: doi 10.18637/jss.v113.i08).

    Within a class columns are independent: numbers normal with a variance of their own, categories with their shares.
    Missing cells are left out of the likelihood (missing at random). The membership is the probability of the class given the known
    cells. With declared weights a column's log-density counts by its share of its modality's weight; the BIC is then of
    that weighted likelihood. Classes of fewer than 11 patients and duplicates are taken out; the last columns of the memberships
    are then 0.
    """

    def __init__(self, k: int, seed: int, options: ClusterOptions | None = None) -> None:
        """Refuses fewer than one stratum and unknown parameters."""
        self._options = options or ClusterOptions()
        require_strata(k)
        require_parameters(KIND, self._options, PARAMETERS)
        self._k, self._seed = int(k), int(seed)
        self._starts = self._options.parameters.get("starts", PARAMETERS["starts"])
        if not isinstance(self._starts, int) or not 1 <= self._starts <= 1000:
            raise BadTarget(
                f"The parameter starts must be a whole number from 1 to 1000; got {self._starts!r}."
            )
        self._columns: MixedColumns | None = None
        self._density: LatentDensity | None = None

    def fit(self, X: pl.DataFrame, prepared: PreparedDesign | None = None) -> Self:
        """Fit on X, shape (patients, columns); raises BadTarget with too few patients or no usable column."""
        from models.clustering.latent_search import searched

        require_rows(KIND, self._k, X.height, SMALLEST_GROUP)
        made = prepared or prepare_design(X, self._options)
        self._density = searched(made.design, self._k, self._seed, 1 if self._k == 1 else self._starts)
        self._columns = made.columns
        return self

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return the probability of each class, shape (patients, k); classes by falling size in training."""
        columns, density = self._fitted()
        found = density.probability(Design.of(columns.encode(X), columns))
        return np.pad(found, ((0, 0), (0, self._k - found.shape[1])))

    def bic(self, X: pl.DataFrame) -> float:
        """Return the Bayesian information criterion on X; the smaller the better."""
        columns, density = self._fitted()
        return density.bic(Design.of(columns.encode(X), columns))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns used: numbers, then categories, each sorted by name."""
        return () if self._columns is None else self._columns.columns

    def to_parts(self) -> dict[str, bytes]:
        """Return the fitted state as one JSON file."""
        columns, density = self._fitted()
        state = {
            "kind": KIND,
            "version": VERSION,
            "k": self._k,
            "seed": self._seed,
            "columns": columns.to_state(),
            "density": density.to_state(),
        }
        return {STATE_FILE: json.dumps(state, sort_keys=True, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted clusterer; raises BadTarget on another kind, another version or damaged bytes."""
        state = read_state(parts, KIND)
        try:
            made = cls(state["k"], state["seed"])
            made._columns = MixedColumns.from_state(state["columns"])
            made._density = LatentDensity.from_state(state["density"], made._columns)
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise BadTarget(DAMAGED) from problem
        if len(made._density.weights) > made._k:
            raise BadTarget(DAMAGED)
        return made

    def _fitted(self) -> tuple[MixedColumns, LatentDensity]:
        if self._columns is None or self._density is None:
            raise BadTarget("The latent classes have not been fitted yet; call fit first.")
        return self._columns, self._density
