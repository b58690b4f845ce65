"""Strata of a similarity network that is fused of several modalities."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.clustering.contract import ClusterOptions
from models.clustering.distances import MOST_PATIENTS, NUMBER_UNITS, PARAMETERS, modality_distances, scale_of
from models.clustering.mixed_columns import Encoded, MixedColumns
from models.clustering.profile_clusterer import ProfileClusterer, require_parameters
from models.clustering.profiles import kept_strata
from models.errors import BadTarget
from models.preprocessing import SMALLEST_GROUP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

KIND = "fusion"
WIDTH = 0.5  # of the kernel, in mean distances of neighbours; Wang and others take 0.3 to 0.8
KNOWN = MappingProxyType({**PARAMETERS, "neighbours": 20, "rounds": 10})


@dataclass(frozen=True)
class PreparedNetwork:
    """What divisions of the same patients share; it holds rows and is never stored.

    Attributes:
        columns: the fitted scales.
        encoded: the patients on them.
        network: shape (patients, patients), symmetric, 0 or more: the fused similarities.
    """

    columns: MixedColumns
    encoded: Encoded
    network: Floats


def prepare_network(X: pl.DataFrame, options: ClusterOptions) -> PreparedNetwork:
    """Return the network that all modalities together make; raises BadTarget for parameters or patients that do not do."""
    require_parameters(KIND, options, KNOWN)
    settings = {**KNOWN, **options.parameters}
    for name in ("neighbours", "rounds"):
        if not isinstance(settings[name], int) or not 1 <= settings[name] <= 1000:
            raise BadTarget(
                f"The parameter {name} must be a whole number from 1 to 1000; got {settings[name]!r}."
            )
    if X.height > MOST_PATIENTS:
        raise BadTarget(
            f"A network of {X.height} patients does not fit into memory (at most {MOST_PATIENTS}); take gaussian_mixture, "
            "k_means or latent_class."
        )
    # Without weights, too, every declared modality makes a network of its own; they then count alike.
    weights = {one: options.weights.get(one, 1.0) for one in {*options.modalities.values(), *options.weights}}
    own = ClusterOptions(options.modalities, weights, options.parameters)
    columns = MixedColumns.fit(X, own, scale_of(options), unit=NUMBER_UNITS)
    encoded = columns.encode(X)
    affinities, shares = [], []
    for modality, weight in sorted(columns.weights.items()):
        affinities.append(
            affinity(modality_distances(encoded, encoded, columns, modality), settings["neighbours"])
        )
        shares.append(weight)
    network = fused(affinities, np.array(shares), settings["neighbours"], settings["rounds"])
    return PreparedNetwork(columns, encoded, network)


class FusionClusterer(ProfileClusterer):
    """Similarity network fusion (Wang and others 2014, doi 10.1038/nmeth.2810), divided by spectral clustering.

    Every modality makes a network of patients by their distances over its columns (numbers and categories, each pair over what both
    have); the networks exchange what they know until they agree. A patient without a modality takes no part in its
    network and keeps the neighbours that the others give. Strata are found by the leading eigenvectors of the fused network,
    assigned by a pivoted QR decomposition (Damle, Minden and Ying 2019, doi 10.1093/imaiai/iay008), so that nothing is drawn at
    random. A network says nothing of a new patient: the memberships are those of the strata's centre profiles, which is
    approximate where strata are no rounded groups.
    """

    kind = KIND
    parameters = KNOWN

    def prepared(self, X: pl.DataFrame) -> PreparedNetwork:
        """Return the fused network."""
        return prepare_network(X, self._options)

    def divide(self, prepared: PreparedNetwork) -> Integers:
        """Return the strata 0, 1, ... of the prepared patients, by falling size."""
        from sklearn.cluster import spectral_clustering
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            labels = spectral_clustering(
                prepared.network,
                n_clusters=self._k,
                assign_labels="cluster_qr",
                random_state=self._seed % 2**31,  # of the eigenvectors' starting point alone
            )
        return kept_strata(labels.astype(np.int64), prepared.network, SMALLEST_GROUP)


def affinity(distance: Floats, neighbours: int) -> Floats:
    """Return similarities of one modality, shape (patients, patients), NaN where a pair has nothing in common.

    exp(-d^2 / (width * e)) with e the mean of the pair's distance and of both mean distances to the nearest neighbours.
    """
    near = np.where(np.isnan(distance), np.inf, distance)
    np.fill_diagonal(near, np.inf)
    count = min(neighbours, len(distance) - 1)
    nearest = np.partition(near, count - 1, axis=1)[:, :count]
    known = np.isfinite(nearest)
    mean = np.where(known, nearest, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    local = (mean[:, None] + mean[None, :] + distance) / 3
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.exp(-((distance / local) ** 2) / WIDTH)
    return np.where(np.isnan(found) & ~np.isnan(distance), 1.0, found)  # all neighbours are alike


def fused(affinities: list[Floats], weights: Floats, neighbours: int, rounds: int) -> Floats:
    """Return the network on which those of the modalities agree, shape (patients, patients).

    In each round every network is spread along its own nearest neighbours over the mean of the others, by their weights. Where
    a modality lacks a patient, the patient's row in its network is the mean of the others' and has no neighbours of its own.
    """
    own = np.eye(len(affinities[0]), dtype=bool)
    has = np.array([~np.isnan(np.where(own, np.nan, one)).all(axis=1) for one in affinities])
    shares = weights[:, None] * has
    total = shares.sum(axis=0)
    full = [_stochastic(np.nan_to_num(one)) for one in affinities]
    filled = _weighted(shares[:, :, None], full) / np.where(total > 0, total, 1.0)[:, None]
    networks = [np.where(one[:, None], network, filled) for one, network in zip(has, full, strict=True)]
    kernels = [_kernel(np.nan_to_num(one), neighbours) for one in affinities]
    for _ in range(rounds if len(networks) > 1 else 0):
        summed = _weighted(weights, networks)
        spread = []
        for weight, network, kernel in zip(weights, networks, kernels, strict=True):
            others = (summed - weight * network) / (weights.sum() - weight)
            spread.append(_stochastic(kernel @ (kernel @ others.T).T))
        networks = spread
    mean = _weighted(weights, networks) / weights.sum()
    nothing = np.flatnonzero(total == 0)  # who has nothing at all is as near to one as to another
    mean[nothing], mean[:, nothing] = 1 / len(mean), 1 / len(mean)
    return np.asarray((mean + mean.T) / 2, dtype=np.float64)


def _weighted(weights: Floats, networks: list[Floats]) -> Floats:
    """Return the sum of networks, each times its weight, of shape () or (patients, 1)."""
    total = np.zeros_like(networks[0])
    for weight, network in zip(weights, networks, strict=True):
        total += weight * network
    return total


def _stochastic(similarity: Floats) -> Floats:
    """Return rows summing to 1, half of each on the patient."""
    found = similarity.copy()
    np.fill_diagonal(found, 0.0)
    sums = found.sum(axis=1, keepdims=True)
    found /= 2 * np.where(sums > 0, sums, 1.0)
    np.fill_diagonal(found, 0.5)
    return (found + found.T) / 2


def _kernel(similarity: Floats, neighbours: int) -> Any:
    """Return each patient's nearest neighbours alone, sparse, rows summing to 1; a patient without any has only himself."""
    from scipy.sparse import csr_matrix

    plain = similarity.copy()
    np.fill_diagonal(plain, 0.0)
    count = min(neighbours, len(plain) - 1)
    nearest = np.argpartition(-plain, count - 1, axis=1)[:, :count]
    rows = np.repeat(np.arange(len(plain)), count)
    values = plain[rows, nearest.ravel()]
    own = np.where(plain.sum(axis=1) > 0, 0.0, 1.0)
    made = csr_matrix((values, (rows, nearest.ravel())), shape=plain.shape)
    sums = np.asarray(made.sum(axis=1)).ravel() + own
    return csr_matrix((1 / sums, (np.arange(len(plain)),) * 2), shape=plain.shape) @ (
        made + csr_matrix((own, (np.arange(len(plain)),) * 2), shape=plain.shape)
    )
