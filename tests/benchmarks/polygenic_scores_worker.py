"""Runs one route of the polygenic scores in the folder it is started in, and prints seconds by part and the peak memory as JSON.

    python polygenic_scores_worker.py ROUTE SCORES THREADS

Reads g.bed, g.bim, g.fam (pgenlib: g.pgen), weights, and writes ROUTE.npy, samples x scores.
"""

import gc
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_BLOCK = 2_000
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")  # as pipeline.__main__ does


class Clock:
    """Seconds of the processor by part of a route: other processes do not move them as much as those on the wall."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = 0.0

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.seconds[name] = round(now - self._last, 4)
        self._last = now


def psystrata(scores: int, threads: int, clock: Clock) -> Any:
    """Open, read scoring files, match, score."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import numpy as np

    from features.genetics.inputs import at_once
    from features.genetics.matching import match_variants
    from features.genetics.opening import open_genotypes
    from features.genetics.scoring import MissingGenotypes, load_kernels, score_samples
    from features.genetics.scoring_files import read_scoring_file

    clock.lap("imports")
    folder = Path()
    genotypes = open_genotypes(folder, "g.bed")
    clock.lap("opening")

    def matched(score: int) -> Any:
        path = f"score_{score}.txt"
        scoring = read_scoring_file(folder / path, name=f"score_{score}", shown=path)
        return match_variants(scoring, genotypes.variants, palindromic="drop")

    files = [folder / f"score_{score}.txt" for score in range(scores)]
    with ThreadPoolExecutor(at_once(files, threads)) as pool:
        loaded = pool.submit(load_kernels)
        matches = list(pool.map(matched, range(scores)))
        loaded.result()
    clock.lap("reading and matching scores")
    found = score_samples(
        genotypes,
        matches,
        samples=np.arange(len(genotypes.samples)),
        missing=MissingGenotypes("mean"),
        threads=threads,
    )
    clock.lap("scoring")
    return found.values


def _weights(variants: Any) -> Any:
    import polars as pl

    weights = pl.read_csv("weights.txt", separator="\t")
    return variants.join(weights, on="ID", how="left", maintain_order="left").drop("ID", "A1").to_numpy()


def _filled_product(codes: Any, weights: Any, total: Any) -> None:
    """Add a block, samples x variants with negative codes missing, after filling in means."""
    import numpy as np

    block = codes.astype(np.float32)
    absent = codes < 0
    block[absent] = np.nan
    means = np.nanmean(block, axis=0, dtype=np.float64)
    block[absent] = np.broadcast_to(means, block.shape)[absent]
    total += block @ weights.astype(np.float32)


def bed_reader(scores: int, threads: int, clock: Clock) -> Any:
    """bed-reader's blocks of whole numbers, means, product of matrices."""
    import numpy as np
    import polars as pl
    from bed_reader import open_bed

    clock.lap("imports")
    names = ["chromosome", "ID", "cm", "position", "a1", "a2"]
    variants = pl.read_csv("g.bim", separator="\t", has_header=False, new_columns=names).select("ID")
    weights = _weights(variants)
    samples = Path("g.fam").read_text().count("\n")
    total = np.zeros((samples, scores))
    with open_bed("g.bed", iid_count=samples, sid_count=len(weights), num_threads=threads) as bed:
        for start in range(0, len(weights), _BLOCK):
            part = slice(start, min(start + _BLOCK, len(weights)))
            codes = bed.read(index=np.s_[:, part], dtype="int8", order="F")
            _filled_product(codes, weights[part], total)
    clock.lap("scoring")
    return total


def pgenlib(scores: int, threads: int, clock: Clock) -> Any:
    """pgenlib's blocks of whole numbers from g.pgen, means, product of matrices."""
    import numpy as np
    import pgenlib as library
    import polars as pl

    clock.lap("imports")
    variants = pl.read_csv("g.pvar", separator="\t").select("ID")
    weights = _weights(variants)
    reader = library.PgenReader(b"g.pgen")
    samples = reader.get_raw_sample_ct()
    total = np.zeros((samples, scores))
    for start in range(0, len(weights), _BLOCK):
        stop = min(start + _BLOCK, len(weights))
        codes = np.empty((stop - start, samples), dtype=np.int8)
        reader.read_range(start, stop, codes)
        _filled_product(codes.T, weights[start:stop], total)
    clock.lap("scoring")
    return total


ROUTES = {"psystrata": psystrata, "bed_reader": bed_reader, "pgenlib": pgenlib}


def main(route: str, scores: int, threads: int) -> None:
    """Run, write the table, tell the seconds."""
    clock = Clock()
    table = ROUTES[route](scores, threads, clock)
    import numpy as np

    np.save(f"{route}.npy", np.asarray(table, dtype=np.float64))
    clock.lap("writing")
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    gc.freeze()  # as pipeline.__main__ does
    print(json.dumps(clock.seconds | {"gigabytes": int(peak.split()[1]) / 1024**2}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
