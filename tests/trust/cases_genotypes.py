"""Bad input 111: malformed genotype files of every format that is read."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from features.genetics.inputs import match_scores, read_inputs
from features.genetics.opening import open_genotypes
from features.genetics.settings import GeneticSettings
from tests.features.genetic_files import score_row, write_genotypes, write_score
from tests.features.genotype_files import copies_of_a1, copies_of_alternative, vcf_text, write_pgen
from tests.trust.bad_input import Example, refusal

SAMPLES = ("anna-1", "bert-2")
VARIANTS = [("1", 10, "A", "G"), ("1", 20, "C", "T")]
ROW = (("1", 10, "r1", "A", "G"), "GT", ["0/1", "0/0"])
SOUND = vcf_text([ROW], SAMPLES)


def _bed(damage: Callable[[bytes], bytes], ending: str = "bed") -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        write_genotypes(folder / "fr", np.array([[0.0, 1.0], [2.0, 2.0]]), VARIANTS, SAMPLES)
        path = folder / f"fr.{ending}"
        path.write_bytes(damage(path.read_bytes()))
        open_genotypes(folder, "fr")

    return read


def _pgen(damage: Callable[[bytes], bytes], ending: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        write_pgen(folder / "fr", copies_of_alternative(5, 7))
        path = folder / f"fr.{ending}"
        path.write_bytes(damage(path.read_bytes()))
        open_genotypes(folder, "fr")

    return read


def _vcf(content: str | bytes, name: str = "fr.vcf", field: str | None = None) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        copies_of_a1(open_genotypes(folder, name, field=field))

    return read


def _genotype(*fields: str, form: str = "GT") -> str:
    """A VCF file of a sound record and one with these fields on line 7."""
    return vcf_text(
        [(ROW[0], "GT:DS", ["0/1:1", "0/0:0"]), (("1", 20, "r2", "C", "T"), form, fields)], SAMPLES
    )


def _other_build(folder: Path) -> None:
    """The same variants where another build of the genome has them."""
    write_genotypes(folder / "fr", np.array([[0.0, 1.0], [2.0, 2.0]]), VARIANTS, SAMPLES)
    write_score(folder / "scz.txt", [score_row(1010, "A", "G", 1.0), score_row(1020, "C", "T", 10.0)])
    settings = GeneticSettings.from_study({"files": ["fr"], "scores": {"scz": "scz.txt"}})
    match_scores(read_inputs(folder, settings), settings)


def _refused(when: str, read: Callable[[Path], None], said: str) -> Example:
    return refusal(read, said, secret=SAMPLES, when=when)


EXAMPLES = (
    _refused("size mismatch", _bed(lambda content: content[:-1]), "fr.bed: 4 bytes, but 2 samples"),
    _refused("no .bed file", _bed(lambda content: b"BED" + content[3:]), "fr.bed: this is not"),
    _refused("sample-major", _bed(lambda content: b"\x6c\x1b\x00" + content[3:]), "sample-major"),
    _refused("a field too few", _bed(lambda text: text.replace(b"\tA\tG", b"\tA"), "bim"), "fr.bim: line 1"),
    _refused("a sample twice", _bed(lambda text: text.replace(b"bert-2", b"anna-1"), "fam"), "fr.fam: 1"),
    _refused("PLINK 2, cut", _pgen(lambda content: content[:-1], "pgen"), "fr.pgen: the file is cut short"),
    _refused("PLINK 2, another cohort's people", _pgen(lambda text: text + b"x\t1\n", "psam"), "fr.pgen: its header"),
    _refused("PLINK 2, packed and cut", _pgen(lambda text: gzip.compress(text)[:-9], "pvar"), "fr.pvar: the file"),
    _refused("VCF, no samples", _vcf(vcf_text([], [])), "fr.vcf: line 5"),
    _refused("VCF, packed and cut", _vcf(gzip.compress(SOUND.encode())[:-9], "fr.vcf.gz"), "fr.vcf.gz: the compressed"),
    _refused("VCF, other text", _vcf("chromosome,position\n1,10\n"), "fr.vcf: this is no VCF"),
    _refused("VCF, a sample's field missing", _vcf(_genotype("0/0")), "fr.vcf: line 7 has 10 fields"),
    _refused("VCF, no field DS", _vcf(_genotype("0/0", "0/1"), field="DS"), "fr.vcf: line 7 has no DS"),
    _refused("VCF, mixed ploidy", _vcf(_genotype("0", "0/1")), "fr.vcf: line 7 has a haploid"),
    _refused("VCF, half a call", _vcf(_genotype("0/0", "./1")), "fr.vcf: line 7 has a genotype of which"),
    _refused("VCF, a dosage of 2.5", _vcf(_genotype("0/0:0", "1/1:2.5", form="GT:DS")), "fr.vcf: line 7 has a dosage"),
    _refused("BCF", _vcf(b"BCF\x02\x02", "fr.bcf"), "fr.bcf: BCF is not read"),
    _refused("wrong build", _other_build, "fr: "),
)  # fmt: skip
