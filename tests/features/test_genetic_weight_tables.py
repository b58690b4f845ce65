"""Weight tables as PRS-CS, LDpred2, SBayesR, PRSice and PLINK write them: one score in each, and what is refused."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from features.errors import BadInput
from features.genetics.scoring_files import ScoringFile, read_scoring_file, split_column

# One score: chromosome, id, position, effect allele, other allele, frequency, weight.
TRUTH = [
    ("1", "rs1", 100000, "A", "G", 0.25, 0.5),
    ("2", "rs2", 250, "C", "CT", 0.75, -0.001),
    ("22", "rs3", 9, "T", "C", 0.5, 1e-7),
]
PRS_CS = "".join(f"{c}\t{i}\t{p}\t{e}\t{o}\t{w:.6e}\n" for c, i, p, e, o, _, w in TRUTH)
LDPRED2 = '"","chr","pos","rsid","a0","a1","beta_auto"\n' + "".join(
    f'"{n}",{c},{"1e+05" if p == 100000 else p},"{i}","{o}","{e}",{w}\n'
    for n, (c, i, p, e, o, _, w) in enumerate(TRUTH)
)
LDPRED2_TABLE = '"chr" "pos" "a0" "a1" "beta"\n' + "".join(
    f'"{n}" {c} {p} "{o}" "{e}" {w}\n' for n, (c, _, p, e, o, _, w) in enumerate(TRUTH)
)
SBAYESR = "   Id   Name Chrom Position  A1 A2   A1Frq A1Effect       SE  PIP LastSampleEff\n" + "".join(
    f"{n:5}{i:>7} {c:>5} {p:>8} {e:>3} {o:>3} {f:>7} {w:>9}  0.01  1.0  9.9  \n"
    for n, (c, i, p, e, o, f, w) in enumerate(TRUTH)
)
SBAYESRC = "Index\tName\tChrom\tPosition\tA1\tA2\tA1Frq\tA1Effect\tSE\tVarExplained\tPEP\tPIP\n" + "".join(
    f"{n}\t{i}\t{c}\t{p}\t{e}\t{o}\t{f}\t{w}\t0.1\t0\t0\t1\n" for n, (c, i, p, e, o, f, w) in enumerate(TRUTH)
)
PRSICE = "SNP CHR BP A1 A2 BETA SE P\n" + "".join(
    f"{i} {c} {p} {e} {o} {w} 0.1 1e-9\n" for c, i, p, e, o, _, w in TRUTH
)
PLINK2 = "#CHROM\tPOS\tID\tA1\tOMITTED\tBETA\tP\n" + "".join(
    f"{c}\t{p}\t{i}\t{e}\t{o}\t{w}\t0.5\n" for c, i, p, e, o, _, w in TRUTH
)
SBAYESRC_R = "SNP\tA1\tBETA\tPIP\tBETAlast\n" + "".join(
    f"{i}\t{e}\t{w}\t1\t9\n" for _, i, _, e, _, _, w in TRUTH
)
PLINK = "".join(f"{i} {e} {w}\n" for _, i, _, e, _, _, w in TRUTH)
WIDE = "ID\teffect_allele\tfirst\tsecond\n" + "".join(f"{i}\t{e}\t7\t{w}\n" for _, i, _, e, _, _, w in TRUTH)
PLACED = ["chromosome", "id", "position", "effect", "other", "weight"]
BY_ID = ["id", "effect", "weight"]


def read(folder: Path, content: str | bytes, *, column: str = "") -> ScoringFile:
    path = folder / "weights.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_scoring_file(folder / f"weights.txt{column}", name="x", shown=f"w/weights.txt{column}")


@pytest.mark.parametrize(
    ("content", "column", "form", "columns"),
    [
        (PRS_CS, "", "PRS-CS", PLACED),
        (PRS_CS.replace("\t", " "), "", "PRS-CS", PLACED),
        (LDPRED2, "", "LDpred2", PLACED),
        (LDPRED2_TABLE, "", "LDpred2", ["chromosome", "position", "effect", "other", "weight"]),
        (SBAYESR, "", "SBayesR", [*PLACED, "frequency"]),
        (SBAYESRC, "", "SBayesR", [*PLACED, "frequency"]),
        (PRSICE, "", "plain", PLACED),
        (gzip.compress(PRSICE.encode(), mtime=0), "", "plain", PLACED),
        (PRSICE.replace("\n", "\r\n"), "", "plain", PLACED),
        (PLINK2, "", "plain", PLACED),
        (SBAYESRC_R, "", "plain", BY_ID),
        (PLINK, "", "plain", BY_ID),
        (WIDE, "#second", "plain", BY_ID),
    ],
)  # fmt: skip
def test_one_score_in_every_format(
    tmp_path: Path, content: str | bytes, column: str, form: str, columns: list[str]
) -> None:
    """The weight counts the same allele whichever program wrote the table."""
    score = read(tmp_path, content, column=column)
    truth = pl.DataFrame(
        TRUTH, schema=["chromosome", "id", "position", "effect", "other", "frequency", "weight"], orient="row"
    )
    assert score.variants.select(columns).rows() == truth.select(columns).rows()
    assert score.format == form
    assert score.by_id == ("position" not in columns)
    assert score.facts()["matched_by"] == ("id" if score.by_id else "position")


@pytest.mark.parametrize(
    ("content", "column", "expected"),
    [
        (PRSICE.replace("BETA", "OR"), "", "odds or hazard ratios (OR), which cannot be added up"),
        (LDPRED2_TABLE.replace('"beta"', '"beta" "beta_auto"').replace('A" ', 'A" 1 '), "", "several columns of weights (beta, beta_auto)"),
        (WIDE, "", "name one of first, second after the path, such as w/weights.txt#second"),
        (WIDE, "#third", "no column third; it has ID, effect_allele, first, second"),
        (PRS_CS, "#beta", "has no names of columns"),
        (PRSICE.replace("A2", "effect_allele"), "", "effect_allele and a1 may both be the effect allele"),
        ("SNP REF ALT BETA\nrs1 A C 1\n", "", "nothing says which allele the weights count"),
        (PRSICE.replace("SE", "BETA"), "", "has the column 'BETA' twice"),
        ("A1\tBETA\nA\t1\n", "", "no positions"),
        ("effect_allele,chr_name,chr_position,effect_weight\nA,1,2,3\n", "", "separated by tabs, here by commas"),
        ("effect_allele chr_name chr_position effect_weight\nA 1 2 3\n", "", "separated by tabs, here by spaces"),
        (PRS_CS + "1\trs9\t7\tA\tC\t1,5\n", "", "written with a decimal comma in 1 row(s), first at line 4"),
        (PRS_CS + "1\trs9\t7\tA\tC\tNA\n1\trs9\t8\tA\tC\tinf\n", "", "not a finite number in 2 row(s), first at line 4"),
        (PRS_CS + "1\trs9\t7\tA\t\n", "", "not a finite number in 1 row(s), first at line 4"),
        (PLINK + "rs1 A 3\n", "", "1 variant(s) have two different weights, first at line 1"),
        ("# nothing\n#a=b\n", "", "holds no table"),
        (PRS_CS.replace("rs1\t", ""), "", "its first line holds numbers instead of names of columns"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, content: str, column: str, expected: str) -> None:
    with pytest.raises(BadInput) as bad:
        read(tmp_path, content, column=column)
    assert expected in str(bad.value)
    assert all(line.startswith(f"w/weights.txt{column}: ") for line in bad.value.problems)


def test_columns_of_p_values_are_named_and_not_used(tmp_path: Path) -> None:
    assert read(tmp_path, PRSICE).facts()["unused_columns"] == ["P"]
    assert read(tmp_path, PRS_CS).facts()["unused_columns"] == []


def test_comments_between_rows_and_empty_lines_are_left_out(tmp_path: Path) -> None:
    score = read(tmp_path, PRSICE + "\n# a word\nrs9 3 5 A G 2 0.1 1\n")
    assert score.variants["line"].to_list() == [2, 3, 4, 7]


def test_a_short_line_lacks_cells_wherever_it_stands(tmp_path: Path) -> None:
    table = "rsid\tchr\tpos\ta1\tbeta\ta2\n" + "rs1\t1\t5\tA\t2\n\n" + "rs2\t1\t6\tA\t2\tC\n"
    assert read(tmp_path, table).variants.select("line", "other").rows() == [(2, None), (4, "C")]


def test_lines_are_counted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(tmp_path, PRSICE)
    for size in (1, 17, 40):
        monkeypatch.setattr("features.genetics.score_text.BLOCK_BYTES", size)
        assert read(tmp_path, PRSICE).variants.equals(whole.variants)


def test_a_file_whose_name_holds_the_mark(tmp_path: Path) -> None:
    (tmp_path / "a#b").write_text(PRSICE)
    assert read_scoring_file(tmp_path / "a#b", name="x", shown="a#b").variants.height == 3
    assert split_column("w/many.txt#second") == ("w/many.txt", "second")
    assert split_column("w#1/many.txt") == ("w#1/many.txt", None)


@pytest.mark.parametrize("write", ["{c}:{p}:{o}:{e}", "chr{c}_{p}_{e}_{o}"])
def test_ids_that_name_places(tmp_path: Path, write: str) -> None:
    """Their positions and other alleles are the score's, unless one id names none: then ids are matched as they are."""
    rows = [f"{write.format(c=c, p=p, o=o, e=e)} {e} {w}\n" for c, _, p, e, o, _, w in TRUTH]
    score = read(tmp_path, "".join(rows))
    truth = [(c, p, e, o) for c, _, p, e, o, _, _ in TRUTH]
    assert score.variants.select("chromosome", "position", "effect", "other").rows() == truth
    assert not score.by_id
    assert read(tmp_path, "".join(rows) + "rs9 A 1\n").by_id


def test_ids_without_alleles_and_in_other_letters(tmp_path: Path) -> None:
    score = read(tmp_path, "SNP A1 BETA\nchrX:5 a 1\n23:6:g:t C 2\n")
    columns = ["chromosome", "position", "effect", "other"]
    assert score.variants.select(columns).rows() == [("X", 5, "A", None), ("X", 6, "C", None)]
