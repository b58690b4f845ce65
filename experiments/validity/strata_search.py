"""One run of the chain on a simulated cohort, with fewer draws and resamples than a study declares."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from scipy import stats
from sklearn.metrics import adjusted_rand_score

from experiments.compute import Compute
from experiments.stratification.chain import search
from experiments.stratification.features_source import FeatureSource
from experiments.stratification.search_settings import SearchSettings
from experiments.validity.strata_cohorts import SimulatedPatients

CHEAP = SearchSettings(
    most_strata=4,
    draws=39,
    splits=5,
    resamples=10,
    bootstraps=10,
    stop_when_decided=True,
)
CHEAPNESS = (
    f"Cheap runs: {CHEAP.draws} draws of each null, of which one may be deeper, "
    f"ended as soon as they cannot be passed; {CHEAP.resamples} resamples of the consensus, {CHEAP.splits} splits, "
    f"{CHEAP.bootstraps} bootstrap samples, up to {CHEAP.most_strata} strata. Thresholds are the defaults."
)
ALONE = (
    "one_group",
    "number",
    "stability",
)  # what is asked of every cohort, whether or not it has two countries


@dataclass(frozen=True)
class Claim:
    """What the chain said of one cohort.

    Attributes:
        k: strata found by the tests of one group and of the number; 1 where there are none.
        claimed: they are stable too.
        replicated: claimed, and found again between the two countries in both directions.
        index: adjusted Rand index with the true strata; 0 where none were found.
    """

    k: int
    claimed: bool
    replicated: bool
    index: float

    def to_record(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def claim_of(cohort: SimulatedPatients, seed: int, *, likely: bool = False) -> Claim:
    """Look for strata in a cohort and say what the chain claims.

    Args:
        cohort: the patients.
        seed: of the search.
        likely: there will be strata: draws are then not tried beforehand to end early, which would make them twice.
    """
    settings = replace(CHEAP, stop_when_decided=not likely)
    source = FeatureSource(cohort.X.select(cohort.recipe.needed), cohort.centres, cohort.recipe, seed)
    found = search(cohort.rows, source, cohort.recipe, settings, seed=seed, compute=Compute())
    passed = {one.name: one.status == "passed" for one in found.verdict.tests}
    claimed = found.verdict.k > 1 and all(passed.get(name, False) for name in ALONE)
    labels = cohort.rows.select("prediction_id").join(
        found.strata, on="prediction_id", how="left", maintain_order="left"
    )["stratum"]
    return Claim(
        k=found.verdict.k,
        claimed=claimed,
        replicated=claimed and passed.get("replication", False),
        index=float(adjusted_rand_score(cohort.truth, labels.to_numpy())) if found.verdict.k > 1 else 0.0,
    )


def upper_bound(count: int, runs: int) -> float:
    """Return the upper 95 % bound of a share, one-sided (Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404)."""
    return 1.0 if count >= runs else float(stats.beta.ppf(0.95, count + 1, runs - count))
