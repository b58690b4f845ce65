"""Outcomes by stratum: bias of estimates and coverage of corrected intervals.

    python -m tests.benchmarks.strata_outcomes --runs 400

Two strata at separation 2 (one patient in six is wrongly assigned), 400 patients. Level and power of the value test stand in the
validity ledger (`psystrata validity strata_value`).
"""

import argparse

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.continuous import dummies
from experiments.stratification.hazards import stratum_effects
from experiments.stratification.outcomes import NORMAL, occurred
from experiments.stratification.related_cohort import RelatedCohort
from experiments.stratification.responses import Response
from experiments.stratification.uncertainty import Classified, mean_influence, mixed_means, weighted_means
from tests.experiments.related_patients import planted, times

Floats = NDArray[np.float64]
RATIO = 0.8


def cohort_of(classified: Classified, scores: Floats, makers: Floats, seed: int) -> RelatedCohort:
    generator = np.random.default_rng((seed, 1))
    n = len(scores)
    centres = generator.integers(0, 4, n)
    covariates = np.column_stack([generator.normal(size=n), generator.integers(0, 2, n)])
    names = [f"C{one}" for one in centres]
    lands = [f"L{one % 2}" for one in centres]
    return RelatedCohort(
        rows=pl.DataFrame({"prediction_id": [str(one) for one in range(n)]}),
        classified=classified,
        scores=scores,
        makers=makers,
        covariates=covariates,
        curved=covariates,
        centres=np.asarray(centres, dtype=np.int64),
        countries=np.asarray(centres % 2, dtype=np.int64),
        places=dummies(names),
        lands=dummies(lands),
    )


def one_coverage(seed: int) -> dict[str, tuple[float, float]]:
    """Return error of the estimate and whether the interval holds the truth, of each way."""
    made = planted(400, 2.0, seed)
    generator = np.random.default_rng(seed + 10**6)
    cohort = cohort_of(made.classified, made.scores, made.scores, seed)
    number = made.stratum + generator.normal(size=400)
    days, cause = times(made.stratum, RATIO, seed + 2 * 10**6)
    response = Response("y", "time", "", "cox", np.arange(400), days, cause, np.ones(400), (365.0,))
    found: dict[str, tuple[float, float]] = {}
    for way in ("none", "bch"):
        weights = made.classified.weights() if way == "bch" else made.classified.naive_weights()
        means = weighted_means(number, weights)
        moved = mean_influence(number, made.classified, weights, means)
        error = float(np.sqrt((moved[:, 1] ** 2).sum()))
        found[f"mean, {way}"] = _held(means[1], error, 1.0)
        fitted = stratum_effects(cohort, response, way)
        if fitted is not None:
            found[f"log hazard ratio, {way}"] = _held(
                fitted.coefficients[0], float(np.sqrt(fitted.covariance[0, 0])), RATIO
            )
        risk = occurred(cohort, response, way, bootstraps=100, seed=seed)
        rate, other = np.exp(RATIO) / 600, 1 / 4000
        truth = rate / (rate + other) * (1 - np.exp(-(rate + other) * 365))
        found[f"risk, {way}"] = _held(risk.estimate[0, 1], float(risk.resampled[:, 0, 1].std(ddof=1)), truth)
    mixed = mixed_means(number, made.classified, binary=False)
    if mixed is not None:
        found["mean, ml"] = _held(mixed.means[1], float(mixed.errors[1]), 1.0)
    found["log hazard ratio, draws"] = _by_draws(cohort, response, generator)
    return found


def _by_draws(
    cohort: RelatedCohort, response: Response, generator: np.random.Generator
) -> tuple[float, float]:
    """Pseudo-classes: strata drawn from the memberships 20 times, combined by Rubin's rules."""
    probability = cohort.classified.probability
    estimates, variances = [], []
    for _ in range(20):
        drawn = (generator.random(len(probability)) < probability[:, 1]).astype(np.int64)
        some = RelatedCohort(**{**vars(cohort), "classified": Classified.of(np.eye(2)[drawn])})
        fitted = stratum_effects(some, response, "none")
        if fitted is not None:
            estimates.append(fitted.coefficients[0])
            variances.append(fitted.covariance[0, 0])
    error = np.sqrt(np.mean(variances) + (1 + 1 / len(estimates)) * np.var(estimates, ddof=1))
    return _held(float(np.mean(estimates)), float(error), RATIO)


def _held(estimate: float, error: float, truth: float) -> tuple[float, float]:
    return float(estimate - truth), float(abs(estimate - truth) <= NORMAL * error)


def coverage(runs: int) -> None:
    found = [one_coverage(seed) for seed in range(runs)]
    for name in sorted({name for one in found for name in one}):
        figures = np.array([one[name] for one in found if name in one])
        print(
            f"{name:26} bias {figures[:, 0].mean():+.3f} covered {figures[:, 1].mean():.3f} of {len(figures)}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    coverage(parser.parse_args().runs)
