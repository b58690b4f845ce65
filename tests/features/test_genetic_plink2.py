"""The scores of plink2: stored ones on the CINECA synthetic cohort, and fresh ones where plink2 is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from features.genetic import build
from tests.features.genetic_files import Variant, mapping, score_row, times, write_genotypes, write_score

GOLDEN = Path(__file__).parent / "golden" / "genetic_cineca_plink2.tsv"
SIX_DIGITS = 1e-5  # plink2 writes six digits


@pytest.fixture
def cineca() -> Path:
    folder = Path(os.environ.get("PSYSTRATA_DATA", "")) / "genotypes" / "cineca"
    if "PSYSTRATA_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("PSYSTRATA_DATA names no folder with genotypes/cineca")
    return folder


@pytest.mark.real_data
@pytest.mark.parametrize("mode", ["additive", "dominant", "recessive"])
@pytest.mark.parametrize("palindromic", ["drop", "keep"])
def test_stored_scores_of_plink2(cineca: Path, tmp_path: Path, mode: str, palindromic: str) -> None:
    expected = pl.read_csv(GOLDEN, separator="\t", comment_prefix="#").filter(
        (pl.col("mode") == mode) & (pl.col("palindromic") == palindromic)
    )
    for ending in ("bed", "bim", "fam"):
        (tmp_path / f"chip.{ending}").symlink_to(cineca / f"cineca_synthetic_subset.{ending}")
    lines = [line for line in (cineca / "scorefile.txt").read_text().splitlines() if not line.startswith("#")]
    flagged = [f"{lines[0]}\tis_{mode}", *(f"{line}\tTRUE" for line in lines[1:])]
    (tmp_path / "score.txt").write_text("\n".join(flagged))
    samples = expected["sample"].to_list()
    built = build(
        times(samples),
        mapping(samples),
        source=tmp_path,
        files=["chip"],
        scores={"height": "score.txt"},
        palindromic=palindromic,
    )
    reference = expected["sum"] / expected["alleles_called"] * expected["alleles"]
    assert (expected["alleles_called"] < expected["alleles"]).any()
    np.testing.assert_allclose(built.frame["genetic_height"], reference, rtol=SIX_DIGITS)


@pytest.mark.real_data
def test_a_published_score_on_the_cineca_cohort(cineca: Path) -> None:
    samples = [line.split()[1] for line in (cineca / "cineca_synthetic_subset.fam").read_text().splitlines()]
    scores = {"height": "PGS001229_22.txt"}
    built = build(
        times(samples), mapping(samples), source=cineca, files=["cineca_synthetic_subset"], scores=scores
    )
    report = built.report["scores"]
    assert isinstance(report, dict)
    counts = report["height"]["matches"]["cineca_synthetic_subset"]
    assert (counts["rows"], counts["matched"], counts["absent"], counts["palindromic_dropped"]) == (
        835,
        782,
        6,
        47,
    )
    assert built.columns["source"].item().startswith("PGS001229: Tanigawa Y et al. medRxiv (2021)")
    assert built.frame["genetic_height"].null_count() == 0


@pytest.mark.parametrize(
    ("mode", "frequencies"),
    [("additive", False), ("dominant", False), ("recessive", False), ("additive", True)],
)
def test_fresh_scores_of_plink2(tmp_path: Path, mode: str, frequencies: bool) -> None:
    """Without frequencies plink2's no-mean-imputation; with them its --read-freq.

    Dominant and recessive weights with frequencies are left out: plink2 then cuts the expected dosage to a state
    (min(1, 2f)), where this set takes the state's expectation.
    """
    plink2 = shutil.which("plink2")
    if plink2 is None:
        pytest.skip("plink2 is not installed")
    random = np.random.default_rng(11)
    copies = random.binomial(2, 0.4, (60, 25)).astype(float)
    copies[random.random(copies.shape) < 0.05] = np.nan
    pairs = [("A", "G"), ("C", "A"), ("T", "C"), ("G", "T")]
    variants: list[Variant] = [("1", 100 + n, *pairs[n % 4]) for n in range(25)]
    rows = []
    for n, (_, place, a1, a2) in enumerate(variants):
        effect, other = (a1, a2) if n % 3 else (a2, a1)
        row = score_row(place, effect, other, round(float(random.normal()), 6), **{f"is_{mode}": "TRUE"})
        rows.append({**row, "allelefrequency_effect": 0.35 if frequencies else None})
    samples = [f"s{number}" for number in range(60)]
    write_genotypes(tmp_path / "chip", copies, variants, samples)
    write_score(tmp_path / "score.txt", rows)
    built = build(
        times(samples), mapping(samples), source=tmp_path, files=["chip"], scores={"x": "score.txt"}
    )
    reference = run_plink2(plink2, tmp_path, variants, rows, mode=mode, frequencies=frequencies)
    np.testing.assert_allclose(built.frame["genetic_x"], reference, rtol=SIX_DIGITS, atol=SIX_DIGITS)


def run_plink2(
    plink2: str,
    folder: Path,
    variants: list[Variant],
    rows: list[dict[str, object]],
    *,
    mode: str,
    frequencies: bool,
) -> NDArray[np.float64]:
    """plink2's sum; without frequencies its average over called alleles times the number of alleles."""
    lines = [f"v{n}\t{row['effect_allele']}\t{row['effect_weight']}" for n, row in enumerate(rows)]
    (folder / "weights.txt").write_text("\n".join(lines) + "\n")
    score = ["--score", "weights.txt", "cols=+scoresums", *([mode] if mode != "additive" else [])]
    command = [plink2, "--bfile", "chip", "--threads", "1", "--out", "out", *score]
    if frequencies:
        known = ["#CHROM\tID\tREF\tALT\tALT_FREQS\tOBS_CT"]
        for n, ((_, _, a1, a2), row) in enumerate(zip(variants, rows, strict=True)):
            known.append(f"1\tv{n}\t{a2}\t{a1}\t{0.35 if row['effect_allele'] == a1 else 0.65}\t1000")
        (folder / "known.afreq").write_text("\n".join(known) + "\n")
        command += ["--read-freq", "known.afreq"]
    else:
        command += ["no-mean-imputation"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    found = pl.read_csv(folder / "out.sscore", separator="\t")
    if frequencies:
        return found["SCORE1_SUM"].to_numpy()
    return (found["SCORE1_SUM"] / found["ALLELE_CT"] * 2 * len(variants)).to_numpy()
