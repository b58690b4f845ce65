"""Simulated cohorts for the search for strata: one group of every awkward shape, and strata planted where the best rule is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from models.adjustment.plan import AdjustmentPlan
from models.strata_model import Recipe

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CENTRES = 12  # the first half of them in one country
CURVED_COLUMNS, NOISE = 12, 0.35
FACTOR = 0.7  # loading of every column on the one strong factor
LEVELS = 22  # of a questionnaire's sum
BELOW = 0.3  # share of values below the limit of detection
MISSING = 0.1  # at random
WITHOUT = 4  # centres that never measure the second half of the columns
CORRELATION = 0.5  # of all pairs of columns within a stratum, where they are correlated
CONTEXT = "context_centre"


@dataclass(frozen=True)
class SimulatedPatients:
    """A cohort of two countries.

    Attributes:
        rows: prediction_id, patient_id, centre, country.
        X: their columns, and the centre as a context column.
        centres: code of each patient's centre, shape (patients,).
        truth: the true stratum, 0 for all of one group, shape (patients,).
        oracle: adjusted Rand index of the Bayes rule with the true parameters; None of one group.
        recipe: what is done to the columns.
    """

    rows: pl.DataFrame
    X: pl.DataFrame
    centres: Integers
    truth: Integers
    oracle: float | None
    recipe: Recipe

    @property
    def values(self) -> Floats:
        """The columns, medians for what is missing, mean 0 and standard deviation 1: what other programs are given."""
        found = self.X.select(self.recipe.columns).to_numpy().astype(np.float64)
        filled = np.where(np.isnan(found), np.nanmedian(found, axis=0), found)
        return np.asarray((filled - filled.mean(axis=0)) / filled.std(axis=0), dtype=np.float64)


@dataclass(frozen=True)
class Planted:
    """Gaussian strata with equal covariances; `separation` is the Mahalanobis distance of nearest centroids.

    Attributes:
        strata: number; two on a line, three in a triangle, four in a square.
        separation: in standard deviations within strata.
        columns: number of columns.
        where: spread (centroids differ in all columns), two (in two of them), correlated (spread, and columns correlated
            within strata).
        shares: of the strata.
    """

    strata: int
    separation: float
    columns: int
    where: str = "spread"
    shares: tuple[float, ...] = ()


def one_group(name: str, patients: int, columns: int, generator: np.random.Generator) -> SimulatedPatients:
    """Draw a cohort in which nothing is planted; `name` is one of ONE_GROUP. Curved ones have twelve columns always."""
    design = ONE_GROUP[name]
    centres = np.sort(generator.choice(CENTRES, patients, p=_sizes(generator)))
    values = design.draw(patients, columns, generator)
    if design.centres == 2:
        side = generator.permutation(CENTRES)[centres] % 2  # two centres, each seen at half of the names
        values = values + side[:, None] * design.shift * values.std(axis=0)
    elif design.shift:
        shifts = generator.uniform(-1, 1, size=(CENTRES, values.shape[1])) * design.shift
        values = values + shifts[centres] * values.std(axis=0)
    if design.missing:
        values = _with_missing(values, centres, generator)
    return _cohort(values, centres, np.zeros(patients, dtype=np.int64), None, adjusted=design.adjusted)


def plant(asked: Planted, patients: int, generator: np.random.Generator) -> SimulatedPatients:
    """Draw a cohort of planted strata, with centres that make no difference."""
    shares = np.asarray(asked.shares or [1 / asked.strata] * asked.strata)
    truth = generator.choice(asked.strata, patients, p=shares / shares.sum())
    centroids = asked.separation * _corners(asked.strata)
    wide = 2 if asked.where == "two" else asked.columns
    plane = np.zeros((asked.columns, 2))
    plane[:wide] = np.linalg.qr(generator.normal(size=(wide, 2)))[0]
    standard = generator.normal(size=(patients, asked.columns)) + (centroids @ plane.T)[truth]
    away = ((standard @ plane)[:, None, :] - centroids) ** 2
    best = (np.log(shares) - away.sum(axis=2) / 2).argmax(axis=1)
    values = standard @ _root(asked.columns) if asked.where == "correlated" else standard
    centres = np.sort(generator.choice(CENTRES, patients, p=_sizes(generator)))
    oracle = float(adjusted_rand_score(truth, best))
    return _cohort(values, centres, truth.astype(np.int64), oracle, adjusted=False)


@dataclass(frozen=True)
class OneGroupDesign:
    """How one group is drawn, and what centres do to it.

    Attributes:
        draw: called as draw(patients, columns, generator); shape (patients, columns).
        shift: of centres, standard deviations: uniform up to it, or exactly it between two centres.
        centres: 2 where only two kinds of centres differ.
        missing: some centres never measure half of the columns, and values are missing at random.
        adjusted: centres are brought together in the recipe.
    """

    draw: Callable[[int, int, np.random.Generator], Floats]
    shift: float = 0.0
    centres: int = CENTRES
    missing: bool = False
    adjusted: bool = False


def _factor(patients: int, columns: int, generator: np.random.Generator) -> Floats:
    common = generator.normal(size=(patients, 1))
    own = generator.normal(size=(patients, columns))
    return np.asarray(FACTOR * common + np.sqrt(1 - FACTOR**2) * own, dtype=np.float64)


def _heavy(patients: int, columns: int, generator: np.random.Generator) -> Floats:
    degrees = 5
    return _factor(patients, columns, generator) / np.sqrt(
        generator.chisquare(degrees, size=(patients, 1)) / degrees
    )


def _skewed(patients: int, columns: int, generator: np.random.Generator) -> Floats:
    return np.exp(0.8 * _factor(patients, columns, generator))


def _lattice(patients: int, columns: int, generator: np.random.Generator) -> Floats:
    middle = generator.uniform(0.2, 0.6, size=columns) * LEVELS
    scores = middle + LEVELS / 5 * _factor(patients, columns, generator)
    return np.clip(np.round(scores), 0, LEVELS - 1)


def _censored(patients: int, columns: int, generator: np.random.Generator) -> Floats:
    logarithm = _factor(patients, columns, generator)
    limit = np.quantile(logarithm, BELOW, axis=0)
    return np.where(logarithm < limit, limit - np.log(np.sqrt(2)), logarithm)


def _curve(shape: str) -> Callable[[int, int, np.random.Generator], Floats]:
    def draw(patients: int, columns: int, generator: np.random.Generator) -> Floats:
        del columns
        place = generator.uniform(-1.5, 1.5, size=patients)
        curve = {
            "parabola": (place, place**2),
            "cubic": (place, place**3 - place),
            "arc": (1.5 * np.cos(1.4 * place), 1.5 * np.sin(1.4 * place)),
        }[shape]
        loadings = np.linalg.qr(generator.normal(size=(CURVED_COLUMNS, 2)))[0]
        noise = NOISE * generator.normal(size=(patients, CURVED_COLUMNS))
        return np.asarray(np.column_stack(curve) @ loadings.T + noise, dtype=np.float64)

    return draw


ONE_GROUP: Mapping[str, OneGroupDesign] = {
    "one strong factor": OneGroupDesign(_factor),
    "heavy tails": OneGroupDesign(_heavy),
    "skewed": OneGroupDesign(_skewed),
    "parabola": OneGroupDesign(_curve("parabola")),
    "cubic": OneGroupDesign(_curve("cubic")),
    "arc": OneGroupDesign(_curve("arc")),
    "scores in steps": OneGroupDesign(_lattice),
    "limits of detection": OneGroupDesign(_censored),
    "centres shifted": OneGroupDesign(_factor, shift=1.0),
    "centres shifted and centred": OneGroupDesign(_factor, shift=1.0, adjusted=True),
    "two kinds of centres": OneGroupDesign(_factor, shift=1.0, centres=2),
    "missing by centre": OneGroupDesign(_factor, shift=0.5, missing=True),
}


def _with_missing(values: Floats, centres: Integers, generator: np.random.Generator) -> Floats:
    """Take the second half of the columns from some centres as a whole, and a tenth of the rest at random."""
    half = values.shape[1] // 2
    without = generator.choice(CENTRES, WITHOUT, replace=False)
    gone = generator.random(values.shape) < MISSING
    gone[np.ix_(np.isin(centres, without), np.arange(half, values.shape[1]))] = True
    return np.where(gone, np.nan, values)


def _sizes(generator: np.random.Generator) -> Floats:
    """Return shares of the centres, the largest four times the smallest; both countries have the same sizes."""
    half = np.linspace(1.0, 4.0, CENTRES // 2)
    sizes = np.concatenate([generator.permutation(half), generator.permutation(half)])
    return np.asarray(sizes / sizes.sum(), dtype=np.float64)


def _corners(strata: int) -> Floats:
    """Return points whose nearest neighbours are at distance 1: a pair, a triangle, a square, about 0."""
    corners = {
        2: [[0.0, 0.0], [1.0, 0.0]],
        3: [[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]],
        4: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
    }[strata]
    found = np.asarray(corners, dtype=np.float64)
    return np.asarray(found - found.mean(axis=0), dtype=np.float64)


def _root(columns: int) -> Floats:
    """Return the symmetric root of a matrix of equal correlations, shape (columns, columns)."""
    matrix = np.full((columns, columns), CORRELATION) + (1 - CORRELATION) * np.eye(columns)
    variances, axes = np.linalg.eigh(matrix)
    return np.asarray((axes * np.sqrt(variances)) @ axes.T, dtype=np.float64)


def _cohort(
    values: Floats, centres: Integers, truth: Integers, oracle: float | None, *, adjusted: bool
) -> SimulatedPatients:
    names = tuple(f"x_{place:02}" for place in range(values.shape[1]))
    plan = AdjustmentPlan(harmonise=("centring",)) if adjusted else None
    return patients_of(values, centres, truth, oracle, Recipe("gaussian_mixture", names, plan=plan))


def patients_of(
    values: Floats, centres: Integers, truth: Integers, oracle: float | None, recipe: Recipe
) -> SimulatedPatients:
    """Return a cohort of these values, the first half of the centres in one country.

    Args:
        values: shape (patients, columns), in the order of `recipe.columns`, NaN where missing.
        centres: code of each patient's centre, shape (patients,).
        truth: the true stratum, shape (patients,).
        oracle: adjusted Rand index of the Bayes rule; None of one group.
        recipe: what is done to the columns.
    """
    text = pl.Series([f"centre {code:02}" for code in centres])
    rows = pl.DataFrame(
        {
            "prediction_id": [f"visit-{place}-1" for place in range(len(values))],
            "patient_id": [f"patient {place}" for place in range(len(values))],
            "centre": text,
            "country": np.where(centres < CENTRES // 2, "A", "B"),
        }
    )
    X = pl.DataFrame(values, schema=list(recipe.columns)).fill_nan(None).with_columns(text.alias(CONTEXT))
    return SimulatedPatients(rows, X, centres.astype(np.int64), truth, oracle, recipe)
