"""Genotypes as plink2 imports them: stored files that plink2 wrote, and fresh ones where plink2 is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.genetics.opening import open_genotypes
from tests.features.genotype_files import copies_of_a1

GOLDEN = Path(__file__).parent / "golden"
IMPORTS = {"genotypes_dosages": ["dosage=DS"], "genotypes_alleles": []}
PLINK2 = shutil.which("plink2")
needs_plink2 = pytest.mark.skipif(PLINK2 is None, reason="plink2 is not installed")


@pytest.fixture
def genotypes() -> Path:
    folder = Path(os.environ.get("PSYSTRATA_DATA", "")) / "genotypes"
    if "PSYSTRATA_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("PSYSTRATA_DATA names no folder with genotypes")
    return folder


def plink2(*arguments: str | Path) -> None:
    subprocess.run(
        [str(PLINK2), "--silent", "--threads", "1", *map(str, arguments)], check=True, capture_output=True
    )


@pytest.mark.parametrize("name", IMPORTS)
def test_a_vcf_gives_what_plink2_made_of_it(name: str) -> None:
    """Missing, half-stated and haploid dosages, one to six decimals; up to four alleles, phased and not, on 1 to 4 and X.

    The .pgen files were written by plink2 v2.00a3.5 with --vcf <name>.vcf [dosage=DS] --psam <name>.psam --make-pgen.
    """
    ours, theirs = open_genotypes(GOLDEN, f"{name}.vcf"), open_genotypes(GOLDEN, name)
    assert ours.holds_dosages == theirs.holds_dosages == (name == "genotypes_dosages")
    assert ours.variants.equals(theirs.variants)
    found, expected = copies_of_a1(ours), copies_of_a1(theirs)
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(found, expected)


@needs_plink2
@pytest.mark.parametrize("name", IMPORTS)
def test_a_vcf_gives_what_the_installed_plink2_makes_of_it(name: str, tmp_path: Path) -> None:
    vcf = GOLDEN / f"{name}.vcf"
    plink2(
        "--vcf", vcf, *IMPORTS[name], "--psam", GOLDEN / f"{name}.psam", "--make-pgen", "vzs", "--out", tmp_path / "made"
    )  # fmt: skip
    assert (tmp_path / "made.pvar.zst").is_file()
    made = open_genotypes(tmp_path, "made")
    np.testing.assert_array_equal(copies_of_a1(open_genotypes(GOLDEN, f"{name}.vcf")), copies_of_a1(made))


@pytest.mark.real_data
def test_the_same_people_in_three_formats(genotypes: Path) -> None:
    prefix = "cineca/cineca_synthetic_subset"
    bed, pgen, vcf = (
        open_genotypes(genotypes, f"{prefix}{ending}") for ending in (".bed", ".pgen", ".vcf.gz")
    )
    assert bed.variants.equals(pgen.variants)
    assert bed.variants.equals(vcf.variants)
    assert bed.samples == pgen.samples
    assert [f"{sample}_{sample}" for sample in bed.samples] == list(vcf.samples)
    expected = copies_of_a1(bed)
    for file in (pgen, vcf):
        np.testing.assert_array_equal(copies_of_a1(file), expected)


@pytest.mark.real_data
def test_the_1000_genomes_have_the_genotypes_that_plink2_counts(genotypes: Path) -> None:
    counts = pl.read_csv(GOLDEN / "genotypes_1000g_plink2.tsv", separator="\t", comment_prefix="#")
    file = open_genotypes(genotypes, "scorefiles/tiny1000G.vcf.gz")
    autosomes = np.flatnonzero((file.variants["chromosome"] != "X").to_numpy())
    copies = copies_of_a1(file, None, autosomes)
    for number, column in enumerate(("none", "one", "two")):
        np.testing.assert_array_equal((copies == number).sum(axis=1), counts[column])


@needs_plink2
@pytest.mark.real_data
def test_the_1000_genomes_are_those_of_plink2(genotypes: Path, tmp_path: Path) -> None:
    vcf = "scorefiles/tiny1000G.vcf.gz"
    plink2("--vcf", genotypes / vcf, "--make-bed", "--out", tmp_path / "made")
    ours, theirs = open_genotypes(genotypes, vcf), open_genotypes(tmp_path, "made")
    assert ours.samples == theirs.samples
    assert ours.variants.equals(theirs.variants)
    np.testing.assert_array_equal(copies_of_a1(ours), copies_of_a1(theirs))
