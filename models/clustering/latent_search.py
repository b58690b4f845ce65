"""The search for latent classes by StepMix, from several seeded starts.

StepMix climbs (expectation and maximisation), this module says what a class is: numbers and categories together in a few
matrix products instead of a loop over classes and columns, which is about ten times faster, with a smallest variance.
"""

import copy
import warnings
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from models.clustering.latent_density import Design, LatentDensity, maximised
from models.preprocessing import SMALLEST_GROUP

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # StepMix 3.0.0 has an invalid escape in a docstring, told when it is first compiled
    from stepmix import StepMix
    from stepmix.emission.build_emission import EMISSION_DICT

Floats = NDArray[np.float64]

MEASUREMENT = "mixed_nan"  # StepMix lets missing cells through where the name ends so
SHORT, LONG = 25, 500  # steps of every start, and of the best one
SHORT_GAIN, LONG_GAIN = 1e-4, 1e-7  # of the log-likelihood per patient; a step of less is the last
SMALLEST_VARIANCE = 0.01  # of a column of unit variance
SAME = 0.01  # classes with all means (in standard deviations) and shares nearer than that are one


class MixedMeasurement:
    """A measurement model for StepMix: normal numbers and categories, independent within a class, missing cells left out."""

    def __init__(
        self, n_components: int, random_state: Any, design: Design, begin: LatentDensity | None = None
    ) -> None:
        """Args: number of classes, StepMix's seed (unused), the patients, and where to begin instead of at random."""
        self.n_components, self._design, self._begin = n_components, design, begin
        counts = design.levels.sum(axis=0)
        self._base = counts / np.maximum(design.per_column(counts), 1)
        self._starts = 0
        self.parameters: dict[str, Floats] = {}

    def initialize(self, X: Floats, resp: Floats, random_state: RandomState) -> None:
        """Begin anew: by turns from k-means and from the patients nearest to a few that lie far from each other."""
        if self._begin is not None:
            begin = self._begin
            self.parameters = {"means": begin.means, "variances": begin.variances, "shares": begin.shares}
            return
        points = np.concatenate([self._design.numbers, self._design.levels], axis=1)
        if self._starts % 2 == 0:
            means = KMeans(self.n_components, n_init=1, max_iter=20, random_state=random_state)
            labels = means.fit(points).labels_
        else:
            far, _ = kmeans_plusplus(points, self.n_components, random_state=random_state)
            labels = ((points[:, None, :] - far) ** 2).sum(axis=2).argmin(axis=1)
        self._starts += 1
        self.m_step(X, np.eye(self.n_components)[labels])

    def m_step(self, X: Floats, resp: Floats) -> None:
        """Take the parameters of largest expected likelihood."""
        means, variances, shares = maximised(self._design, resp, SMALLEST_VARIANCE, self._base)
        self.parameters = {"means": means, "variances": variances, "shares": shares}

    def log_likelihood(self, X: Floats) -> Floats:
        """Return each class's log-density, shape (patients, classes)."""
        return LatentDensity(np.ones(self.n_components), **self.parameters).log_density(self._design)

    def get_parameters(self) -> dict[str, Floats]:
        """Return a copy of the parameters."""
        return copy.deepcopy(self.parameters)

    def set_parameters(self, parameters: dict[str, Floats]) -> None:
        """Take these parameters."""
        self.parameters = parameters


EMISSION_DICT[MEASUREMENT] = MixedMeasurement


def searched(design: Design, k: int, seed: int, starts: int) -> LatentDensity:
    """Return up to k classes, by falling weight: the most likely ones of all starts.

    Every start climbs a few steps, the best one on to its maximum. Classes of fewer than 11 patients and second ones of
    the same parameters are taken out, and the others climb again without them.
    """
    begin = climbed(design, k, seed, None, starts) if starts > 1 else None
    while True:
        found = _told(climbed(design, k if begin is None else len(begin.weights), seed, begin, 1), design)
        kept = _kept(found, design)
        if len(kept) == len(found.weights):
            return found
        begin = found.of_classes(kept)


def climbed(design: Design, k: int, seed: int, begin: LatentDensity | None, starts: int) -> LatentDensity:
    """Return the best of some short climbs, or with one start a long one; by falling weight."""
    model = StepMix(
        k,
        measurement=MEASUREMENT,
        measurement_params={"design": design, "begin": begin},
        n_init=starts,
        max_iter=SHORT if starts > 1 else LONG,
        abs_tol=SHORT_GAIN if starts > 1 else LONG_GAIN,
        random_state=seed % 2**31,
        progress_bar=0,
    )
    # One thread: the sums are then the same on every machine.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # Where the likelihood is flat the climb is stopped; its BIC says what it is worth.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(design.numbers if design.numbers.size else design.levels)
    parameters = model.get_parameters()
    made = LatentDensity(parameters["weights"], **parameters["measurement"])
    return made.of_classes(np.argsort(-made.weights, kind="stable"))


def _kept(found: LatentDensity, design: Design) -> NDArray[np.int64]:
    """Return the classes that are large enough and differ from all larger ones; the largest at least."""
    sizes = np.bincount(found.probability(design).argmax(axis=1), minlength=len(found.weights))
    kept: list[int] = []
    for one in range(len(found.weights)):
        enough = min(sizes[one], found.weights[one] * len(design.numbers)) >= SMALLEST_GROUP
        if enough and not any(_same(found, one, other) for other in kept):
            kept.append(one)
    return np.array(kept or [0], dtype=np.int64)


def _same(found: LatentDensity, one: int, other: int) -> bool:
    beyond = [np.abs(values[one] - values[other]) for values in (found.means, found.variances, found.shares)]
    return bool(np.concatenate(beyond).max() < SAME)


def _told(found: LatentDensity, design: Design) -> LatentDensity:
    """Return the density that is kept: what fewer than 11 patients of a class have is as it is among all patients."""
    membership = found.probability(design)
    everybody = np.ones((len(membership), 1))
    counts = design.levels.sum(axis=0)
    base = counts / np.maximum(design.per_column(counts), 1)
    means, variances, shares = maximised(design, everybody, SMALLEST_VARIANCE, base)
    few = membership.T @ design.known < SMALLEST_GROUP
    few_levels = design.per_column(membership.T @ design.levels) < SMALLEST_GROUP
    return LatentDensity(
        found.weights,
        np.where(few, means, found.means),
        np.where(few, variances, found.variances),
        np.where(few_levels, shares, found.shares),
    )
