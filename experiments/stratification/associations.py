"""Continuous scores and outcomes: what later stages go on with where the answer is a continuum."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from experiments.stratification.continuous import spline_of
from experiments.stratification.estimation import fit, holm, independent, score_test
from experiments.stratification.outcome_schemas import Associations
from experiments.stratification.outcomes import NORMAL
from experiments.stratification.related_cohort import RelatedCohort
from experiments.stratification.responses import Response, Row, table

EFFECTS = {"cox": "hazard_ratio", "logistic": "odds_ratio", "linear": "slope"}


def association_rows(cohort: RelatedCohort, responses: Sequence[Response], *, knots: int) -> list[Row]:
    """Return rows of schema Associations: each score by itself, adjusted for covariates and country.

    The estimate is per standard deviation of the score; the p-value that of all columns of its spline together.
    """
    rows = [
        row
        for response in responses
        for dimension in range(cohort.scores.shape[1])
        for row in [_row(cohort, response, dimension, knots)]
    ]
    for row, adjusted in zip(rows, holm([row.get("p_spline") for row in rows]), strict=True):
        row["p_adjusted"] = adjusted
    return rows


def _row(cohort: RelatedCohort, response: Response, dimension: int, knots: int) -> Row:
    row: Row = {
        "name": response.name,
        "kind": response.kind,
        "level": response.level,
        "dimension": dimension + 1,
        "effect": EFFECTS[response.model],
        "n": len(response.rows),
        "events": None if response.model == "linear" else response.events,
        "note": response.lacking,
    }
    if response.lacking is not None:
        return row
    model, order = response.regression(cohort.countries)
    fixed = cohort.covariates if response.model == "cox" else np.hstack([cohort.covariates, cohort.lands])
    own = fixed[response.rows]
    own = own[:, independent(own)]
    own = (own - own.mean(axis=0)) / own.std(axis=0)
    if model.intercept:
        own = np.column_stack([own, np.ones(len(own))])
    score = cohort.scores[response.rows, dimension]
    tested = score_test(model, own[order], spline_of(score, knots)[order])
    found = fit(model, np.column_stack([score, own])[order])
    row["p_spline"] = tested.p
    if found is None:
        return row | {"note": "not estimable"}
    value, width = float(found.coefficients[0]), NORMAL * float(np.sqrt(found.covariance[0, 0]))
    ends = np.array([value, value - width, value + width])
    shown = ends if response.model == "linear" else np.exp(np.clip(ends, -30, 30))
    return row | dict(zip(("estimate", "lower", "upper"), shown.tolist(), strict=True))


def association_table(rows: Sequence[Row], smallest_cell: int) -> pl.DataFrame:
    """Return schema Associations; numbers of few patients are suppressed."""
    shown = []
    for row in rows:
        cells = [row["n"]] if row["events"] is None else [row["events"], row["n"] - row["events"]]
        blank = {"n": None, "events": None} if any(0 < cell < smallest_cell for cell in cells) else {}
        shown.append({**row, **blank})
    return table(Associations, shown)
