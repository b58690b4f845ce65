"""Genotypes inside the fold of a whole cell: the certificate passes, and components fitted on everybody are caught."""

import struct
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from experiments.validation import certificate as certificates
from experiments.validation.cell import CellData, FittedFold, Fold, Procedure
from experiments.validation.certificate import prove, scramble
from experiments.validation.fingerprint import journal_fingerprint
from experiments.validation.nested import outer_folds, validate_cell
from experiments.validation.procedure import fit_fold
from models.adjustment.adjustment import Adjustment
from models.adjustment.genetic_plan import AncestryPlan, ComponentPlan, FrequencyPlan, GeneticPlan
from models.adjustment.learner import adjusted
from models.adjustment.plan import AdjustmentPlan
from models.registry import LEARNERS
from tests.experiments.validation_cohort import cell, procedure
from tests.models.adjustment.genetic_people import drifted, genotype_column

FIXED = {"penalty": 0.01, "l1_ratio": 0.0}
COMPONENTS = GeneticPlan(None, ComponentPlan(2, as_predictors=True), AncestryPlan(("genetic_score",)))
PLAN = AdjustmentPlan(genetics=replace(COMPONENTS, frequencies=FrequencyPlan(("genetic_score",))))
BESIDE = "^genetic_(variants|genotypes|score_missing)$"


def genetic_cell(**more: Any) -> tuple[CellData, pl.DataFrame, dict[str, str]]:
    """Return the small cohort with a score, a missing genotype of each patient, and genotypes beside the predictors."""
    data, splits, kinds = cell(patients=150, **more)
    position = data.rows["position"].to_numpy().astype(np.int64)
    people = drifted(int(position.max()) + 1, 300, 2, 0.05, seed=9)
    own = people.copies[position]
    lost = [struct.pack("<IdB", place % 300, 0.5, place % 6) for place in position]
    X = data.X.with_columns(
        genetic_score=pl.Series(
            people.centred[position] + np.random.default_rng(1).normal(size=len(position))
        ),
        genetic_variants=genotype_column("genetic_variants", own),
        genetic_genotypes=genotype_column("genetic_genotypes", own),
        genetic_score_missing=pl.Series(lost, dtype=pl.Binary),
    )
    return replace(data, X=X), splits, kinds


def genetic_procedure(data: CellData, plan: AdjustmentPlan, **more: Any) -> Procedure:
    """Return the procedure of an elastic net with genetic steps before it."""
    plain = procedure(replace(data, X=data.X.select(pl.exclude(BESIDE))), "elastic_net", **more)
    return replace(plain, kind=adjusted(LEARNERS["elastic_net"], plan))


def test_a_cell_with_genetic_steps_passes_and_every_planted_leak_is_caught() -> None:
    data, splits, kinds = genetic_cell()
    one = splits.filter(pl.col("scheme") == "kfold")
    done = validate_cell(data, one, kinds, genetic_procedure(data, PLAN, trials=1))
    assert all(check["passed"] for check in done.certificate["checks"])
    assert done.certificate["control_passed"]
    assert all(entry["caught"] for entry in done.certificate["planted"])
    assert any(b"genetic_component_2" in done.final[name] for name in set(done.final) - {"adjustment.json"})


def _components_of_all(
    asked: Procedure, data: CellData, fold: Fold, *, parameters: Any = None, trials: int | None = None
) -> FittedFold:
    """Fit components on everybody, tested people included, then go on honestly."""
    plan = AdjustmentPlan(genetics=COMPONENTS)
    everybody = Adjustment.fit(data.X, plan, columns=["genetic_score"], seed=1)

    def seen(X: pl.DataFrame) -> pl.DataFrame:
        return X.with_columns(everybody.transform(X))

    fitted = fit_fold(replace(data, X=seen(data.X)), fold, asked, parameters=parameters, trials=trials)
    return replace(fitted, predict=lambda X: fitted.predict(seen(X)))


def test_components_fitted_on_everybody_are_caught() -> None:
    data, splits, kinds = genetic_cell()
    fold = next(one for one in outer_folds(data.rows, splits, kinds) if one.scheme == "kfold")
    fit = partial(_components_of_all, genetic_procedure(data, AdjustmentPlan(), trials=1))
    fitted = fit(data, fold, parameters=FIXED)
    failed = {
        one.check for one in prove(data, fold, fitted, partial(fit, parameters=FIXED), 3) if not one.passed
    }
    assert certificates.REFIT in failed


def test_scrambling_replaces_genotypes_of_the_chosen_rows_alone() -> None:
    data, _, _ = genetic_cell()
    chosen = np.arange(0, data.rows.height, 3)
    rest = np.setdiff1d(np.arange(data.rows.height), chosen)
    noisy = scramble(data, chosen, 3)
    for name in ("genetic_variants", "genetic_genotypes", "genetic_score_missing"):
        before, after = data.X[name], noisy.X[name]
        assert after[rest].equals(before[rest])
        assert (after[chosen] == before[chosen]).sum() < len(chosen) / 10
        assert after[chosen].n_unique() == 3
        assert after.bin.size().equals(before.bin.size())


def test_other_genotypes_are_another_journal() -> None:
    data, splits, kinds = genetic_cell()
    fold = outer_folds(data.rows, splits, kinds)[0]
    inner = np.arange(data.rows.height, dtype=np.int64) % 3
    asked = genetic_procedure(data, PLAN)
    other = data.X["genetic_variants"].reverse()
    lacking = pl.Series("genetic_variants", [None, *data.X["genetic_variants"][1:]], dtype=pl.Binary)
    found = {
        journal_fingerprint(replace(data, X=data.X.with_columns(column)), inner, fold, asked)
        for column in (data.X["genetic_variants"], other, lacking)
    }
    assert len(found) == 3
