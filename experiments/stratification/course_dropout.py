"""What modelling drop-out changes: classes of growth with and without it, side by side."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from experiments.stratification.course import CourseSource, course_frame, course_recipe
from experiments.stratification.schemas import DropoutComparison
from models.strata_model import StrataModel
from models.trajectories.growth_clusterer import GrowthMixtureClusterer


def dropout_comparison(source: CourseSource, k: int, seed: int) -> pl.DataFrame:
    """Return schema DropoutComparison of k classes of growth; strata by falling share in each model.

    Shares and means are parameters of the models, not counts. Where the mean course of all patients differs, it hangs on what is
    assumed of those who left.

    Args:
        source: patients whose plan is a growth_mixture.
        k: number of strata.
        seed: of the fits.

    Raises:
        ValueError: the plan is of another method.
    """
    if source.plan.method != "growth_mixture":
        raise ValueError("only classes of growth model drop-out")
    records: list[dict[str, Any]] = []
    for modelled in (True, False):
        plan = replace(source.plan, dropout=modelled)
        X = course_frame(source.visits.sums(plan.degree), source.columns, plan, source.stay)
        clusterer = StrataModel.fit(X, course_recipe(plan), k, seed).clusterer
        if not isinstance(clusterer, GrowthMixtureClusterer):
            raise TypeError("the recipe of a growth mixture is of another clusterer")
        growth = clusterer.growth
        planned = (
            np.arange(np.rint(source.visits.years.max() / plan.interval) + 1, dtype=np.float64)
            * plan.interval
        )
        courses = growth.mean_course(planned)
        shares = np.concatenate([[1.0], growth.shares])
        means = np.concatenate([np.tensordot(growth.shares, courses, axes=1)[None], courses])
        records += [
            {
                "modelled": modelled,
                "stratum": stratum,
                "variable": variable,
                "years": float(years),
                "share": min(float(shares[stratum]), 1.0),
                "mean": float(means[stratum, at, visit]),
            }
            for stratum in range(k + 1)
            for at, variable in enumerate(plan.variables)
            for visit, years in enumerate(planned)
        ]
    return DropoutComparison.validate(pl.DataFrame(records), cast=True)
