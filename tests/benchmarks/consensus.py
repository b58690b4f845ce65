"""Consensus clustering beside a plain scikit-learn loop: the same subsamples, seeds and starts, in turns.

    python -m tests.benchmarks consensus
    python -m tests.benchmarks.consensus --rounds 5 --resamples 100

Expected before it was measured: 3 to 4 times faster. Half of the loop's time is k-means, which two processes halve; the rest is
adding one indicator matrix per resample and number, for which one product of one-hot matrices stands. Both may use two cores: the
loop by the threads of scikit-learn and BLAS, ours by processes of one thread each, which then exist already. The loop runs on one
thread too, since on a crowded machine threads wait for each other, and the faster of the two is what counts.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from experiments.compute import Compute
from experiments.stratification.consensus import (
    SHARE,
    ambiguous_pairs,
    consensus_matrices,
    k_means_seed,
    subsamples,
)

Floats = NDArray[np.float64]
Matrices = dict[int, NDArray[np.float32]]
Row = tuple[str, str, str]

PATIENTS, COLUMNS, GROUPS, SEED = 2000, 50, 4, 21
KS = range(2, 9)
RESAMPLES, STARTS, ROUNDS, CORES = 100, 10, 5, 2


def simulated() -> Floats:
    """Return points of four overlapping groups, shape (patients, columns)."""
    draws = np.random.default_rng(SEED)
    centroids = draws.normal(0, 1.0, (GROUPS, COLUMNS))
    return centroids[draws.integers(0, GROUPS, PATIENTS)] + draws.normal(0, 1.5, (PATIENTS, COLUMNS))


def plain_loop(points: Floats, resamples: int) -> Matrices:
    """Return the matrices as one would write them down, with each subsample drawn and counted once for all numbers."""
    held = np.zeros((len(points), len(points)), dtype=np.float32)
    found = {k: np.zeros_like(held) for k in KS}
    for number, rows in enumerate(subsamples(len(points), resamples, SHARE, SEED)):
        some, pairs = points[rows], np.ix_(rows, rows)
        held[pairs] += 1
        for k in KS:
            fit = KMeans(k, n_init=STARTS, random_state=k_means_seed(SEED, number))
            labels = fit.fit_predict(some)
            found[k][pairs] += labels[:, None] == labels[None, :]
    return {k: np.divide(counts, np.maximum(held, 1), dtype=np.float32) for k, counts in found.items()}


def ours(points: Floats, resamples: int) -> Matrices:
    """Return the same of the project."""
    compute = Compute("processes", CORES)
    return consensus_matrices(
        points, KS, resamples=resamples, share=SHARE, n_init=STARTS, seed=SEED, compute=compute
    )


def beside(rounds: int, resamples: int) -> list[Row]:
    """Return the rows of the table, from interleaved rounds."""
    points = simulated()
    ours(points, 2 * CORES)  # the workers start, and both routes are imported
    plain_loop(points, 1)
    ratios, away, ambiguity = [], 0.0, 0.0
    for number in range(rounds):
        seconds, matrices = {}, {}
        routes = [("plain", plain_loop), ("ours", ours)]
        for name, route in routes if number % 2 == 0 else routes[::-1]:
            with threadpool_limits(CORES):
                start = time.perf_counter()
                matrices[name] = route(points, resamples)
                seconds[name] = time.perf_counter() - start
        ratios.append(seconds["plain"] / seconds["ours"])
        away = max(away, *(float(np.abs(matrices["ours"][k] - matrices["plain"][k]).max()) for k in KS))
        ambiguity = ambiguous_pairs(matrices["ours"][GROUPS])
    name = (
        f"consensus, {PATIENTS:,} x {COLUMNS}, k = {KS[0]}..{KS[-1]}, {resamples} resamples, {STARTS} starts"
    )
    paired = f"{statistics.median(ratios):.1f} times ({min(ratios):.1f} to {max(ratios):.1f}), {rounds} paired rounds"
    return [
        (name, "3 times faster than the plain loop", paired),
        ("largest difference of the matrices", "0", f"{away:.1e}"),
        (f"ambiguous pairs at {GROUPS}", "", f"{ambiguity:.3f}"),
    ]


def consensus(folder: Path) -> list[Row]:
    """Consensus clustering beside the plain loop; nothing is written."""
    del folder
    return beside(ROUNDS, RESAMPLES)


def main(arguments: Sequence[str]) -> int:
    """Run the rounds and print their table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    asked = parser.parse_args(arguments)
    for row in beside(asked.rounds, asked.resamples):
        print("  ".join(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
