"""Test 5: do strata tell more than the continuous scores of the same variables, beyond covariates?

Two nested models: covariates and the continuous scores, with splines and products that are held back by penalties; the same with
the memberships. Within centres: a hazard has a baseline in each, a label or number a mean. The p-value is that of a score test
(`estimation.score_test`). The smaller model must be able to bend where strata change and where the response does, or strata of
a continuum get the credit: `psystrata validity strata_value` counts how often they do, and what is left of power.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.stratification.continuous import Smaller, axes_between, smaller_columns
from experiments.stratification.estimation import ScoreTest, holm, independent, score_test, solve
from experiments.stratification.gain import METRICS, out_of_fold_gain
from experiments.stratification.outcome_schemas import Value
from experiments.stratification.related_cohort import RelatedCohort
from experiments.stratification.responses import Response, Row, table
from experiments.stratification.smoothing import chosen_penalty
from experiments.stratification.verdict import Figure, TestResult

Floats = NDArray[np.float64]

NOTHING = "There is no outcome of this index rule and no held-out column: nothing that strata could tell."
FOLLOWS = "the memberships follow from the smaller model"
TOO_FEW = "too few patients or events for its columns"


def value_rows(
    cohort: RelatedCohort, responses: Sequence[Response], *, knots: int, seed: int
) -> tuple[list[Row], list[Smaller]]:
    """Return rows of schema Value, p adjusted by Holm's method, and the smaller model of each.

    Args:
        cohort: patients with two strata or more.
        responses: outcomes and held-out columns; none of them made the strata (`makers.refuse_makers`).
        knots: of the splines.
        seed: the study's.
    """
    found = [_row(cohort, response, knots, seed) for response in responses]
    rows = [row for row, _ in found]
    for row, adjusted in zip(rows, holm([row.get("p") for row in rows]), strict=True):
        row["p_adjusted"] = adjusted
    return rows, [smaller for _, smaller in found]


def smaller_model(cohort: RelatedCohort, response: Response, knots: int) -> tuple[Smaller, Floats]:
    """Return the smaller model of a response's patients, and their memberships of strata 2..k, shape (m, k - 1)."""
    rows = response.rows
    fixed = cohort.curved if response.model == "cox" else np.hstack([cohort.curved, cohort.places])
    size = response.regression(cohort.centres)[0].size
    scores, probability = cohort.scores[rows], cohort.classified.probability[rows]
    smaller = smaller_columns(
        fixed[rows],
        scores,
        cohort.makers[rows],
        knots=knots,
        size=size,
        index=_index(cohort, response),
        axes=axes_between(scores, probability),
    )
    return smaller, probability[:, 1:]


@dataclass(frozen=True)
class Tested:
    """A response with its smaller model, the penalty of each of its columns, what was added, and the test of that.

    `added` are the memberships of strata 2..k, shape (m, k - 1).
    """

    smaller: Smaller
    penalty: Floats
    added: Floats
    test: ScoreTest


def tested(cohort: RelatedCohort, response: Response, knots: int) -> Tested:
    """Return the value test of one response; arguments as of `smaller_model`."""
    smaller, added = smaller_model(cohort, response, knots)
    model, order = response.regression(cohort.centres)
    columns, groups = smaller.columns, smaller.groups
    if model.intercept:
        columns, groups = np.column_stack([columns, np.ones(len(columns))]), np.append(groups, 0)
    penalty = chosen_penalty(model, columns[order], groups)
    test = score_test(model, columns[order], added[order], penalty)
    return Tested(smaller, penalty[: smaller.columns.shape[1]], added, test)


def _index(cohort: RelatedCohort, response: Response) -> Floats:
    """Return the scores' linear predictor of the response, shape (m,): a curved effect of any one direction bends along it.

    (Ramsey 1969, doi 10.1111/j.2517-6161.1969.tb00796.x, whose test adds powers of it.)
    """
    fixed = cohort.curved if response.model == "cox" else np.hstack([cohort.curved, cohort.places])
    scores = cohort.scores[response.rows]
    whole = np.column_stack([scores, fixed[response.rows]])
    kept = independent(whole)
    along = np.zeros(whole.shape[1])
    whole = whole[:, kept]
    model, order = response.regression(cohort.centres)
    if model.intercept:
        whole = np.column_stack([whole, np.ones(len(whole))])
    found = solve(model, whole[order], penalty=1e-6 * len(whole))
    if found is not None:
        along[kept] = found[: len(kept)]  # a score that follows from others has no coefficient
    return np.asarray(scores @ along[: scores.shape[1]], dtype=np.float64)


def _row(cohort: RelatedCohort, response: Response, knots: int, seed: int) -> tuple[Row, Smaller]:
    row: Row = {
        "name": response.name,
        "kind": response.kind,
        "level": response.level,
        "model": response.model,
        "n": len(response.rows),
        "events": None if response.model == "linear" else response.events,
        "gain_metric": METRICS[response.model],
    }
    if response.lacking is not None:
        nothing = Smaller(np.zeros((len(response.rows), 0)), np.zeros(0, dtype=np.int64), 0, 0, 0, None)
        return row | {"dimensions": 0, "curved": 0, "terms": 0, "df": 0, "note": response.lacking}, nothing
    found = tested(cohort, response, knots)
    smaller, test = found.smaller, found.test
    row |= {
        "dimensions": smaller.dimensions,
        "curved": smaller.curved,
        "terms": smaller.columns.shape[1],
        "statistic": test.statistic,
        "df": test.df,
        "p": test.p,
        "note": None if test.p is not None else TOO_FEW if test.df else FOLLOWS,
    }
    fold_seed = seed_for(seed, "strata_outcomes", "folds", response.kind, response.name, response.level)
    gain = out_of_fold_gain(
        response, smaller.columns, found.added, cohort.centres, fold_seed, penalty=found.penalty
    )
    if gain is not None:
        row |= {
            "smaller": gain.smaller,
            "larger": gain.larger,
            "gain": gain.gain,
            "gain_lower": gain.lower,
            "gain_upper": gain.upper,
        }
    return row, smaller


def value_test(rows: Sequence[Row], level: float) -> TestResult:
    """Return test 5: passed where one adjusted p is `level` or less.

    Args:
        rows: of schema Value; their numbers of patients stand in the test's figures.
        level: of Holm's adjusted p-values.
    """
    tested = [row for row in rows if row.get("p_adjusted") is not None]
    if not tested:
        why = sorted({row["note"] for row in rows if row.get("note")})
        reason = f"Nothing could be tested: {'; '.join(why)}." if why else NOTHING
        return TestResult("value", "not_possible", reason)
    figures = tuple(
        Figure(
            "p_adjusted: " + ": ".join(filter(None, (row["name"], row["level"]))),
            row["p_adjusted"],
            level,
            row["p_adjusted"] <= level,
            n=row["n"],
        )
        for row in tested
    )
    best = min(tested, key=lambda row: row["p_adjusted"])
    beyond = "something" if best["p_adjusted"] <= level else "nothing"
    reason = (
        f"Beyond covariates, splines and products of up to {max(row['dimensions'] for row in tested)} continuous scores the strata "
        f"tell {beyond}: the smallest of {len(tested)} p-values after Holm is {best['p_adjusted']:.2g} ({best['name']}), the level "
        f"{level:g}."
    )
    return TestResult("value", "passed" if best["p_adjusted"] <= level else "failed", reason, figures)


def value_shown(rows: Sequence[Row], smallest_cell: int, patients: int) -> list[Row]:
    """Return the rows as they may leave: numbers are suppressed where patients with or without the event, or without a value, are few.

    Args:
        rows: as of `value_rows`.
        smallest_cell: the smallest count that may be published; 0 hides nothing.
        patients: of the cohort, with and without a value.
    """
    shown = []
    for row in rows:
        events = row["events"]
        cells = [row["n"]] if events is None else [row["n"], events, row["n"] - events]
        few = any(0 < cell < smallest_cell for cell in cells)
        blank: Row = {"n": None, "events": None} if few else {}
        if 0 < patients - row["n"] < smallest_cell:
            blank["n"] = None
        shown.append({**row, **blank})
    return shown


def value_table(shown: Sequence[Row]) -> pl.DataFrame:
    """Return schema Value of rows that may leave."""
    return table(Value, shown)
