"""Prints what the pipeline costs on this machine: `make benchmark`, or `python -m tests.benchmarks NAME ...`.

Each figure is a whole-process figure in a scratch copy of the project. The largest process is the peak resident memory of
any one process; the workers of one stage run side by side, so a stage may hold that much once per worker.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.benchmarks.actigraphy import digital
from tests.benchmarks.ancestry_components import ancestry_components
from tests.benchmarks.combat import combat
from tests.benchmarks.consensus import consensus
from tests.benchmarks.genotype_quality import genotype_quality
from tests.benchmarks.genotype_readers import genotype_readers
from tests.benchmarks.long_table import long_table
from tests.benchmarks.nested import nested
from tests.benchmarks.network import network
from tests.benchmarks.peers import peers
from tests.benchmarks.polygenic_scores import polygenic_scores
from tests.benchmarks.strata_chain import strata_chain
from tests.benchmarks.survival import survival
from tests.workplace import ROOT, demo_study, make_workplace, run, stages_run

Row = tuple[str, str, str]
REPEATS = 5


def demo(folder: Path) -> list[Row]:
    """The demo from nothing, again, and after one learner's setting changed."""
    make_workplace(folder, {"demo": demo_study("demo")})
    run(folder, "psystrata", "use", "demo")
    seconds, ran = timed_repro(folder)
    rows = [
        ("demo, 2,400 patients, dvc repro", "within 360 s", f"{seconds:.0f} s, {len(ran)} stages"),
        ("largest process of it", "within 4 GB", f"{largest_process():.2f} GB"),
    ]
    again = [timed_repro(folder)[0] for _ in range(REPEATS)]
    rows.append(("dvc repro again, median of 5", "within 2.5 s", f"{statistics.median(again):.2f} s"))
    run(folder, "psystrata", "use", "demo", "--set", "learners.elastic_net.trials=3")
    seconds, ran = timed_repro(folder)
    trained = [stage for stage in ran if stage.startswith("train@")]
    expected = all(stage.endswith("_elastic_net") for stage in trained) and trained
    rows.append(
        (
            "one learner's setting edited",
            "only its cells train",
            f"{'only its cells' if expected else 'OTHERS TOO'}: {len(trained)} cells, {seconds:.0f} s",
        )
    )
    return rows


def diabetes(folder: Path) -> list[Row]:
    """Thirty-day readmission over 101,766 real stays, every learner tuned."""
    if "PSYSTRATA_DATA" not in os.environ:
        return [("diabetes130", "within 900 s", "not run: PSYSTRATA_DATA is not set")]
    study = ROOT / "experiments" / "studies" / "diabetes130" / "study.yaml"
    make_workplace(folder, {"diabetes130": yaml.safe_load(study.read_text(encoding="utf-8"))})
    run(folder, "psystrata", "use", "diabetes130")
    seconds, ran = timed_repro(folder)
    return [
        ("diabetes130, all learners tuned, dvc repro", "within 900 s", f"{seconds:.0f} s, {len(ran)} stages"),
        ("largest process so far", "", f"{largest_process():.2f} GB"),
    ]


BENCHMARKS: dict[str, Callable[[Path], list[Row]]] = {
    "ancestry_components": ancestry_components,
    "combat": combat,
    "consensus": consensus,
    "demo": demo,
    "diabetes130": diabetes,
    "digital": digital,
    "genotype_quality": genotype_quality,
    "genotype_readers": genotype_readers,
    "long_table": long_table,
    "nested": nested,
    "network": network,
    "peers": peers,
    "polygenic_scores": polygenic_scores,
    "strata_chain": strata_chain,
    "survival": survival,
}


def timed_repro(folder: Path) -> tuple[float, list[str]]:
    """Return the seconds that `dvc repro` took and the stages that it ran."""
    start = time.perf_counter()
    printed = run(folder, "dvc", "repro")
    return time.perf_counter() - start, stages_run(printed)


def largest_process() -> float:
    """Return the peak resident memory of the largest child process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all, and print their table."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"{', '.join(unknown)} is not a benchmark; known: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    rows: list[Row] = [("figure", "asked", "measured")]
    for name in names or BENCHMARKS:
        with tempfile.TemporaryDirectory() as folder:
            rows += BENCHMARKS[name](Path(folder) / "project")
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
