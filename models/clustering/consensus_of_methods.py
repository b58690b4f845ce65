"""Strata on which several clusterers agree."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import Clusterer, ClustererKind, ClusterOptions
from models.clustering.hierarchical import SMALLEST_SHARE, branches, tree
from models.clustering.profile_clusterer import require_parameters, require_rows, require_strata
from models.clustering.profiles import kept_strata
from models.errors import BadTarget
from models.fixed_horizon import STATE_FILE, VERSION, read_state
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

KIND = "consensus"
METHODS = ("gaussian_mixture", "k_medoids", "hierarchical", "latent_class")
OTHERS = (KIND, "growth_mixture")  # courses are no columns of patients
DAMAGED = "The stored consensus of methods is damaged; stratify again."


class ConsensusClusterer:
    """Average linkage on how rarely methods put two patients together (Strehl and Ghosh 2002; Monti and others 2003).

    Every method divides the same patients into k strata; two patients' distance is the share of methods that part them, each
    method counting alike. Branches of fewer than 5 % of the patients (or 11) go to the nearest stratum, as in `hierarchical`.
    A new patient's membership is the mean over methods of the method's own memberships, each of its strata standing for the
    consensus strata that its members went to; fewer than 11 of them are left out of that.
    """

    def __init__(self, k: int, seed: int, options: ClusterOptions | None = None) -> None:
        """Refuses fewer than one stratum, unknown parameters and methods, and fewer than two methods."""
        self._options = options or ClusterOptions()
        require_strata(k)
        require_parameters(KIND, self._options, {"methods": METHODS, "settings": {}})
        self._k, self._seed = int(k), int(seed)
        self._methods = self._checked(self._options.parameters.get("methods", METHODS))
        self._settings: Mapping[str, Any] = self._options.parameters.get("settings", {})
        if not isinstance(self._settings, Mapping) or not set(self._settings) <= set(self._methods):
            raise BadTarget(
                f"The parameter settings must name methods of this consensus: {', '.join(self._methods)}."
            )
        self._fitted_members: list[Clusterer] = []
        self._matches: list[Floats] = []

    @classmethod
    def prepare(cls, X: pl.DataFrame, options: ClusterOptions) -> dict[str, Any]:
        """Return what each method prepares, once where methods prepare the same."""
        asked = cls(1, 0, options)
        made: dict[str, Any] = {}
        done: list[tuple[Any, ClusterOptions, Any]] = []
        for name in asked._methods:
            prepare, own = _members()[name].prepare, asked._own_options(name)
            same = [one for by, given, one in done if by is prepare and given == own]
            made[name] = same[0] if same else prepare(X, own)
            done.append((prepare, own, made[name]))
        return made

    def fit(self, X: pl.DataFrame, prepared: Mapping[str, Any] | None = None) -> Self:
        """Fit on X, shape (patients, columns); raises BadTarget where one of the methods cannot be fitted."""
        require_rows(KIND, self._k, X.height, SMALLEST_GROUP)
        shared = self.prepare(X, self._options) if prepared is None else prepared
        found = [
            _members()[name].build(self._k, self._seed, self._own_options(name)).fit(X, shared[name])
            for name in self._methods
        ]
        labels = [one.predict_probability(X).argmax(axis=1) for one in found]
        strata = agreed(labels, self._k)
        self._fitted_members = found
        self._matches = [matched(one, strata, self._k) for one in labels]
        return self

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return memberships, shape (patients, k); strata by falling size in training."""
        pairs = zip(self._fitted(), self._matches, strict=True)
        total = np.sum([one.predict_probability(X) @ match for one, match in pairs], axis=0)
        return np.asarray(total / total.sum(axis=1, keepdims=True), dtype=np.float64)

    def bic(self, X: pl.DataFrame) -> None:
        """Return None: a consensus has no likelihood."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that any of the methods uses, sorted by name."""
        return tuple(sorted({name for one in self._fitted_members for name in one.columns}))

    def to_parts(self) -> dict[str, bytes]:
        """Return the consensus and the files of each method, named by the method."""
        members = self._fitted()
        state = {
            "kind": KIND,
            "version": VERSION,
            "k": self._k,
            "seed": self._seed,
            "methods": list(self._methods),
            "matches": [one.tolist() for one in self._matches],
        }
        parts = {STATE_FILE: json.dumps(state, sort_keys=True, allow_nan=False).encode()}
        for name, one in zip(self._methods, members, strict=True):
            parts |= {f"{name}_{file}": part for file, part in one.to_parts().items()}
        return parts

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted clusterer; raises BadTarget on another kind, another version or damaged bytes."""
        state = read_state(parts, KIND)
        try:
            made = cls(state["k"], state["seed"], ClusterOptions(parameters={"methods": state["methods"]}))
            made._matches = [np.array(one, dtype=np.float64) for one in state["matches"]]
            for name in made._methods:
                own = {
                    file.removeprefix(f"{name}_"): part
                    for file, part in parts.items()
                    if file.startswith(f"{name}_")
                }
                made._fitted_members.append(_members()[name].load(own))
                if json.loads(own[STATE_FILE])["k"] != made._k:
                    raise BadTarget(DAMAGED)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise BadTarget(DAMAGED) from problem
        if len(made._matches) != len(made._methods) or not all(_whole(one, made._k) for one in made._matches):
            raise BadTarget(DAMAGED)
        return made

    def _checked(self, methods: Any) -> tuple[str, ...]:
        listed = isinstance(methods, Sequence) and not isinstance(methods, str)
        if not listed or not all(isinstance(name, str) for name in methods) or len(set(methods)) < 2:
            raise BadTarget(
                f"The parameter methods must name two or more of {', '.join(sorted(_members()))}."
            )
        unknown = sorted(set(methods) - set(_members()))
        if unknown:
            raise BadTarget(
                f"consensus knows no method {', '.join(unknown)}; it knows {', '.join(sorted(_members()))}."
            )
        return tuple(sorted(set(methods)))

    def _own_options(self, name: str) -> ClusterOptions:
        return ClusterOptions(self._options.modalities, self._options.weights, self._settings.get(name, {}))

    def _fitted(self) -> list[Clusterer]:
        if not self._fitted_members:
            raise BadTarget("The consensus of methods has not been fitted yet; call fit first.")
        return self._fitted_members


def _members() -> dict[str, ClustererKind]:
    from models.registry import (
        CLUSTERERS,
    )  # it lists the consensus too, so it cannot be read before this module is

    return {name: kind for name, kind in CLUSTERERS.items() if name not in OTHERS}


def agreed(labels: Sequence[Integers], k: int) -> Integers:
    """Return the consensus strata 0, 1, ... by falling size, shape (patients,), of several divisions of the same patients."""
    if k == 1:
        return np.zeros(len(labels[0]), dtype=np.int64)
    together = np.mean([one[:, None] == one for one in labels], axis=0)
    smallest = max(SMALLEST_GROUP, math.ceil(SMALLEST_SHARE * len(together)))
    return kept_strata(branches(tree(1 - together, "average"), k, smallest), together, smallest)


def matched(labels: Integers, strata: Integers, k: int) -> Floats:
    """Return where the members of each stratum of a method went, shape (k, k), rows summing to 1, groups under 11 left out."""
    counts = np.zeros((k, k))
    np.add.at(counts, (labels, strata), 1.0)
    counts[counts < SMALLEST_GROUP] = 0.0
    empty = counts.sum(axis=1) == 0
    counts[empty] = np.bincount(
        strata, minlength=k
    )  # few patients say nothing of where such a stratum belongs
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), dtype=np.float64)


def _whole(match: Floats, k: int) -> bool:
    return match.shape == (k, k) and bool((match >= 0).all()) and np.allclose(match.sum(axis=1), 1)
