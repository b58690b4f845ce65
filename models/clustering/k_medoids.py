"""K-medoids on mixed distances: strata around the patients that are nearest to all others."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.distances import PARAMETERS, PreparedDistances, prepare_distances
from models.clustering.profile_clusterer import ProfileClusterer
from models.clustering.profiles import Profiles, kept_strata
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_SWAPS = 200
MOST_ROUNDS = 50


class KMedoidsClusterer(ProfileClusterer):
    """Partitioning around medoids (Kaufman and Rousseeuw 1990, doi 10.1002/9780470316801), settled on centre profiles.

    BUILD, then the best swap of a medoid until none is better. Patients with fewer columns than half of the others have are no
    medoids: over few columns a patient seems near to many. A medoid is a patient, with that patient's own deviations, so the
    patients then go to the nearest of the strata's profiles and these are made anew until nobody changes; at separation 6 in
    four columns with a tenth of the cells missing that is an adjusted Rand index of 0.90 instead of 0.5 to 0.9. Nothing is
    random, so the seed changes nothing.
    """

    kind = "k_medoids"
    parameters = PARAMETERS

    def prepared(self, X: pl.DataFrame) -> PreparedDistances:
        """Return the patients' distances."""
        return prepare_distances(X, self._options)

    def profiles(self, prepared: PreparedDistances, labels: Integers) -> Profiles:
        """Return the nearest profile as the rule."""
        return Profiles.nearest(prepared.columns, prepared.encoded, labels)

    def divide(self, prepared: PreparedDistances) -> Integers:
        """Return the strata 0, 1, ... of the prepared patients, by falling size."""
        known = ~np.isnan(prepared.encoded.numbers)
        columns = known.sum(axis=1) + (prepared.encoded.codes >= 0).sum(axis=1)
        candidates = np.flatnonzero(columns >= np.median(columns))
        medoids = swapped(prepared.matrix, candidates, built(prepared.matrix, candidates, self._k))
        labels = prepared.matrix[:, medoids].argmin(axis=1).astype(np.int64)
        return _settled(prepared, kept_strata(labels, -prepared.matrix, SMALLEST_GROUP))


def _settled(prepared: PreparedDistances, labels: Integers) -> Integers:
    """Return strata of patients that are nearest to their own stratum's profile, or the last ones of 11 patients each."""
    found = labels
    for _ in range(MOST_ROUNDS):
        profiles = Profiles.of(prepared.columns, prepared.encoded, found)
        nearest = profiles.distances(prepared.encoded).argmin(axis=1)
        if (nearest == found).all() or np.bincount(nearest, minlength=found.max() + 1).min() < SMALLEST_GROUP:
            break
        found = nearest.astype(np.int64)
    return kept_strata(found, -prepared.matrix, SMALLEST_GROUP)


def built(matrix: Floats, candidates: Integers, k: int) -> list[int]:
    """Return k medoids, each the candidate that lowers the sum of distances from the nearest most; matrix (rows, rows)."""
    nearest, medoids = np.full(len(matrix), np.inf), []
    for _ in range(k):
        sums = np.minimum(matrix[:, candidates], nearest[:, None]).sum(axis=0)
        medoids.append(int(candidates[sums.argmin()]))
        nearest = np.minimum(nearest, matrix[:, medoids[-1]])
    return medoids


def swapped(matrix: Floats, candidates: Integers, medoids: list[int]) -> list[int]:
    """Return medoids after the best swaps, as long as one lowers the sum of distances from the nearest medoid.

    All swaps are weighed in one pass over the distances, by what each patient would lose (Schubert and Rousseeuw 2021, doi
    10.1016/j.is.2021.101804): who is nearer to the candidate than to any medoid gains whichever goes; others lose only where
    their own medoid goes, and then as far as the candidate or their second nearest.
    """
    found, rows = list(medoids), np.arange(len(matrix))
    for _ in range(MOST_SWAPS):
        to_medoids = matrix[:, found]
        own = to_medoids.argmin(axis=1)
        nearest = to_medoids[rows, own]
        to_medoids[rows, own] = np.inf
        second = to_medoids.min(axis=1)
        members = (own[:, None] == np.arange(len(found))).astype(np.float64)
        beyond = matrix[:, candidates] - nearest[:, None]
        gain = np.minimum(beyond, 0.0).sum(axis=0)
        loss = members.T @ np.clip(beyond, 0.0, (second - nearest)[:, None])
        change = gain + loss
        medoid, candidate = np.unravel_index(int(change.argmin()), change.shape)
        if change[medoid, candidate] >= -1e-9 * nearest.sum():
            break
        found[medoid] = int(candidates[candidate])
    return found
