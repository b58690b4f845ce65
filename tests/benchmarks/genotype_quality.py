"""Quality control of genotypes beside plink2: whole processes, 2 threads, in turns on one simulated file.

    python -m tests.benchmarks genotype_quality
    python -m tests.benchmarks.genotype_quality --samples 2000 --variants 50000 --rounds 3

plink2 runs three times, as it must: counts and tests of all variants; pruning; heterozygosity and kinship of all pairs on 20,000
of the pruned variants. Ours is one process that does the same and judges as well. Expected before it was measured: kinship,
which is nearly all of the cost of many people, at the speed of plink2, as both count bits of the same words; twice that or more
where the processor counts the bits of eight words at once, which compiled loops use and a plink2 built for AVX2 does not.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.ancestry_components import Cost, Row, measured, simulate

THREADS, KINSHIP = 2, 20_000
LARGE = (21_000, 100_000)
WIDE = (5_000, 200_000)
SAMPLES, VARIANTS = (2_500, 5_000, 10_000), (25_000, 50_000, 100_000)


def genotype_quality(_: Path) -> list[Row]:
    """Compare at the sizes of a large cohort and of a large array, and show how the cost grows."""
    rows = [*compared(*WIDE, rounds=1), *compared(*LARGE, rounds=1)]
    for samples in SAMPLES:
        rows.append(grown(samples, VARIANTS[0]))
    for variants in VARIANTS:
        rows.append(grown(SAMPLES[0], variants))
    return rows


def compared(samples: int, variants: int, *, rounds: int) -> list[Row]:
    """Run both sides in turns; ratios are plink2's cost over ours, paired."""
    title = f"quality control of {samples:,} x {variants:,}"
    with tempfile.TemporaryDirectory(prefix="bench_d_") as place:
        prefix = Path(place) / "genotypes"
        write(prefix, samples, variants)
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(measured(_worker(prefix)))
            if shutil.which("plink2"):
                theirs.append(_added([measured(command) for command in _plink2(prefix)]))
    rows = [(f"{title}, ours", "under 1 GB", worded(ours))]
    if not theirs:
        return [*rows, (f"{title}, plink2", "not slower", "not run: plink2 is not installed")]
    rows.append((f"{title}, plink2", "", worded(theirs)))
    for name in ("wall", "user"):
        ratios = [getattr(b, name) / getattr(a, name) for a, b in zip(ours, theirs, strict=True)]
        rows.append((f"plink2 / ours, {name}", "at least 1", ", ".join(f"{ratio:.1f}" for ratio in ratios)))
    return rows


def grown(samples: int, variants: int) -> Row:
    """Return what ours costs at one size."""
    with tempfile.TemporaryDirectory(prefix="bench_d_") as place:
        prefix = Path(place) / "genotypes"
        write(prefix, samples, variants)
        cost = measured(_worker(prefix))
    return (f"quality control of {samples:,} x {variants:,}, ours", "linear in variants", worded([cost]))


def write(prefix: Path, samples: int, variants: int) -> None:
    """Write .bed, .bim and .fam; variants lie evenly on the autosomes."""
    simulate(prefix, samples, variants)
    each = -(-variants // 22)
    with prefix.with_suffix(".bim").open("w", encoding="utf-8") as bim:
        bim.writelines(
            f"{place // each + 1}\trs{place}\t0\t{place % each * (200_000_000 // each) + 1}\tA\tG\n"
            for place in range(variants)
        )


def work(prefix: Path) -> None:
    """Check the genotypes of a file; every third person is a control."""
    import polars as pl

    from features.genetics.opening import open_genotypes
    from features.genetics.quality import check_genotypes

    file = open_genotypes(prefix.parent, prefix.name)
    people = pl.DataFrame({"sample_id": file.samples, "patient_id": file.samples}).with_columns(
        sex=pl.lit("female"), control=pl.int_range(pl.len()) % 3 == 0
    )
    found = check_genotypes([file], people, threads=THREADS)
    found.variants.write_parquet(prefix.with_suffix(".variants"))
    found.samples.write_parquet(prefix.with_suffix(".samples"))


def worded(costs: Sequence[Cost]) -> str:
    """Word the cost of each round, and the largest memory."""
    wall, user = (" / ".join(f"{getattr(cost, name):.1f}" for cost in costs) for name in ("wall", "user"))
    return f"{wall} s, processor {user} s, {max(cost.memory for cost in costs):.0f} MB"


def _added(costs: Sequence[Cost]) -> Cost:
    return Cost(
        sum(cost.wall for cost in costs),
        sum(cost.user for cost in costs),
        max(cost.memory for cost in costs),
    )


def _worker(prefix: Path) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.genotype_quality", "--work", str(prefix)]


def _plink2(prefix: Path) -> list[list[str]]:
    common = ["plink2", "--bfile", str(prefix), "--threads", str(THREADS), "--out", str(prefix)]
    pruned = ["--extract", f"{prefix}.prune.in", "--thin-count", str(KINSHIP), "--seed", "1"]
    return [
        [*common, "--freq", "--missing", "--hardy"],
        [*common, "--maf", "0.05", "--geno", "0.02", "--indep-pairwise", "50", "5", "0.2"],
        [*common, *pruned, "--het", "--make-king-table", "--king-table-filter", "0.0884"],
    ]


def main(arguments: Sequence[str]) -> None:
    """Compare at one size, or be the process that is measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=WIDE[0])
    parser.add_argument("--variants", type=int, default=WIDE[1])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args(arguments)
    if asked.work:
        work(asked.work)
        return
    for row in compared(asked.samples, asked.variants, rounds=asked.rounds):
        print("  ".join(row))


if __name__ == "__main__":
    main(sys.argv[1:])
