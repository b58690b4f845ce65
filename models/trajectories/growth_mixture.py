"""Classes of growth: a mean course per class for several variables at once, and how long each class stays.

Given the class, the variables are independent of one another and of drop-out (Muthen and Shedden 1999, doi
10.1111/j.0006-341X.1999.00463.x). That drop-out hangs on the class makes it informative: who left early may have been getting
worse, and a model that ignores this takes the course of those who stayed for that of all (Roy 2003, doi
10.1111/j.0006-341X.2003.00097.x).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.trajectories.sums import CourseSums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST_NUMBER_OF_STEPS = 500
ENOUGH = 1e-7  # gain of log-likelihood per patient at which the steps end
SMALLEST_VARIANCE = 1e-3  # of a class around its course, in shares of all values' variance
WIDEST_LOGIT = 8.0  # of a hazard
NEWTON_STEPS, PRIOR = 25, 0.01
FEWEST_AT_RISK = 30  # later intervals with fewer patients share one hazard


@dataclass(frozen=True)
class Stay:
    """How long each patient came to visits, counted in intervals between planned ones.

    Attributes:
        attended: intervals after which the patient was still seen, shape (patients,).
        left: in the next one the patient could have been seen and was not, shape (patients,).
    """

    attended: Ints
    left: NDArray[np.bool_]

    def taken(self, rows: NDArray[np.bool_] | Ints) -> "Stay":
        """Return the stay of some patients."""
        return Stay(self.attended[rows], self.left[rows])

    def intervals(self) -> int:
        """Return how many intervals have a hazard of their own."""
        most = int(self.attended.max(initial=0))
        at_risk = [
            int(((self.attended > at) | ((self.attended == at) & self.left)).sum()) for at in range(most)
        ]
        return max(sum(count >= FEWEST_AT_RISK for count in at_risk), 1)

    def table(self, intervals: int) -> tuple[Floats, Floats]:
        """Return how often each patient stayed and left by interval, shapes (patients, intervals); the last one holds all later."""
        stayed = np.clip(self.attended[:, None] - np.arange(intervals), 0, 1).astype(np.float64)
        stayed[:, -1] = np.maximum(self.attended - intervals + 1, 0)
        left = np.zeros_like(stayed)
        left[np.flatnonzero(self.left), np.minimum(self.attended, intervals - 1)[self.left]] = 1.0
        return stayed, left


@dataclass(frozen=True)
class Growth:
    """A fitted mixture of k classes of growth.

    Attributes:
        shares: of the classes, shape (k,), falling.
        courses: coefficients of the mean courses, shape (k, variables, degree + 1).
        residuals: variance of values around the class's course, shape (k, variables).
        intercepts: variance of a patient's own level around it, the same in every class, shape (variables,); zeros: none.
        hazards: probability of no further visit by interval, shape (k, intervals); no intervals where drop-out is ignored. Its
            odds differ between classes by the same factor in every interval: patients seen once tell nothing of their
            change, so the first interval's odds of each class can only be learnt from later ones.
    """

    shares: Floats
    courses: Floats
    residuals: Floats
    intercepts: Floats
    hazards: Floats

    def log_joint(self, sums: CourseSums, stay: Stay | None) -> Floats:
        """Return log(share * density of what was seen) by class, shape (patients, k)."""
        joint = np.log(self.shares) + np.zeros((len(sums.counts), 1))
        for variable in range(self.courses.shape[1]):
            squares, misses = _misses(sums, variable, self.courses[:, variable])
            joint += _log_density(
                sums.counts[:, variable, None],
                squares,
                misses,
                self.residuals[:, variable],
                self.intercepts[variable],
            )
        if self.hazards.shape[1] and stay is not None:
            stayed, left = stay.table(self.hazards.shape[1])
            joint += stayed @ np.log1p(-self.hazards).T + left @ np.log(self.hazards).T
        return joint

    def log_likelihood(self, sums: CourseSums, stay: Stay | None) -> float:
        """Return the log-likelihood of patients."""
        return float(np.logaddexp.reduce(self.log_joint(sums, stay), axis=1).sum())

    def free_parameters(self) -> int:
        """Return the number of free parameters."""
        intercepts = int((self.intercepts > 0).sum())
        staying = self.hazards.shape[1] + len(self.shares) - 1 if self.hazards.size else 0
        return len(self.shares) - 1 + self.courses.size + self.residuals.size + intercepts + staying

    def mean_course(self, years: Floats) -> Floats:
        """Return the classes' mean courses at some years, shape (k, variables, years)."""
        powers = np.vander(years, self.courses.shape[2], increasing=True)
        return np.asarray(self.courses @ powers.T, dtype=np.float64)


def fit_growth(
    sums: CourseSums,
    stay: Stay | None,
    responsibilities: Floats,
    *,
    random_intercept: bool,
    steps: int = LARGEST_NUMBER_OF_STEPS,
) -> tuple[Growth, float]:
    """Return classes and their log-likelihood, by EM from some responsibilities.

    Args:
        sums: of the patients.
        stay: their stay; None: drop-out is ignored.
        responsibilities: shape (patients, k), rows summing to 1.
        random_intercept: patients differ in level within their class.
        steps: the most there may be.
    """
    growth = _begun(sums, stay, responsibilities, random_intercept=random_intercept)
    table = None if stay is None else stay.table(growth.hazards.shape[1])
    floors = SMALLEST_VARIANCE * _variances(sums)
    before = -np.inf
    for _ in range(steps):
        joint = growth.log_joint(sums, stay)
        total = np.logaddexp.reduce(joint, axis=1)
        if float(total.sum()) - before < ENOUGH * len(total):
            break
        before = float(total.sum())
        growth = _maximised(growth, sums, table, np.exp(joint - total[:, None]), floors)
    return _by_share(growth), growth.log_likelihood(sums, stay)


def _begun(
    sums: CourseSums, stay: Stay | None, responsibilities: Floats, *, random_intercept: bool
) -> Growth:
    k, variables = responsibilities.shape[1], sums.counts.shape[1]
    spread = _variances(sums)
    intervals = 0 if stay is None else stay.intervals()
    blank = Growth(
        shares=np.full(k, 1 / k),
        courses=np.zeros((k, variables, sums.degree + 1)),
        residuals=np.tile(spread, (k, 1)),
        intercepts=spread / 4 if random_intercept else np.zeros(variables),
        hazards=np.full((k, intervals), 0.5),
    )
    table = None if stay is None else stay.table(intervals)
    return _maximised(blank, sums, table, responsibilities, SMALLEST_VARIANCE * spread)


def _variances(sums: CourseSums) -> Floats:
    counts = np.maximum(sums.counts.sum(axis=0), 1.0)
    means = sums.products[..., 0].sum(axis=0) / counts
    return np.asarray(np.maximum(sums.squares.sum(axis=0) / counts - means**2, 1e-12), dtype=np.float64)


def _misses(sums: CourseSums, variable: int, courses: Floats) -> tuple[Floats, Floats]:
    """Return sums of squared differences from each class's course, and sums of differences, shapes (patients, k)."""
    gram, product = sums.grams[:, variable], sums.products[:, variable]
    fitted = np.einsum("nij,kj->nki", gram, courses)
    squares = (
        sums.squares[:, variable, None] - 2 * product @ courses.T + np.einsum("nki,ki->nk", fitted, courses)
    )
    return np.maximum(squares, 0.0), product[:, :1] - fitted[:, :, 0]


def _log_density(
    counts: Floats, squares: Floats, misses: Floats, residuals: Floats, intercept: float
) -> Floats:
    inflated = residuals + counts * intercept
    explained = misses**2 * intercept / inflated
    return np.asarray(
        -0.5
        * (
            counts * np.log(2 * np.pi * residuals)
            + np.log(inflated / residuals)
            + (squares - explained) / residuals
        ),
        dtype=np.float64,
    )


def _maximised(
    growth: Growth, sums: CourseSums, table: tuple[Floats, Floats] | None, weights: Floats, floors: Floats
) -> Growth:
    courses, residuals = growth.courses.copy(), growth.residuals.copy()
    intercepts = growth.intercepts.copy()
    for variable in range(courses.shape[1]):
        counts = sums.counts[:, variable, None]
        for one in range(len(courses)):
            courses[one, variable] = _course(
                sums, variable, weights[:, one], residuals[one, variable], intercepts[variable]
            )
        squares, misses = _misses(sums, variable, courses[:, variable])
        inflated = residuals[:, variable] + counts * intercepts[variable]
        levels = intercepts[variable] * misses / inflated
        spreads = intercepts[variable] * residuals[:, variable] / inflated
        expected = squares - 2 * levels * misses + counts * (levels**2 + spreads)
        known = np.maximum((weights * counts).sum(axis=0), 1e-9)
        residuals[:, variable] = np.maximum((weights * expected).sum(axis=0) / known, floors[variable])
        if intercepts[variable] > 0:
            seen = counts > 0
            intercepts[variable] = max(
                float((weights * seen * (levels**2 + spreads)).sum() / (weights * seen).sum()),
                1e-3 * floors[variable],
            )
    shares = np.maximum(weights.mean(axis=0), 1e-9)
    hazards = growth.hazards
    if table is not None:
        stayed, left = weights.T @ table[0], weights.T @ table[1]
        hazards = proportional_odds(growth.hazards, stayed, left)
    return Growth(shares / shares.sum(), courses, residuals, intercepts, hazards)


def _course(sums: CourseSums, variable: int, weights: Floats, residual: float, intercept: float) -> Floats:
    """Return the weighted generalised least-squares course of one class."""
    gram, product = sums.grams[:, variable], sums.products[:, variable]
    shared = intercept / (residual + sums.counts[:, variable] * intercept)
    ones, total = gram[:, :, 0], product[:, 0]
    normal = np.einsum("n,nij->ij", weights, gram) - np.einsum("n,ni,nj->ij", weights * shared, ones, ones)
    right = weights @ product - (weights * shared * total) @ ones
    # A class so small that its visits lie at too few times keeps a course: the ridge is far below any other figure.
    ridge = 1e-9 * np.diagonal(np.einsum("nij->ij", gram))
    return np.asarray(np.linalg.solve(normal + np.diag(np.maximum(ridge, 1e-12)), right), dtype=np.float64)


def _by_share(growth: Growth) -> Growth:
    order = np.argsort(-growth.shares, kind="stable")
    return replace(
        growth,
        shares=growth.shares[order],
        courses=growth.courses[order],
        residuals=growth.residuals[order],
        hazards=growth.hazards[order],
    )


def proportional_odds(hazards: Floats, stayed: Floats, left: Floats) -> Floats:
    """Return hazards whose logit is an interval's plus a class's part, of the greatest likelihood, by Newton's steps.

    Args:
        hazards: where to begin, shape (k, intervals).
        stayed: how often patients of a class stayed for an interval, same shape; may be fractions of patients.
        left: how often they left, same shape.
    """
    k, intervals = hazards.shape
    begun = np.clip(np.log(hazards / (1 - hazards)), -WIDEST_LOGIT, WIDEST_LOGIT)
    entries = np.concatenate([begun[0], (begun[1:] - begun[0]).mean(axis=1)])
    # A row per class and interval: its interval's and its class's indicator.
    design = np.zeros((k, intervals, intervals + k - 1))
    design[:, np.arange(intervals), np.arange(intervals)] = 1.0
    design[np.arange(1, k), :, intervals + np.arange(k - 1)] = 1.0
    design = design.reshape(k * intervals, -1)
    counts, events = (stayed + left).ravel(), left.ravel()
    for _ in range(NEWTON_STEPS):
        risk = 1 / (1 + np.exp(-design @ entries))
        curvature = design.T @ (design * (counts * risk * (1 - risk))[:, None])
        # A hundredth of a patient at even odds keeps a class that nobody leaves at a finite hazard.
        slope = design.T @ (events - counts * risk) - PRIOR * entries
        step = np.linalg.solve(curvature + PRIOR * np.eye(len(entries)), slope)
        entries = entries + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-8:
            break
    logits = np.clip((design @ entries).reshape(k, intervals), -WIDEST_LOGIT, WIDEST_LOGIT)
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float64)
