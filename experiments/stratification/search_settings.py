"""Thresholds of the chain of tests, declared before any result is seen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchSettings:
    """Thresholds of the chain, declared beforehand.

    Attributes:
        most_strata: largest number tried.
        smallest_share: of the patients in a stratum.
        draws: of each null.
        null_level: both p-values of the null test must be this or less.
        prediction_strength: smallest of a number of strata.
        splits: of the patients into halves.
        resamples: of consensus clustering.
        number_level: of consensus against the null.
        bootstraps: of the stability.
        jaccard: smallest mean of a stable stratum.
        between: "country" or "centre": what strata must replicate between.
        strength_alone: smallest prediction strength of a number of strata among the patients of one country.
        agreement: smallest adjusted Rand index of the replication.
        centroid_correlation: smallest of the replication.
        fewest: patients of a country that takes part in the replication.
        required: tests that a claim needs.
        stop_when_decided: end the null's draws as soon as they cannot be passed any more, or draw none where no number of strata
            is foretold; figures then stand on fewer draws. For studies of validity.
    """

    most_strata: int = 6
    smallest_share: float = 0.05
    draws: int = 99
    null_level: float = 0.05
    prediction_strength: float = 0.8
    splits: int = 10
    resamples: int = 20
    number_level: float = 0.05
    bootstraps: int = 50
    jaccard: float = 0.75
    between: str = "country"
    strength_alone: float = 0.7
    agreement: float = 0.6
    centroid_correlation: float = 0.8
    fewest: int = 100
    required: tuple[str, ...] = ("one_group", "number", "stability", "replication")
    stop_when_decided: bool = False
