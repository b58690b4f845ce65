"""FLAML and scikit-learn's own search beside this project's inner procedure, on open data, the same outer folds, one core.

    python -m tests.benchmarks peers
    python -m tests.benchmarks.peers --cells cnp --folds 3 --peers-python OTHER/bin/python --artifacts artifacts

FLAML is no dependency: it runs in the interpreter that --peers-python names, and its rows say why where it cannot. It gets
the seconds that this project took on the fold; the other two get the same number of configurations.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from threadpoolctl import threadpool_limits

from experiments.validation.cell import CellData, Fold, Procedure
from experiments.validation.nested import outer_folds
from experiments.validation.procedure import fit_fold
from features.outcomes import whole_outcomes
from models.registry import LEARNERS
from pipeline.files import read_json
from pipeline.stages.train import cell_data
from tests.benchmarks.nested import auroc
from tests.workplace import ROOT, make_workplace, run

Row = tuple[str, str, str]
CONFIGURATIONS, SEED = 15, 11
WORKER = Path(__file__).with_name("peer_worker.py")
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Cell:
    """One outcome of a study of open data.

    Attributes:
        prefix: of the columns used; "" for all.
        most: so many predictions, in the study's order of patients.
    """

    study: str
    outcome: str
    prefix: str = ""
    most: int | None = None


CELLS = {
    "cnp": Cell("cnp", "schizophrenia", prefix="cognitive_"),
    "diabetes130": Cell("diabetes130", "readmission_30d", most=20_000),
}


def assembled(cell: Cell, artifacts: Path) -> tuple[CellData, list[Fold]]:
    """Return a cell's rows and its study's outer folds from the result files."""
    place = artifacts / cell.study
    matrix = pl.read_parquet(place / "assembled" / "matrix.parquet")
    columns = [name for name in matrix.columns if name.startswith(cell.prefix) and name != "prediction_id"]
    data = cell_data(
        pl.read_parquet(place / "assembled" / "rows.parquet"),
        matrix.select("prediction_id", *columns),
        whole_outcomes(pl.read_parquet(place / "outcomes" / cell.outcome / "outcomes.parquet")),
        horizons=(),
        main=None,
        causes=1,
    )
    data = data if cell.most is None else data.take(np.arange(min(cell.most, data.rows.height)))
    splits = pl.read_parquet(place / "splits" / cell.outcome / "splits.parquet")
    splits = splits.filter(pl.col("prediction_id").is_in(data.rows["prediction_id"].to_list()))
    kinds = {one["scheme"]: one["kind"] for one in read_json(place / "splits" / cell.outcome / "folds.json")}
    return data, outer_folds(data.rows, splits, kinds)


def ours(data: CellData, fold: Fold, learner: str) -> float:
    """Return the AUROC of one outer fold by this project's inner procedure."""
    procedure = Procedure(
        kind=LEARNERS[learner],
        kind_name=learner,
        fixed={},
        predictors=tuple(sorted(data.X.columns)),
        trials=CONFIGURATIONS,
        inner_folds=3,
        seed=SEED,
        names=("peers", learner),
    )
    with threadpool_limits(1):
        fitted = fit_fold(data, fold, procedure)
    return auroc(data.target.labels()[fold.test], fitted.predict(data.X[fold.test])[:, 0, 0])


def peer(data: CellData, fold: Fold, tool: str, python: str, seconds: float) -> float:
    """Return the AUROC of one outer fold by a peer in a process of its own."""
    train = fold.train(data.rows.height)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data.X[train].write_parquet(folder / "train.parquet")
        data.X[fold.test].write_parquet(folder / "test.parquet")
        np.save(folder / "labels.npy", data.target.labels()[train])
        np.save(folder / "patients.npy", data.rows["position"].to_numpy()[train])
        asked = [python, str(WORKER), tool, name, str(seconds), str(CONFIGURATIONS), str(SEED)]
        subprocess.run(asked, check=True, capture_output=True, env={**os.environ, **ALONE}, cwd=name)
        return auroc(data.target.labels()[fold.test], np.load(folder / "risk.npy"))


def beside(cell: Cell, artifacts: Path, python: str, folds: int | None) -> list[Row]:
    """Return a row per tool: mean AUROC over the outer folds and wall seconds, fold by fold in turn."""
    data, outer = assembled(cell, artifacts)
    chosen = outer[:folds]
    absent = why_absent(python)
    found: dict[str, list[tuple[float, float]]] = {}
    for fold in chosen:
        for learner in ("elastic_net", "lightgbm"):
            start = time.perf_counter()
            score = ours(data, fold, learner)
            found.setdefault(f"psystrata {learner}", []).append((score, time.perf_counter() - start))
        budget = found["psystrata lightgbm"][-1][1]
        tools = [("scikit-learn", sys.executable), *([] if absent else [("flaml", python)])]
        for tool, interpreter in tools:
            start = time.perf_counter()
            score = peer(data, fold, tool, interpreter, budget)
            found.setdefault(tool, []).append((score, time.perf_counter() - start))
    name = f"{cell.study} {cell.outcome}, {len(data.target)} rows, {len(chosen)} of {len(outer)} folds"
    rows = [
        (
            f"{name}: {tool}",
            "",
            f"AUROC {np.mean([one[0] for one in runs]):.3f}, {sum(one[1] for one in runs):.0f} s",
        )
        for tool, runs in found.items()
    ]
    return [*rows, (f"{name}: flaml", "", f"not run: {absent}")] if absent else rows


def why_absent(python: str) -> str | None:
    """Return why FLAML cannot be run by an interpreter; None where it can."""
    asked = [python, "-c", "from flaml import AutoML"]
    try:
        found = subprocess.run(asked, check=False, capture_output=True, text=True)
    except OSError:
        return "--peers-python names no interpreter"
    return None if found.returncode == 0 else "flaml[automl] is not importable; see --peers-python"


def peers(folder: Path) -> list[Row]:
    """FLAML and scikit-learn's search on open data, same outer folds."""
    if "PSYSTRATA_DATA" not in os.environ:
        return [("peers", "", "not run: PSYSTRATA_DATA is not set")]
    studies = {
        name: yaml.safe_load(
            (ROOT / "experiments" / "studies" / name / "study.yaml").read_text(encoding="utf-8")
        )
        for name in CELLS
    }
    make_workplace(folder, studies)
    rows = []
    for name, cell in CELLS.items():
        run(folder, "psystrata", "use", name)
        run(folder, "dvc", "repro", f"splits@{name}-{cell.outcome}")
        rows += beside(cell, folder / "artifacts", sys.executable, None)
    return rows


def main(arguments: Sequence[str]) -> int:
    """Run the asked cells on result files that are there, and print their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", choices=list(CELLS), default=list(CELLS))
    parser.add_argument("--folds", type=int, help="only so many outer folds")
    parser.add_argument(
        "--peers-python", default=sys.executable, help="the interpreter that holds flaml[automl]"
    )
    parser.add_argument("--artifacts", type=Path, default=ROOT / "artifacts", help="result files with splits")
    asked = parser.parse_args(arguments)
    for name in asked.cells:
        for row in beside(CELLS[name], asked.artifacts, asked.peers_python, asked.folds):
            print("  ".join(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
