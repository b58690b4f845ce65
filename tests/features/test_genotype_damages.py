"""Damaged genotype files: one sentence that names file and line and says what to do, and never a crash."""

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import BadInput
from features.genetics.opening import open_genotypes
from tests.features.genotype_files import (
    BGZIP_END,
    HEADER,
    bgzip,
    copies_of_a1,
    copies_of_alternative,
    vcf_text,
    write_bed,
    write_pgen,
    write_vcf,
)

SAMPLES, MANY = 6, 12
Damage = Callable[[bytes], bytes]
ENTRIES = {
    "one.bed": "one.bed",
    "one.bim": "one.bed",
    "one.fam": "one.bed",
    "one.pgen": "one.pgen",
    "one.pvar": "one.pgen",
    "one.psam": "one.pgen",
    "dosages.pgen": "dosages",
    "x.vcf": "x.vcf",
    "x.vcf.gz": "x.vcf.gz",
    "x.vcf.bgz": "x.vcf.bgz",
    "ds.vcf": "ds.vcf",
}
VARIANT = ("1", 5, "r", "A", "G")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    copies = copies_of_alternative(SAMPLES, MANY)
    write_bed(folder / "one", copies)
    write_pgen(folder / "one", copies)
    write_pgen(folder / "dosages", 0.75 * copies, dosages=True)
    for name in ("x.vcf", "x.vcf.gz", "x.vcf.bgz"):
        write_vcf(folder / name, copies)
    rows = [(("1", 5 + place, "r", "A", "G"), "GT:DS", ["0/1:0.75"] * SAMPLES) for place in range(MANY)]
    (folder / "ds.vcf").write_text(vcf_text(rows, [f"s{number}" for number in range(SAMPLES)]))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read(folder: Path, whole: dict[str, bytes], file: str, content: bytes, field: str | None = None) -> None:
    """Read all genotypes of the whole files with one of them replaced."""
    for name, bytes_ in whole.items():
        (folder / name).write_bytes(bytes_)
    (folder / file).write_bytes(content)
    copies_of_a1(open_genotypes(folder, ENTRIES[file], field=field))


def cut(count: int) -> Damage:
    return lambda content: content[:-count]


def start(first: bytes) -> Damage:
    return lambda content: first + content[len(first) :]


def swap(old: str, new: str) -> Damage:
    def swapped(content: bytes) -> bytes:
        assert old.encode() in content
        return content.replace(old.encode(), new.encode(), 1)

    return swapped


def pgen_count(place: int, value: int) -> Damage:
    return lambda content: content[:place] + struct.pack("<I", value) + content[place + 4 :]


def record(*fields: str, form: str = "GT", samples: int = 2, header: tuple[str, ...] = HEADER) -> Damage:
    """A VCF file of a sound first record and one with these fields on line 7."""
    rows = [
        (VARIANT, "GT:DS", ["0/0:0.5"] * samples),
        (("1", 6, "r", "A", "G,T" if form.endswith("*") else "G"), form.rstrip("*"), fields),
    ]
    return lambda _: vcf_text(rows, [f"s{number}" for number in range(samples)], header).encode()


NO_DS = tuple(line for line in HEADER if "DS" not in line)
DAMAGES: list[tuple[str, str, Damage, str, str | None]] = [
    ("cut", "one.bed", cut(1), "one.bed: 26 bytes, but 6 samples in the .fam and 12 variants", None),
    ("sample-major", "one.bed", start(b"\x6c\x1b\x00"), "one.bed: the file is sample-major; write it", None),
    ("magic", "one.bed", start(b"BED"), "one.bed: this is not a PLINK 1 .bed file", None),
    ("empty", "one.bed", lambda _: b"", "one.bed: this is not a PLINK 1 .bed file", None),
    ("place", "one.bim", swap("\t120\t", "\tx\t"), "one.bim: 1 position(s) are not whole numbers, first at line 3", None),
    ("fields", "one.bim", swap("\tr1\t", "\t"), "one.bim: line 2 has 5 fields, not 6", None),
    ("one more", "one.bim", lambda text: text + text.splitlines(keepends=True)[0], "one.bed: 27 bytes", None),
    ("no allele", "one.bim", swap("110\tG\tA", "110\t\tA"), "one.bim: 1 row(s) lack an allele, first at line 2", None),
    ("not text", "one.bim", lambda _: bytes(range(256)), "one.bim: line 1 has", None),
    ("twice", "one.fam", swap("s1 s1", "s1 s2"), "one.fam: 1 individual id(s) stand more than once", None),
    ("empty", "one.fam", lambda _: b"\n", "one.fam: the file is empty", None),
    ("a sample too few", "one.fam", lambda text: b"".join(text.splitlines(keepends=True)[:-2]), "one.bed: 27 bytes", None),
    ("cut", "one.pgen", cut(1), "one.pgen: the file is cut short or its header is damaged", None),
    ("magic", "one.pgen", start(b"PGEN"), "one.pgen: this is not a PLINK 2 .pgen file", None),
    ("a few bytes", "one.pgen", lambda content: content[:7], "one.pgen: this is not a PLINK 2 .pgen file", None),
    ("only a header", "one.pgen", lambda content: content[:12], "one.pgen: the file is cut short", None),
    ("a .bed file", "one.pgen", start(b"\x6c\x1b\x01"), "one.pgen: this is a PLINK 1 .bed file", None),
    ("another kind", "one.pgen", start(b"\x6c\x1b\x20"), "one.pgen: a .pgen file of a kind that is not read", None),
    ("fixed width", "one.pgen", start(b"\x6c\x1b\x02"), "one.pgen: ", None),
    ("variants", "one.pgen", pgen_count(3, 1_000_000_000), "one.pgen: the file is cut short or its header is damaged", None),
    ("samples", "one.pgen", pgen_count(7, 5), "one.pgen: its header tells 5 samples and 12 variants, but the .psam holds 6", None),
    ("cut", "dosages.pgen", cut(3), "dosages.pgen: the file is cut short", None),
    ("a row too few", "one.pvar", lambda text: text[: text.rindex(b"1\t210")], "one.pgen: its header tells 6 samples and 12", None),
    ("columns", "one.pvar", swap("#CHROM\tPOS", "#CHROM\tPLACE"), "one.pvar: line 3 and those before it name no columns", None),
    ("fields", "one.pvar", swap("\tr1\t", "\t"), "one.pvar: line 4 has 4 fields, not 5", None),
    ("place", "one.pvar", swap("\t120\t", "\t1e9x\t"), "one.pvar: 1 position(s) are not whole numbers, first at line 5", None),
    ("cut gzip", "one.pvar", lambda text: gzip.compress(text)[:-9], "one.pvar: the file cannot be read or is cut short", None),
    ("twice", "one.psam", swap("s1\t", "s2\t"), "one.psam: 1 individual id(s) stand more than once", None),
    ("no id", "one.psam", swap("#IID", "#ID"), "one.psam: the header must name IID", None),
    ("cut", "x.vcf", cut(5), "x.vcf: line 17 has 14 fields, not 15; the file is cut short", None),
    ("cut in the last field", "x.vcf", cut(4), "x.vcf: line 17 cannot be read as a VCF record", None),
    ("no VCF", "x.vcf", lambda _: b"chromosome,position\n1,2\n", "x.vcf: this is no VCF file", None),
    ("noise", "x.vcf", lambda _: bytes(range(256)) * 4, "x.vcf: this is no VCF file", None),
    ("BCF", "x.vcf", lambda _: b"BCF\x02\x02", "x.vcf: this is BCF, not VCF", None),
    ("packed BCF", "x.vcf.gz", lambda _: bgzip(b"BCF\x02\x02"), "x.vcf.gz: this is BCF, not VCF", None),
    ("Zstandard", "x.vcf", lambda _: b"\x28\xb5\x2f\xfd0", "x.vcf: a VCF packed with Zstandard is not read", None),
    ("no column line", "x.vcf", lambda _: ("\n".join(HEADER) + "\n").encode(), "x.vcf: line 5 names no samples", None),
    ("no samples", "x.vcf", lambda _: vcf_text([], []).encode(), "x.vcf: line 5 names no samples", None),
    ("no variants", "x.vcf", lambda _: vcf_text([], ["a"]).encode(), "x.vcf: the file holds no variant", None),
    ("sample twice", "x.vcf", swap("\ts1\t", "\ts2\t"), "x.vcf: 1 individual id(s) stand more than once", None),
    ("place", "x.vcf", swap("\t120\t", "\tx\t"), "x.vcf: 1 position(s) are not whole numbers, first at line 8", None),
    ("fields", "x.vcf", swap("\tr2\tA", "\tr2\tA\tA"), "x.vcf: line 8", None),
    ("cut gzip", "x.vcf.gz", cut(20), "x.vcf.gz: the compressed file is damaged or cut short", None),
    ("flipped gzip", "x.vcf.gz", lambda text: text[:60] + b"\0\0" + text[62:], "x.vcf.gz: the compressed file is damaged", None),
    ("cut blocks", "x.vcf.bgz", cut(len(BGZIP_END)), "x.vcf.bgz: the compressed file is cut short (its end mark", None),
    ("no GT", "x.vcf", record("0.5", "0.5", form="DS"), "x.vcf: line 7 has no GT under FORMAT", "GT"),
    ("no DS", "x.vcf", record("0/1", "0/1"), "x.vcf: line 7 has no DS under FORMAT", "DS"),
    ("undeclared DS", "x.vcf", record("0.5", "1", form="DS", header=NO_DS), "x.vcf: the header does not declare DS", None),
    ("mixed ploidy", "x.vcf", record("0", "0/1"), "x.vcf: line 7 has a haploid genotype on an autosome", None),
    ("half call", "x.vcf", record("0/0", "0/."), "x.vcf: line 7 has a genotype of which only one allele is called", None),
    ("three copies", "x.vcf", record("0/0/1", "0/1"), "x.vcf: line 7 has a genotype of more than two alleles", None),
    ("unknown allele", "x.vcf", record("0/2", "0/1"), "x.vcf: line 7 has a genotype with an allele that ALT does not", None),
    ("high DS", "x.vcf", record("0/1:2.01", "0/1:1", form="GT:DS"), "x.vcf: line 7 has a dosage that is not between", None),
    ("low DS", "x.vcf", record("-0.1", "1", form="DS"), "x.vcf: line 7 has a dosage that is not between", None),
    ("infinite DS", "x.vcf", record("inf", "1", form="DS"), "x.vcf: line 7 has a dosage that is not between", None),
    ("sum of DS", "x.vcf", record("1.5,1.5", "0,0", form="DS*"), "x.vcf: line 7 has a dosage that is not between", None),
    ("one DS for two", "x.vcf", record("1.5", "0.1", form="DS*"), "x.vcf: line 7 has no number under DS for each", None),
    ("DS in words", "x.vcf", record("much", "0.1", form="DS"), "x.vcf: line 7 ", None),
    ("GT in words", "x.vcf", record("A/G", "A/A"), "x.vcf: line 7 ", None),
    ("a sample more", "x.vcf", record("0/0", "0/1", "0/1"), "x.vcf: line 7 has 12 fields, not 11", None),
    ("a sample less", "x.vcf", record("0/0"), "x.vcf: line 7 has 10 fields, not 11", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "damage", "expected"),
    [pytest.param(row[1], row[2:5:2], row[3], id=f"{row[1]}-{row[0]}") for row in DAMAGES],
)
def test_damage_is_told_by_file_and_line(
    tmp_path: Path, whole: dict[str, bytes], file: str, damage: tuple[Damage, str | None], expected: str
) -> None:
    make, field = damage
    with pytest.raises(BadInput, match=f"^{re.escape(expected)}") as told:
        read(tmp_path, whole, file, make(whole[file]), field)
    for problem in told.value.problems:
        assert problem.endswith(".")
        assert str(tmp_path) not in problem


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("two", "two: both two.bed and two.pgen stand there; name the one to read with its ending"),
        ("none", "none: no genotype file of this name: neither none.bed nor none.pgen exists"),
        ("none.vcf", "none.vcf: the genotype file does not exist"),
        ("none.bed", "none.bed: the genotype file does not exist"),
        ("none.pgen", "none.pgen: the genotype file does not exist"),
        ("x.bcf", "x.bcf: BCF is not read; write it as VCF"),
        ("folder.vcf", "folder.vcf: "),
    ],
)
def test_what_cannot_be_found(tmp_path: Path, entry: str, expected: str) -> None:
    for name in ("two.bed", "two.pgen"):
        (tmp_path / name).touch()
    (tmp_path / "folder.vcf").mkdir()
    with pytest.raises(BadInput, match=f"^{re.escape(expected)}"):
        open_genotypes(tmp_path, entry)


def test_a_file_that_may_not_be_read(
    tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, who may read everything: opening is made to fail."""
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.suffix in {".bed", ".pgen", ".vcf"}:
            raise PermissionError
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadInput) as told:
        open_genotypes(tmp_path, ["one.bed", "one.pgen", "x.vcf"])
    assert len(told.value.problems) == 3
    for entry, problem in zip(("one.bed", "one.pgen", "x.vcf"), told.value.problems, strict=True):
        assert problem.startswith(f"{entry}: the ")
        assert "read" in problem


@pytest.mark.parametrize("entry", ["one.bed", "x.vcf"])
def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, whole: dict[str, bytes], entry: str) -> None:
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
    file = open_genotypes(tmp_path, entry)
    lines = whole[entry].splitlines(keepends=True)
    (tmp_path / entry).write_bytes(whole[entry][:9] if entry == "one.bed" else b"".join(lines[:8]))
    with pytest.raises(BadInput, match="became shorter while it was read"):
        copies_of_a1(file)


@pytest.mark.parametrize("file", sorted(ENTRIES))
def test_any_damaged_byte_is_refused_or_read(
    tmp_path: Path, whole: dict[str, bytes], file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bytes changed, left out and put in: our sentence, or genotypes of the right shape between 0 and 2; no other output."""
    random = np.random.default_rng(sorted(ENTRIES).index(file))
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
    refused = 0
    for _ in range(40):
        damaged = bytearray(whole[file])
        for place in random.integers(len(damaged), size=random.integers(1, 4)):
            damaged[place : place + int(random.integers(3))] = random.bytes(int(random.integers(3)))
        (tmp_path / file).write_bytes(damaged)
        try:
            opened = open_genotypes(tmp_path, ENTRIES[file])
            copies = copies_of_a1(opened)
        except BadInput:
            refused += 1
            continue
        known = copies[~np.isnan(copies)]
        assert copies.shape == (opened.variants.height, len(opened.samples))
        assert ((known >= 0) & (known <= 2)).all()
    assert refused
    assert capfd.readouterr() == ("", "")
