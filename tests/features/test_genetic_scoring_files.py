"""Scoring files of the PGS Catalog: what is read, and what is refused in a sentence."""

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import BadInput
from features.genetics.scoring_files import ScoringFile, read_scoring_file

FILE = """###PGS CATALOG SCORING FILE - see https://www.pgscatalog.org
#format_version=2.0
#pgs_id=PGS000000
#genome_build=GRCh37
#citation=Nobody N et al. Journal (2020). doi:10.0/0=1
rsID\tchr_name\tchr_position\teffect_allele\tother_allele\teffect_weight\tlocus_name
rs1\t1\t100\ta\tG\t0.5\t"A, ""B
rs2\tchr02\t200\tC\t\t-1e-3\t
rs3\t23\t300\tT\tTA\t2\t
"""
ROW = "chr_name\tchr_position\teffect_allele\tother_allele\teffect_weight"


def read(folder: Path, content: str | bytes) -> ScoringFile:
    path = folder / "score.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_scoring_file(path, name="x", shown="weights/score.txt")


def problem(folder: Path, content: str | bytes) -> str:
    with pytest.raises(BadInput) as bad:
        read(folder, content)
    assert all(line.startswith("weights/score.txt: ") for line in bad.value.problems)
    return str(bad.value)


@pytest.mark.parametrize(
    "content",
    [FILE, FILE.replace("\n", "\r\n"), "\ufeff" + FILE, gzip.compress(FILE.encode(), mtime=0)],
    ids=["plain", "crlf", "bom", "gzip"],
)
def test_header_and_variants(tmp_path: Path, content: str | bytes) -> None:
    score = read(tmp_path, content)
    assert score.source == "PGS000000: Nobody N et al. Journal (2020). doi:10.0/0=1"
    assert score.genome_build == "GRCh37"
    assert score.variants.rows() == [
        (7, "1", 100, "A", "G", 0.5, "additive", None, "rs1"),
        (8, "2", 200, "C", None, -0.001, "additive", None, "rs2"),
        (9, "X", 300, "T", "TA", 2.0, "additive", None, "rs3"),
    ]


def test_harmonised_positions_come_first(tmp_path: Path) -> None:
    content = f"""#genome_build=GRCh37
#HmPOS_build=GRCh38
{ROW}\thm_chr\thm_pos\thm_inferOtherAllele
1\t100\tA\t\t1\t1\t150\tC
1\t200\tA\t\t1\t\t\tC/G
"""
    score = read(tmp_path, content)
    assert score.genome_build == "GRCh38"
    assert score.variants.select("chromosome", "position", "other").rows() == [
        ("1", 150, "C"),
        (None, None, None),
    ]


def test_identical_rows_count_once_and_blank_lines_not_at_all(tmp_path: Path) -> None:
    score = read(tmp_path, f"{ROW}\n1\t100\tA\tG\t1\n\n1\t100\tA\tG\t1\n1\t100\tG\tA\t1\n")
    assert score.repeated == 1
    assert score.variants["line"].to_list() == [2, 5]


def test_logarithms_under_a_header_of_odds_ratios_are_weights(tmp_path: Path) -> None:
    content = f"#weight_type=OR\n{ROW}\n1\t1\tA\tG\t0.1\n1\t2\tA\tG\t0.7\n1\t3\tA\tG\t0.2\n"
    assert read(tmp_path, content).variants["weight"].to_list() == [0.1, 0.7, 0.2]


def test_a_build_of_harmonised_positions_counts_only_with_them(tmp_path: Path) -> None:
    content = f"#genome_build=GRCh37\n#HmPOS_build=GRCh38\n{ROW}\n1\t1\tA\tG\t0.1\n"
    score = read(tmp_path, content)
    assert score.genome_build == "GRCh37"
    assert score.original is None


def test_the_header_of_format_1(tmp_path: Path) -> None:
    """The PGS Catalog wrote keys in words, with blanks around the sign, before format 2.0."""
    score = read(tmp_path, f"# PGS ID = PGS000009\n# Original Genome Build = hg19\n{ROW}\n1\t1\tA\tG\t0.1\n")
    assert (score.source, score.genome_build) == ("PGS000009", "hg19")


def test_modes_and_frequencies(tmp_path: Path) -> None:
    more = f"{ROW}\tis_dominant\tis_recessive\tallelefrequency_effect\n"
    score = read(
        tmp_path,
        more + "1\t1\tA\tG\t1\tTrue\tFalse\t0.2\n1\t2\tA\tG\t1\tFALSE\tTRUE\t\n1\t3\tA\tG\t1\t\t\t1\n",
    )
    assert score.variants["mode"].to_list() == ["dominant", "recessive", "additive"]
    assert score.variants["frequency"].to_list() == [0.2, None, 1.0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{ROW}\n1\t100\tA\tG\tnan\n", "the weight is not a finite number in 1 row(s), first at line 2"),
        (
            f"#a=b\n{ROW}\n1\t1\tA\tG\t1\n1\t2\tA\tG\t0,5\n",
            "the weight is written with a decimal comma in 1 row(s), first at line 4",
        ),
        (f"{ROW}\n1\t100\tA\tG\t-1e101\n", "the weight is beyond 1e100 in size in 1 row(s), first at line 2"),
        (f"{ROW}\n1\t100\t\tG\t1\n", "the effect allele is empty in 1 row(s), first at line 2"),
        (f"{ROW}\n1\t100\tA\tA\t1\n", "effect and other allele are the same"),
        (
            f"{ROW}\n1\t1\tA\tG\t1\n1\t1\tA\tG\t2\n",
            "1 variant(s) have two different weights, first at line 2",
        ),
        (
            f"{ROW}\tallelefrequency_effect\n1\t1\tA\tG\t1\t1.2\n",
            "the effect allele's frequency is not between 0 and 1",
        ),
        (
            f"{ROW}\tis_dominant\tis_recessive\n1\t1\tA\tG\t1\tTrue\tTrue\n",
            "both is_dominant and is_recessive",
        ),
        (
            f"{ROW}\tis_haplotype\n1\t1\tA\tG\t1\tTrue\n1\t2\tA\tG\t1\tFalse\n",
            "1 haplotypes (line 2) among 2 rows",
        ),
        (f"{ROW}\tis_interaction\n1\t1\tA\tG\t1\tTRUE\n", "1 interactions (line 2) among 1 rows"),
        (
            f"{ROW}\n6\t1\tHLA-B*07:02\t\t1\n",
            "1 alleles not written in A, C, G, T (such as HLA alleles) (line 2: HLA-B*07:02) among 1 rows",
        ),
        ("chr_name\tchr_position\teffect_allele\n1\t1\tA\n", "has no column effect_weight"),
        (
            "chr_name\teffect_allele\teffect_weight\n1\tA\t1\n",
            "no positions (chr_name and chr_position, or hm_chr and hm_pos) and no ids",
        ),
        ("effect_allele\tdosage_0_weight\nA\t1\n", "the score weighs genotypes (dosage_0_weight"),
        (f"{ROW}\n", "no variants"),
        (
            f"#weight_type=OR\n{ROW}\n1\t1\tA\tG\t1.1\n1\t2\tA\tG\t0.9\n",
            "the header calls the weights OR and they look like ratios",
        ),
        (f"{ROW}\n1\t1\tA\tG\t1\t2\t3\t4\n", "line 2 has 8 cells, but the table has 5 columns"),
        ("", "this is not a scoring file"),
        (gzip.compress(FILE.encode(), mtime=0)[:-20], "is cut short (its gzip ends early); fetch it again"),
    ],
)
def test_refused(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert expected in problem(tmp_path, content)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"weights/score\.txt: the scoring file does not exist"):
        read_scoring_file(tmp_path / "none", name="x", shown="weights/score.txt")


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(lambda tail: FILE.encode() + tail),
        st.integers(0, len(FILE) - 1).map(lambda cut: FILE[:cut].encode()),
        st.text('0123456789.-eE+\t\n\r"ACGTacgt,naif_', max_size=80).map(
            lambda cells: f"{ROW}\n{cells}".encode()
        ),
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        score = read(tmp_path, content)
    except BadInput as bad:
        assert all(line.startswith("weights/score.txt: ") for line in bad.problems)  # noqa: PT017
    else:
        assert score.variants["weight"].is_finite().all()
        assert score.variants["effect"].str.contains("^[ACGT]+$").all()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("PGS000001_hmPOS_GRCh37.txt", 77),
        ("PGS000001_hmPOS_GRCh38.txt", 77),
        ("PGS000802_hmPOS_GRCh37.txt", 19),
        ("OPGS017309.txt", 697),
        ("PGS000002.txt.gz", 77),
        ("PGS004255_hmPOS_GRCh38.txt.gz", "weighs genotypes"),
        (
            "complex_variants_PGS000021.txt",
            r"3 haplotypes \(lines 7, 8, 9: HLA-A\*24.*, 5 diplotypes \(lines 2, 3, 4, .*among 33 rows",
        ),
        (
            "complex_variants_PGS004239.txt",
            r"3 haplotypes .*, 6 alleles not written in A, C, G, T .*lines 9, 10, 11, \.\.\.: HLA-DQB1_30_Y",
        ),
    ],
)
def test_published_files(file: str, expected: int | str) -> None:
    data = os.environ.get("PSYSTRATA_DATA")
    folder = Path(data or "") / "genotypes" / "scorefiles"
    if not data or not folder.is_dir():
        pytest.skip("PSYSTRATA_DATA names no folder with genotypes/scorefiles")
    if isinstance(expected, int):
        assert read_scoring_file(folder / file, name="x", shown=file).variants.height == expected
    else:
        with pytest.raises(BadInput, match=expected):
            read_scoring_file(folder / file, name="x", shown=file)
