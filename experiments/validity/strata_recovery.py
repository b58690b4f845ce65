"""How well patients are divided into a given number of planted strata, against the Bayes rule that knows the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from experiments.seeds import seed_for
from experiments.validity.ledger import mean_bounds, mean_text, table
from models.strata_model import Recipe, StrataModel, prepare_patients

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Record = dict[str, Any]

SEED = 20261205
SPREAD, TWO, CORRELATED = (
    "centroids spread over all columns",
    "centroids differ in two columns",
    "columns correlated within strata",
)
SCENARIOS = (SPREAD, TWO, CORRELATED)
METHODS = ("gaussian_mixture", "k_means")
COLUMNS, SEPARATIONS, PATIENTS = (2, 5, 10, 30, 50), (2.0, 3.0, 4.0), (300, 600, 2000)
SHAPES, SHARES = ("triangle", "line"), ((1 / 3, 1 / 3, 1 / 3), (0.5, 0.3, 0.2))
DOMAIN = 5  # columns of one domain of a correlated battery
GENERAL, SPECIFIC = 0.6, 0.4  # loadings on the general factor and on the domain's own, as of cognitive tests
HELD = 0.95  # of the oracle's adjusted Rand index


@dataclass(frozen=True)
class PlantedStrata:
    """Patients of three strata with equal covariances.

    Attributes:
        values: shape (patients, columns).
        label: the true stratum, shape (patients,).
        oracle: the stratum that the Bayes rule with the true parameters gives, shape (patients,).
    """

    values: Floats
    label: Integers
    oracle: Integers

    @property
    def frame(self) -> pl.DataFrame:
        """The values as a frame of feature columns."""
        return pl.DataFrame(self.values, schema=[f"x_{place:02}" for place in range(self.values.shape[1])])


@dataclass(frozen=True)
class Planting:
    """What is planted.

    Attributes:
        scenario: one of SCENARIOS.
        columns: number of columns, 2 or more.
        separation: Mahalanobis distance between nearest centroids.
        shape: triangle or line.
        shares: of the three strata.
    """

    scenario: str
    columns: int
    separation: float
    shape: str = SHAPES[0]
    shares: tuple[float, ...] = SHARES[0]


def plant_strata(asked: Planting, patients: int, generator: np.random.Generator) -> PlantedStrata:
    """Draw three Gaussian strata with a common covariance.

    The centroids make an equilateral triangle or lie on a line, in a plane that is drawn at random: of all columns or of two.
    """
    columns = asked.columns
    centroids = asked.separation * (
        np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
        if asked.shape == "triangle"
        else np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    )
    shares = generator.permutation(asked.shares)  # which of them is in the middle of a line
    label = generator.choice(3, patients, p=shares)
    plane = np.zeros((columns, 2))
    wide = 2 if asked.scenario == TWO else columns
    plane[:wide] = np.linalg.qr(generator.normal(size=(wide, 2)))[0]
    standard = generator.normal(size=(patients, columns)) + (centroids @ plane.T)[label]
    away = ((standard @ plane)[:, None, :] - centroids) ** 2
    oracle = (np.log(shares) - away.sum(axis=2) / 2).argmax(axis=1)
    values = standard @ _battery(columns) if asked.scenario == CORRELATED else standard
    return PlantedStrata(values, label.astype(np.int64), oracle.astype(np.int64))


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Divide one draw of every size into three; shapes and shares take turns over runs."""
    scenario, run = task
    shape, shares = tuple(product(SHAPES, SHARES))[run % 4]
    records = []
    for columns, separation, patients in product(COLUMNS, SEPARATIONS, PATIENTS):
        seed = seed_for(SEED, scenario, run, columns, str(separation), patients)
        asked = Planting(scenario, columns, separation, shape, shares)
        planted = plant_strata(asked, patients, np.random.default_rng(seed))
        records.append(
            {
                "scenario": scenario,
                "run": run,
                "shape": shape,
                "equal": shares == SHARES[0],
                "columns": columns,
                "separation": separation,
                "patients": patients,
                "oracle": float(adjusted_rand_score(planted.label, planted.oracle)),
                **{method: recovered(planted, method, seed) for method in METHODS},
            }
        )
    return records


def recovered(planted: PlantedStrata, method: str, seed: int) -> float:
    """Return the adjusted Rand index of the true strata and those that a clusterer finds, their number given."""
    X = planted.frame
    recipe = Recipe(method, tuple(X.columns))
    found = StrataModel.fit(X, recipe, 3, seed, prepare_patients(X, recipe)).assign(X)
    return float(adjusted_rand_score(planted.label, found))


def _battery(columns: int) -> Floats:
    """Return the symmetric root of the correlation of tests with a general factor and domains, shape (columns, columns)."""
    domain = np.arange(columns) // DOMAIN
    correlation = GENERAL**2 + SPECIFIC**2 * (domain[:, None] == domain)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray((vectors * np.sqrt(values)) @ vectors.T, dtype=np.float64)


def share_of_oracle(records: Sequence[Record], method: str) -> tuple[float, float, float]:
    """Return the mean index over runs as a share of the oracle's mean, and its 95 % Monte-Carlo interval (t, delta method)."""
    found = np.array([line[method] for line in records])
    best = np.array([line["oracle"] for line in records])
    share = float(found.mean() / best.mean())
    lower, upper = mean_bounds((found - share * best) / best.mean())
    return share, share + lower, share + upper


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section on the recovery of planted strata."""
    cells: dict[tuple[str, int, float, int], list[Record]] = {}
    for line in records:
        key = (line["scenario"], line["columns"], line["separation"], line["patients"])
        cells.setdefault(key, []).append(line)
    rows = []
    for scenario, columns, separation in product(SCENARIOS, COLUMNS, SEPARATIONS):
        own = [cells.get((scenario, columns, separation, patients), []) for patients in PATIENTS]
        if all(len(runs) > 1 for runs in own):
            oracle = mean_text([line["oracle"] for runs in own for line in runs])
            shares = (_share_text(runs, method) for method in METHODS for runs in own)
            rows.append((scenario, str(columns), f"{separation:g}", str(len(own[0])), oracle, *shares))
    held = [
        (
            method,
            *(
                _held_text([runs for key, runs in cells.items() if key[2:] == (separation, patients)], method)
                for separation, patients in product(SEPARATIONS, PATIENTS)
            ),
        )
        for method in METHODS
    ]
    sizes = [f"{separation:g}, {patients:,}" for separation, patients in product(SEPARATIONS, PATIENTS)]
    lines = [
        "## Planted strata, their number given: the index against the Bayes rule's",
        "",
        "Three Gaussian strata with a common covariance, in a triangle or on a line, of equal shares or 0.5, 0.3 and 0.2 (the four "
        "take turns over runs), each column scaled as the method scales it. Separation: Mahalanobis distance between nearest "
        "centroids. Correlated columns have a general factor (loading "
        f"{GENERAL}) and one of their domain of {DOMAIN} ({SPECIFIC}); there the centroids lie in directions drawn at random after "
        "the correlation is taken out, so hardly along the factors. Figures: the adjusted Rand index of the Bayes rule with the "
        f"true parameters, and each method's as a share of it. To be held: {HELD}. The rule knows the centroids; methods learn them from "
        "the patients that they divide, which costs the more the fewer patients there are per column. Brackets: 95 % Monte-Carlo "
        "interval (t).",
        "",
        f"Command: `{command}`",
        "",
        f"In how many designs (of {len(SCENARIOS)}) and numbers of columns ({len(COLUMNS)}) the share was {HELD} or more, by "
        "separation and patients:",
        "",
        *table(("method", *sizes), held),
        "",
        *table(
            (
                "design",
                "columns",
                "separation",
                "runs",
                "oracle",
                *(f"{method}, {patients:,} patients" for method in METHODS for patients in PATIENTS),
            ),
            rows,
        ),
    ]
    return "\n".join(lines) + "\n"


def _share_text(records: Sequence[Record], method: str) -> str:
    share, lower, upper = share_of_oracle(records, method)
    return f"{share:.2f} [{lower:.2f}, {upper:.2f}]"


def _held_text(cells: Sequence[Sequence[Record]], method: str) -> str:
    seen = [runs for runs in cells if len(runs) > 1]
    return f"{sum(share_of_oracle(runs, method)[0] >= HELD for runs in seen)} of {len(seen)}"
