"""Sample sizes for developing and for evaluating a model, after Riley, Archer, Ensor, Collins and colleagues.

Development: Riley 2020, doi 10.1136/bmj.m441; Riley 2019, doi 10.1002/sim.7992. Evaluation: Riley 2021, doi
10.1002/sim.9025; Archer 2021, doi 10.1002/sim.8766.
"""

from dataclasses import dataclass
from math import asinh, ceil, exp, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

Floats = NDArray[np.float64]
SHRINKAGE = 0.9  # wanted of the fitted model
OPTIMISM = 0.05  # largest difference of apparent and adjusted Nagelkerke R2
RISK_MARGIN = 0.05  # of the overall risk, either way
NORMAL = 1.96
MODEST_R2 = 0.15  # share of the largest Cox-Snell R2 where nothing is known: Riley 2020
GRID = 2001  # points of the numerical integration over the linear predictor
TAIL = 8.0  # standard deviations of it that are integrated over


@dataclass(frozen=True)
class Development:
    """The smallest numbers of patients that development needs, criterion by criterion.

    Attributes:
        shrinkage: for an expected shrinkage of 0.9.
        optimism: for an optimism of at most 0.05 in Nagelkerke's R2.
        overall: for the overall risk within 0.05 either way.
    """

    shrinkage: int
    optimism: int
    overall: int

    @property
    def needed(self) -> int:
        """The largest of the three."""
        return max(self.shrinkage, self.optimism, self.overall)


def largest_r2(prevalence: float) -> float:
    """Return the largest Cox-Snell R2 of a binary outcome with this prevalence."""
    return 1 - exp(2 * (prevalence * log(prevalence) + (1 - prevalence) * log(1 - prevalence)))


def largest_r2_of_times(rate: float, follow_up: float) -> float:
    """Return the largest Cox-Snell R2 of times to an event, of an exponential model.

    Args:
        rate: events per person-year.
        follow_up: mean years under observation.
    """
    share = rate * follow_up  # events per patient
    return 1 - exp(2 * (share * log(share) - share))


def development_binary(parameters: int, prevalence: float, r2: float | None = None) -> Development:
    """Return what a model of a binary outcome needs.

    Args:
        parameters: candidate predictor parameters.
        prevalence: share with the event, in (0, 1).
        r2: expected Cox-Snell R2; None: 15 % of the largest.
    """
    most = largest_r2(prevalence)
    first, second = _of_r2(parameters, MODEST_R2 * most if r2 is None else r2, most)
    overall = ceil((NORMAL / RISK_MARGIN) ** 2 * prevalence * (1 - prevalence))
    return Development(first, second, overall)


def development_times(
    parameters: int, rate: float, follow_up: float, horizon: float, r2: float | None = None
) -> Development:
    """Return what a model of times to an event needs.

    Args:
        parameters: candidate predictor parameters.
        rate: events per person-year.
        follow_up: mean years under observation.
        horizon: years, where the overall risk is to be precise.
        r2: expected Cox-Snell R2; None: 15 % of the largest.
    """
    most = largest_r2_of_times(rate, follow_up)
    first, second = _of_r2(parameters, MODEST_R2 * most if r2 is None else r2, most)
    overall = 1
    while risk_interval(rate, follow_up, horizon, overall)[1] - (1 - exp(-rate * horizon)) > RISK_MARGIN:
        overall = ceil(overall * 1.01)
    return Development(first, second, overall)


def risk_interval(rate: float, follow_up: float, horizon: float, patients: int) -> tuple[float, float]:
    """Return the 95 % interval of the overall risk by a horizon in years, of an exponential model."""
    error = sqrt(rate / (follow_up * patients))
    lower, upper = (1 - exp(-(rate + side * NORMAL * error) * horizon) for side in (-1, 1))
    return lower, upper


def _of_r2(parameters: int, r2: float, most: float) -> tuple[int, int]:
    optimal = r2 / (r2 + OPTIMISM * most)
    first, second = (
        ceil(parameters / ((shrinkage - 1) * log(1 - r2 / shrinkage))) for shrinkage in (SHRINKAGE, optimal)
    )
    return first, second


@dataclass(frozen=True)
class Widths:
    """Expected widths of 95 % intervals in an evaluation; infinite where there is no event or no non-event."""

    observed_to_expected: float
    slope: float
    area: float


def evaluation_widths(patients: int, events: int, area: float) -> Widths:
    """Return how wide the intervals of a well calibrated model would be.

    Args:
        patients: with a known status.
        events: of them.
        area: its C statistic, from which the spread of its linear predictor follows (two normal distributions).
    """
    if not 0 < events < patients:
        return Widths(inf, inf, inf)
    prevalence = events / patients
    ratio = 2 * float(np.sinh(NORMAL * sqrt((1 - prevalence) / events)))
    slope = 2 * NORMAL * sqrt(slope_variance(*linear_predictor(prevalence, area)) / patients)
    return Widths(ratio, slope, 2 * NORMAL * area_error(area, patients, prevalence))


def ratio_needs(prevalence: float, width: float) -> int:
    """Return the patients for an interval of observed to expected (about 1) of this width."""
    error = asinh(width / 2) / NORMAL
    return ceil((1 - prevalence) / (prevalence * error**2))


def slope_needs(density: tuple[Floats, Floats], width: float) -> int:
    """Return the patients for an interval of the calibration slope of this width; `density` as linear_predictor gives."""
    return ceil(slope_variance(*density) / (width / (2 * NORMAL)) ** 2)


def area_needs(area: float, prevalence: float, width: float) -> int:
    """Return the patients for an interval of the C statistic of this width."""
    low, high = 2, 4
    while 2 * NORMAL * area_error(area, high, prevalence) > width:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if 2 * NORMAL * area_error(area, middle, prevalence) > width:
            low = middle
        else:
            high = middle
    return high


def area_error(area: float, patients: int, prevalence: float) -> float:
    """Return the standard error of a C statistic (Newcombe 2006, doi 10.1002/sim.2324, as in Riley 2021)."""
    half = patients / 2 - 1
    inside = 1 + half * (1 - area) / (2 - area) + half * area / (1 + area)
    return sqrt(area * (1 - area) * inside / (patients**2 * prevalence * (1 - prevalence)))


def linear_predictor(prevalence: float, area: float) -> tuple[Floats, Floats]:
    """Return points of the log-odds and their probabilities, where events and non-events are normal with one variance.

    The log-odds of a well calibrated model then have the variance 2 z^2 in each class, z the normal quantile of the C
    statistic, and means that differ by as much.
    """
    spread = sqrt(2) * float(norm.ppf(area))
    middle = log(prevalence / (1 - prevalence))
    points = np.linspace(middle - spread**2 - TAIL * spread, middle + spread**2 + TAIL * spread, GRID)
    dense = prevalence * norm.pdf(points, middle + spread**2 / 2, spread) + (1 - prevalence) * norm.pdf(
        points, middle - spread**2 / 2, spread
    )
    return points, dense / dense.sum()


def normal_predictor(mean: float, spread: float) -> tuple[Floats, Floats]:
    """Return points of normal log-odds and their probabilities."""
    points = np.linspace(mean - TAIL * spread, mean + TAIL * spread, GRID)
    dense = norm.pdf(points, mean, spread)
    return points, dense / dense.sum()


def slope_variance(points: Floats, probability: Floats) -> float:
    """Return the variance of the calibration slope times the number of patients, of a well calibrated model."""
    risk = expit(points)
    curve = probability * risk * (1 - risk)
    level, cross, tilt = (float((curve * points**power).sum()) for power in (0, 1, 2))
    return level / (level * tilt - cross**2)
