"""The rows that pgsc_calc matched on the CINECA synthetic cohort, which it wrote as a file for plink2, are those matched here."""

import os
from pathlib import Path

import numpy as np
import pytest

from features.genetics.matching import Match, match_variants
from features.genetics.opening import open_genotypes
from features.genetics.scoring_files import read_scoring_file

FORMATS = (".bed", ".pgen", ".vcf.gz")


@pytest.fixture
def cineca() -> Path:
    folder = Path(os.environ.get("PSYSTRATA_DATA", "")) / "genotypes" / "cineca"
    if "PSYSTRATA_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("PSYSTRATA_DATA names no folder with genotypes/cineca")
    return folder


def matched(folder: Path, score: str, ending: str, *, palindromic: str) -> Match:
    file = open_genotypes(folder, f"cineca_synthetic_subset{ending}")
    scoring = read_scoring_file(folder / score, name="height", shown=score)
    return match_variants(scoring, file.variants, palindromic=palindromic)


@pytest.mark.real_data
@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(("palindromic", "rows"), [("drop", 782), ("keep", 829)])
def test_every_format_matches_as_many_rows(cineca: Path, ending: str, palindromic: str, rows: int) -> None:
    counts = matched(cineca, "PGS001229_22.txt", ending, palindromic=palindromic).counts
    assert (counts["rows"], counts["matched"], counts["absent"]) == (835, rows, 6)
    assert counts["palindromic_dropped"] + counts["palindromic"] == 47


@pytest.mark.real_data
def test_the_variants_and_effect_alleles_of_pgsc_calc(cineca: Path) -> None:
    """Its file, which names variants as chromosome:position:reference:alternative, weighs the same alleles of the same variants."""
    ours = matched(cineca, "PGS001229_22.txt", ".bed", palindromic="keep").used
    theirs = matched(cineca, "test.scorefile#PGS001229_22", ".bed", palindromic="keep")
    assert theirs.rate == 1
    columns = ["variant", "effect_is_a1"]
    assert ours.select(columns).equals(theirs.used.select(columns))
    np.testing.assert_allclose(theirs.used["weight"], ours["weight"], rtol=1e-14)
