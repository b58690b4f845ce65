"""The bootstrap likelihood ratio of k strata against k - 1, for mixtures of points. It decides nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute, map_tasks
from experiments.seeds import seed_for
from models.clustering.gaussian_mixture import fit_mixture
from models.clustering.mixture import Mixture

Floats = NDArray[np.float64]

DRAWS = 19  # the fewest that allow p = 0.05


@dataclass(frozen=True)
class RatioTask:
    """The likelihood ratio of k components against k - 1.

    Attributes:
        points: shape (patients, dimensions).
        k: the larger number of components.
        metric: as for `fit_mixture`.
        seed: of the draw and the fits.
        origin: the points are first replaced by as many of this mixture; None: they stay.
    """

    points: Floats
    k: int
    metric: bool
    seed: int
    origin: Mixture | None


def likelihood_ratio_tests(
    points: Floats, *, ks: Iterable[int], metric: bool, draws: int = DRAWS, seed: int, compute: Compute
) -> pl.DataFrame:
    """Return the p of k components against k - 1 for each k, by draws from the fitted mixture of k - 1.

    McLachlan 1987, doi 10.2307/2347790; p = (b + 1) / (draws + 1). It asks whether one Gaussian more describes the points
    better, which it does for any skewed continuum: a number of components, not of strata.

    Args:
        points: shape (patients, dimensions).
        ks: numbers of components, each 2 or more.
        metric: whether distances between points are to be kept, as where a study weighs modalities.
        draws: of each number.
        seed: study's seed.
        compute: where the draws run.

    Returns:
        k and likelihood_ratio_p.
    """
    numbers = sorted(set(ks))
    tasks = []
    for k in numbers:
        seeds = [seed_for(seed, "stratify", "likelihood_ratio", k, number) for number in range(draws + 1)]
        fewer = fit_mixture(points, k - 1, seeds[0], metric=metric)
        tasks += [
            RatioTask(points, k, metric, one, fewer if number else None) for number, one in enumerate(seeds)
        ]
    found = np.array(map_tasks(likelihood_ratio, tasks, compute, "likelihood ratios"), dtype=np.float64)
    ratios = found.reshape(len(numbers), draws + 1)
    p_values = ((ratios[:, 1:] >= ratios[:, :1]).sum(axis=1) + 1) / (draws + 1)
    schema = {"k": pl.Int32, "likelihood_ratio_p": pl.Float64}
    return pl.DataFrame({"k": numbers, "likelihood_ratio_p": p_values}, schema=schema)


def likelihood_ratio(task: RatioTask) -> float:
    """Return twice the gain in log-likelihood of k components over k - 1."""
    points = task.points
    if task.origin is not None:
        points = drawn_from(task.origin, len(points), np.random.default_rng(task.seed))
    fits = [fit_mixture(points, k, task.seed, metric=task.metric) for k in (task.k - 1, task.k)]
    fewer_likelihood, likelihood = (
        float(np.logaddexp.reduce(fit.log_joint(points), axis=1).sum()) for fit in fits
    )
    return 2 * (likelihood - fewer_likelihood)


def drawn_from(mixture: Mixture, rows: int, generator: np.random.Generator) -> Floats:
    """Return points of a mixture, shape (rows, dimensions)."""
    k, d = mixture.means.shape
    component = generator.choice(k, rows, p=mixture.weights)
    normal = generator.standard_normal((rows, d))
    # The precision is F F', so z' F^-1 has its inverse as covariance.
    spread = np.linalg.inv(mixture.factors)
    return np.asarray(
        mixture.means[component] + np.einsum("nd,nde->ne", normal, spread[component]), dtype=np.float64
    )
