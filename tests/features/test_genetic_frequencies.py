"""Allele frequencies read from files of plink2 and PLINK 1.9, and counted."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import BadInput
from features.genetics.frequencies import count_frequencies, effect_frequencies, read_frequencies
from features.genetics.genotypes import VARIANTS
from tests.features.score_genotypes import GenotypesInMemory, match_of, random_copies

AFREQ = """#CHROM\tID\tREF\tALT\tALT_FREQS\tOBS_CT
1\tv0\tG\tA\t0.25\t8
1\tv1\tA\tC\t0.5\t8
1\tv2\tA\tC,T\t0.125,0.25\t8
X\tv3\tG\tA\tnan\t0
"""
FRQ = """ CHR   SNP   A1   A2     MAF  NCHROBS
   1    v0    A    G    0.25        8
   1    v1    A    C     0.5        8
   1    v3    A    G      NA        0
"""


def variants(*rows: tuple[str | None, int, str, str]) -> pl.DataFrame:
    columns = {
        "variant": range(len(rows)),
        "chromosome": ["1"] * len(rows),
        "position": [row[1] for row in rows],
        "id": [row[0] for row in rows],
        "a1": [row[2] for row in rows],
        "a2": [row[3] for row in rows],
        "multiallelic": ["," in row[3] for row in rows],
    }
    return pl.DataFrame(columns, schema=VARIANTS)


def test_either_allele_may_be_counted(tmp_path: Path) -> None:
    (tmp_path / "known.afreq").write_text(AFREQ)
    known = read_frequencies(tmp_path / "known.afreq", shown="known.afreq")
    asked = variants(
        ("v0", 1, "A", "G"),
        ("v0", 1, "G", "A"),
        ("v1", 2, "C", "A"),
        ("v1", 2, "C", "T"),
        ("v3", 4, "A", "G"),
    )
    np.testing.assert_array_equal(known.of_variants(asked), [0.25, 0.75, 0.5, np.nan, np.nan])


def test_every_allele_of_a_multiallelic_variant(tmp_path: Path) -> None:
    (tmp_path / "known.afreq").write_text(AFREQ)
    known = read_frequencies(tmp_path / "known.afreq", shown="known.afreq")
    asked = variants(("v2", 3, "C", "A,T"), ("v2", 3, "T", "A,C"), ("v2", 3, "A", "C,T"))
    np.testing.assert_array_equal(known.of_variants(asked), [0.125, 0.25, 0.625])


def test_by_position_where_ids_differ(tmp_path: Path) -> None:
    (tmp_path / "known.afreq").write_text(
        "#CHROM\tPOS\tID\tREF\tALT\tALT_FREQS\tOBS_CT\nchr1\t10\t.\tG\tA\t0.25\t8\nchr1\t20\trs2\tG\tA\t0.125\t8\n"
    )
    known = read_frequencies(tmp_path / "known.afreq", shown="known.afreq")
    asked = variants((None, 10, "A", "G"), ("other", 20, "G", "A"), (None, 30, "A", "G"))
    np.testing.assert_array_equal(known.of_variants(asked), [0.25, 0.875, np.nan])


def test_a_file_of_plink_1_compressed(tmp_path: Path) -> None:
    (tmp_path / "known.frq.gz").write_bytes(gzip.compress(FRQ.encode()))
    known = read_frequencies(tmp_path / "known.frq.gz", shown="known.frq.gz")
    found = known.of_variants(variants(("v0", 1, "G", "A"), ("v1", 2, "A", "C"), ("v3", 4, "A", "G")))
    np.testing.assert_array_equal(found, [0.75, 0.5, np.nan])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (AFREQ.replace("0.5\t", "1.5\t"), "1 frequencies are not between 0 and 1.*line 3"),
        (AFREQ.replace("0.5\t", "half\t"), "1 frequencies are not between 0 and 1.*line 3"),
        (AFREQ.replace("0.125,0.25", "0.125"), "one for each allele, first at line 4"),
        (AFREQ.replace("ALT_FREQS", "MAC"), "no file of allele frequencies"),
        (AFREQ + "1\tv0\tG\tA\t0.26\t8\n", "1 variant.* two different frequencies"),
        (AFREQ + "1\tv9\tG\n", "line 6 has 3 fields, not 6"),
        ("", "empty"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "known.afreq").write_text(content)
    with pytest.raises(BadInput, match=found):
        read_frequencies(tmp_path / "known.afreq", shown="known.afreq")


def test_missing_cut_short_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"does not exist; mend missing\.frequencies"):
        read_frequencies(tmp_path / "absent.afreq", shown="absent.afreq")
    (tmp_path / "cut.afreq.gz").write_bytes(gzip.compress(AFREQ.encode())[:-9])
    with pytest.raises(BadInput, match=r"cut\.afreq\.gz: .*cut short"):
        read_frequencies(tmp_path / "cut.afreq.gz", shown="cut.afreq.gz")
    (tmp_path / "known.afreq").write_text(AFREQ)
    known = read_frequencies(tmp_path / "known.afreq", shown="known.afreq")
    with pytest.raises(BadInput, match="none of the 1 variants"):
        known.of_variants(variants(("other", 7, "A", "G")))


def test_the_effect_allele_has_its_own_frequency() -> None:
    match = match_of([0, 2], np.ones(2), effect_is_a1=np.array([True, False]))
    np.testing.assert_array_equal(effect_frequencies(match, np.array([0.1, 0.2, 0.3])), [0.1, 0.7])


@pytest.mark.parametrize("dosages", [False, True])
@pytest.mark.parametrize("chromosome", ["1", "X"])
def test_counted_frequencies(dosages: bool, chromosome: str) -> None:
    copies = random_copies(2, 70, 11, dosages=dosages)
    copies[:, 4] = np.nan
    male = np.random.default_rng(0).random(70) < 0.5
    file = GenotypesInMemory(copies, block=3, holds_dosages=dosages, chromosome=chromosome, male=male)
    samples, places = np.arange(1, 70), np.array([0, 2, 3, 4, 10])
    alleles = np.where(male & (chromosome == "X"), 1, 2)[samples, None] * ~np.isnan(copies[1:, places])
    with np.errstate(invalid="ignore"):
        expected = np.nansum(copies[1:, places] / 2 * alleles, axis=0) / alleles.sum(axis=0)
    found = count_frequencies(file, samples=samples, variants=places, threads=2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(found[3])
