"""Survival learners beside scikit-survival's: 2,000 patients to fit, 1,000 to predict, 100 columns, about 45 % with the event.

Each run is a whole one: fitting for three horizons, and the curve of every test patient at 20 days up to the last of them.
Routes take turns within a seed, so that a busy machine slows all of them; ours run on one thread, the forest on two.

    python -m tests.benchmarks survival                       # 5 seeds, the forest at 1
    python -m tests.benchmarks.survival --seeds 10 --forests 3
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.registry import LEARNERS
from models.target import Target

Floats = NDArray[np.float64]
Row = tuple[str, str, str]
TRAIN, TEST, COLUMNS = 2000, 1000, 100
HORIZONS = (250.0, 500.0, 1000.0)
CURVE = tuple(float(day) for day in range(50, 1001, 50))
BOOSTING, FOREST = "GradientBoostingSurvivalAnalysis", "RandomSurvivalForest"
OURS = ("cox", "xgboost_cox", "lightgbm_hazard")
SEEDS, FORESTS = 5, 1


@dataclass(frozen=True)
class Run:
    """One route at one seed: seconds of fit and curves, and the concordance of its risks at the middle horizon."""

    seed: int
    route: str
    seconds: float
    harrell: float
    uno: float


def cohort(seed: int) -> tuple[pl.DataFrame, Target]:
    """Return Weibull times with a linear part, thresholds, an interaction and a curved column, censored evenly."""
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(TRAIN + TEST, COLUMNS))
    score = 0.3 * values[:, :4].sum(axis=1) + 0.4 * (values[:, 4:7] > 0.5).sum(axis=1)
    score += 0.4 * values[:, 7] * values[:, 8] + 0.3 * np.abs(values[:, 9])
    event = 1700 * (draws.exponential(size=len(score)) / np.exp(score)) ** (1 / 1.3)
    lost = draws.uniform(0, 1500, len(score))
    X = pl.DataFrame(values, schema=[f"x_{number:03d}" for number in range(COLUMNS)])
    time_, cause = np.ceil(np.minimum(event, lost)), (event <= lost).astype(np.int64)
    return X, Target.from_times(time_, cause, HORIZONS, main=500.0)


def own_route(kind: str, X: pl.DataFrame, target: Target, seed: int) -> Floats:
    """Return the risks of the test rows on every day of the curve, shape (test, days), by a learner with its defaults."""
    learner = LEARNERS[kind].build({}, predictors=None, seed=seed)
    learner.fit(X.head(TRAIN), target.rows(np.arange(TRAIN)))
    return learner.predict_risk(X.tail(TEST), CURVE)[:, 0]


def boosting_route(X: pl.DataFrame, target: Target, seed: int) -> Floats:
    """Return the same by scikit-survival's gradient boosting, 100 trees of depth 3."""
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis

    return _peer(
        GradientBoostingSurvivalAnalysis(n_estimators=100, max_depth=3, random_state=seed), X, target
    )


def forest_route(X: pl.DataFrame, target: Target, seed: int) -> Floats:
    """Return the same by scikit-survival's random survival forest, 100 trees with leaves of 15."""
    from sksurv.ensemble import RandomSurvivalForest

    forest = RandomSurvivalForest(n_estimators=100, min_samples_leaf=15, n_jobs=2, random_state=seed)
    return _peer(forest, X, target)


def _peer(estimator: object, X: pl.DataFrame, target: Target) -> Floats:
    values = X.to_numpy()
    estimator.fit(values[:TRAIN], _outcome(target, slice(0, TRAIN)))  # type: ignore[attr-defined]
    curves = estimator.predict_survival_function(values[TRAIN:])  # type: ignore[attr-defined]
    last = curves[0].domain[1]
    return np.stack([1 - curve(np.minimum(CURVE, last)) for curve in curves])


def _outcome(target: Target, rows: slice) -> NDArray[np.void]:
    from sksurv.util import Surv

    assert target.time is not None
    return np.asarray(Surv.from_arrays(target.cause[rows] == 1, target.time[rows]))


Route = Callable[[pl.DataFrame, Target, int], Floats]
ROUTES: dict[str, Route] = {
    **{kind: partial(own_route, kind) for kind in OURS},
    BOOSTING: boosting_route,
    FOREST: forest_route,
}


def measured(seeds: int, forests: int) -> list[Run]:
    """Run every route at each seed, in turns; the forest at the first `forests` seeds."""
    from sksurv.metrics import concordance_index_censored, concordance_index_ipcw

    own_route("lightgbm_hazard", *cohort(0), 0)  # imports are not counted
    own_route("xgboost_cox", *cohort(0), 0)
    runs = []
    for seed in range(1, seeds + 1):
        X, target = cohort(seed)
        train, test = _outcome(target, slice(0, TRAIN)), _outcome(target, slice(TRAIN, None))
        names = [name for name in ROUTES if name != FOREST or seed <= forests]
        for name in names if seed % 2 else reversed(names):
            start = time.perf_counter()
            risk = ROUTES[name](X, target, seed)
            seconds = time.perf_counter() - start
            middle = risk[:, CURVE.index(500.0)]
            harrell = concordance_index_censored(test["event"], test["time"], middle)[0]
            uno = concordance_index_ipcw(train, test, middle, tau=1000.0)[0]
            runs.append(Run(seed, name, seconds, float(harrell), float(uno)))
    return runs


def table(runs: Sequence[Run]) -> list[Row]:
    """Return the figures of each route, and of each of ours its ratio of medians to the boosting and its gap to the best peer."""
    rows = []
    ran = [name for name in ROUTES if any(run.route == name for run in runs)]
    medians = {name: statistics.median([run.seconds for run in runs if run.route == name]) for name in ran}
    for name in ran:
        own = [run for run in runs if run.route == name]
        figures = f"{medians[name]:.2f} s, Harrell {_mean(own, 'harrell'):.4f}, Uno {_mean(own, 'uno'):.4f}"
        rows.append((f"survival, {len(own)} seeds, {name}", "", figures))
    for name in OURS:
        gap = min(_gap(runs, name, peer) for peer in (BOOSTING, FOREST) if peer in ran)
        rows.append(
            (
                f"{name}: times faster than {BOOSTING}",
                "at least 10",
                f"{medians[BOOSTING] / medians[name]:.1f}",
            )
        )
        rows.append((f"{name}: Uno's C less the best peer's", "-0.01 or more", f"{gap:+.4f}"))
    return rows


def _gap(runs: Sequence[Run], route: str, peer: str) -> float:
    """Return by how much Uno's C is above the peer's, on the seeds that the peer ran."""
    theirs = {run.seed: run.uno for run in runs if run.route == peer}
    ours = {run.seed: run.uno for run in runs if run.route == route}
    return float(np.mean([ours[seed] - uno for seed, uno in theirs.items()]))


def _mean(runs: Sequence[Run], figure: str) -> float:
    return float(np.mean([getattr(run, figure) for run in runs]))


def survival(folder: Path) -> list[Row]:
    """Fits with curves, ours beside scikit-survival's."""
    return table(measured(SEEDS, FORESTS))


def main(arguments: Sequence[str]) -> int:
    """Run the asked seeds and print their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--forests", type=int, default=FORESTS)
    asked = parser.parse_args(arguments)
    for row in table(measured(asked.seeds, asked.forests)):
        print("  ".join(row))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
