"""Fitting the steps of an adjustment one after the other."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.composites import FittedComposite
from models.adjustment.frames import Frame, matrix
from models.adjustment.imputation import Imputation
from models.adjustment.norms import Norms
from models.adjustment.plan import AdjustmentPlan
from models.adjustment.steps import Centres, Composites, Limits, Plates, Step

Integers = NDArray[np.int64]


def later_steps(
    X: pl.DataFrame,
    values: Frame,
    plan: AdjustmentPlan,
    *,
    columns: tuple[str, ...],
    methods: tuple[str, str],
    patients: Integers,
    seed: int,
) -> Iterator[tuple[str, Step | None]]:
    """Fit the steps after the genetic ones, each on what those before it made of `values`.

    Args:
        X: training rows.
        values: their numbers; whoever takes a step applies it before asking for the next.
        plan: what is to be done.
        columns: the learner's predictors.
        methods: the chosen harmonisation and imputation.
        patients: the patient of each row, shape (rows,).
        seed: of the draws below limits of detection.

    Yields:
        The step's name and the step, None where it has nothing to do.
    """
    harmonise, impute = methods
    if plan.limits != "substitute":
        yield "limits", Limits.fit(plan.limits, values, columns, patients, seed)
    if plan.plates:
        yield "plates", Plates.fit(X, values, plan.plates, patients)
    scored: tuple[str, ...] = ()
    if plan.norms is not None:
        norms = Norms.fit(X, plan.norms, matrix(values, plan.norms.columns, X.height), patients)
        scored = norms.columns
        yield "norms", norms
    if plan.composites:
        each = [
            FittedComposite.fit(name, one, matrix(values, one.columns, X.height), patients, set(scored))
            for name, one in sorted(plan.composites.items())
        ]
        yield "composites", Composites(tuple(each))
    if harmonise != "none":
        yield "centres", Centres.fit(harmonise, X, values, plan, patients)
    if impute != "none":
        filled = tuple(values)
        yield (
            "imputation",
            Imputation.fit(impute, matrix(values, filled, X.height), filled, patients),
        )
