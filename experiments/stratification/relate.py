"""What strata are related to: outcomes, held-out columns, medication; or, without strata, the continuous scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from experiments.stratification.associations import association_rows, association_table
from experiments.stratification.compared import agreement, compared_table
from experiments.stratification.continuous import EXPLAINED, Smaller
from experiments.stratification.hazards import ratio_rows
from experiments.stratification.held_out import held_out_table
from experiments.stratification.makers import chosen, refuse_made_outcomes, refuse_makers
from experiments.stratification.medication import WARNING, medication_table
from experiments.stratification.outcome_cells import (
    SUPPRESSED,
    assigned_counts,
    drawn_curves,
    hidden_competing,
    hidden_strata,
)
from experiments.stratification.outcome_figures import (
    associations_figure,
    contrasts_figure,
    curves_figure,
    value_figure,
)
from experiments.stratification.outcome_schemas import TABLES, Contrasts, Curves, Incidence
from experiments.stratification.outcomes import SIGNED, TOLD_APART, occurred
from experiments.stratification.related_cohort import RelatedCohort, related_cohort
from experiments.stratification.responses import (
    FollowedOutcome,
    Response,
    Row,
    held_out_responses,
    outcome_response,
    table,
)
from experiments.stratification.value import NOTHING, value_rows, value_shown, value_table, value_test
from experiments.stratification.verdict import TestResult

CONTINUUM = "There are no strata to test: the answer is a continuum."


@dataclass(frozen=True)
class RelatedPatients:
    """Patients of a stratification; every frame but the long ones has one row per patient, in the order of `rows`.

    Attributes:
        rows: prediction_id, patient_id, centre, country, ...: each patient's first prediction of the index rule.
        memberships, dimensions: schemas.Memberships and schemas.Dimensions.
        made: the columns that made the strata.
        beside: the study's other columns: covariates, held-out ones and those to compare with are taken of these.
        times: prediction_id and time of (at least) these predictions.
        medications: the canonical table.
        descriptions: what each column is, by name.
    """

    rows: pl.DataFrame
    memberships: pl.DataFrame
    dimensions: pl.DataFrame
    made: pl.DataFrame
    beside: pl.DataFrame
    times: pl.DataFrame
    medications: pl.DataFrame
    descriptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RelateSettings:
    """What is related; as in pipeline.settings.stratification.ValueTest.

    Attributes:
        held_out, covariates, compare_with: names of columns of `RelatedPatients.beside`.
        knots: of restricted cubic splines.
        level: of the value test, after Holm.
        bootstraps: of patients within centre, for intervals of incidence.
    """

    held_out: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    compare_with: tuple[str, ...] = ()
    knots: int = 4
    level: float = 0.05
    bootstraps: int = 200


@dataclass(frozen=True)
class Related:
    """What was found.

    Attributes:
        tables: by name of outcome_schemas.TABLES, all of them.
        figures: matplotlib figures by name.
        test: test 5, named "value".
        summary: what the summary file holds.
    """

    tables: Mapping[str, pl.DataFrame]
    figures: Mapping[str, Any]
    test: TestResult
    summary: Mapping[str, Any]


def relate(
    patients: RelatedPatients,
    outcomes: Mapping[str, FollowedOutcome],
    settings: RelateSettings,
    *,
    seed: int,
    smallest_cell: int,
) -> Related:
    """Relate strata to what did not make them; where there are none, the continuous scores.

    Args:
        patients: with their memberships, of one stratum where the verdict is a continuum.
        outcomes: of the same index rule, by name.
        settings: what is asked for.
        seed: the study's.
        smallest_cell: the smallest count that may be published; 0 for public data.

    Raises:
        BadInput: a held-out column, one to compare with, or an outcome made the strata or is derived from what did; or is not
            there.
    """
    held_out = chosen(patients.beside, settings.held_out, "value.held_out")
    compare = chosen(patients.beside, settings.compare_with, "compare_with")
    for columns in (held_out, compare):
        refuse_makers(columns, patients.made, patients.descriptions)
    cohort = related_cohort(
        patients.rows,
        patients.memberships,
        patients.dimensions,
        patients.made,
        chosen(patients.beside, settings.covariates, "value.covariates"),
        knots=settings.knots,
    )
    followed = [outcome_response(name, outcomes[name], patients.rows) for name in sorted(outcomes)]
    refuse_made_outcomes(outcomes, followed, patients.made)
    responses = [*followed, *held_out_responses(held_out)]
    assigned = cohort.classified.assigned + 1
    tables: dict[str, pl.DataFrame] = {name: schema.create_empty() for name, schema in TABLES.items()}
    tables["medication"] = medication_table(
        patients.rows,
        assigned.tolist(),
        patients.times,
        patients.medications,
        smallest_cell=smallest_cell,
    )
    tables["compared"] = compared_table(compare, assigned, smallest_cell=smallest_cell)
    told = {"medication": WARNING, "compared": agreement(compare, assigned, smallest_cell=smallest_cell)}
    if cohort.classified.k == 1:
        return _continuum(cohort, responses, settings, tables=tables, told=told, smallest_cell=smallest_cell)
    return _strata(
        cohort,
        followed,
        responses,
        settings,
        tables=tables,
        told=told,
        seed=seed,
        smallest_cell=smallest_cell,
    )


def _continuum(
    cohort: RelatedCohort,
    responses: Sequence[Response],
    settings: RelateSettings,
    *,
    tables: dict[str, pl.DataFrame],
    told: Mapping[str, Any],
    smallest_cell: int,
) -> Related:
    rows = association_rows(cohort, responses, knots=settings.knots)
    tables["associations"] = association_table(rows, smallest_cell)
    test = TestResult("value", "not_possible", CONTINUUM if responses else NOTHING)
    drawn = tables["associations"].filter(pl.col("effect") != "slope")["estimate"].drop_nulls()
    figures = {"associations": associations_figure(tables["associations"])} if len(drawn) else {}
    return Related(
        tables, figures, test, {"k": 1, **told, **_told_of(test), "dimensions": cohort.scores.shape[1]}
    )


def _strata(
    cohort: RelatedCohort,
    followed: Sequence[Response],
    responses: Sequence[Response],
    settings: RelateSettings,
    *,
    tables: dict[str, pl.DataFrame],
    told: Mapping[str, Any],
    seed: int,
    smallest_cell: int,
) -> Related:
    rows, smaller = value_rows(cohort, responses, knots=settings.knots, seed=seed)
    shown = value_shown(rows, smallest_cell, cohort.rows.height)
    test = value_test(shown, settings.level)
    held_out = [response for response in responses if response.kind == "held_out"]
    tables["value"] = value_table(shown)
    tables["held_out"] = held_out_table(cohort, held_out, smallest_cell)
    found: dict[str, list[Row]] = {"incidence": [], "contrasts": [], "curves": []}
    for response in followed:
        for name, own in _outcome_rows(cohort, response, settings.bootstraps, seed, smallest_cell).items():
            found[name] += own
    schemas = {"incidence": Incidence, "contrasts": Contrasts, "curves": Curves}
    tables |= {name: table(schemas[name], own) for name, own in found.items()}
    summary = {"k": cohort.classified.k, **told, **_told_of(test), **_uncertainty(cohort), **_scores(smaller)}
    return Related(tables, _figures(tables), test, summary)


def _outcome_rows(
    cohort: RelatedCohort, response: Response, bootstraps: int, seed: int, smallest_cell: int
) -> dict[str, list[Row]]:
    """Return rows of Incidence, Contrasts and Curves of one outcome, small cells suppressed."""
    classified = cohort.classified.take(response.rows)
    correctable = cohort.classified.correctable and classified.correctable
    if not len(response.rows) or (np.bincount(classified.assigned, minlength=classified.k) == 0).any():
        return {"incidence": [], "contrasts": [], "curves": []}
    hidden = hidden_strata(response, classified, smallest_cell)
    incidence: list[Row] = []
    contrasts: list[Row] = []
    for correction in ("none", "bch") if correctable else ("none",):
        figures = occurred(cohort, response, correction, bootstraps=bootstraps, seed=seed)
        incidence += figures.rows_of(correction, response.name)
        contrasts += [
            *figures.contrasts(correction, response.name),
            *ratio_rows(cohort, response, correction),
        ]
    last = max(response.horizons, default=0.0)
    few = {step: hidden_competing(response, classified, step, smallest_cell) for step in response.horizons}
    for row in incidence:
        horizon = row["horizon"] if row["measure"] in ("risk", "competing") else last
        counts = assigned_counts(response, classified, horizon)[row["stratum"] - 1]
        row.update(n=int(counts[0]), events=int(counts[1]))
        if not correctable:
            row["note"] = TOLD_APART
        # Free and lost time leave the area of the competing events between them and the limit.
        untold = few[last] if row["measure"] == "time_lost" else few.get(horizon)
        others = (
            row["measure"] in ("competing", "time_lost")
            and untold is not None
            and bool(untold[row["stratum"] - 1])
        )
        if others or hidden[horizon][row["stratum"] - 1]:
            row.update(dict.fromkeys(("estimate", "lower", "upper", "n", "events")), note=SUPPRESSED)
    for row in contrasts:
        mask = hidden[row["horizon"] if row["measure"] == "risk_difference" else 0.0]
        if mask[row["stratum"] - 1] or mask[row["reference"] - 1]:
            row.update(dict.fromkeys(("estimate", "lower", "upper")), note=SUPPRESSED)
    weights = classified.weights() if correctable else classified.naive_weights()
    never = np.any([*hidden.values()], axis=0)
    curves = (
        drawn_curves(response, classified, weights, never, np.any([*few.values()], axis=0)) if few else []
    )
    return {"incidence": incidence, "contrasts": contrasts, "curves": curves}


def _told_of(test: TestResult) -> dict[str, Any]:
    return {"value": {"status": test.status, "reason": test.reason}}


def _uncertainty(cohort: RelatedCohort) -> dict[str, Any]:
    """Return how surely patients are assigned, and what follows for the corrections."""
    errors = cohort.classified.errors()
    right = float(np.diag(errors) @ cohort.classified.probability.mean(axis=0))
    corrected = cohort.classified.correctable
    return {
        "rightly_assigned": round(right, 6),  # expected share, by the memberships
        "classification_errors": np.round(errors, 6).tolist(),
        "correction": SIGNED if corrected else TOLD_APART,
    }


def _scores(smaller: Sequence[Smaller]) -> dict[str, Any]:
    known = [one for one in smaller if one.dimensions]
    return {
        "continuous_scores": max((one.dimensions for one in known), default=0),
        "explained": min(
            (round(one.explained, 6) for one in known if one.explained is not None), default=None
        ),
        "explained_wanted": EXPLAINED,
    }


def _figures(tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    figures = {
        f"incidence_{outcome}": curves_figure(tables["curves"], outcome)
        for outcome in tables["curves"]["outcome"].unique().sort()
    }
    ratios = tables["contrasts"].filter(pl.col("measure").is_in(["hazard_ratio", "odds_ratio"]))
    if len(ratios["estimate"].drop_nulls()):
        figures["contrasts"] = contrasts_figure(tables["contrasts"])
    if len(tables["value"]["gain"].drop_nulls()):
        figures["value"] = value_figure(tables["value"])
    return figures
