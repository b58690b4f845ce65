"""The clusterer `growth_mixture`: strata are classes of growth; its columns are sums over visits that the course makes.

X holds the sums of `models.trajectories.sums` and, where drop-out is modelled, the columns `stay_attended` and `stay_left`,
beside numbers that place patients (best linear predictors of level and change), from which coordinates are made. An
adjustment cannot work on sums, so a recipe has none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.clustering.representation import Representation
from models.errors import BadTarget
from models.fixed_horizon import STATE_FILE, VERSION, read_state
from models.preprocessing import SMALLEST_GROUP
from models.trajectories.growth_mixture import Growth, Stay, fit_growth
from models.trajectories.sums import CourseSums, sum_columns

Floats = NDArray[np.float64]

KIND = "growth_mixture"
ATTENDED, LEFT = "stay_attended", "stay_left"
STARTS, SHORT_STEPS = 4, 30
PARAMETERS = ("variables", "degree", "dropout", "random_intercept")


@dataclass(frozen=True)
class GrowthPlan:
    """What the classes are of.

    Attributes:
        variables: with sums in X.
        degree: of the polynomials.
        dropout: classes may differ in how long they stay.
        random_intercept: patients of a class may differ in level.
    """

    variables: tuple[str, ...]
    degree: int = 1
    dropout: bool = True
    random_intercept: bool = True

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Read a clusterer's parameters; raises BadTarget where one is unknown or of the wrong kind."""
        unknown = sorted(set(parameters) - set(PARAMETERS))
        names = parameters.get("variables", ())
        if unknown or not names or isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise BadTarget(
                f"The clusterer {KIND} needs the parameter variables (of a course) and knows {', '.join(PARAMETERS)}; got "
                f"{', '.join(sorted(parameters)) or 'none'}. Ask for it with a `course` of method {KIND}."
            )
        degree, flags = (
            parameters.get("degree", 1),
            [parameters.get("dropout", True), parameters.get("random_intercept", True)],
        )
        if (
            isinstance(degree, bool)
            or degree not in (1, 2, 3)
            or not all(isinstance(flag, bool) for flag in flags)
        ):
            raise BadTarget(
                f"{KIND}: degree is 1, 2 or 3; dropout and random_intercept are true or false. Mend the parameters."
            )
        return cls(tuple(names), int(degree), *flags)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of X that hold sums and stay, not places."""
        stay = (ATTENDED, LEFT) if self.dropout else ()
        return (*(name for variable in self.variables for name in sum_columns(variable, self.degree)), *stay)

    def read(self, X: pl.DataFrame) -> tuple[CourseSums, Stay | None]:
        """Return what the columns of patients hold; raises BadTarget where one is missing."""
        sums = CourseSums.from_frame(X, self.variables, self.degree)
        if not self.dropout:
            return sums, None
        if (
            not {ATTENDED, LEFT} <= set(X.columns)
            or X.select(ATTENDED, LEFT).null_count().sum_horizontal().item()
        ):
            raise BadTarget(
                f"The columns {ATTENDED} and {LEFT} are missing or empty. Make the course anew, or set dropout to false."
            )
        return sums, Stay(X[ATTENDED].cast(pl.Int64).to_numpy(), (X[LEFT] > 0).to_numpy())


@dataclass(frozen=True)
class PreparedGrowth:
    """What classes of growth share over their number; it holds rows and is never stored."""

    representation: Representation
    points: Floats
    sums: CourseSums
    stay: Stay | None


def prepare_growth(X: pl.DataFrame, options: ClusterOptions) -> PreparedGrowth:
    """Read the sums, and make points of the other columns."""
    plan = GrowthPlan.of(options.parameters)
    sums, stay = plan.read(X)
    places = X.drop(plan.columns)
    representation = Representation.fit(places, options)
    return PreparedGrowth(representation, representation.transform(places), sums, stay)


class GrowthMixtureClusterer:
    """Strata as classes of growth, by EM from several seeded starts; the greatest likelihood is kept."""

    def __init__(self, k: int, seed: int, options: ClusterOptions | None = None) -> None:
        if k < 1:
            raise BadTarget(f"The number of strata must be 1 or more; got {k}.")
        self._k, self._seed = int(k), int(seed)
        self._options = options or ClusterOptions()
        self._plan = GrowthPlan.of(self._options.parameters)
        self._growth: Growth | None = None
        self._smallest = 0

    def fit(self, X: pl.DataFrame, prepared: PreparedGrowth | None = None) -> Self:
        """Fit on X, shape (patients, columns); raises BadTarget with too few patients or without the course's sums."""
        made = prepared or prepare_growth(X, self._options)
        if SMALLEST_GROUP * self._k > X.height:
            raise BadTarget(
                f"A growth mixture of {self._k} strata needs {SMALLEST_GROUP * self._k} patients; got {X.height}. Look for fewer strata."
            )
        self._growth = _best(made, self._k, self._seed, random_intercept=self._plan.random_intercept)
        found = self._growth.log_joint(made.sums, made.stay).argmax(axis=1)
        self._smallest = int(np.bincount(found, minlength=self._k).min())
        return self

    @property
    def growth(self) -> Growth:
        """The fitted classes; raises BadTarget before `fit`."""
        if self._growth is None:
            raise BadTarget("The growth mixture has not been fitted yet; call fit first.")
        return self._growth

    def predict_probability(self, X: pl.DataFrame) -> Floats:
        """Return the probability of each stratum, shape (patients, k); strata by falling size in training."""
        joint = self.growth.log_joint(*self._plan.read(X))
        return np.asarray(np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)), dtype=np.float64)

    def bic(self, X: pl.DataFrame) -> float:
        """Return -2 log-likelihood + parameters * log(patients); the smaller the better."""
        return float(
            -2 * self.growth.log_likelihood(*self._plan.read(X))
            + self.growth.free_parameters() * np.log(X.height)
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns used, sorted by name."""
        return () if self._growth is None else tuple(sorted(self._plan.columns))

    def to_parts(self) -> dict[str, bytes]:
        """Return the fitted state as one JSON file; raises BadTarget where a stratum holds fewer than 11 patients."""
        growth = self.growth
        if self._smallest < SMALLEST_GROUP:
            raise BadTarget(
                f"A stratum of the growth mixture of {self._k} strata holds fewer than {SMALLEST_GROUP} patients and is not "
                "stored. Look for fewer strata."
            )
        state = {
            "kind": KIND,
            "version": VERSION,
            "k": self._k,
            "seed": self._seed,
            "parameters": {
                "variables": list(self._plan.variables),
                "degree": self._plan.degree,
                "dropout": self._plan.dropout,
                "random_intercept": self._plan.random_intercept,
            },
            "shares": growth.shares.tolist(),
            "courses": growth.courses.tolist(),
            "residuals": growth.residuals.tolist(),
            "intercepts": growth.intercepts.tolist(),
            "hazards": growth.hazards.tolist(),
        }
        return {STATE_FILE: json.dumps(state, sort_keys=True, allow_nan=False).encode()}

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes]) -> Self:
        """Rebuild the fitted clusterer; raises BadTarget on another kind, another version or damaged bytes."""
        state = read_state(parts, KIND)
        try:
            made = cls(state["k"], state["seed"], ClusterOptions(parameters=state["parameters"]))
            names = ("shares", "courses", "residuals", "intercepts", "hazards")
            growth = Growth(**{name: np.asarray(state[name], dtype=np.float64) for name in names})
            k, variables, q = made._k, len(made._plan.variables), made._plan.degree + 1
            shapes = {
                "shares": (k,),
                "courses": (k, variables, q),
                "residuals": (k, variables),
                "intercepts": (variables,),
            }
            whole = all(getattr(growth, name).shape == shape for name, shape in shapes.items())
            whole &= growth.hazards.shape[0] == k and (growth.hazards.shape[1] > 0) == made._plan.dropout
            whole &= bool(
                (growth.shares > 0).all() and (growth.residuals > 0).all() and (growth.intercepts >= 0).all()
            )
            whole &= bool(((growth.hazards > 0) & (growth.hazards < 1)).all())
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise BadTarget("The stored growth mixture is damaged; fit it again.") from problem
        if not whole:
            raise BadTarget("The stored growth mixture is damaged; fit it again.")
        made._growth, made._smallest = growth, SMALLEST_GROUP  # or it would not have been stored
        return made


def _best(made: PreparedGrowth, k: int, seed: int, *, random_intercept: bool) -> Growth:
    """Return the classes of the best start: all begin with few steps, and only the best goes on."""
    begun = []
    for start in range(1 if k == 1 else STARTS):
        divided = _divided(made.points, k, seed + start)
        begun.append(
            fit_growth(made.sums, made.stay, divided, random_intercept=random_intercept, steps=SHORT_STEPS)
        )
    best = max(begun, key=lambda one: one[1])[0]
    joint = best.log_joint(made.sums, made.stay)
    weights = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    return fit_growth(made.sums, made.stay, weights, random_intercept=random_intercept)[0]


def _divided(points: Floats, k: int, seed: int) -> Floats:
    """Return responsibilities to begin from: nearest of k patients drawn apart (k-means++), softened."""
    if k == 1:
        return np.ones((len(points), 1))
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # sums are then the same on every machine
        labels = KMeans(k, n_init=1, max_iter=10, random_state=seed % 2**31).fit(points).labels_
    return np.asarray(0.1 / k + 0.9 * np.eye(k)[labels], dtype=np.float64)
