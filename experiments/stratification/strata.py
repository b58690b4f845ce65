"""The search for strata of patients: number, stability, and whether one group would do."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute, map_tasks
from experiments.disclosure import suppress_counts
from experiments.seeds import seed_for
from experiments.stratification.null import FitTask, bic_of, null_p_value
from experiments.stratification.profile import profile, shared_with_centres
from experiments.stratification.schemas import Profile, Selection, Stability, Strata
from experiments.stratification.stability import mean_jaccard
from features.errors import BadInput
from models.registry import CLUSTERERS

Integers = NDArray[np.int64]

SIGNIFICANT = 0.05
NULL_DRAWS = 19  # the fewest with which p = (b + 1) / (B + 1) reaches 0.05; each chooses the number anew
LEAST_ROWS = 10  # per stratum: no larger number is tried
NOT_ASKED = "not asked for"
NO_CLUSTERS = "no clusters"


@dataclass(frozen=True)
class Stratified:
    """The strata's result files: frames as in `schemas`, and the summary."""

    strata: pl.DataFrame
    selection: pl.DataFrame
    stability: pl.DataFrame
    profile: pl.DataFrame
    summary: dict[str, Any]


def stratify(
    rows: pl.DataFrame,
    X: pl.DataFrame,
    *,
    clusterer: str,
    most_strata: int,
    bootstraps: int,
    stable_from: float,
    smallest_cell: int,
    seed: int,
    compute: Compute,
) -> Stratified:
    """Look for strata and say whether there are any; "no clusters" is a valid answer.

    The number is the one of the smallest BIC, from one stratum up. Strata are claimed where a single group with the same
    marginals and correlations would hardly give such a gain (p <= 0.05) and each stratum is found again in bootstrap
    samples.

    Args:
        rows: prediction_id and centre, one row per patient.
        X: their feature columns, in the same order.
        clusterer: a name of CLUSTERERS.
        most_strata: largest number tried.
        bootstraps: samples for the stability.
        stable_from: smallest mean Jaccard similarity of a stable stratum.
        smallest_cell: smaller counts are suppressed; 0 for public data.
        seed: study's seed.
        compute: where the work runs.

    Raises:
        BadInput: nobody to stratify.
    """
    most_strata = max(1, min(most_strata, len(X) // LEAST_ROWS))
    known = pl.any_horizontal(pl.all().is_not_null())
    if X.is_empty() or not X.select(known.any()).item():
        raise BadInput(
            "There is nobody to stratify: the columns hold no value. Check stratification in the study file."
        )
    selection = _select(X, clusterer=clusterer, most_strata=most_strata, seed=seed, compute=compute)
    k, gain = selection.filter("chosen").select("k", "gain").row(0)
    labels, probabilities = _assign(X, clusterer=clusterer, k=k, seed=seed)
    p_value, jaccard = None, np.ones(1)
    if k > 1:
        p_value = null_p_value(
            X,
            gain,
            clusterer=clusterer,
            most_strata=most_strata,
            draws=NULL_DRAWS,
            seed=seed,
            compute=compute,
        )
        jaccard = mean_jaccard(
            X,
            labels,
            rows["centre"].to_list(),
            clusterer=clusterer,
            k=k,
            bootstraps=bootstraps,
            seed=seed,
            compute=compute,
        )
    stable = jaccard >= stable_from
    claim = claimed(k, p_value, stable)
    stability = _stability(labels, jaccard, stable, smallest_cell)
    if claim == NO_CLUSTERS:
        labels, probabilities = np.zeros_like(labels), np.ones_like(probabilities)
    summary = {
        "claim": claim,
        "reason": _reason(k, p_value, stable, stable_from),
        "clusterer": clusterer,
        "description": CLUSTERERS[clusterer].description,
        "patients": len(X),
        "columns": X.columns,
        "k": k,
        "bic_gain": round(gain, 6),
        "null": None if p_value is None else {"p": round(p_value, 6), "draws": NULL_DRAWS},
        "stable_from": stable_from,
        "bootstraps": bootstraps if k > 1 else 0,
        "stable": int(stable.sum()),
        "centre": shared_with_centres(labels, rows["centre"].to_list()),
    }
    return Stratified(
        strata=_strata(rows, labels, probabilities),
        selection=selection,
        stability=stability,
        profile=profile(X, labels + 1, smallest_cell=smallest_cell),
        summary=summary,
    )


def not_asked_for() -> Stratified:
    """Return the result files of a study without stratification."""
    return Stratified(
        strata=Strata.create_empty(),
        selection=Selection.create_empty(),
        stability=Stability.create_empty(),
        profile=Profile.create_empty(),
        summary={"claim": NOT_ASKED},
    )


def claimed(k: int, p_value: float | None, stable: NDArray[np.bool_]) -> str:
    """Return the claim: "no clusters", "k strata", or "k strata, not stable"."""
    if k == 1 or p_value is None or p_value > SIGNIFICANT:
        return NO_CLUSTERS
    return f"{k} strata" if stable.all() else f"{k} strata, not stable"


def _select(
    X: pl.DataFrame, *, clusterer: str, most_strata: int, seed: int, compute: Compute
) -> pl.DataFrame:
    tasks = [
        FitTask(clusterer, k, X, seed_for(seed, "stratify", "fit", k)) for k in range(1, most_strata + 1)
    ]
    bic = np.asarray(map_tasks(bic_of, tasks, compute, "number of strata"), dtype=np.float64)
    frame = pl.DataFrame({"k": [task.k for task in tasks], "bic": bic, "gain": bic[0] - bic})
    best = int(bic.argmin())
    return Selection.validate(frame.with_columns(chosen=pl.int_range(pl.len()) == best), cast=True)


def _assign(X: pl.DataFrame, *, clusterer: str, k: int, seed: int) -> tuple[Integers, NDArray[np.float64]]:
    fitted = CLUSTERERS[clusterer].build(k, seed_for(seed, "stratify", "fit", k)).fit(X)
    probabilities = fitted.predict_probability(X)
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


def _strata(rows: pl.DataFrame, labels: Integers, probabilities: NDArray[np.float64]) -> pl.DataFrame:
    frame = rows.select("prediction_id").with_columns(
        stratum=pl.Series(labels + 1), probability=pl.Series(np.clip(probabilities, 0.0, 1.0))
    )
    return Strata.validate(frame, cast=True)


def _stability(
    labels: Integers, jaccard: NDArray[np.float64], stable: NDArray[np.bool_], smallest_cell: int
) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "stratum": np.arange(1, len(jaccard) + 1),
            "n": np.bincount(labels, minlength=len(jaccard)),
            "mean_jaccard": jaccard,
            "stable": stable,
        }
    )
    return Stability.validate(suppress_counts(frame, counts=["n"], smallest_cell=smallest_cell), cast=True)


def _reason(k: int, p_value: float | None, stable: NDArray[np.bool_], stable_from: float) -> str:
    if k == 1 or p_value is None:
        return "One group has the smallest BIC."
    if p_value > SIGNIFICANT:
        return (
            f"{k} strata have the smallest BIC, but a single group with the same marginals and correlations gives such a "
            f"gain too (p = {p_value:.3f})."
        )
    missed = ", ".join(str(number + 1) for number in np.flatnonzero(~stable))
    found = f"{k} strata have the smallest BIC; a single group hardly gives such a gain (p = {p_value:.3f})"
    if missed:
        return f"{found}, but these are not found again in bootstrap samples (mean Jaccard below {stable_from:g}): {missed}."
    return f"{found}, and each is found again in bootstrap samples (mean Jaccard from {stable_from:g})."
