"""Nested validation with tuning beside scikit-learn's RandomizedSearchCV with HistGradientBoosting, on the same folds.

3,000 patients x 500 columns, 10 % missing, 30 configurations, 5 outer x 3 inner folds. Both search the same ranges by the
same loss and use two cores: ours runs outer folds side by side, the peer the fits of its search. One process at a time.

    python -m tests.benchmarks nested                                          # one seed
    python -m tests.benchmarks.nested --seeds 10 --results FILE                # resumable: finished runs stand in FILE
    python -m tests.benchmarks.nested --cores 1 --folds 1                      # in this process, one outer fold

On one core the processor's seconds are given as well: they hold on a machine that does other work.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from experiments.compute import Compute, map_tasks
from experiments.validation.cell import CellData, Fold, Procedure
from experiments.validation.procedure import fit_fold, inner_folds
from models.registry import LEARNERS
from models.target import Target

Row = tuple[str, str, str]
PATIENTS, COLUMNS, MISSING = 3000, 500, 0.1
CONFIGURATIONS, OUTER, INNER, CORES = 30, 5, 3, 2
NOBODY = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Run:
    """One route at one seed: wall seconds, the AUROC of each outer fold, and this process's own seconds on one core."""

    seed: int
    route: str
    seconds: float
    aurocs: tuple[float, ...]
    cores: int = CORES
    processor: float | None = None
    folds: int = OUTER


def cohort(seed: int, outer: int = OUTER) -> tuple[CellData, list[Fold]]:
    """Return a simulated cohort and the first of its outer folds: twenty columns matter, linearly, above a point or two together."""
    draws = np.random.default_rng(seed)
    values = draws.normal(size=(PATIENTS, COLUMNS))
    values += 0.4 * draws.normal(size=(PATIENTS, 1))
    score = 0.25 * values[:, :10].sum(axis=1) / np.sqrt(2) + 0.5 * (values[:, 10:15] > 0.5).sum(axis=1)
    score += 0.3 * values[:, 15] * values[:, 16] - 1.6
    labels = (draws.random(PATIENTS) < 1 / (1 + np.exp(-score))).astype(np.int64)
    values[draws.random(values.shape) < MISSING] = np.nan
    rows = pl.DataFrame(
        {
            "prediction_id": [f"visit-{number}" for number in range(PATIENTS)],
            "position": np.arange(PATIENTS),
            "country": ["DE"] * PATIENTS,
            "centre": ["A"] * PATIENTS,
        }
    )
    X = pl.DataFrame(values, schema=[f"x_{number:03d}" for number in range(COLUMNS)])
    dealt = draws.permutation(PATIENTS) % OUTER
    folds = [Fold("kfold", 0, number, np.flatnonzero(dealt == number)) for number in range(OUTER)]
    return CellData(rows, X, Target.from_labels(labels, groups=np.arange(PATIENTS))), folds[:outer]


def procedure(data: CellData, seed: int) -> Procedure:
    """Return the inner procedure that the route of this project runs."""
    return Procedure(
        kind=LEARNERS["lightgbm"],
        kind_name="lightgbm",
        fixed={},
        predictors=tuple(data.X.columns),
        trials=CONFIGURATIONS,
        inner_folds=INNER,
        seed=seed,
        names=("benchmark", "lightgbm"),
    )


def ours(seed: int, cores: int, outer: int) -> list[float]:
    """Return the AUROC of each outer fold by this project's inner procedure."""
    data, folds = cohort(seed, outer)
    one = partial(_our_fold, data, procedure=procedure(data, seed))
    return map_tasks(one, folds, Compute("processes", cores), "nested")


def _our_fold(data: CellData, fold: Fold, *, procedure: Procedure) -> float:
    fitted = fit_fold(data, fold, procedure)
    return auroc(data.target.labels()[fold.test], fitted.predict(data.X[fold.test])[:, 0, 0])


def peer(seed: int, cores: int, outer: int) -> list[float]:
    """Return the AUROC of each outer fold by scikit-learn's own search."""
    data, folds = cohort(seed, outer)
    with threadpool_limits(1):  # its own threads would share the cores with the processes of the search
        return [_peer_fold(data, fold, seed, cores) for fold in folds]


def _peer_fold(data: CellData, fold: Fold, seed: int, cores: int) -> float:
    from scipy.stats import loguniform, randint, uniform
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import PredefinedSplit, RandomizedSearchCV

    train = fold.train(data.rows.height)
    inner, _ = inner_folds(data.take(train), fold, procedure(data, seed))
    values, labels = data.X.to_numpy(), data.target.labels()
    search = RandomizedSearchCV(
        HistGradientBoostingClassifier(early_stopping=False, max_bins=63, random_state=seed),
        {
            "max_iter": [round(count) for count in np.geomspace(25, 200, 40)],
            "learning_rate": loguniform(0.02, 0.08),
            "max_leaf_nodes": randint(3, 9),
            "min_samples_leaf": [round(count) for count in np.geomspace(20, 100, 40)],
            "l2_regularization": loguniform(30, 300),
            "max_features": uniform(0.2, 0.4),
        },
        n_iter=CONFIGURATIONS,
        scoring="neg_log_loss",
        cv=PredefinedSplit(inner),
        n_jobs=cores,
        random_state=seed,
    ).fit(values[train], labels[train])
    return auroc(labels[fold.test], search.predict_proba(values[fold.test])[:, 1])


def auroc(labels: NDArray[np.int64], risk: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, risk))


ROUTES: dict[str, Callable[[int, int, int], list[float]]] = {"psystrata": ours, "scikit-learn": peer}


def measured(
    seeds: Sequence[int], routes: Sequence[str], results: Path | None, cores: int = CORES, outer: int = OUTER
) -> list[Run]:
    """Run each route at each seed in turn, except those that already stand in `results`."""
    runs = read_runs(results)
    for number, seed in enumerate(seeds):
        for route in routes if number % 2 == 0 else list(reversed(routes)):
            if any(
                (run.seed, run.route, run.cores, run.folds) == (seed, route, cores, outer) for run in runs
            ):
                continue
            start, worked = time.perf_counter(), time.process_time()
            aurocs = ROUTES[route](seed, cores, outer)
            seconds = time.perf_counter() - start
            processor = time.process_time() - worked if cores == 1 else None
            runs.append(Run(seed, route, seconds, tuple(aurocs), cores, processor, outer))
            if results is not None:
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(runs[-1])) + "\n")
    return [run for run in runs if run.seed in seeds and (run.cores, run.folds) == (cores, outer)]


def read_runs(results: Path | None) -> list[Run]:
    """Return the runs of a results file; none where there is no file."""
    if results is None or not results.is_file():
        return []
    found: list[dict[str, Any]] = [
        json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()
    ]
    return [Run(**{**one, "aurocs": tuple(one["aurocs"])}) for one in found]


def table(runs: Sequence[Run]) -> list[Row]:
    """Return the figures: seconds of each route, their paired ratio, both AUROCs and their paired difference."""
    by = {(run.seed, run.route): run for run in runs}
    seeds = sorted({run.seed for run in runs if all((run.seed, route) in by for route in ROUTES)})
    if not seeds:
        return [("nested validation", "", "no seed with both routes yet")]
    first, second = ([by[seed, route] for seed in seeds] for route in ROUTES)
    ratios = [
        (b.processor or b.seconds) / (a.processor or a.seconds) for a, b in zip(first, second, strict=True)
    ]
    gains = [float(np.mean(a.aurocs) - np.mean(b.aurocs)) for a, b in zip(first, second, strict=True)]
    wide = 1.96 * np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else float("nan")
    seconds = [float(np.median([run.processor or run.seconds for run in runs])) for runs in (first, second)]
    scores = [float(np.mean([run.aurocs for run in runs])) for runs in (first, second)]
    return [
        (
            f"nested validation, {len(seeds)} seeds, psystrata",
            "",
            f"{seconds[0]:.0f} s, AUROC {scores[0]:.4f}",
        ),
        ("scikit-learn's search, same folds", "", f"{seconds[1]:.0f} s, AUROC {scores[1]:.4f}"),
        ("times faster, median of paired ratios", "at least 2", f"{np.median(ratios):.2f}"),
        ("AUROC more than scikit-learn's, paired", "not below 0", f"{np.mean(gains):+.4f} +- {wide:.4f}"),
    ]


def nested(folder: Path) -> list[Row]:
    """Nested validation with tuning, one seed of each route."""
    return table(measured([1], list(ROUTES), None))


def main(arguments: Sequence[str]) -> int:
    """Run the asked seeds and print their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--routes", nargs="+", choices=list(ROUTES), default=list(ROUTES))
    parser.add_argument("--cores", type=int, choices=[1, CORES], default=CORES)
    parser.add_argument("--folds", type=int, default=OUTER, help="only so many outer folds")
    asked = parser.parse_args(arguments)
    for row in table(
        measured(range(1, asked.seeds + 1), asked.routes, asked.results, asked.cores, asked.folds)
    ):
        print("  ".join(row))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
