"""Reading genotypes of every format: BED beside the bytes of the file, PGEN and VCF beside plink2.

BED against a loop that reads the file into one buffer and does nothing with it. PGEN and VCF: opening and reading every block,
hard calls, against a whole run of plink2 --freq on one thread, which opens and reads the same. All in seconds of the processor,
because other work on the machine moves the clock. Formats take turns; figures are the least of the rounds.

    python -m tests.benchmarks.genotype_readers --samples 5000 --variants 100000
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from features.genetics.opening import open_genotypes

Row = tuple[str, str, str]
SAMPLES, VARIANTS, VCF_SHARE = 5_000, 100_000, 10
BUFFER_BYTES = 8_000_000
ROUNDS = 7


def genotype_readers(folder: Path) -> list[Row]:
    """Return the benchmark's rows at its usual size."""
    return compare(folder, samples=SAMPLES, variants=VARIANTS, rounds=ROUNDS)


def compare(folder: Path, *, samples: int, variants: int, rounds: int) -> list[Row]:
    """Write a cohort in every format (the VCF a tenth of its variants), read each in turns, and return what it cost."""
    if shutil.which("plink2") is None:
        return [("reading genotypes", "beside plink2", "not measured: plink2 is not installed")]
    folder.mkdir(parents=True, exist_ok=True)
    _plink2(folder, "--dummy", str(samples), str(variants), "0.01", "acgt", "--make-bed", "--out", "g")
    _plink2(folder, "--bfile", "g", "--make-pgen", "--out", "p")
    few = ("--thin-count", str(max(1, variants // VCF_SHARE)), "--seed", "1")
    _plink2(folder, "--bfile", "g", *few, "--export", "vcf", "bgz", "--out", "v")
    routes: dict[str, Callable[[], float]] = {
        "bytes": lambda: _processor(lambda: _read_bytes(folder / "g.bed"), resource.RUSAGE_SELF),
        "bed": _bed_blocks(folder),
        "pgen": lambda: _processor(lambda: _read(folder, "p"), resource.RUSAGE_SELF),
        "plink2 pgen": lambda: _frequencies(folder, "--pfile", "p"),
        "vcf": lambda: _processor(lambda: _read(folder, "v.vcf.gz"), resource.RUSAGE_SELF),
        "plink2 vcf": lambda: _frequencies(folder, "--vcf", "v.vcf.gz"),
    }
    for route in ("bed", "pgen", "vcf"):
        routes[route]()  # compiles what is not compiled yet
    least = {name: min(taken) for name, taken in _in_turns(routes, rounds).items()}
    megabytes = (folder / "g.bed").stat().st_size / 1e6
    size = f"{samples:,} x {variants:,}"
    return [
        (
            f"blocks of BED over the file's bytes, {megabytes:.0f} MB",
            "at most 1.3",
            f"{least['bed'] / least['bytes']:.2f} ({1000 * least['bed']:.0f} ms over {1000 * least['bytes']:.0f} ms)",
        ),
        (f"PGEN, {size}, over plink2 --freq", "told", _ratio(least["pgen"], least["plink2 pgen"])),
        (f"VCF, a tenth of {size}, over plink2 --freq", "told", _ratio(least["vcf"], least["plink2 vcf"])),
    ]


def _in_turns(routes: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in routes}
    for _ in range(rounds):
        for name, route in routes.items():
            taken[name].append(route())
    return taken


def _bed_blocks(folder: Path) -> Callable[[], float]:
    file = open_genotypes(folder, "g")
    samples, variants = np.arange(len(file.samples)), np.arange(file.variants.height)

    def read() -> None:
        for _ in file.blocks(samples=samples, variants=variants):
            pass

    return lambda: _processor(read, resource.RUSAGE_SELF)


def _read(folder: Path, entry: str) -> None:
    file = open_genotypes(folder, entry)
    for _ in file.blocks(samples=np.arange(len(file.samples)), variants=np.arange(file.variants.height)):
        pass


def _read_bytes(path: Path) -> None:
    buffer = bytearray(BUFFER_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _frequencies(folder: Path, *source: str) -> float:
    return _processor(lambda: _plink2(folder, *source, "--freq", "--out", "f"), resource.RUSAGE_CHILDREN)


def _plink2(folder: Path, *arguments: str) -> None:
    command = ["plink2", "--silent", "--threads", "1", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _processor(work: Callable[[], None], whose: int) -> float:
    """Seconds of the processor, in user and system mode."""
    before = resource.getrusage(whose)
    work()
    after = resource.getrusage(whose)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ratio(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.1f} ({ours:.2f} s over {theirs:.2f} s of the processor)"


def main(arguments: Sequence[str]) -> None:
    """Compare at one size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--variants", type=int, default=VARIANTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for row in compare(Path(folder), samples=asked.samples, variants=asked.variants, rounds=asked.rounds):
            sys.stdout.write(" | ".join(row) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
