"""What clusterers of distances have in common: they divide the patients at hand and leave centre profiles behind."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.clustering.profiles import DAMAGED, Profiles
from models.errors import BadTarget
from models.fixed_horizon import STATE_FILE, VERSION, read_state
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class ProfileClusterer:
    """A division by distances, carried to patients by their distances from the strata's profiles (see `Profiles`).

    Strata that fewer than 11 patients make are dissolved into the nearest others; the last columns of the memberships are
    then 0. Subclasses name their `kind`, its `parameters` with defaults, and say how to `prepare` and `divide`.
    """

    kind: ClassVar[str]
    parameters: ClassVar[Mapping[str, Any]]

    def __init__(self, k: int, seed: int, options: ClusterOptions | None = None) -> None:
        """Refuses fewer than one stratum and unknown parameters."""
        self._options = options or ClusterOptions()
        require_strata(k)
        require_parameters(self.kind, self._options, self.parameters)
        self._k, self._seed = int(k), int(seed)
        self._profiles: Profiles | None = None

    def prepared(self, X: pl.DataFrame) -> Any:
        """Return what `divide` needs, with the attributes columns and encoded."""
        raise NotImplementedError

    def divide(self, prepared: Any) -> Integers:
        """Return the strata 0, 1, ... of the prepared patients, each of 11 or more, by falling size."""
        raise NotImplementedError

    def profiles(self, prepared: Any, labels: Integers) -> Profiles:
        """Return the rule that carries the division over."""
        return Profiles.fit(prepared.columns, prepared.encoded, labels)

    def fit(self, X: pl.DataFrame, prepared: Any = None) -> Self:
        """Fit on X, shape (patients, columns); raises BadTarget with too few patients or no usable column."""
        require_rows(self.kind, self._k, X.height, SMALLEST_GROUP)
        made = self.prepared(X) if prepared is None else prepared
        labels = np.zeros(X.height, dtype=np.int64) if self._k == 1 else self.divide(made)
        self._profiles = self.profiles(made, labels)
        return self

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return memberships, shape (patients, k); strata by falling size in training."""
        fitted = self._fitted()
        found = fitted.probability(fitted.columns.encode(X))
        return np.pad(found, ((0, 0), (0, self._k - found.shape[1])))

    def bic(self, X: pl.DataFrame) -> None:
        """Return None: distances have no likelihood."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns used: numbers, then categories, each sorted by name."""
        return () if self._profiles is None else self._profiles.columns.columns

    def to_parts(self) -> dict[str, bytes]:
        """Return the fitted state as one JSON file."""
        state = {
            "kind": self.kind,
            "version": VERSION,
            "k": self._k,
            "seed": self._seed,
            "profiles": self._fitted().to_state(),
        }
        return {STATE_FILE: json.dumps(state, sort_keys=True, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted clusterer; raises BadTarget on another kind, another version or damaged bytes."""
        state = read_state(parts, cls.kind)
        try:
            made = cls(state["k"], state["seed"])
            made._profiles = Profiles.from_state(state["profiles"])
        except (KeyError, TypeError, ValueError) as problem:
            raise BadTarget(DAMAGED) from problem
        if len(made._profiles.shares) > made._k:
            raise BadTarget(DAMAGED)
        return made

    def _fitted(self) -> Profiles:
        if self._profiles is None:
            raise BadTarget("The strata have not been fitted yet; call fit first.")
        return self._profiles


def require_strata(k: Any) -> None:
    """Refuse fewer than one stratum."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise BadTarget(f"The number of strata must be a whole number of 1 or more; got {k}.")


def require_rows(kind: str, k: int, rows: int, fewest: int) -> None:
    """Refuse fewer patients than every stratum needs."""
    if rows < fewest * k:
        raise BadTarget(f"{kind} needs {fewest * k} rows for {k} strata; got {rows}. Look for fewer strata.")


def require_parameters(kind: str, options: ClusterOptions, known: Mapping[str, Any]) -> None:
    """Refuse parameters that a clusterer does not have."""
    unknown = sorted(set(options.parameters) - set(known))
    if unknown:
        raise BadTarget(
            f"{kind} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known)) or 'none'}."
        )
