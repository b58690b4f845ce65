"""The null by permutation: the whole procedure with outcomes exchanged between patients of the same centre."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from experiments.compute import Compute, map_tasks
from experiments.probing.scoring import Integers, ProbeTask, dealt_folds, mean, score
from experiments.seeds import seed_for
from experiments.validation.cell import CellData, Procedure
from experiments.validation.draws import NO_CENTRE

SCHEME = "permutation"


def permuted(data: CellData, seed: int) -> CellData:
    """Return the data with outcomes exchanged between whole patients of one centre.

    A patient's outcomes (time, cause, whether known and what they are weighted within) move together and in order to
    another patient with as many predictions, so that outcomes of one patient stay those of one patient. Who is alone with
    that number of predictions in a centre keeps the own ones (`share_that_moves` tells how many can move), which makes
    the test conservative, never too bold. Predictors, patients and places stay.
    """
    order = _exchanged(data, np.random.default_rng(seed))
    own = data.target
    return replace(data, target=replace(own.rows(order), groups=own.groups))


def share_that_moves(data: CellData) -> float:
    """Return the share of patients who have another one of the same centre and number of predictions."""
    kinds = _kinds(data)
    counted = kinds.group_by("centre", "rows").len()
    return float(counted.filter(pl.col("len") > 1)["len"].sum() / kinds.height)


def null_scores(
    data: CellData,
    procedure: Procedure,
    *,
    numbers: Sequence[int],
    folds: int,
    trials: int,
    compute: Compute,
) -> list[float | None]:
    """Return the out-of-fold AUROC of each permutation, mean over folds; number 0 is the outcomes as they are.

    Every permutation runs the whole procedure: folds dealt anew, tuning of `trials` trials inside each training set.
    """
    tasks = []
    for number in numbers:
        seed = seed_for(procedure.seed, SCHEME, *procedure.names, number)
        moved = data if number == 0 else permuted(data, seed)
        tasks += [
            ProbeTask(moved, fold, procedure, trials)
            for fold in dealt_folds(moved, folds, seed, SCHEME, number)
        ]
    found = map_tasks(score, tasks, compute, f"permutation {' '.join(procedure.names)}")
    return [
        mean([one.auroc for one in found[place * folds : (place + 1) * folds]])
        for place in range(len(numbers))
    ]


def p_value(observed: float, null: Sequence[float]) -> float:
    """Return (b + 1) / (B + 1), b the permutations at least as good (Phipson and Smyth 2010, doi 10.2202/1544-6115.1585)."""
    return (sum(value >= observed for value in null) + 1) / (len(null) + 1)


def _kinds(data: CellData) -> pl.DataFrame:
    return (
        data.rows.select("position", pl.col("centre").fill_null(NO_CENTRE))
        .group_by("position", maintain_order=True)
        .agg(pl.col("centre").first(), pl.len().alias("rows"))
        .sort("position")
    )


def _exchanged(data: CellData, generator: np.random.Generator) -> Integers:
    """Return for each row the row whose outcome it gets."""
    position = data.rows["position"].to_numpy().astype(np.int64)
    by_patient = np.argsort(position, kind="stable")
    starts = dict(zip(*np.unique(position[by_patient], return_index=True), strict=True))
    order = np.arange(len(position))
    for _, part in (
        _kinds(data).sort("centre", "rows", "position").group_by("centre", "rows", maintain_order=True)
    ):
        patients, rows = part["position"].to_numpy(), int(part["rows"][0])
        for own, other in zip(patients, generator.permutation(patients), strict=True):
            order[by_patient[starts[own] : starts[own] + rows]] = by_patient[
                starts[other] : starts[other] + rows
            ]
    return order
