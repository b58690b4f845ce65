"""Gaussian mixture on robustly scaled numeric columns, the plainest model of strata."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.clustering.representation import Prepared, Representation, prepare
from models.errors import BadTarget
from models.fixed_horizon import STATE_FILE, VERSION, read_state

Floats = NDArray[np.float64]

KIND = "gaussian_mixture"
STARTS = 3
SMALLEST_VARIANCE = 1e-3  # of a unit-variance column, added to every covariance


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture of k Gaussians in d dimensions.

    Attributes:
        covariance: "diag" or "full", whichever has the smaller BIC.
        weights: shape (k,), falling.
        means: shape (k, d).
        factors: shape (k, d, d), Cholesky factors of the precision matrices.
    """

    covariance: str
    weights: Floats
    means: Floats
    factors: Floats

    def log_joint(self, points: Floats) -> Floats:
        """Return log(weight * density) of each component, shape (rows, k)."""
        columns = []
        for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True):
            distance = ((points - mean) @ factor) ** 2
            log_determinant = np.log(np.diagonal(factor)).sum()
            constant = np.log(weight) + log_determinant - points.shape[1] / 2 * np.log(2 * np.pi)
            columns.append(constant - distance.sum(axis=1) / 2)
        return np.column_stack(columns)

    def free_parameters(self) -> int:
        """Return the number of free parameters."""
        k, d = len(self.weights), len(self.means[0])
        return k - 1 + k * d + k * (d if self.covariance == "diag" else d * (d + 1) // 2)

    def bic(self, points: Floats) -> float:
        """Return -2 log-likelihood + parameters * log(rows) (Schwarz 1978, doi 10.1214/aos/1176344136)."""
        likelihood = np.logaddexp.reduce(self.log_joint(points), axis=1).sum()
        return float(-2 * likelihood + self.free_parameters() * np.log(len(points)))


class GaussianMixtureClusterer:
    """Strata as components of a Gaussian mixture (Fraley and Raftery 2002, doi 10.1198/016214502760047131).

    Numeric columns with at least ten distinct values are used; categories are not. Missing values get the median, columns
    are scaled and winsorised at three standard deviations, and more than ten of them are replaced by the principal
    components that hold 80 % of the variance, at most ten. Diagonal and full covariances are tried from several seeded
    starts; the smaller BIC is kept.
    """

    def __init__(self, k: int, seed: int, options: ClusterOptions | None = None) -> None:
        if k < 1:
            raise BadTarget(f"The number of strata must be 1 or more; got {k}.")
        self._k, self._seed = int(k), int(seed)
        self._options = options or ClusterOptions()
        self._representation: Representation | None = None
        self._mixture: Mixture | None = None

    def fit(self, X: pl.DataFrame, prepared: Prepared | None = None) -> Self:
        """Fit on X, shape (rows, columns); raises BadTarget with too few rows or no numeric column."""
        made = prepared or prepare(X, self._options)
        if 10 * self._k > X.height:
            raise BadTarget(
                f"A Gaussian mixture of {self._k} strata needs {10 * self._k} rows; got {X.height}. Look for fewer strata."
            )
        self._representation = made.representation
        self._mixture = _fit_mixture(made.points, self._k, self._seed)
        return self

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return the probability of each stratum, shape (rows, k); strata by falling size in training."""
        joint = self._fitted().log_joint(self._points(X))
        return np.asarray(np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)), dtype=np.float64)

    def bic(self, X: pl.DataFrame) -> float:
        """Return the Bayesian information criterion on X; the smaller the better."""
        return self._fitted().bic(self._points(X))

    @property
    def columns(self) -> tuple[str, ...]:
        """The numeric columns used, sorted by name."""
        return () if self._representation is None else self._representation.columns

    def to_parts(self) -> dict[str, bytes]:
        """Return the fitted state as one JSON file."""
        mixture = self._fitted()
        state = {
            "kind": KIND,
            "version": VERSION,
            "k": self._k,
            "seed": self._seed,
            "representation": None if self._representation is None else self._representation.to_state(),
            "covariance": mixture.covariance,
            "weights": mixture.weights.tolist(),
            "means": mixture.means.tolist(),
            "factors": mixture.factors.tolist(),
        }
        return {STATE_FILE: json.dumps(state, sort_keys=True, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted clusterer; raises BadTarget on another kind, another version or damaged bytes."""
        state = read_state(parts, KIND)
        try:
            made = cls(state["k"], state["seed"])
            made._representation = Representation.from_state(state["representation"])
            arrays = {
                name: np.asarray(state[name], dtype=np.float64) for name in ("weights", "means", "factors")
            }
            made._mixture = Mixture(covariance=str(state["covariance"]), **arrays)
            d = made._representation.axes.shape[1]
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise BadTarget("The stored Gaussian mixture is damaged; fit it again.") from problem
        shapes = {"weights": (made._k,), "means": (made._k, d), "factors": (made._k, d, d)}
        if any(arrays[name].shape != shape for name, shape in shapes.items()):
            raise BadTarget("The stored Gaussian mixture is damaged; fit it again.")
        return made

    def _fitted(self) -> Mixture:
        if self._mixture is None:
            raise BadTarget("The Gaussian mixture has not been fitted yet; call fit first.")
        return self._mixture

    def _points(self, X: pl.DataFrame) -> Floats:
        self._fitted()
        if self._representation is None:
            raise BadTarget("The Gaussian mixture has not been fitted yet; call fit first.")
        return self._representation.transform(X)


def _fit_mixture(points: Floats, k: int, seed: int) -> Mixture:
    candidates = [_fit_covariance(points, k, seed, covariance) for covariance in ("diag", "full")]
    return min(candidates, key=lambda mixture: mixture.bic(points))


def _fit_covariance(points: Floats, k: int, seed: int, covariance: str) -> Mixture:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    model: Any = GaussianMixture(
        n_components=k,
        covariance_type=covariance,
        reg_covar=SMALLEST_VARIANCE,
        n_init=1 if k == 1 else STARTS,
        max_iter=200,
        random_state=seed % 2**31,
    )
    # One thread: the sums are then the same on every machine, and small ones ten times faster.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # Where the likelihood is flat, EM is stopped at 200 steps: the best start so far is a mixture all the same, and
        # its BIC says what it is worth.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    factors = model.precisions_cholesky_
    if covariance == "diag":
        factors = np.stack([np.diag(row) for row in factors])
    order = np.argsort(-model.weights_, kind="stable")
    return Mixture(covariance, model.weights_[order], model.means_[order], factors[order])
