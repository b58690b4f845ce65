"""Makes genetic_quality_plink.json: what plink2 and PLINK 1.9 say of the cohort of tests/features/genetic_cohort.py.

Run from the project's folder, where both programs are installed: python -m tests.features.golden.genetic_quality_reference
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.features.genetic_cohort import CONTAMINATED, Cohort, make_cohort, write_cohort

GOLDEN = Path(__file__).with_name("genetic_quality_plink.json")
EACH = 8  # every eighth variant is kept
QUALITY = ("--mind", "0.05")
PRUNING = (
    "--autosome",
    "--geno",
    "0.02",
    "--maf",
    "0.05",
    "--hwe",
    "1e-10",
    "--indep-pairwise",
    "50",
    "5",
    "0.2",
)


def plink2_says(cohort: Cohort, folder: Path) -> dict[str, object]:
    """Counts, tests, the pruned list, heterozygosity and kinship, as plink2 writes them."""
    write_cohort(folder / "c", cohort)
    run(folder, "plink2", "--missing", "sample-only")
    missing = {row["IID"]: row["F_MISS"] for row in table(folder / "o.smiss")}
    run(folder, "plink2", *QUALITY, "--freq", "--hardy", "--missing", "variant-only")
    frequencies = {row["ID"]: [row["ALT"], row["ALT_FREQS"]] for row in table(folder / "o.afreq")[::EACH]}
    absent = {row["ID"]: row["F_MISS"] for row in table(folder / "o.vmiss")[::EACH]}
    tests = {row["ID"]: row["P"] for row in table(folder / "o.hardy")}
    run(folder, "plink2", *QUALITY, *PRUNING)
    pruned = (folder / "o.prune.in").read_text().split()
    run(folder, "plink2", *QUALITY, "--extract", "o.prune.in", "--het")
    heterozygosity = {row["IID"]: row["F"] for row in table(folder / "o.het")}
    (folder / "gone").write_text(f"{cohort.names[CONTAMINATED]} {cohort.names[CONTAMINATED]}\n")
    run(
        folder, "plink2", *QUALITY, "--remove", "gone", "--extract", "o.prune.in",
        "--make-king-table", "--king-table-filter", "0.0884",
    )  # fmt: skip
    pairs = sorted(
        [*sorted([row["IID1"], row["IID2"]], key=cohort.names.index), row["NSNP"], row["KINSHIP"]]
        for row in table(folder / "o.kin0")
    )
    return {
        "sample_missing": missing,
        "frequency": frequencies,
        "variant_missing": absent,
        "hardy_weinberg_p": {
            name: p for place, (name, p) in enumerate(tests.items()) if place % EACH in (0, 1, 5)
        },
        "pruned": " ".join(name.removeprefix("v") for name in pruned),
        "heterozygosity": heterozygosity,
        "kinship": pairs,
    }


def plink19_says(cohort: Cohort, folder: Path, variants: list[str]) -> dict[str, str]:
    """F on chromosome X, from given variants."""
    write_cohort(folder / "c", cohort)
    (folder / "x").write_text("\n".join(variants))
    run(folder, "plink1.9", *QUALITY, "--extract", "x", "--check-sex")
    return {row["IID"]: row["F"] for row in table(folder / "o.sexcheck")}


def run(folder: Path, program: str, *options: str) -> None:
    """Run one of the programs on the cohort's files; results are called o."""
    done = subprocess.run(
        [program, "--bfile", "c", *options, "--out", "o"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a table whose columns are split by white space."""
    header, *rows = [line.split() for line in path.read_text().splitlines()]
    return [dict(zip([name.removeprefix("#") for name in header], row, strict=True)) for row in rows]


def versions() -> list[str]:
    """What the programs call themselves."""
    return [
        subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        for program in ("plink2", "plink1.9")
        if shutil.which(program)
    ]


if __name__ == "__main__":
    from features.genetics.opening import open_genotypes
    from features.genetics.quality import check_genotypes
    from features.genetics.sex_check import x_variants
    from features.genetics.thresholds import QualityThresholds

    cohort = make_cohort()
    with tempfile.TemporaryDirectory() as name:
        said = plink2_says(cohort, Path(name))
        file = open_genotypes(Path(name), "c", field=None)
        chosen = x_variants(check_genotypes([file], cohort.people()).variants, QualityThresholds(), None)
        on_x = [f"v{place}" for place in chosen]
        said["x_variants"], said["x_f"] = " ".join(on_x), plink19_says(cohort, Path(name), on_x)
    GOLDEN.write_text(json.dumps({"programs": versions(), **said}, indent=1) + "\n")
