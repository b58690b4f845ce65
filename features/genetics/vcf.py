"""VCF files: genotypes and dosages through htslib (cyvcf2), in blocks; an index beside the file is not needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.alleles import AlleleRows, clean_variants, split_alleles
from features.genetics.contigs import stated_build
from features.genetics.delimited import table
from features.genetics.genotypes import GenotypeBlock, Integers
from features.genetics.people import unique_samples
from features.genetics.vcf_index import VcfIndex, index_vcf

GENOTYPE, DOSAGE = "GT", "DS"
_AUTOSOMES = frozenset(str(number) for number in range(1, 23))
_BLOCK_BYTES = 16_000_000


@dataclass(frozen=True)
class VcfFile:
    """One VCF file; a GenotypeFile.

    A haploid genotype (X, Y, MT) counts as PLINK codes it, as two copies of its allele, and its dosage is doubled. A sample
    without a dosage has that of its genotype. Dosages are rounded to plink2's steps of 1/16384 of a copy.

    Attributes:
        path: the file.
        rows: its variants, one row per allele where there are more than two.
        first_line: the line of the first record.
        has_genotypes: every record has GT.
        others: see GenotypeFile.
    """

    name: str
    path: Path
    samples: tuple[str, ...]
    rows: AlleleRows
    first_line: int
    genome_build: str | None
    holds_dosages: bool
    has_genotypes: bool
    male: NDArray[np.bool_] | None = None

    @property
    def variants(self) -> pl.DataFrame:
        """See GenotypeFile."""
        return self.rows.variants

    def blocks(self, *, samples: Integers, variants: Integers) -> Iterator[GenotypeBlock]:
        """Read genotypes or dosages; see GenotypeFile."""
        if not len(samples) or not len(variants):
            return
        samples = np.array(samples, dtype=np.int64)
        width = max(1, _BLOCK_BYTES // ((4 if self.holds_dosages else 1) * len(samples)))
        with _htslib(self.path, self.name) as lines:
            records = _Records(self, lines)
            for start in range(0, len(variants), width):
                part = slice(start, min(start + width, len(variants)))
                values = np.empty(
                    (part.stop - start, len(samples)), dtype=np.float32 if self.holds_dosages else np.int8
                )
                for row, variant in zip(values, variants[part], strict=True):
                    records.move_to(int(self.rows.record[variant]))
                    self._fill(records, int(variant), samples, row)
                yield GenotypeBlock(part, dosages=values) if self.holds_dosages else _packed(part, values)

    def _fill(self, records: "_Records", variant: int, samples: Integers, row: NDArray[Any]) -> None:
        allele = int(self.rows.allele[variant])
        if not self.holds_dosages:
            self._copies(records, variant, samples, row)
            return
        from features.genetics.vcf_kernels import note_haploid, quantise_dosages

        haploid = np.zeros(len(samples), dtype=np.bool_)
        if self.has_genotypes and self.variants["chromosome"].item(variant) not in _AUTOSOMES:
            note_haploid(records.genotypes(), samples, haploid)
        found = quantise_dosages(records.dosages(), samples, allele - 1, haploid, row)
        if found:
            raise records.bad(
                "has a dosage that is not between 0 and the number of copies; write the file again"
            )
        missing = np.isnan(row)
        if self.has_genotypes and missing.any():
            copies = np.empty(len(samples), dtype=np.int8)
            self._copies(records, variant, samples, copies)
            row[missing] = np.where(copies < 0, np.nan, copies)[missing]

    def _copies(self, records: "_Records", variant: int, samples: Integers, copies: NDArray[np.int8]) -> None:
        from features.genetics import vcf_kernels as kernels

        allele, alleles = int(self.rows.allele[variant]), records.alleles()
        found = kernels.count_copies(records.genotypes(), samples, allele, alleles, copies)
        if found & kernels.UNKNOWN_ALLELE:
            raise records.bad("has a genotype with an allele that ALT does not list; write the file again")
        if found & kernels.POLYPLOID:
            raise records.bad("has a genotype of more than two alleles; leave such variants out")
        if found & kernels.HALF_CALL:
            raise records.bad(
                "has a genotype of which only one allele is called; make such genotypes missing, as "
                "`plink2 --vcf-half-call missing` does"
            )
        if found & kernels.HAPLOID and self.variants["chromosome"].item(variant) in _AUTOSOMES:
            raise records.bad(
                "has a haploid genotype on an autosome (mixed ploidy); call the file again, or leave the variant out"
            )


class _Records:
    """The record at which reading stands."""

    def __init__(self, file: VcfFile, lines: Iterator[Any]) -> None:
        self.file = file
        self.lines = lines
        self.place = -1
        self.record: Any = None
        self._alleles = np.maximum(np.bincount(file.rows.record), 2)
        self._alleles[file.rows.record[(file.variants["a1"] == ".").to_numpy()]] = 1
        self._genotypes: NDArray[np.int16] | None = None

    def move_to(self, place: int) -> None:
        """Read on to a record; records are asked for in the file's order."""
        while self.place < place:
            self.place += 1
            self._genotypes = None
            self.record = self._read(lambda: next(self.lines, None), "cannot be read as a VCF record")
            if self.record is None:
                raise self.bad("is missing: the file became shorter while it was read; copy it again")

    def alleles(self) -> int:
        """Give the number of alleles, the reference among them."""
        return int(self._alleles[self.place])

    def genotypes(self) -> NDArray[np.int16]:
        """Alleles of all samples, shape (all samples, ploidy + 1)."""
        if self._genotypes is None:
            what = "has no genotypes that can be read"
            genotype = self._read(lambda: self.record.genotype, what)
            if genotype is None:
                raise self.bad(f"{what}; write the file again")
            self._genotypes = genotype.array()
        return self._genotypes

    def dosages(self) -> NDArray[np.float32]:
        """Dosages of all samples, shape (all samples, alternatives)."""
        expected = (len(self.file.samples), max(1, self.alleles() - 1))
        what = f"has no number under DS for each of its {expected[1]} alternative(s)"
        values = self._read(lambda: self.record.format(DOSAGE), what)
        if not isinstance(values, np.ndarray) or values.dtype != np.float32 or values.shape != expected:
            raise self.bad(f"{what}; write the file again")
        return values

    def _read(self, read: Callable[[], Any], what: str) -> Any:
        """Ask cyvcf2, and say in our words what it could not do."""
        try:
            return read()
        except Exception:  # noqa: BLE001  cyvcf2 raises no narrower one for a record that htslib cannot parse
            raise self.bad(f"{what}; write the file again") from None

    def bad(self, what: str) -> BadInput:
        return BadInput(f"{self.file.name}: line {self.file.first_line + self.place} {what}.")


def open_vcf(path: Path, *, name: str, field: str | None = None) -> VcfFile:
    """Read the variants of a VCF file, plain, gzip or bgzip.

    Args:
        path: the file.
        name: the path relative to the study's source folder.
        field: GT or DS; None: DS where every variant has it, otherwise GT.

    Raises:
        BadInput: the file is no VCF file, damaged or cut short, holds no samples, or lacks the field in some line.
    """
    index = index_vcf(path, name)
    samples = unique_samples(index.samples, name)
    chosen = field or (DOSAGE if index.line_without(DOSAGE) is None else GENOTYPE)
    lacking = index.line_without(chosen)
    if lacking is not None:
        raise BadInput(
            f"{name}: line {lacking} has no {chosen} under FORMAT, which is to be read; deliver it for every variant, or set "
            f"vcf_field to {GENOTYPE if chosen == DOSAGE else DOSAGE}."
        )
    if chosen == DOSAGE and not any(
        line.startswith("##FORMAT=<ID=DS,") and "Type=Float" in line for line in index.header
    ):
        raise BadInput(
            f"{name}: the header does not declare DS as ##FORMAT=<ID=DS,Number=A,Type=Float,...>; add that line."
        )
    with _htslib(path, name):
        pass  # a header that htslib refuses is told before anything is computed
    return VcfFile(
        name,
        path,
        samples,
        split_alleles(_variants(index)),
        index.rows.first_line,
        stated_build(index.header),
        chosen == DOSAGE,
        index.line_without(GENOTYPE) is None,
    )


def _variants(index: VcfIndex) -> pl.DataFrame:
    names = ("chromosome", "position", "id", "a2", "a1")
    return clean_variants(
        table(index.rows, names, names), shown=index.rows.shown, first_line=index.rows.first_line
    )


@contextmanager
def _htslib(path: Path, name: str) -> Iterator[Iterator[Any]]:
    """The records of a file, with htslib's own messages switched off: what is wrong is told in ours."""
    import cyvcf2
    from cyvcf2.cyvcf2 import set_htslib_log_level

    set_htslib_log_level(0)
    try:
        file = cyvcf2.VCF(str(path.resolve()), lazy=True)
    except Exception:  # noqa: BLE001  cyvcf2 raises no narrower one for a header that htslib refuses
        raise BadInput(
            f"{name}: the header cannot be read as that of a VCF file; write the file again."
        ) from None
    try:
        yield iter(file)
    finally:
        file.close()


def _packed(part: slice, copies: NDArray[np.int8]) -> GenotypeBlock:
    from features.genetics.packing_kernels import pack_copies

    packed = np.empty((len(copies), -(-copies.shape[1] // 4)), dtype=np.uint8)
    pack_copies(copies, packed)
    return GenotypeBlock(part, packed=packed)
