"""Principal components of genotypes out of core beside plink2 --pca approx: 10 components, 2 threads, whole processes, in turns.

    python -m tests.benchmarks ancestry_components
    python -m tests.benchmarks.ancestry_components --samples 4000 --variants 20000 --rounds 3

Expected before it was measured: five times less processor time. plink2 multiplies decoded genotypes by 20 random vectors in
double precision, 11 times, and by 220 at the end; here two genotypes at a time pick one of 16 sums, and as many passes
need no matrix product. Simulated are five populations (FST 0.02, Balding and Nichols) with 1 % of genotypes not called, in
a PLINK file under the folder given, removed afterwards. Both sides read the same file; the wall clock, the
processor's user time and the largest resident memory are of the whole process. The share of plink2's separated
components (the first four) that lies in ours is printed too.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Row = tuple[str, str, str]

POPULATIONS, FST, NOT_CALLED, SEED = 5, 0.02, 0.01, 6
COMPONENTS, SEPARATED, THREADS = 10, POPULATIONS - 1, 2
BLOCK = 500
LARGE = (21_000, 100_000)
SAMPLES, VARIANTS = (2_500, 5_000, 10_000), (10_000, 20_000, 40_000)


@dataclass(frozen=True)
class Cost:
    """What one process cost."""

    wall: float
    user: float
    memory: float  # MB


def ancestry_components(_: Path) -> list[Row]:
    """Compare at the size that a large cohort has, once, and show how the cost grows."""
    rows = compared(*LARGE, rounds=1)
    base = (SAMPLES[1], VARIANTS[1])
    for samples in SAMPLES:
        rows.append(grown(samples, base[1]))
    for variants in VARIANTS:
        rows.append(grown(base[0], variants))
    return rows


def compared(samples: int, variants: int, *, rounds: int) -> list[Row]:
    """Run both sides in turns on one simulated file; ratios are plink2's cost over ours, paired."""
    size = f"{samples:,} x {variants:,}"
    with tempfile.TemporaryDirectory(prefix="bench_e_") as place:
        prefix = Path(place) / "genotypes"
        simulate(prefix, samples, variants)
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(measured(_worker(prefix, samples, variants)))
            if shutil.which("plink2"):
                theirs.append(measured(_plink2(prefix)))
        rows = [(f"components of {size}, ours", "", _worded(ours))]
        if not theirs:
            return [
                *rows,
                (f"components of {size}, plink2", "not slower", "not run: plink2 is not installed"),
            ]
        rows.append((f"components of {size}, plink2", "", _worded(theirs)))
        for name in ("wall", "user"):
            ratios = [getattr(b, name) / getattr(a, name) for a, b in zip(ours, theirs, strict=True)]
            rows.append(
                (f"plink2 / ours, {name}", "at least 1", ", ".join(f"{ratio:.1f}" for ratio in ratios))
            )
        rows.append((f"share of plink2's first {SEPARATED} in ours", "1", f"{overlap(prefix):.6f}"))
    return rows


def grown(samples: int, variants: int) -> Row:
    """Return what ours costs at one size."""
    with tempfile.TemporaryDirectory(prefix="bench_e_") as place:
        prefix = Path(place) / "genotypes"
        simulate(prefix, samples, variants)
        cost = measured(_worker(prefix, samples, variants))
    per = cost.user / (samples * variants) * 1e9
    return (
        f"components of {samples:,} x {variants:,}, ours",
        "linear",
        f"{_worded([cost])}, {per:.0f} ns/genotype",
    )


def simulate(prefix: Path, samples: int, variants: int) -> None:
    """Write .bed, .bim and .fam of five populations, a block of variants at a time."""
    draws = np.random.default_rng(SEED)
    population = draws.integers(0, POPULATIONS, samples)
    with prefix.with_suffix(".bed").open("wb") as bed:
        bed.write(bytes([0x6C, 0x1B, 0x01]))
        for start in range(0, variants, BLOCK):
            bed.write(_block(draws, population, min(BLOCK, variants - start)).tobytes())
    with prefix.with_suffix(".bim").open("w", encoding="utf-8") as bim:
        bim.writelines(f"1\trs{place}\t0\t{place + 1}\tA\tG\n" for place in range(variants))
    with prefix.with_suffix(".fam").open("w", encoding="utf-8") as fam:
        fam.writelines(f"0 s{place} 0 0 1 -9\n" for place in range(samples))


def _block(draws: np.random.Generator, population: NDArray[np.int64], variants: int) -> Bytes:
    """Draw packed genotypes of some variants; allele frequencies are rounded to 256ths."""
    ancestral = draws.uniform(0.05, 0.95, (variants, 1))
    spread = (1 - FST) / FST
    frequency = draws.beta(ancestral * spread, (1 - ancestral) * spread, (variants, POPULATIONS))
    threshold = np.clip(np.rint(frequency * 256), 2, 254).astype(np.uint8)[:, population]
    first, second = np.frombuffer(draws.bytes(2 * threshold.size), dtype=np.uint8).reshape(
        2, *threshold.shape
    )
    codes = np.array([3, 2, 0], dtype=np.uint8)[
        (first < threshold).astype(np.uint8) + (second < threshold).astype(np.uint8)
    ]
    missing = draws.integers(0, codes.size, round(NOT_CALLED * codes.size))
    codes.ravel()[missing] = 1
    padded = np.zeros((variants, (len(population) + 3) // 4, 4), dtype=np.uint8)
    padded.reshape(variants, -1)[:, : len(population)] = codes
    return np.asarray(
        padded[..., 0] | padded[..., 1] << 2 | padded[..., 2] << 4 | padded[..., 3] << 6, dtype=np.uint8
    )


def work(prefix: Path, samples: int, variants: int) -> None:
    """Fit components of a .bed file and write the scores beside it."""
    from models.ancestry.components import principal_components

    length = (samples + 3) // 4

    def blocks() -> Iterator[tuple[slice, Bytes]]:
        with prefix.with_suffix(".bed").open("rb") as bed:
            bed.seek(3)
            for start in range(0, variants, BLOCK):
                rows = min(BLOCK, variants - start)
                read = np.frombuffer(bed.read(rows * length), dtype=np.uint8)
                yield slice(start, start + rows), read.reshape(rows, length)

    fitted = principal_components(
        blocks, samples=samples, variants=variants, components=COMPONENTS, seed=SEED, threads=THREADS
    )
    np.save(prefix.with_suffix(".npy"), fitted.scores)


def measured(command: Sequence[str]) -> Cost:
    """Run a command and return its cost; a failure shows what it printed."""
    with tempfile.TemporaryFile() as printed:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            printed.seek(0)
            raise RuntimeError(printed.read().decode(errors="replace")[-2000:])
    return Cost(wall, used.ru_utime, used.ru_maxrss / 1024)


def overlap(prefix: Path) -> float:
    """Return the smallest cosine between the span of plink2's separated components and ours."""
    theirs = np.loadtxt(prefix.with_suffix(".eigenvec"), usecols=range(2, 2 + SEPARATED))
    ours = np.load(prefix.with_suffix(".npy"))[:, :SEPARATED]
    return float(np.linalg.svd(np.linalg.qr(theirs)[0].T @ np.linalg.qr(ours)[0])[1].min())


def _worker(prefix: Path, samples: int, variants: int) -> list[str]:
    here = [sys.executable, "-m", "tests.benchmarks.ancestry_components"]
    return [*here, "--work", str(prefix), "--samples", str(samples), "--variants", str(variants)]


def _plink2(prefix: Path) -> list[str]:
    asked = ["--pca", "approx", str(COMPONENTS), "--threads", str(THREADS), "--out", str(prefix)]
    return ["plink2", "--bfile", str(prefix), *asked]


def _worded(costs: Sequence[Cost]) -> str:
    wall, user = (" / ".join(f"{getattr(cost, name):.1f}" for cost in costs) for name in ("wall", "user"))
    return f"{wall} s, processor {user} s, {max(cost.memory for cost in costs):.0f} MB"


def main(arguments: Sequence[str]) -> None:
    """Compare at one size, or be the process that is measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=LARGE[0])
    parser.add_argument("--variants", type=int, default=LARGE[1])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args(arguments)
    if asked.work:
        work(asked.work, asked.samples, asked.variants)
        return
    for row in compared(asked.samples, asked.variants, rounds=asked.rounds):
        print("  ".join(row))


if __name__ == "__main__":
    main(sys.argv[1:])
