"""Scores beside plink2's: stored ones, and fresh ones where plink2 is installed, equal to the last digit that it prints."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.genetics.frequencies import count_frequencies, read_frequencies
from features.genetics.genotypes import GenotypeFile
from features.genetics.matching import match_variants
from features.genetics.opening import open_genotypes
from features.genetics.scoring import score_samples
from features.genetics.scoring_files import read_scoring_file
from features.genetics.weighted_sums import weighted_sums
from tests.features.genetic_files import write_genotypes
from tests.features.golden.genetic_scores_reference import GOLDEN, SETS, open_set
from tests.features.plink2_scores import by_plink2, columns_of, ours, random_weights, same_digits
from tests.features.score_genotypes import random_copies

SAMPLES, VARIANTS, SCORES = 150, 60, 3
MODES = ["additive", "dominant", "recessive"]


@pytest.fixture(scope="session")
def plink2() -> str:
    found = shutil.which("plink2")
    if found is None:
        pytest.skip("plink2 is not installed")
    return found


@pytest.fixture(scope="module")
def folder(plink2: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hard calls on a chromosome and on X, dosages as plink2 stores them; a twentieth missing; frequencies by plink2."""
    folder = tmp_path_factory.mktemp("plink2")
    alleles = [("A", "G"), ("C", "A"), ("T", "C"), ("G", "T")]
    samples = [f"s{place}" for place in range(SAMPLES)]
    for name, chromosome, missing in (("calls", "1", 0.05), ("on_x", "X", 0.05), ("complete", "1", 0)):
        copies = random_copies(11, SAMPLES, VARIANTS, missing=missing)
        variants = [(chromosome, 5_000_000 + n, *alleles[n % 4]) for n in range(VARIANTS)]
        write_genotypes(folder / name, copies, variants, samples)
        lines = (folder / f"{name}.fam").read_text().split("\n")[:-1]
        people = [line.split() for line in lines]
        sexed = [[*one[:4], str(1 + place % 2), "-9"] for place, one in enumerate(people)]
        (folder / f"{name}.fam").write_text("".join("\t".join(one) + "\n" for one in sexed))
    dosages = random_copies(12, SAMPLES, VARIANTS, dosages=True)
    rows = [
        "\t".join(
            ["1", str(1000 + n), f"d{n}", "G", "A", ".", ".", ".", "DS"]
            + [_field(one) for one in dosages[:, n]]
        )
        for n in range(VARIANTS)
    ]
    header = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples])
    described = (
        '##fileformat=VCFv4.2\n##FORMAT=<ID=DS,Number=A,Type=Float,Description="copies">\n##contig=<ID=1>\n'
    )
    (folder / "dosages.vcf").write_text(described + "\n".join([header, *rows]) + "\n")
    make = [plink2, "--vcf", "dosages.vcf", "dosage=DS", "--make-pgen", "--out", "dosages"]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    for name in ("calls", "on_x", "complete", "dosages"):
        asked = [plink2, *_genotypes(name), "--freq", "--out", name]
        subprocess.run(asked, cwd=folder, check=True, capture_output=True)
    return folder


def _field(dosage: float) -> str:
    return "." if np.isnan(dosage) else f"{dosage:.4f}"


def _genotypes(name: str) -> list[str]:
    return ["--pfile", name] if name == "dosages" else ["--bfile", name]


def _opened(folder: Path, name: str) -> GenotypeFile:
    return open_genotypes(folder, f"{name}.pgen" if name == "dosages" else f"{name}.bed")


@pytest.mark.parametrize(
    ("name", "mode"),
    [*(("calls", mode) for mode in MODES), *(("dosages", mode) for mode in MODES), ("on_x", "additive")],
)
@pytest.mark.parametrize("imputation", ["mean", "none"])
def test_fresh_scores(plink2: str, folder: Path, name: str, mode: str, imputation: str) -> None:
    file = _opened(folder, name)
    assert file.holds_dosages == (name == "dosages")
    weights = random_weights(file.variants, SCORES, mode=mode)
    modifiers = [] if mode == "additive" else [mode]
    if imputation == "none":
        found = ours(file, weights, "none", None)
        table = by_plink2(plink2, folder, _genotypes(name), weights, *modifiers, "no-mean-imputation")
    else:
        frequencies = read_frequencies(folder / f"{name}.afreq", shown=name).of_variants(file.variants)
        found = ours(file, weights, "mean", frequencies)
        more = ["--read-freq", f"{name}.afreq"]
        table = by_plink2(plink2, folder, _genotypes(name), weights, *modifiers, more=more)
    assert table["#IID" if "#IID" in table.columns else "IID"].to_list() == list(file.samples)
    assert same_digits(found, columns_of(table, SCORES, imputation))


@pytest.mark.parametrize("name", ["calls", "dosages", "on_x"])
def test_counted_frequencies_are_those_of_plink2(plink2: str, folder: Path, name: str) -> None:
    """With its own frequencies plink2 also gives the scores that ours are with counted ones."""
    file = _opened(folder, name)
    everybody, all_variants = np.arange(SAMPLES), np.arange(VARIANTS)
    counted = count_frequencies(file, samples=everybody, variants=all_variants)
    printed = read_frequencies(folder / f"{name}.afreq", shown=name).of_variants(file.variants)
    np.testing.assert_allclose(counted, printed, rtol=0, atol=1e-6)
    weights = random_weights(file.variants, SCORES, mode="additive")
    table = by_plink2(plink2, folder, _genotypes(name), weights)
    assert same_digits(ours(file, weights, "mean", counted), columns_of(table, SCORES, "mean"))


@pytest.mark.parametrize("modifier", ["center", "variance-standardize"])
def test_centred_weighted_sums(plink2: str, folder: Path, modifier: str) -> None:
    name = "complete"
    file = _opened(folder, name)
    frequencies = read_frequencies(folder / f"{name}.afreq", shown=name).of_variants(file.variants)
    weights = random_weights(file.variants, SCORES, mode="additive")
    signs = np.where(weights.matches[0].used["effect_is_a1"].to_numpy(), 1, -1)
    columns = np.column_stack([match.used["weight"].to_numpy() * signs for match in weights.matches])
    if modifier == "variance-standardize":
        columns /= np.sqrt(2 * frequencies * (1 - frequencies))[:, None]
    found = weighted_sums(
        file,
        columns,
        places=np.arange(VARIANTS),
        frequencies=frequencies,
        samples=np.arange(SAMPLES),
        centred=True,
    )
    more = ["--read-freq", f"{name}.afreq"]
    table = by_plink2(plink2, folder, _genotypes(name), weights, modifier, more=more)
    assert same_digits(found, columns_of(table, SCORES, "mean"))


@pytest.mark.real_data
@pytest.mark.parametrize("name", list(SETS))
@pytest.mark.parametrize("mode", MODES)
def test_stored_scores(name: str, mode: str) -> None:
    """Frequencies are counted over everybody, as plink2 counts its own; figures of eleven people are stored."""
    data = Path(os.environ.get("PSYSTRATA_DATA", "")) / "genotypes"
    if "PSYSTRATA_DATA" not in os.environ or not data.is_dir():
        pytest.skip("PSYSTRATA_DATA names no folder with genotypes")
    file = open_set(data, name)
    stored = pl.read_csv(GOLDEN, separator="\t", comment_prefix="#").filter(
        (pl.col("set") == name) & (pl.col("mode") == mode)
    )
    weights = random_weights(file.variants, 2, mode=mode)
    everybody, all_variants = np.arange(len(file.samples)), np.arange(file.variants.height)
    counted = count_frequencies(file, samples=everybody, variants=all_variants, threads=2)
    for imputation in ("mean", "none"):
        expected = stored.filter(pl.col("imputation") == imputation)
        rows = [file.samples.index(sample) for sample in expected["sample"]]
        found = ours(file, weights, imputation, counted)[rows]
        assert len(rows) == 11
        assert same_digits(found, expected.select("S0", "S1").to_numpy())


@pytest.mark.real_data
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("palindromic", ["drop", "keep"])
def test_stored_scores_of_a_scoring_file(tmp_path: Path, mode: str, palindromic: str) -> None:
    """From the scoring file to the score, without frequencies."""
    data = Path(os.environ.get("PSYSTRATA_DATA", "")) / "genotypes" / "cineca"
    if "PSYSTRATA_DATA" not in os.environ or not data.is_dir():
        pytest.skip("PSYSTRATA_DATA names no folder with genotypes/cineca")
    stored = pl.read_csv(
        GOLDEN.with_name("genetic_cineca_plink2.tsv"), separator="\t", comment_prefix="#"
    ).filter((pl.col("mode") == mode) & (pl.col("palindromic") == palindromic))
    lines = [line for line in (data / "scorefile.txt").read_text().splitlines() if not line.startswith("#")]
    flagged = [f"{lines[0]}\tis_{mode}", *(f"{line}\tTRUE" for line in lines[1:])]
    (tmp_path / "score.txt").write_text("\n".join(flagged))
    file = open_set(data.parent, "cineca_bed")
    scoring = read_scoring_file(tmp_path / "score.txt", name="height", shown="score.txt")
    match = match_variants(scoring, file.variants, palindromic=palindromic)
    places = np.array([file.samples.index(sample) for sample in stored["sample"]])
    found = score_samples(file, [match], samples=places).values[:, 0]
    assert (stored["alleles_called"] < stored["alleles"]).any()
    assert 2 * match.used.height == stored["alleles"].item(0)
    share = (stored["alleles_called"] / stored["alleles"]).to_numpy()
    assert same_digits(found * share, stored["sum"].to_numpy())
