"""Side by side with what is used elsewhere: who claims strata where none are, and whose strata are right where some are?"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score

from experiments.validity.ledger import mean_text, share_text, table
from experiments.validity.strata_claims import PLANTED, cohort_of
from experiments.validity.strata_cohorts import ONE_GROUP
from experiments.validity.strata_search import CHEAPNESS, claim_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Record = dict[str, Any]

NUMBERS = (2, 3, 4, 5, 6)
STARTS = 10  # of k-means, as scikit-learn had it by default for long
RESAMPLES, KEPT = 50, 0.8  # of plain consensus clustering
AMBIGUOUS = (0.1, 0.9)  # consensus between them counts as ambiguous (Senbabaoglu 2014, doi 10.1038/srep06207)
OURS = "psystrata"
SCENARIOS = (*ONE_GROUP, *PLANTED)


def simulate_run(task: tuple[str, int]) -> list[Record]:
    """Return the number of strata and the adjusted Rand index of every method on one cohort."""
    scenario, run = task
    cohort, seed = cohort_of(scenario, run)
    ours = claim_of(cohort, seed)
    found = {OURS: (ours.k if ours.claimed else 1, ours.index if ours.claimed else 0.0)}
    for name, choose in PEERS.items():
        labels = choose(cohort.values, seed % 2**31)
        found[name] = (len(np.unique(labels)), float(adjusted_rand_score(cohort.truth, labels)))
    return [
        {"scenario": scenario, "run": run, "method": name, "k": int(k), "index": index}
        for name, (k, index) in found.items()
    ]


def silhouette_choice(values: Floats, seed: int) -> Integers:
    """Return the labels of k-means with the largest mean silhouette, from 2 strata up, as scikit-learn's examples choose."""
    divided = [_k_means(values, k, seed) for k in NUMBERS]
    return max(divided, key=lambda labels: float(silhouette_score(values, labels)))


def consensus_choice(values: Floats, seed: int) -> Integers:
    """Return the labels of plain consensus clustering (Monti 2003, doi 10.1023/A:1023949509487) with the smallest PAC.

    Subsamples of 80 % of the patients are divided by k-means; the proportion of ambiguous pairs is compared between numbers of
    strata as it is, of equals the larger is taken, and the consensus of the best is cut by average linkage.
    """
    generator = np.random.default_rng(seed)
    n = len(values)
    samples = [np.sort(generator.choice(n, int(KEPT * n), replace=False)) for _ in range(RESAMPLES)]
    together = {k: _consensus(values, samples, k, seed) for k in NUMBERS}
    pairs = np.triu_indices(n, 1)
    k = min(reversed(NUMBERS), key=lambda one: float(_ambiguous(together[one][pairs])))
    cut = AgglomerativeClustering(k, metric="precomputed", linkage="average")
    return np.asarray(cut.fit_predict(1 - together[k]), dtype=np.int64)


def stepmix_choice(values: Floats, seed: int) -> Integers:
    """Return the most probable class of the latent profiles with the smallest BIC, from one class up (stepmix)."""
    from stepmix.stepmix import StepMix

    best, labels = np.inf, np.zeros(len(values), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own: convergence, and how it talks to scikit-learn
        for k in (1, *NUMBERS):
            model = StepMix(
                n_components=k,
                measurement="continuous",
                n_init=3,
                max_iter=500,
                random_state=seed,
                verbose=0,
                progress_bar=0,
            ).fit(values)
            value = float(model.bic(values))
            if value < best:
                best, labels = value, np.asarray(model.predict(values), dtype=np.int64)
    return labels


PEERS: Mapping[str, Callable[[Floats, int], Integers]] = {
    "k-means, silhouette": silhouette_choice,
    "consensus clustering, PAC": consensus_choice,
    "stepmix, BIC": stepmix_choice,
}


def section(records: Sequence[Record], command: str) -> str:
    """Return the ledger's section that sets the methods side by side."""
    methods = (OURS, *PEERS)
    none = [
        _claims(name, [line for line in records if line["scenario"] == name], methods) for name in ONE_GROUP
    ]
    none.append(
        _claims("**all of these**", [line for line in records if line["scenario"] in ONE_GROUP], methods)
    )
    some = [
        row
        for name in PLANTED
        for row in _recovered(name, [line for line in records if line["scenario"] == name], methods)
    ]
    lines = [
        "## The same cohorts, other programs",
        "",
        "The cohorts of the section on claims. The others are given columns of mean 0 and standard deviation 1, medians for what is "
        f"missing, and choose among {NUMBERS[0]} to {NUMBERS[-1]} strata: scikit-learn's k-means ({STARTS} starts) by the largest "
        f"silhouette; consensus clustering ({RESAMPLES} subsamples of {KEPT:.0%}, k-means) by the smallest proportion of ambiguous pairs; "
        "latent profiles of stepmix by the smallest BIC, from one class. The first two cannot say one. "
        f"{CHEAPNESS} Brackets: Wilson's 95 % interval, and of means the Monte-Carlo one (t).",
        "",
        f"Command: `{command}`",
        "",
        *table(("strata claimed where none are planted", *methods), [row for row in none if row]),
        "",
        *table(("planted", "method", "number right", "adjusted Rand index"), some),
    ]
    return "\n".join(lines) + "\n"


def _claims(name: str, own: Sequence[Record], methods: Sequence[str]) -> tuple[str, ...]:
    if not own:
        return ()
    return (
        name,
        *(share_text([line["k"] > 1 for line in own if line["method"] == method]) for method in methods),
    )


def _recovered(name: str, own: Sequence[Record], methods: Sequence[str]) -> Sequence[tuple[str, ...]]:
    if not own:
        return []
    found = []
    for method in methods:
        lines = [line for line in own if line["method"] == method]
        right = [line["k"] == PLANTED[name].strata for line in lines]
        found.append(
            (
                name.removeprefix("planted: "),
                method,
                share_text(right),
                mean_text([line["index"] for line in lines]),
            )
        )
    return found


def _k_means(values: Floats, k: int, seed: int) -> Integers:
    return np.asarray(KMeans(k, n_init=STARTS, random_state=seed).fit_predict(values), dtype=np.int64)


def _consensus(values: Floats, samples: Sequence[Integers], k: int, seed: int) -> Floats:
    """Return how often two patients are together of how often both were drawn, shape (patients, patients)."""
    together, drawn = np.zeros((2, len(values), len(values)))
    for number, sample in enumerate(samples):
        labels = _k_means(values[sample], k, (seed + number) % 2**31)
        members = np.eye(k)[labels]
        together[np.ix_(sample, sample)] += members @ members.T
        drawn[np.ix_(sample, sample)] += 1
    return np.divide(together, drawn, out=np.zeros_like(together), where=drawn > 0)


def _ambiguous(consensus: Floats) -> float:
    low, high = AMBIGUOUS
    return float(((consensus > low) & (consensus < high)).mean())
