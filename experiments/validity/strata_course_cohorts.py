"""Simulated courses over visits: one group of every awkward shape, and courses planted where the best rule is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.repeated_measures import RepeatedMeasures
from models.trajectories.sums import CourseSums

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

VARIABLES = ("madrs", "gaf")
MEANS = np.array([22.0, -1.0, 60.0, 1.0])  # level and change of one score, then of the other
SPREAD = np.array([4.0, 1.0, 6.0, 1.5])
NOISE = np.array([2.0, 3.0])  # around a patient's own course, by score
CORRELATION = np.array(
    [[1.0, 0.2, -0.6, 0.0], [0.2, 1.0, 0.0, -0.5], [-0.6, 0.0, 1.0, 0.2], [0.0, -0.5, 0.2, 1.0]]
)
CENTRES = 10
INTERVALS, LATE = 4, 0.3  # yearly visits after the baseline, each so many years early or late at most
MISSING = 0.05  # of the values at a visit
LEAVING = 0.12  # probability of no further visit, by interval
CURVE = 0.35  # spread around the curve of level and change, in standard deviations
SHARES = {2: (0.6, 0.4), 3: (0.4, 0.35, 0.25)}
HAZARDS = {2: (0.08, 0.25), 3: (0.08, 0.25, 0.12)}  # drop-out by true course
AXES = np.array([[0.0, 1.0, 0.0, -1.0], [1.0, 0.0, -1.0, 0.0]]) / np.sqrt(2)  # change, then level
PLACES = {2: [[0.0, 0.0], [1.0, 0.0]], 3: [[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]]}


@dataclass(frozen=True)
class PlantedCourses:
    """Courses whose true level and change are normal about their means; `separation` is the Mahalanobis distance of nearest means."""

    strata: int
    separation: float

    @property
    def centroids(self) -> Floats:
        """Mean level and change of both scores, shape (strata, 4)."""
        places = self.separation * np.array(PLACES[self.strata]) @ AXES
        return np.asarray(MEANS + places @ np.linalg.cholesky(within()).T, dtype=np.float64)


@dataclass(frozen=True)
class SimulatedCourses:
    """Patients with values at visits.

    Attributes:
        measures: their values and attendance.
        patients: patient_id.
        centres: code of each patient's centre, shape (patients,).
        truth: the true course, 0 for all of one group, shape (patients,).
        oracle: the course that the Bayes rule with the true parameters gives after the visits and drop-out that were seen.
    """

    measures: RepeatedMeasures
    patients: pl.Series
    centres: Integers
    truth: Integers
    oracle: Integers


def within() -> Floats:
    """Return the covariance of level and change within one course, shape (4, 4)."""
    return np.asarray(CORRELATION * np.outer(SPREAD, SPREAD), dtype=np.float64)


def one_course(name: str, patients: int, generator: np.random.Generator) -> SimulatedCourses:
    """Draw patients of one group; `name` is of ONE_COURSE."""
    standard = generator.normal(size=(patients, 4)) @ np.linalg.cholesky(CORRELATION).T
    effects, leaving, skewed = ONE_COURSE[name](standard, generator)
    attended, left = _stays(np.broadcast_to(leaving, (patients,)), generator)
    nobody = np.zeros(patients, dtype=np.int64)
    return _seen(MEANS + effects * SPREAD, (attended, left), nobody, None, generator, skewed=skewed)


def planted_courses(asked: PlantedCourses, patients: int, generator: np.random.Generator) -> SimulatedCourses:
    """Draw patients of two or three courses who leave at different rates."""
    truth = generator.choice(asked.strata, patients, p=SHARES[asked.strata])
    effects = asked.centroids[truth] + generator.normal(size=(patients, 4)) @ np.linalg.cholesky(within()).T
    attended, left = _stays(np.array(HAZARDS[asked.strata])[truth], generator)
    return _seen(effects, (attended, left), truth, asked, generator)


Drawn = tuple[Floats, Floats, bool]


def _still(standard: Floats, generator: np.random.Generator) -> Drawn:
    """Nobody differs in change."""
    return standard * np.array([1.0, 0.0, 1.0, 0.0]), np.array([LEAVING]), False


def _normal(standard: Floats, generator: np.random.Generator) -> Drawn:
    return standard, np.array([LEAVING]), False


def _curved(standard: Floats, generator: np.random.Generator) -> Drawn:
    """Level and change lie on a parabola."""
    bent = (standard[:, 0] ** 2 - 1) / np.sqrt(2)
    effects = np.column_stack([standard[:, 0], bent, -standard[:, 0], -bent])
    return effects + CURVE * generator.normal(size=effects.shape), np.array([LEAVING]), False


def _fan(standard: Floats, generator: np.random.Generator) -> Drawn:
    """The change follows from the level: the spread grows with time."""
    return standard[:, [0, 0, 2, 2]], np.array([LEAVING]), False


def _exponential(standard: Floats, generator: np.random.Generator) -> Drawn:
    changes = generator.exponential(size=len(standard)) - 1
    return np.column_stack([standard[:, 0], changes, standard[:, 2], -changes]), np.array([LEAVING]), False


def _informative(standard: Floats, generator: np.random.Generator) -> Drawn:
    """Whoever gets worse leaves."""
    return standard, 1 / (1 + np.exp(2.2 - 1.2 * standard[:, 1])), False


def _skewed(standard: Floats, generator: np.random.Generator) -> Drawn:
    return standard, np.array([LEAVING]), True


ONE_COURSE: Mapping[str, Callable[[Floats, np.random.Generator], Drawn]] = {
    "nobody differs in change": _still,
    "normal level and change": _normal,
    "level and change on a curve": _curved,
    "the change follows from the level": _fan,
    "exponential changes": _exponential,
    "whoever gets worse leaves": _informative,
    "skewed scores that end at zero": _skewed,
}


def _stays(leaving: Floats, generator: np.random.Generator) -> tuple[Integers, NDArray[np.bool_]]:
    """Return after how many intervals each patient was seen last, and who of them left."""
    goes = generator.random((len(leaving), INTERVALS)) < leaving[:, None]
    left = np.asarray(goes.any(axis=1), dtype=np.bool_)
    return np.where(left, goes.argmax(axis=1), INTERVALS).astype(np.int64), left


def _seen(
    effects: Floats,
    stays: tuple[Integers, NDArray[np.bool_]],
    truth: Integers,
    asked: PlantedCourses | None,
    generator: np.random.Generator,
    *,
    skewed: bool = False,
) -> SimulatedCourses:
    n, (attended, left) = len(effects), stays
    patient = np.repeat(np.arange(n), attended + 1)
    visit = np.concatenate([np.arange(count + 1.0) for count in attended])
    years = np.where(visit > 0, visit + generator.uniform(-LATE, LATE, len(visit)), 0.0)
    names = pl.Series("patient_id", [f"p{number:04d}" for number in range(n)])
    values = np.empty((len(VARIABLES), len(years)))
    for at, noise in enumerate(NOISE):
        drawn = generator.normal(size=len(years))
        if skewed:
            drawn = generator.exponential(size=len(years)) - 1
        own = effects[patient, 2 * at] + effects[patient, 2 * at + 1] * years + noise * drawn
        # Sums of a questionnaire: whole numbers from a floor that many reach.
        values[at] = np.maximum(np.rint(own - MEANS[2 * at] + SPREAD[2 * at]), 0.0) if skewed else own
    known = generator.random(values.shape) >= MISSING
    frames = [
        pl.DataFrame(
            {
                "patient_id": names.gather(patient[known[at]]),
                "variable": variable,
                "years": years[known[at]],
                "value": values[at, known[at]],
            }
        )
        for at, variable in enumerate(VARIABLES)
    ]
    last = np.zeros(n)
    np.maximum.at(last, patient, years)
    attendance = pl.DataFrame({"patient_id": names, "last_visit": last, "observable": np.full(n, 5.0)})
    oracle = np.zeros(n, dtype=np.int64)
    if asked is not None:
        kind, place = np.nonzero(known)
        sums = CourseSums.of_values(
            (patient[place], kind), years[place], values[known], shape=(n, len(VARIABLES)), degree=1
        )
        oracle = bayes_rule(asked, sums, attended, left)
    centres = generator.integers(0, CENTRES, n)
    return SimulatedCourses(
        RepeatedMeasures(pl.concat(frames), attendance), names, centres, truth.astype(np.int64), oracle
    )


def bayes_rule(
    asked: PlantedCourses, sums: CourseSums, attended: Integers, left: NDArray[np.bool_]
) -> Integers:
    """Return the most probable course given the values and the stay, with the true parameters, shape (patients,).

    Values of a patient are normal about Z m_k with covariance Z S Z' + noise; by Woodbury's identity the part that differs between
    courses needs the sums over visits only.
    """
    n = len(attended)
    gram, product = np.zeros((n, 4, 4)), np.zeros((n, 4))
    for at, noise in enumerate(NOISE):
        place = slice(2 * at, 2 * at + 2)
        gram[:, place, place] = sums.grams[:, at] / noise**2
        product[:, place] = sums.products[:, at] / noise**2
    inner = np.linalg.inv(gram + np.linalg.inv(within()))
    joint = np.empty((n, asked.strata))
    hazards = HAZARDS[asked.strata]
    for one, mean in enumerate(asked.centroids):
        misses = product - gram @ mean
        squares = mean @ (gram @ mean).T - 2 * product @ mean
        explained = np.einsum("ni,nij,nj->n", misses, inner, misses)
        staying = attended * np.log1p(-hazards[one]) + left * np.log(hazards[one])
        joint[:, one] = np.log(SHARES[asked.strata][one]) - (squares - explained) / 2 + staying
    return np.asarray(joint.argmax(axis=1), dtype=np.int64)
