"""Intervals that say what they are of: new patients, a frozen model, the mean over centres, a new centre."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Floats = NDArray[np.float64]

LEVEL = 0.95
NORMAL = float(stats.norm.ppf((1 + LEVEL) / 2))
QUANTILES = 199  # of the between-unit variance that a prediction interval is averaged over
SCALES = {  # where the normal approximation is better and bounds stay inside their range
    "auroc": "logit",
    "average_precision": "logit",
    "brier": "logit",
    "concordance": "logit",
    "integrated_brier": "logit",
    "observed_to_expected": "log",
    "ici": "log",
    "e50": "log",
    "e90": "log",
}


@dataclass(frozen=True)
class Interval:
    """An estimate with bounds; bounds are None where none can be had, and `note` then says why."""

    estimate: float | None
    lower: float | None = None
    upper: float | None = None
    kind: str = "none"
    note: str | None = None


@dataclass(frozen=True)
class RandomEffects:
    """A random-effects mean over units.

    Attributes:
        mean: the mean effect.
        error: its Hartung-Knapp-Sidik-Jonkman standard error.
        between: variance between units, by REML.
        units: number of units.
    """

    mean: float
    error: float
    between: float
    units: int

    def confidence(self) -> tuple[float, float]:
        """Return the interval of the mean: t with units - 1 degrees of freedom (Hartung and Knapp 2001)."""
        half = _quantile(self.units - 1) * self.error
        return self.mean - half, self.mean + half


def corrected_resampling(values: Floats, test_to_train: float, scale: str = "identity") -> Interval:
    """Return the mean over the outer folds of repeated k-fold with Nadeau and Bengio's corrected interval.

    The variance of the mean is (1/folds + n_test/n_train) times the variance between the J = folds * repeats figures, with
    t of J - 1 degrees of freedom (Nadeau and Bengio 2003, doi 10.1023/A:1024068626366). Repeats steady the variance
    but bring no new patients, so they do not enter the first term, as they do in Bouckaert and Frank 2004: with 1/J
    the interval of five repeats covered 90-94 % (docs/validity.md). The mean is taken on the figure's own scale and the
    bounds on `scale` by the delta method, so a fold at 0 or 1 does no harm.

    Args:
        values: shape (J,), one figure per outer fold; NaN where a fold has none.
        test_to_train: rows tested over rows trained on, of one fold.
        scale: "identity", "log" or "logit".
    """
    seen = values[np.isfinite(values)]
    missing = len(values) - len(seen)
    note = f"{missing} of {len(values)} folds not estimable" if missing else None
    if not len(seen):
        return Interval(None, note=note or "no folds")
    mean = float(seen.mean())
    if len(seen) < 2:
        return Interval(mean, note=note or "one fold: no interval")
    spread = float(seen.std(ddof=1))
    if spread < 1e-12:
        return Interval(mean, note="the same in every fold: no interval")
    tested = max(
        1 / len(seen), test_to_train / (1 + test_to_train)
    )  # 1/folds, also where folds have no figure
    error = spread * float(np.sqrt(tested + test_to_train))
    lower, upper = bounds(mean, error, _quantile(len(seen) - 1), scale)
    return Interval(mean, lower, upper, "corrected_resampling", note)


def bounds(mean: float, error: float, quantile: float, scale: str) -> tuple[float, float]:
    """Return mean -/+ quantile * error, built on a scale by the delta method and carried back."""
    forward, back, slope = _SCALE[scale]
    if scale != "identity" and not np.isfinite(slope(mean)):
        return mean, mean
    half = quantile * error * slope(mean)
    return back(forward(mean) - half), back(forward(mean) + half)


def random_effects(effects: Floats, variances: Floats) -> RandomEffects:
    """Return the random-effects mean: REML between-unit variance, Hartung-Knapp-Sidik-Jonkman standard error.

    Viechtbauer 2005 (doi 10.3102/10769986030003261) for REML by Fisher scoring; Hartung and Knapp 2001 (doi
    10.1002/sim.1009) and Sidik and Jonkman 2002 (doi 10.1002/sim.1262) for the standard error, never below that of the
    plain random-effects mean (Röver, Knapp and Friede 2015, doi 10.1186/s12874-015-0091-1).

    Args:
        effects: shape (units,), two or more.
        variances: shape (units,), positive.
    """
    between = _reml(effects, variances)
    weights = 1 / (variances + between)
    mean = float(weights @ effects / weights.sum())
    ratio = float(weights @ (effects - mean) ** 2) / (len(effects) - 1)
    square = max(1.0, ratio) / weights.sum()
    return RandomEffects(mean, float(np.sqrt(square)), between, len(effects))


def prediction_interval(effects: Floats, variances: Floats) -> tuple[float, float]:
    """Return where a new unit's true effect is expected, with the uncertainty of the between-unit variance in it.

    The plug-in interval (Higgins 2009) takes the estimated between-unit variance as known and is far too narrow where it
    comes out at 0; docs/validity.md has the figures. Here it is averaged over the confidence distribution of that
    variance (Nagashima, Noma and Furukawa 2019, doi 10.1177/0962280218773520), which inverts the generalised Q statistic
    (Viechtbauer 2007, doi 10.1002/sim.2514); given the variance, t with units - 1 degrees of freedom.

    Args:
        effects: shape (units,), three or more.
        variances: shape (units,), positive.
    """
    units = len(effects)
    between = _between_distribution(effects, variances)
    weights = 1 / (variances + between[:, None])
    total = weights.sum(axis=1)
    means = weights @ effects / total
    ratios = (weights * (effects - means[:, None]) ** 2).sum(axis=1) / (units - 1)
    scales = np.sqrt(np.maximum(1.0, ratios) / total + between)  # the mean's error as in `random_effects`

    def excess(value: float, probability: float) -> float:
        return float(stats.t.cdf((value - means) / scales, units - 1).mean()) - probability

    far = 50 * float(scales.max())
    low, high = float(means.min()) - far, float(means.max()) + far
    sides = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    lower, upper = (float(optimize.brentq(excess, low, high, args=(side,))) for side in sides)
    around_mean = random_effects(effects, variances).confidence()
    return min(lower, around_mean[0]), max(upper, around_mean[1])  # never inside the mean's own interval


def between_interval(effects: Floats, variances: Floats) -> tuple[float, float]:
    """Return the 95 % interval of the between-unit variance, by the generalised Q statistic (Viechtbauer 2007)."""
    sides = np.array([(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    lower, upper = np.interp(stats.chi2.ppf(sides, len(effects) - 1), *_q_by_variance(effects, variances))
    return float(lower), float(upper)


def _between_distribution(effects: Floats, variances: Floats) -> Floats:
    """Return equally likely values of the between-unit variance: each chi-squared quantile of Q, solved for it."""
    probabilities = (np.arange(QUANTILES) + 0.5) / QUANTILES
    wanted = stats.chi2.ppf(probabilities, len(effects) - 1)
    return np.asarray(np.interp(wanted, *_q_by_variance(effects, variances)), dtype=np.float64)


def _q_by_variance(effects: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """Return the generalised Q statistic, in increasing order, and the between-unit variance that gives it."""
    candidates = np.concatenate([[0.0], np.geomspace(1e-5, 1e3, 400) * max(float(effects.var()), 1e-12)])
    weights = 1 / (variances + candidates[:, None])
    means = weights @ effects / weights.sum(axis=1)
    statistic = (weights * (effects - means[:, None]) ** 2).sum(axis=1)  # falls as the variance grows
    return statistic[::-1], candidates[::-1]


def percentile_interval(resampled: Floats) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of bootstrap figures; None where more than one in ten is undefined."""
    seen = resampled[np.isfinite(resampled)]
    if len(seen) < 0.9 * len(resampled) or len(seen) < 2:
        return None
    lower, upper = np.quantile(seen, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(lower), float(upper)


def patient_multiplicities(
    patient: NDArray[np.int64], resamples: int, generator: np.random.Generator
) -> Floats:
    """Return how often each row stands in each bootstrap resample of whole patients, shape (resamples, rows)."""
    _, place = np.unique(patient, return_inverse=True)
    people = int(place.max()) + 1
    drawn = generator.integers(people, size=(resamples, people))
    drawn += np.arange(resamples)[:, None] * people
    counts = np.bincount(drawn.ravel(), minlength=resamples * people).reshape(resamples, people)
    return np.asarray(counts[:, place], dtype=np.float64)


def _reml(effects: Floats, variances: Floats) -> float:
    between = max(0.0, float(effects.var(ddof=1) - variances.mean()))
    for _ in range(200):
        weights = 1 / (variances + between)
        total = weights.sum()
        mean = weights @ effects / total
        residual = effects - mean
        # P = W - W 1 1' W / total; score and information of the restricted likelihood.
        trace = total - (weights**2).sum() / total
        squares = (weights**2).sum() - 2 * (weights**3).sum() / total + ((weights**2).sum() / total) ** 2
        changed = max(0.0, float(between + ((weights**2) @ residual**2 - trace) / squares))
        if abs(changed - between) < 1e-12:
            break
        between = changed
    return between


def _quantile(degrees: int) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, degrees))


_Function = Callable[[float], float]
_SCALE: dict[str, tuple[_Function, _Function, _Function]] = {
    "identity": (lambda x: x, lambda x: x, lambda x: 1.0),
    "log": (
        lambda x: float(np.log(x)),
        lambda x: float(np.exp(x)),
        lambda x: 1 / x if x > 0 else np.inf,
    ),
    "logit": (
        lambda x: float(np.log(x / (1 - x))),
        lambda x: float(1 / (1 + np.exp(-x))),
        lambda x: 1 / (x * (1 - x)) if 0 < x < 1 else np.inf,
    ),
}


def to_scale(value: float, scale: str) -> float:
    """Return a figure on a scale."""
    return _SCALE[scale][0](value)


def from_scale(value: float, scale: str) -> float:
    """Return a figure from a scale."""
    return _SCALE[scale][1](value)


def slope_of_scale(value: float, scale: str) -> float:
    """Return the derivative of a scale at a figure, by which a standard error is carried over."""
    return _SCALE[scale][2](value)
