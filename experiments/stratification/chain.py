"""The whole search for strata: tests 1 to 4 of the chain, then the frozen model of what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute
from experiments.seeds import seed_for
from experiments.stratification.assignment import assign_patients
from experiments.stratification.dimensions import dimensions, loadings
from experiments.stratification.draws import run_draws
from experiments.stratification.families import families_of, number_of_units
from experiments.stratification.null_test import decide, null_test
from experiments.stratification.number import number_of_strata
from experiments.stratification.number_rule import strong_numbers
from experiments.stratification.prediction_strength import prediction_strength
from experiments.stratification.replication import replication_test
from experiments.stratification.schemas import Draws, Replication, Selection, Stability, Tests
from experiments.stratification.search_settings import SearchSettings
from experiments.stratification.source import Source
from experiments.stratification.stability import stability_test
from experiments.stratification.verdict import TestResult, Verdict, verdict
from features.errors import BadInput
from models.strata_model import Recipe, StrataModel

Integers = NDArray[np.int64]

EMPTY: Mapping[str, pl.DataFrame] = {
    "selection": Selection.create_empty(),
    "draws": Draws.create_empty(),
    "stability": Stability.create_empty(),
    "replication": Replication.create_empty(),
}
FEWEST = 40  # patients, relatives counted once, without whom nothing is looked for


@dataclass(frozen=True)
class Searched:
    """What was found.

    Attributes:
        verdict: of the tests that were run; test 5 is judged later.
        model: frozen, of verdict.k strata; of one stratum where there are none.
        strata, memberships, dimensions, loadings, selection, tests, draws, stability, replication: frames as in `schemas`.
    """

    verdict: Verdict
    model: StrataModel
    strata: pl.DataFrame
    memberships: pl.DataFrame
    dimensions: pl.DataFrame
    loadings: pl.DataFrame
    selection: pl.DataFrame
    tests: pl.DataFrame
    draws: pl.DataFrame
    stability: pl.DataFrame
    replication: pl.DataFrame


def search(
    rows: pl.DataFrame,
    source: Source,
    recipe: Recipe,
    settings: SearchSettings,
    *,
    seed: int,
    compute: Compute,
    journal: Path | None = None,
) -> Searched:
    """Look for strata and say whether there are any; "no clusters: a continuum" is a valid answer.

    Args:
        rows: prediction_id, centre and country, and position and family where some are related; one row per patient.
        source: the patients' columns, in the same order, and draws of one group that resemble them.
        recipe: what is done to them; the same in every resample and draw.
        settings: thresholds.
        seed: study's seed.
        compute: where the work runs.
        journal: folder in which finished draws and resamples are kept, so that an interrupted search goes on; None: nowhere.

    Raises:
        BadInput: too few patients.
    """
    X = source.X
    families = families_of(rows)
    units = number_of_units(families, X.height)
    if units < FEWEST:
        together = "" if families is None else f" of {units} families"
        raise BadInput(
            f"There are {X.height} patients{together} to stratify; fewer than {FEWEST} are not looked at. Check the index rule, and "
            "the fewest visits of a course, under stratifications in the study file."
        )
    strength = prediction_strength(
        X,
        recipe,
        ks=range(2, settings.most_strata + 1),
        splits=settings.splits,
        seed=seed,
        compute=compute,
        journal=journal,
        families=families,
    )
    strong = strong_numbers(strength, settings.prediction_strength)
    if settings.stop_when_decided and not (strong and _decided(source, recipe, settings, seed)):
        return _one_group(rows, X, recipe, settings, seed)
    draws = run_draws(
        source,
        recipe,
        consensus_at=strong,
        most_strata=settings.most_strata,
        smallest_share=settings.smallest_share,
        draws=settings.draws,
        resamples=settings.resamples,
        seed=seed,
        compute=compute,
        journal=journal,
        families=families,
    )
    results = [null_test(draws, level=settings.null_level)]
    k, selection, number = number_of_strata(
        X,
        recipe,
        draws,
        prediction_strength=settings.prediction_strength,
        splits=settings.splits,
        level=settings.number_level,
        smallest_share=settings.smallest_share,
        seed=seed,
        compute=compute,
        journal=journal,
        strength=strength,
    )
    results.append(number)
    stability, replication = EMPTY["stability"], EMPTY["replication"]
    if k > 1:
        stability, stable = _stability(
            X, rows, source, recipe, settings, k=k, seed=seed, compute=compute, journal=journal
        )
        replication, replicated = _replication(
            X, rows, recipe, settings, k=k, seed=seed, compute=compute, journal=journal
        )
        results += [stable, replicated]
    else:
        results += [
            TestResult(name, "not_asked", "There is one group, so nothing is looked for again.")
            for name in ("stability", "replication")
        ]
    found = verdict(k, results, settings.required)
    tables = {"selection": selection, "draws": draws, "stability": stability, "replication": replication}
    return _searched(rows, X, StrataModel.fit(X, recipe, found.k, model_seed(seed, found.k)), found, tables)


def _searched(
    rows: pl.DataFrame,
    X: pl.DataFrame,
    model: StrataModel,
    found: Verdict,
    tables: Mapping[str, pl.DataFrame],
) -> Searched:
    strata, memberships = assign_patients(rows, X, model)
    return Searched(
        verdict=found,
        model=model,
        strata=strata,
        memberships=memberships,
        dimensions=dimensions(rows, X, model),
        loadings=loadings(X, model),
        tests=table_of_tests(found.tests),
        **tables,
    )


def _decided(source: Source, recipe: Recipe, settings: SearchSettings, seed: int) -> bool:
    return decide(
        source,
        recipe,
        most_strata=settings.most_strata,
        smallest_share=settings.smallest_share,
        draws=settings.draws,
        level=settings.null_level,
        seed=seed,
    )


def _one_group(
    rows: pl.DataFrame, X: pl.DataFrame, recipe: Recipe, settings: SearchSettings, seed: int
) -> Searched:
    """Return what is known where draws of one group were ended, or not begun, because tests 1 and 2 could not be passed."""
    failed = TestResult(
        "one_group",
        "failed",
        "One group gives such a separation, or no number of strata is foretold; the draws were ended there.",
    )
    model = StrataModel.fit(X, recipe, 1, model_seed(seed, 1))
    return _searched(rows, X, model, verdict(1, [failed], settings.required), EMPTY)


def model_seed(seed: int, k: int) -> int:
    """Return the seed of the model of k strata of all patients."""
    return seed_for(seed, "stratify", "fit", k)


def table_of_tests(results: Sequence[TestResult]) -> pl.DataFrame:
    """Return schemas.Tests: every figure of every test."""
    records = [
        {
            "test": one.name,
            "figure": figure.name,
            "estimate": figure.estimate,
            "lower": figure.lower,
            "upper": figure.upper,
            "threshold": figure.threshold,
            "passed": figure.passed,
            "n": figure.n,
        }
        for one in results
        for figure in one.figures
    ]
    frame = pl.DataFrame(records, schema=dict(Tests.create_empty().schema))
    return Tests.validate(frame.sort("test", "figure"), cast=True)


def _stability(
    X: pl.DataFrame,
    rows: pl.DataFrame,
    source: Source,
    recipe: Recipe,
    settings: SearchSettings,
    *,
    k: int,
    seed: int,
    compute: Compute,
    journal: Path | None,
) -> tuple[pl.DataFrame, TestResult]:
    labels = StrataModel.fit(X, recipe, k, model_seed(seed, k)).assign(X)
    return stability_test(
        X,
        labels,
        source.centres,
        recipe,
        k=k,
        bootstraps=settings.bootstraps,
        threshold=settings.jaccard,
        seed=seed,
        compute=compute,
        journal=journal,
        families=families_of(rows),
    )


def _replication(
    X: pl.DataFrame,
    rows: pl.DataFrame,
    recipe: Recipe,
    settings: SearchSettings,
    *,
    k: int,
    seed: int,
    compute: Compute,
    journal: Path | None,
) -> tuple[pl.DataFrame, TestResult]:
    return replication_test(
        X,
        rows,
        recipe,
        between=settings.between,
        most_strata=settings.most_strata,
        prediction_strength=settings.strength_alone,
        splits=settings.splits,
        smallest_share=settings.smallest_share,
        agreement=settings.agreement,
        centroid_correlation=settings.centroid_correlation,
        fewest=settings.fewest,
        seed=seed,
        compute=compute,
        claimed=k,
        journal=journal,
    )
