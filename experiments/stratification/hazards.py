"""Adjusted hazard and odds ratios between strata, with class uncertainty.

Each patient stands in every stratum with a BCH weight, so that in expectation the score of the regression is that of the true
strata (Bolck, Croon and Hagenaars 2004, doi 10.1093/pan/mph001); variances are summed over each patient's rows. Hazards are
cause-specific: other causes censor. Countries have baselines of their own.
"""

import numpy as np
from numpy.typing import NDArray

from experiments.stratification.estimation import Fitted, fit, independent
from experiments.stratification.outcomes import NORMAL, pairs
from experiments.stratification.related_cohort import RelatedCohort
from experiments.stratification.responses import Response, Row

Floats = NDArray[np.float64]

NOT_ESTIMABLE = "not estimable: the weighted regression has no maximum"


def stratum_effects(cohort: RelatedCohort, response: Response, correction: str) -> Fitted | None:
    """Return log ratios of strata 2..k against the first, shape (k - 1,), with their covariance; None: not estimable.

    Args:
        cohort: all patients.
        response: an outcome in time or a label.
        correction: "none" (assigned strata) or "bch".
    """
    classified = cohort.classified.take(response.rows)
    k, n = classified.k, len(response.rows)
    weights = classified.weights() if correction == "bch" else classified.naive_weights()
    taken, stratum = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    each = weights.ravel() * response.weight[taken]
    kept = each != 0
    taken, stratum, each = taken[kept], stratum[kept], each[kept]
    fixed = cohort.covariates if response.model == "cox" else np.hstack([cohort.covariates, cohort.lands])
    own = fixed[response.rows]
    own = own[:, independent(own)]
    own = (own - own.mean(axis=0)) / own.std(axis=0)
    model, order = response.weighted(cohort.countries, taken, each)
    columns = [(stratum[:, None] == np.arange(1, k)).astype(np.float64), own[taken]]
    if model.intercept:
        columns.append(np.ones((len(taken), 1)))
    found = fit(model, np.hstack(columns)[order])
    return None if found is None else Fitted(found.coefficients[: k - 1], found.covariance[: k - 1, : k - 1])


def ratio_rows(cohort: RelatedCohort, response: Response, correction: str) -> list[Row]:
    """Return rows of schema Contrasts: the ratio of every pair of strata, adjusted for covariates and country."""
    found = stratum_effects(cohort, response, correction) if response.lacking is None else None
    note = response.lacking or (None if found is not None else NOT_ESTIMABLE)
    rows: list[Row] = []
    for reference, stratum in pairs(cohort.classified.k):
        row: Row = {
            "outcome": response.name,
            "measure": "hazard_ratio" if response.model == "cox" else "odds_ratio",
            "horizon": 0.0,
            "correction": correction,
            "stratum": stratum + 1,
            "reference": reference + 1,
            "adjusted": True,
            "note": note,
        }
        rows.append(row | ({} if found is None else _ratio(found, stratum, reference)))
    return rows


def _ratio(found: Fitted, stratum: int, reference: int) -> Row:
    contrast = np.zeros(len(found.coefficients))
    contrast[stratum - 1] = 1.0
    if reference > 0:
        contrast[reference - 1] = -1.0
    value, error = (
        float(contrast @ found.coefficients),
        float(np.sqrt(contrast @ found.covariance @ contrast)),
    )
    bounds = np.exp(np.clip([value, value - NORMAL * error, value + NORMAL * error], -30, 30))
    return dict(zip(("estimate", "lower", "upper"), bounds.tolist(), strict=True))
