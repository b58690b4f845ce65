"""Outcomes by stratum: false positives of the value test in continua, power, and coverage of corrected intervals.

    python -m tests.benchmarks.strata_outcomes value --runs 200
    python -m tests.benchmarks.strata_outcomes coverage --runs 400

Continua: 600 patients of 4 centres, 10 columns made of two scores and noise, divided into 3 by a Gaussian mixture all the same; the
outcome follows one score, as a straight line or a curve. Power: three groups at separation 4. Coverage: two strata at
separation 2 (one patient in six is wrongly assigned), 400 patients.
"""

import argparse

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.continuous import dummies
from experiments.stratification.estimation import score_test
from experiments.stratification.hazards import stratum_effects
from experiments.stratification.outcomes import NORMAL, occurred
from experiments.stratification.related_cohort import RelatedCohort
from experiments.stratification.responses import Response
from experiments.stratification.uncertainty import Classified, mean_influence, mixed_means, weighted_means
from experiments.stratification.value import smaller_model
from tests.experiments.related_patients import planted, times

Floats = NDArray[np.float64]
SHAPES = ("elliptical", "skewed", "curved")
EFFECTS = ("straight", "s-shaped", "u-shaped", "product")
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


def response_of(model: str, log_hazard: Floats, seed: int) -> Response:
    generator = np.random.default_rng((seed, 2))
    n = len(log_hazard)
    rows, ones = np.arange(n), np.ones(n)
    if model == "cox":
        event = generator.exponential(600 / np.exp(log_hazard))
        censored = generator.uniform(100, 1500, n)
        days, cause = np.ceil(np.minimum(event, censored)), (event <= censored).astype(np.int64)
        return Response("y", "time", "", "cox", rows, days, cause, ones, (365.0, 730.0))
    if model == "logistic":
        label = (generator.random(n) < 1 / (1 + np.exp(-(log_hazard - 0.5)))).astype(np.float64)
        return Response("y", "label", "", "logistic", rows, label, label.astype(np.int64), ones)
    return Response(
        "y", "held_out", "", "linear", rows, log_hazard + generator.normal(size=n), np.ones(n, int), ones
    )


def divided(columns: Floats, seed: int) -> tuple[Classified, Floats, Floats]:
    """Return memberships of three strata by a Gaussian mixture on three principal components, those, and the columns."""
    from sklearn.mixture import GaussianMixture

    unit = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    left, size, _ = np.linalg.svd(unit, full_matrices=False)
    points = left[:, :3] * size[:3]
    mixture = GaussianMixture(3, reg_covar=1e-2, random_state=seed).fit(points)
    return Classified.of(mixture.predict_proba(points)), points / points.std(axis=0), unit


def one_value(shape: str, effect: str, model: str, seed: int) -> float | None:
    generator = np.random.default_rng((seed, 3))
    if shape == "planted":
        middles = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 2 * np.sqrt(3)]])
        group = generator.integers(0, 3, 600)
        near = middles[group] + generator.normal(size=(600, 2))
        turn = np.linalg.qr(generator.normal(size=(10, 10)))[0]
        columns = np.column_stack([near, generator.normal(size=(600, 8))]) @ turn
        log_hazard = np.array([0.0, 0.9, 0.0])[group]
    else:
        first, second = generator.normal(size=(2, 600))
        if shape == "skewed":
            first = np.exp(0.6 * first) - 1.2
        if shape == "curved":
            second = 0.5 * second + 0.6 * (first**2 - 1)
        columns = np.column_stack([first, second]) @ generator.normal(size=(2, 10))
        columns = columns + generator.normal(size=columns.shape)
        one, two = first / first.std(), second / second.std()
        curves = {
            "straight": 0.8 * one,
            "s-shaped": 1.2 * np.tanh(1.5 * one),
            "u-shaped": 0.35 * (one**2 - 1),
            "product": 0.5 * one * two,
        }
        log_hazard = curves[effect]
    classified, scores, makers = divided(columns, seed)
    cohort, response = cohort_of(classified, scores, makers, seed), response_of(model, log_hazard, seed)
    smaller, added = smaller_model(cohort, response, 4)
    regression, order = response.regression(cohort.centres)
    whole = np.column_stack([smaller.columns, np.ones(600)]) if regression.intercept else smaller.columns
    return score_test(regression, whole[order], added[order]).p


def value(runs: int) -> None:
    for model in ("cox", "logistic", "linear"):
        for shape in (*SHAPES, "planted"):
            for effect in EFFECTS if shape != "planted" else ("one group apart",):
                found = [one_value(shape, effect, model, seed) for seed in range(runs)]
                called = np.mean([p is not None and p <= 0.05 for p in found])
                print(f"{model:9}{shape:11}{effect:16} rejected {called:.3f} of {runs}", flush=True)


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
    parser.add_argument("what", choices=("value", "coverage"))
    parser.add_argument("--runs", type=int, default=200)
    asked = parser.parse_args()
    {"value": value, "coverage": coverage}[asked.what](asked.runs)
