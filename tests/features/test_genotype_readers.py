"""Every format gives the genotypes that were written, whole, in parts, and in several files."""

import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import features.genetics.bed
from features.errors import BadInput
from features.genetics.genotypes import VARIANTS, GenotypeFile
from features.genetics.opening import open_genotypes
from tests.features.genotype_files import (
    HEADER,
    Floats,
    copies_of_a1,
    copies_of_alternative,
    packed_as,
    plain_variants,
    sample_ids,
    vcf_text,
    write_bed,
    write_pgen,
    write_vcf,
)

SAMPLES, MANY = 11, 30
SHARE = 0.75  # of the copies that the file of dosages holds
ENTRIES = ("one.bed", "one.pgen", "plain.vcf", "packed.vcf.gz", "blocks.vcf.bgz", "dosages")


@pytest.fixture(scope="module")
def copies() -> Floats:
    return copies_of_alternative(SAMPLES, MANY)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, copies: Floats) -> Path:
    folder = tmp_path_factory.mktemp("genotypes")
    write_bed(folder / "one", copies)
    write_pgen(folder / "one", copies)
    write_pgen(folder / "dosages", SHARE * copies, dosages=True)
    for name in ("plain.vcf", "packed.vcf.gz", "blocks.vcf.bgz"):
        write_vcf(folder / name, copies)
    return folder


def written(copies: Floats, entry: str) -> Floats:
    return SHARE * copies if entry == "dosages" else copies


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_format_gives_what_was_written(source: Path, copies: Floats, entry: str) -> None:
    file = open_genotypes(source, entry)
    assert file.samples == tuple(sample_ids(SAMPLES))
    assert file.variants.schema == VARIANTS
    expected = [(number, *row[:3], row[4], row[3], False) for number, row in enumerate(plain_variants(MANY))]
    assert file.variants.rows() == expected
    np.testing.assert_array_equal(copies_of_a1(file), written(copies, entry))


@pytest.mark.parametrize("entry", ENTRIES)
def test_parts_are_parts_of_the_whole(source: Path, copies: Floats, entry: str) -> None:
    file = open_genotypes(source, entry)
    for samples in ([0], [10], [2, 3, 5, 7, 8], list(range(1, 11))):
        for variants in ([0], [29], [1, 2, 3, 20, 28], list(range(MANY))):
            found = copies_of_a1(file, np.array(samples), np.array(variants))
            np.testing.assert_array_equal(found, written(copies, entry)[np.ix_(variants, samples)])
    nobody = np.empty(0, dtype=np.int64)
    assert not list(file.blocks(samples=nobody, variants=np.arange(3)))
    assert not list(file.blocks(samples=np.arange(3), variants=nobody))


def test_bed_is_read_in_runs_of_near_variants(
    source: Path, copies: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three bytes a variant: blocks of four variants, runs that break where more than two are left out."""
    monkeypatch.setattr(features.genetics.bed, "_BLOCK_BYTES", 12)
    file = open_genotypes(source, "one.bed")
    for near in (0, 9, 1000):
        monkeypatch.setattr(features.genetics.bed, "_NEAR_BYTES", near)
        for variants in ([0, 2, 4, 9, 10, 20, 29], [3, 4, 5, 6, 7, 8], [0, 29]):
            found = copies_of_a1(file, None, np.array(variants))
            np.testing.assert_array_equal(found, copies[variants])


def test_bits_beyond_the_last_sample_are_zero(source: Path, tmp_path: Path) -> None:
    content = bytearray((source / "one.bed").read_bytes())
    for last in range(3 + 2, len(content), 3):
        content[last] |= 0b11000000
    for ending in ("bim", "fam"):
        (tmp_path / f"one.{ending}").write_bytes((source / f"one.{ending}").read_bytes())
    (tmp_path / "one.bed").write_bytes(content)
    for file in (open_genotypes(tmp_path, "one"), open_genotypes(source, "one.pgen")):
        for block in file.blocks(samples=np.arange(SAMPLES), variants=np.arange(MANY)):
            assert block.packed is not None
            assert not (block.packed[:, -1] >> 6).any()


def test_who_is_male_and_which_build(source: Path, tmp_path: Path) -> None:
    for entry in ("one.bed", "one.pgen"):
        male = open_genotypes(source, entry).male
        assert male is not None
        assert male.tolist() == [number % 2 == 0 for number in range(SAMPLES)]
    assert open_genotypes(source, "plain.vcf").male is None
    builds = [open_genotypes(source, entry).genome_build for entry in ENTRIES]
    assert builds == [None, *["GRCh37"] * 5]
    for line, build in (
        ("##contig=<ID=chr22,length=50818468,md5=0>", "GRCh38"),
        ("##contig=<ID=22,length=51174940>", None),
        ("##reference=file:///x/GRCh38_full.fa", "GRCh38"),
        ("##contig=<ID=X,assembly=b37,length=155270560>", "GRCh37"),
        ("##contig=<ID=22,length=50818468>\n##contig=<ID=21,length=48129895>", None),
    ):
        text = vcf_text([(plain_variants(1)[0], "GT", ["0/1"])], ["a"], (HEADER[0], line, *HEADER[2:]))
        (tmp_path / "one.vcf").write_text(text)
        assert open_genotypes(tmp_path, "one.vcf").genome_build == build


def test_more_than_two_alleles_are_a_row_each(tmp_path: Path) -> None:
    rows = [
        (("1", 5, ".", "a", "G,t"), "GT", ["0/0", "0|2", "1/2", "./.", "."]),
        (("1", 6, "x", "A", "<DEL>,*"), "GT", ["1/1", "0/2", "2/2", "0/0", "0/1"]),
        (("chrX", 7, "y", "AC", "."), "GT", ["0/0", "0", ".", "0/0", "./."]),
    ]
    (tmp_path / "x.vcf").write_text(vcf_text(rows, list("abcde")))
    file = open_genotypes(tmp_path, "x.vcf")
    assert file.variants.rows() == [
        (0, "1", 5, None, "A", "G,T", True),
        (1, "1", 5, None, "G", "A,T", True),
        (2, "1", 5, None, "T", "A,G", True),
        (3, "1", 6, "x", "A", "<DEL>,*", True),
        (4, "1", 6, "x", "<DEL>", "A,*", True),
        (5, "1", 6, "x", "*", "A,<DEL>", True),
        (6, "X", 7, "y", ".", "AC", False),
    ]
    copies = copies_of_a1(file)
    missing = np.nan
    np.testing.assert_array_equal(copies[0], [2, 1, 0, missing, missing])
    np.testing.assert_array_equal(copies[2], [0, 1, 1, missing, missing])
    np.testing.assert_array_equal(copies[4], [2, 0, 0, 0, 1])
    np.testing.assert_array_equal(copies[6], [0, 0, missing, 0, missing])
    for first in (0, 3):
        total = copies[first : first + 3].sum(axis=0)
        np.testing.assert_array_equal(total[~np.isnan(total)], 2)
    np.testing.assert_array_equal(
        copies_of_a1(file, np.array([1, 2]), np.array([1, 4])), copies[[1, 4]][:, [1, 2]]
    )


def test_haploid_genotypes_count_twice_and_dosages_are_those_of_plink2(tmp_path: Path) -> None:
    """Dosages in steps of 1/16384; a missing one is that of the genotype; haploid ones are doubled."""
    rows = [
        (("1", 5, "a", "A", "G"), "GT:DS", ["0/0:0.123", "0/1:.", "./.:1.5", "./.:.", "1/1:2"]),
        (("X", 6, "b", "A", "G"), "GT:DS", ["0:0.123", "0/1:.", ".:0.5", "1", "0/1:0.98"]),
        (("1", 7, "c", "A", "G,T"), "GT:DS", ["0/1:0.9,0.1", "1/2:1,1", "./.:.,.", "0/2", "0/0:0,0"]),
    ]
    (tmp_path / "x.vcf").write_text(vcf_text(rows, list("abcde")))
    dosages = copies_of_a1(open_genotypes(tmp_path, "x.vcf"))
    step = np.round(0.123 * 16384) / 16384
    missing = np.nan
    np.testing.assert_array_equal(dosages[0], [step, 1, 1.5, missing, 2])
    doubled = np.round(2 * 0.123 * 16384) / 16384
    np.testing.assert_array_equal(dosages[1], [doubled, 1, 1, 2, np.round(0.98 * 16384) / 16384])
    np.testing.assert_allclose(
        dosages[2:], [[1, 0, missing, 1, 2], [0.9, 1, missing, 0, 0], [0.1, 1, missing, 1, 0]], atol=1 / 16384
    )
    hard = copies_of_a1(open_genotypes(tmp_path, "x.vcf", field="GT"))
    np.testing.assert_array_equal(hard[:2], [[0, 1, missing, missing, 2], [0, 1, missing, 2, 1]])


def test_dosages_are_read_where_every_line_has_them(tmp_path: Path) -> None:
    rows = [(plain_variants(2)[0], "GT:DS", ["0/1:0.5"]), (plain_variants(2)[1], "GT", ["0/1"])]
    (tmp_path / "x.vcf").write_text(vcf_text(rows, ["a"]))
    (tmp_path / "y.vcf").write_text(vcf_text(rows[:1], ["a"]))
    assert not open_genotypes(tmp_path, "x.vcf").holds_dosages
    assert open_genotypes(tmp_path, "y.vcf").holds_dosages
    with pytest.raises(BadInput, match=r"x.vcf: line 7 has no DS under FORMAT"):
        open_genotypes(tmp_path, "x.vcf", field="DS")


def test_several_files_of_the_same_samples_are_one(source: Path, copies: Floats, tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(SAMPLES)
    samples = [sample_ids(SAMPLES)[place] for place in order]
    words = {0.0: "0/0", 1.0: "0/1", 2.0: "1/1"}
    rows = [
        (("2", 5 * (number + 1), f"q{number}", "A", "G"), "GT", [words.get(value, "./.") for value in row])
        for number, row in enumerate(copies[:4, order].tolist())
    ]
    (tmp_path / "two.vcf").write_text(vcf_text(rows, samples))
    for name in ("one.bed", "one.bim", "one.fam", "dosages.pgen", "dosages.pvar", "dosages.psam"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    for first in ("one", "dosages"):
        both = np.concatenate([written(copies, first), copies[:4]])
        file = open_genotypes(tmp_path, [first, "two.vcf"])
        assert file.name == f"{first}, two.vcf"
        assert file.variants["variant"].to_list() == list(range(MANY + 4))
        assert file.variants["chromosome"].unique().sort().to_list() == ["1", "2"]
        assert file.holds_dosages == (first == "dosages")
        assert file.genome_build == "GRCh37"
        np.testing.assert_array_equal(copies_of_a1(file), both)
        some, people = np.array([2, 29, 30, 33]), np.array([1, 4, 10])
        np.testing.assert_array_equal(copies_of_a1(file, people, some), both[np.ix_(some, people)])
        np.testing.assert_array_equal(copies_of_a1(file, None, np.array([31])), both[[31]])


def test_files_of_a_group_hold_the_same_samples_in_one_build(source: Path, tmp_path: Path) -> None:
    row = (plain_variants(1)[0], "GT", ["0/1", "0/0"])
    (tmp_path / "a.vcf").write_text(vcf_text([row], ["s0", "s1"]))
    (tmp_path / "b.vcf").write_text(vcf_text([row], ["s0", "s2"]))
    other = (HEADER[0], "##contig=<ID=1,length=248956422>", *HEADER[2:])
    (tmp_path / "c.vcf").write_text(vcf_text([row], ["s1", "s0"], other))
    with pytest.raises(BadInput, match=r"b.vcf: .* 1 of a.vcf are missing here and 1 stand only here"):
        open_genotypes(tmp_path, ["a.vcf", "b.vcf"])
    with pytest.raises(BadInput, match=r"different genome builds \(GRCh37, GRCh38\)"):
        open_genotypes(tmp_path, ["a.vcf", "c.vcf"])
    assert open_genotypes(tmp_path, ["a.vcf"]).name == "a.vcf"


def test_text_files_as_plink_and_people_write_them(source: Path, copies: Floats, tmp_path: Path) -> None:
    """Spaces for tabs, no header, CRLF, packed: the same genotypes."""
    original = {name: (source / f"one.{name}").read_text() for name in ("bim", "fam", "pvar", "psam")}
    for ending in ("bed", "pgen"):
        (tmp_path / f"one.{ending}").write_bytes((source / f"one.{ending}").read_bytes())
    rows = [line.split("\t") for line in original["pvar"].splitlines()[2:]]
    people = [line.split("\t") for line in original["psam"].splitlines()[1:]]
    written = {
        "bim": original["bim"].replace("\t", "  ").replace("\n", "\r\n"),
        "fam": " " + original["fam"].replace("\t", " ").replace("\n", "\n "),
        "psam": "".join(f"f {person[0]} 0 0 {person[1]}\n" for person in people),
        "pvar": "".join(f"{row[0]} {row[2]} 0 {row[1]} {row[4]} {row[3]}\n" for row in rows),
    }
    for ending, text in written.items():
        (tmp_path / f"one.{ending}").write_bytes(text.encode())
    for entry in ("one.bed", "one.pgen"):
        expected, found = open_genotypes(source, entry), open_genotypes(tmp_path, entry)
        assert_same(found, expected)
        np.testing.assert_array_equal(copies_of_a1(found), copies)
    (tmp_path / "one.pvar").unlink()
    (tmp_path / "one.pvar.gz").write_bytes(packed_as(Path("x.gz"), original["pvar"].encode()))
    assert_same(open_genotypes(tmp_path, "one.pgen"), open_genotypes(source, "one.pgen"))


def assert_same(found: GenotypeFile, expected: GenotypeFile) -> None:
    assert found.samples == expected.samples
    assert found.male is not None
    np.testing.assert_array_equal(found.male, expected.male)
    assert pl.DataFrame.equals(found.variants, expected.variants)


@pytest.mark.parametrize("mode", [2, 3, 4])
def test_pgen_files_of_fixed_width(source: Path, copies: Floats, tmp_path: Path, mode: int) -> None:
    """The specification's other storage modes: hard calls, with dosages of all samples, with phased ones."""
    for ending in ("pvar", "psam"):
        (tmp_path / f"one.{ending}").write_bytes((source / f"one.{ending}").read_bytes())
    codes = np.pad(np.where(np.isnan(copies), 3, copies).astype(np.uint8), ((0, 0), (0, 1)))
    packed = (
        (codes.reshape(MANY, 3, 4) << np.array([0, 2, 4, 6], dtype=np.uint8)).sum(axis=2).astype(np.uint8)
    )
    dosages = np.where(np.isnan(copies), 65_535, copies * 16_384).astype("<u2")
    tracks = [packed.view(np.uint8), dosages.view(np.uint8), np.zeros((MANY, 2 * SAMPLES), dtype=np.uint8)]
    header = b"\x6c\x1b" + bytes([mode]) + struct.pack("<II", MANY, SAMPLES) + b"\x40"
    content = header + np.concatenate(tracks[: mode - 1], axis=1).tobytes()
    (tmp_path / "one.pgen").write_bytes(content)
    file = open_genotypes(tmp_path, "one")
    assert file.holds_dosages == (mode > 2)
    np.testing.assert_array_equal(copies_of_a1(file), copies)
    (tmp_path / "one.pgen").write_bytes(content[:-1])
    with pytest.raises(
        BadInput, match=rf"one.pgen: {len(content) - 1} bytes, but its header announces {len(content)}"
    ):
        open_genotypes(tmp_path, "one")
