"""The lead learner refitted in outer folds with its parameters as chosen and another adjustment, and what it then predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from experiments.audit.local_centres import FittedModel, LocalCentre, LocalDraws, local_centres
from experiments.audit.setting import Audit, Floats
from experiments.compute import map_tasks
from experiments.evaluation.sample import Part, Sample
from experiments.probing.scoring import main_risk
from experiments.validation.cell import CellData, Fold, Procedure
from experiments.validation.procedure import inner_folds, weighted_log_loss
from features.errors import BadInput
from models.adjustment.adjustment import Adjustment
from models.adjustment.plan import AdjustmentPlan
from models.contract import Learner
from models.errors import BadTarget

TUNED = ("harmonise", "impute")  # of an adjustment, among a trial's parameters


@dataclass(frozen=True)
class Lead:
    """The lead learner without its adjustment.

    Attributes:
        procedure: its kind, fixed parameters and predictors.
        plan: what it declares of its adjustment; a plan that does nothing where it declares none.
        parameters: chosen in each outer fold, by the fold's name; an untuned learner's are its own.
    """

    procedure: Procedure
    plan: AdjustmentPlan
    parameters: Mapping[str, Mapping[str, Any]]

    def parameters_of(self, fold: Fold) -> dict[str, Any]:
        """Return what the learner was built with in a fold, without what its adjustment was tuned to."""
        if fold.name in self.parameters:
            found = self.parameters[fold.name]
            return {name: value for name, value in found.items() if name not in TUNED}
        if self.procedure.kind.space is None:
            return {**self.procedure.kind.defaults, **self.procedure.fixed}
        raise BadInput(
            f"The trials of {self.procedure.names[-1]} have none for the fold {fold.name}: they are from another run. "
            "Run dvc repro."
        )

    def methods_of(self, fold: Fold) -> tuple[str, str]:
        """Return the harmonisation and the imputation that were chosen in a fold."""
        found = self.parameters.get(fold.name, {})
        return (
            str(found.get("harmonise", self.plan.harmonise[0])),
            str(found.get("impute", self.plan.impute[0])),
        )


@dataclass(frozen=True)
class RefitTask:
    """One refit: a fold, a harmonisation and an imputation.

    Attributes:
        data: all eligible rows, with the columns that the learner and its adjustment read.
        fold: what is tested.
        procedure: the learner without its adjustment.
        parameters: it is built with these.
        plan: one harmonisation and one imputation.
        inner: judge by inner folds of the training rows instead.
        local: draws of local patients in each tested centre; None: none.
    """

    data: CellData
    fold: Fold
    procedure: Procedure
    parameters: Mapping[str, Any]
    plan: AdjustmentPlan
    inner: bool = False
    local: LocalDraws | None = None

    @property
    def method(self) -> tuple[str, str]:
        """Harmonisation and imputation."""
        return self.plan.harmonise[0], self.plan.impute[0]


@dataclass(frozen=True)
class Refit:
    """What came out of one refit.

    Attributes:
        risk: of the tested rows at the main horizon, shape (test,); empty after inner folds.
        inner_loss: mean log loss over inner folds; None without.
        problem: why the refit was not possible; None where it was.
        centres: of each tested centre with patients enough, what local patients bring.
    """

    risk: Floats
    inner_loss: float | None = None
    problem: str | None = None
    centres: tuple[LocalCentre, ...] = ()


def refit_all(audit: Audit, tasks: Sequence[RefitTask]) -> list[Refit]:
    """Run refits."""
    return map_tasks(run_refit, tasks, audit.compute, f"refits {audit.outcome} {audit.learner}")


def run_refit(task: RefitTask) -> Refit:
    """Run one refit; a method that these rows do not allow gives the reason."""
    try:
        return _inner(task) if task.inner else _outer(task)
    except BadTarget as problem:
        return Refit(np.empty(0), problem=str(problem))


def _outer(task: RefitTask) -> Refit:
    part = task.fold.training_part(task.data)
    adjustment, learner = fitted(task, part, task.procedure.seed_for("model", task.fold))
    test = task.data.take(task.fold.test)
    target = task.data.target
    risk = main_risk(
        learner.predict_risk(adjustment.transform(test.X), target.horizons), target.horizons, target.main
    )
    centres = local_centres(test, FittedModel(adjustment, learner), task.local) if task.local else ()
    return Refit(risk, centres=centres)


def _inner(task: RefitTask) -> Refit:
    part = task.fold.training_part(task.data)
    place, whole = inner_folds(part, task.fold, task.procedure)
    if not whole:
        return Refit(np.empty(0), problem="too few centres to leave some out within this training country")
    losses = []
    for number in range(int(place.max()) + 1):
        some, rest = (part.take(np.flatnonzero(own)) for own in (place != number, place == number))
        adjustment, learner = fitted(task, some, task.procedure.seed_for("inner model", task.fold, number))
        risk = learner.predict_risk(adjustment.transform(rest.X), part.target.horizons)
        losses.append(weighted_log_loss(risk, rest.target))
    return Refit(np.empty(0), inner_loss=float(np.mean(losses)))


def fitted(task: RefitTask, part: CellData, seed: int) -> tuple[Adjustment, Learner]:
    """Fit the adjustment, then the learner on what it makes of the same rows."""
    adjustment, seen = Adjustment.fit_transform(
        part.X,
        task.plan,
        columns=task.procedure.predictors,
        patients=part.rows["position"].to_numpy().astype(np.int64),
        seed=seed,
    )
    inner = replace(task.procedure, predictors=adjustment.predictors)
    learner = inner.build(task.parameters, seed).fit(seen, part.target)
    return adjustment, learner


def plan_with(plan: AdjustmentPlan, harmonise: str, impute: str) -> AdjustmentPlan:
    """Return the plan with one harmonisation and one imputation; a new centre's rows stay as they are."""
    return replace(plan, harmonise=(harmonise,), impute=(impute,), new_centre="grand_mean")


def task_of(audit: Audit, lead: Lead, fold: Fold, harmonise: str, impute: str, **more: Any) -> RefitTask:
    """Return the refit of one fold under two methods, with the columns that it reads."""
    plan = plan_with(lead.plan, harmonise, impute)
    names = sorted({*lead.procedure.predictors, *plan.context, *plan.needed})
    data = replace(audit.data, X=audit.data.X.select(names))
    return RefitTask(data, fold, lead.procedure, lead.parameters_of(fold), plan, **more)


def parts_of(sample: Sample, folds: Sequence[Fold], refits: Sequence[Refit], ids: pl.Series) -> list[Part]:
    """Return each outer fold's evaluated rows with the refits' risks.

    Args:
        sample: the scheme's rows as evaluated.
        folds: of the scheme.
        refits: one of each fold.
        ids: prediction_id of all eligible rows.
    """
    keys = ["repeat", "fold", "prediction_id"]
    own = pl.concat(
        pl.DataFrame(
            {
                "repeat": pl.Series([fold.repeat] * len(fold.test), dtype=pl.Int32),
                "fold": pl.Series([fold.fold] * len(fold.test), dtype=pl.Int32),
                "prediction_id": ids[fold.test],
                "risk": refit.risk,
            }
        )
        for fold, refit in zip(folds, refits, strict=True)
    )
    frame = sample.frame.select(pl.col("repeat", "fold").cast(pl.Int32), "prediction_id")
    joined = frame.join(own, on=keys, how="left", maintain_order="left")["risk"]
    if joined.null_count():
        raise BadInput(
            f"The refits lack {joined.null_count()} of the {len(joined)} rows that {sample.scheme} tests: the splits are "
            "from another run. Run dvc repro."
        )
    return sample.parts(joined.to_numpy())
