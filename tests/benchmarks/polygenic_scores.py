"""Polygenic scores from a PLINK 1 file: our whole process beside plink2, and beside readers with a product of matrices.

A process opens the genotypes, reads the scoring files, matches them, scores everybody and writes the table. plink2 runs with
two threads and weights in one table, by id; bed-reader and pgenlib read blocks, fill in means and multiply. Routes take
turns, every run is a process of its own, and figures are medians of ratios within a round. All routes must give the same
scores to six digits.

    python -m tests.benchmarks.polygenic_scores --rounds 5
    python -m tests.benchmarks.polygenic_scores --large
    python -m tests.benchmarks.polygenic_scores --linear

What was expected of it and what came stands in docs/benchmarks.md.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

Row = tuple[str, str, str]
WORKER = Path(__file__).with_name("polygenic_scores_worker.py")
SEED, MISSING, THREADS = 7, 0.01, 2
ROUTES = ("psystrata", "plink2", "bed_reader", "pgenlib")
POOL = 8192
CLOSE = 1e-5  # plink2 writes six digits
_COPIES = np.array([2, 0, 1, 0])


@dataclass(frozen=True)
class Size:
    """How large a benchmark is; samples are a multiple of four."""

    samples: int
    variants: int
    scores: int

    def __str__(self) -> str:
        return f"{self.samples:,} x {self.variants:,} x {self.scores}"


@dataclass(frozen=True)
class Cost:
    """What a process cost: seconds on the wall and of the processor, and peak memory in GB."""

    wall: float
    processor: float
    gigabytes: float


def write_inputs(folder: Path, size: Size) -> None:
    """Write g.bed, g.bim and g.fam block by block, score_<k>.txt, and weights.txt for plink2."""
    frequencies = _write_genotypes(folder, size)
    random = np.random.default_rng(SEED + 1)
    weights = random.normal(0, 0.01, (size.variants, size.scores)).round(6)
    places = np.arange(size.variants)
    variants = pl.DataFrame(
        {
            "chr_name": _chromosomes(size.variants),
            "chr_position": 1000 + 10 * places,
            "effect_allele": ["A"] * size.variants,
            "other_allele": ["G"] * size.variants,
        }
    )
    for score in range(size.scores):
        table = variants.with_columns(
            effect_weight=pl.Series(weights[:, score]), allelefrequency_effect=pl.Series(frequencies)
        )
        with (folder / f"score_{score}.txt").open("wb") as file:
            file.write(f"#pgs_id=PGS99999{score}\n#genome_build=GRCh37\n".encode())
            table.write_csv(file, separator="\t")
    named = pl.DataFrame({"ID": _ids(size.variants), "A1": ["A"] * size.variants}).with_columns(
        pl.Series(f"S{score}", weights[:, score]) for score in range(size.scores)
    )
    named.write_csv(folder / "weights.txt", separator="\t")


def _write_genotypes(folder: Path, size: Size) -> NDArray[np.float64]:
    """Write the PLINK 1 files; returns the frequency of A among called alleles.

    Variants after the first POOL are earlier ones with the samples moved round: drawing all would take longer than scoring.
    """
    pool = _codes(np.random.default_rng(SEED), min(POOL, size.variants), size.samples)
    called = (pool != 1).sum(axis=1)
    shared = _COPIES[pool].sum(axis=1) / (2 * called)
    packed = pool[:, 0::4] | pool[:, 1::4] << 2 | pool[:, 2::4] << 4 | pool[:, 3::4] << 6
    frequencies = np.resize(shared, size.variants)
    with (folder / "g.bed").open("wb") as bed:
        bed.write(b"\x6c\x1b\x01")
        for turn, start in enumerate(range(0, size.variants, POOL)):
            rows = packed[: size.variants - start]
            bed.write(np.roll(rows, 37 * turn, axis=1).tobytes())
    bim = pl.DataFrame({"chromosome": _chromosomes(size.variants), "id": _ids(size.variants)}).with_columns(
        cm=pl.lit(0), position=pl.Series(1000 + 10 * np.arange(size.variants)), a1=pl.lit("A"), a2=pl.lit("G")
    )
    bim.write_csv(folder / "g.bim", separator="\t", include_header=False)
    people = pl.DataFrame({"family": [f"s{place}" for place in range(size.samples)]}).with_columns(
        person="family", father=pl.lit(0), mother=pl.lit(0), sex=pl.lit(2), phenotype=pl.lit(-9)
    )
    people.write_csv(folder / "g.fam", separator="\t", include_header=False)
    return frequencies


def _codes(random: np.random.Generator, rows: int, samples: int) -> NDArray[np.uint8]:
    """Draw two-bit codes: a few patterns of frequencies, a hundredth missing. Bytes of chance, looked up, are quick to draw."""
    drawn = random.integers(0, 256, (rows, samples), dtype=np.uint8)
    share = random.uniform(0.05, 0.95, rows)
    known = np.arange(256) / 256
    tables = np.empty((rows, 256), dtype=np.uint8)
    for row, f in enumerate(share):
        edges = (1 - MISSING) * np.cumsum([(1 - f) ** 2, 2 * f * (1 - f)])
        tables[row] = np.select([known < edges[0], known < edges[1], known < 1 - MISSING], [3, 2, 0], 1)
    return np.take_along_axis(tables, drawn.astype(np.int64), axis=1)


def _chromosomes(variants: int) -> list[str]:
    return [str(1 + place * 22 // variants) for place in range(variants)]


def _ids(variants: int) -> list[str]:
    return [f"v{place}" for place in range(variants)]


def run(route: str, folder: Path, size: Size) -> Cost:
    """Run one route as a process of its own."""
    if route == "plink2":
        columns = f"3-{2 + size.scores}"
        asked = [
            "plink2",
            "--bfile",
            "g",
            "--threads",
            str(THREADS),
            "--out",
            "plink2",
            "--score",
            "weights.txt",
        ]
        asked += ["1", "2", "header-read", "cols=+scoresums", "--score-col-nums", columns]
    else:
        asked = [sys.executable, str(WORKER), route, str(size.scores), str(THREADS)]
    start = time.perf_counter()
    with (folder / f"{route}.log").open("wb") as log:
        process = subprocess.Popen(asked, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{route}: {(folder / f'{route}.log').read_text()[-2000:]}")
    # What a process inherits from this one counts in ru_maxrss: only our routes' own figure is told.
    gigabytes = float("nan") if route == "plink2" else told(route, folder)["gigabytes"]
    return Cost(wall, usage.ru_utime + usage.ru_stime, gigabytes)


def told(route: str, folder: Path) -> dict[str, float]:
    """Return what the last run of a route told of itself."""
    return dict(json.loads((folder / f"{route}.log").read_text().splitlines()[-1]))


def found(route: str, folder: Path, size: Size) -> NDArray[np.float64]:
    """Return the scores that a route wrote, samples x scores."""
    if route != "plink2":
        return np.asarray(np.load(folder / f"{route}.npy"), dtype=np.float64)
    table = pl.read_csv(folder / "plink2.sscore", separator="\t")
    return table.select(f"S{score}_SUM" for score in range(size.scores)).to_numpy()


def beside(folder: Path, size: Size, routes: Sequence[str], rounds: int) -> list[Row]:
    """Run the routes in turn and compare within rounds."""
    folder.mkdir(parents=True, exist_ok=True)
    write_inputs(folder, size)
    known = [route for route in routes if route != "plink2" or shutil.which("plink2")]
    if "pgenlib" in known and shutil.which("plink2"):
        subprocess.run(
            ["plink2", "--bfile", "g", "--make-pgen", "--out", "g"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    known = [route for route in known if route != "pgenlib" or (folder / "g.pgen").is_file()]
    costs: dict[str, list[Cost]] = {route: [] for route in known}
    run("psystrata", folder, size)  # compiled code is kept between processes
    for turn in range(rounds):
        for route in known[turn % len(known) :] + known[: turn % len(known)]:
            costs[route].append(run(route, folder, size))
    rows = []
    ours = costs["psystrata"]
    for route in known:
        measured = _measured(costs[route])
        if route != "psystrata":
            wall = statistics.median(a.wall / b.wall for a, b in zip(costs[route], ours, strict=True))
            processor = statistics.median(
                a.processor / b.processor for a, b in zip(costs[route], ours, strict=True)
            )
            apart = found(route, folder, size) / found("psystrata", folder, size) - 1
            close = "same scores" if np.median(np.abs(apart)) < CLOSE else "OTHER SCORES"
            measured += f"; psystrata {wall:.2f} times faster (processor {processor:.2f}); {close}"
        rows.append((f"{size}: {route}", "at least 1.5 times" if route == "plink2" else "", measured))
    return [
        *rows,
        *(
            (f"{size}: {route}", "", "not run: plink2 is not installed")
            for route in routes
            if route not in known
        ),
    ]


def _measured(costs: Sequence[Cost]) -> str:
    wall, processor, memory = (
        statistics.median(getattr(cost, name) for cost in costs)
        for name in ("wall", "processor", "gigabytes")
    )
    shown = "" if np.isnan(memory) else f", {memory:.2f} GB"
    return f"{wall:.2f} s, processor {processor:.2f} s{shown}"


def linear(folder: Path, rounds: int) -> list[Row]:
    """Three sizes each of samples, variants and scores."""
    rows = []
    sizes = [Size(samples, 100_000, 4) for samples in (2_500, 5_000, 10_000)]
    sizes += [Size(5_000, variants, 4) for variants in (50_000, 200_000)]
    sizes += [Size(5_000, 100_000, scores) for scores in (1, 16, 64)]
    for place, size in enumerate(sizes):
        part = folder / str(place)
        rows += beside(part, size, ("psystrata",), rounds)
        rows.append(
            (f"{size}: of it the scoring, processor", "", f"{told('psystrata', part)['scoring']:.2f} s")
        )
        shutil.rmtree(part)
    return rows


def polygenic_scores(folder: Path) -> list[Row]:
    """The size asked for, beside all peers."""
    return beside(folder, Size(5_000, 200_000, 4), ROUTES, 3)


def main(arguments: Sequence[str]) -> int:
    """Run what is asked and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size", nargs=3, type=int, default=[5_000, 200_000, 4], metavar=("SAMPLES", "VARIANTS", "SCORES")
    )
    parser.add_argument("--routes", nargs="+", choices=ROUTES, default=list(ROUTES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--large", action="store_true", help="21,000 x 1,000,000 x 10, our route alone: 5.3 GB of disk"
    )
    parser.add_argument("--linear", action="store_true", help="three sizes each, our route alone")
    parser.add_argument(
        "--folder", type=Path, help="where the files go; a folder of its own is made and removed"
    )
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name) / "files"
        if asked.linear:
            rows = linear(folder, asked.rounds)
        elif asked.large:
            rows = beside(folder, Size(21_000, 1_000_000, 10), ("psystrata",), 1)
        else:
            rows = beside(folder, Size(*asked.size), asked.routes, asked.rounds)
        for row in rows:
            print("  ".join(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
