"""PLINK 2 genotype files: hard calls and dosages through pgenlib, in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.alleles import AlleleRows, clean_variants, split_alleles
from features.genetics.contigs import stated_build
from features.genetics.delimited import TextFile, read_text_file, table
from features.genetics.genotypes import GenotypeBlock, Integers
from features.genetics.people import read_psam
from features.genetics.pgen_header import PgenHeader, read_pgen_header

_COLUMNS = ("CHROM", "POS", "ID", "REF", "ALT")
_LIKE_BIM = {5: ("CHROM", "ID", "POS", "ALT", "REF"), 6: ("CHROM", "ID", "CM", "POS", "ALT", "REF")}
_PVAR_ENDINGS = ("pvar", "pvar.zst", "pvar.gz")
_BLOCK_BYTES = 16_000_000


@dataclass(frozen=True)
class PgenFile:
    """One trio of .pgen, .pvar and .psam that agree; a GenotypeFile.

    Attributes:
        pgen: the .pgen file.
        rows: its variants, one row per allele where there are more than two.
        records: number of variants in the .pgen file.
        others: see GenotypeFile.
    """

    name: str
    pgen: Path
    samples: tuple[str, ...]
    male: NDArray[np.bool_] | None
    rows: AlleleRows
    records: int
    genome_build: str | None
    holds_dosages: bool

    @property
    def variants(self) -> pl.DataFrame:
        """See GenotypeFile."""
        return self.rows.variants

    def blocks(self, *, samples: Integers, variants: Integers) -> Iterator[GenotypeBlock]:
        """Read hard calls or dosages; see GenotypeFile."""
        if not len(samples) or not len(variants):
            return
        width = max(1, _BLOCK_BYTES // ((4 if self.holds_dosages else 1) * len(samples)))
        with self._reader(samples) as reader:
            for start in range(0, len(variants), width):
                part = slice(start, min(start + width, len(variants)))
                values = self._values(reader, variants[part], len(samples))
                yield self._dosages(part, values) if self.holds_dosages else _hard_calls(part, values)

    def _reader(self, samples: Integers) -> Any:
        import pgenlib

        everybody = len(samples) == len(self.samples)
        alleles = np.bincount(self.rows.record, minlength=self.records)
        offsets = np.concatenate([[0], np.cumsum(np.maximum(alleles, 2))]).astype(np.uintp)
        try:
            return pgenlib.PgenReader(
                str(self.pgen).encode(),
                raw_sample_ct=len(self.samples),
                variant_ct=self.records,
                sample_subset=None if everybody else samples.astype(np.uint32),
                allele_idx_offsets=offsets if alleles.max(initial=0) > 1 else None,
            )
        except (RuntimeError, OSError, ValueError):
            raise self._damaged() from None

    def _values(self, reader: Any, variants: Integers, samples: int) -> NDArray[Any]:
        """Copies of a1, shape (variants, samples), -9 where missing."""
        read = reader.read_dosages_list if self.holds_dosages else reader.read_list
        values = np.empty((len(variants), samples), dtype=np.float32 if self.holds_dosages else np.int8)
        record, allele = self.rows.record[variants].astype(np.uint32), self.rows.allele[variants]
        try:
            if (allele == 1).all():
                read(record, values)
                return values
            for counted in np.unique(allele):
                places = np.flatnonzero(allele == counted)
                part = np.empty((len(places), samples), dtype=values.dtype)
                read(record[places], part, allele_idx=int(counted))
                values[places] = part
        except (RuntimeError, OSError, ValueError):
            raise self._damaged() from None
        return values

    def _dosages(self, part: slice, dosages: NDArray[np.float32]) -> GenotypeBlock:
        dosages[dosages < 0] = np.nan
        if (dosages > 2).any():
            raise self._damaged()
        return GenotypeBlock(part, dosages=dosages)

    def _damaged(self) -> BadInput:
        return BadInput(f"{self.name}.pgen: a record of the file is damaged; copy the file again.")


def open_pgen(prefix: Path, *, name: str) -> PgenFile:
    """Read .psam, .pvar (or .pvar.zst, .pvar.gz) and the header of .pgen, and check that they agree.

    Format: PLINK 2 binary, Chang et al., GigaScience 2015, 4:7, doi:10.1186/s13742-015-0047-8.

    Args:
        prefix: the path without its ending.
        name: the prefix relative to the study's source folder.

    Raises:
        BadInput: a file is missing, cannot be read or damaged, ids repeat, or the three do not agree.
    """
    paths = {
        ending: prefix.with_name(f"{prefix.name}.{ending}") for ending in ("pgen", "psam", *_PVAR_ENDINGS)
    }
    pvar = next((ending for ending in _PVAR_ENDINGS if paths[ending].is_file()), "pvar")
    absent = [ending for ending in ("pgen", "psam", pvar) if not paths[ending].is_file()]
    if absent:
        raise BadInput(
            *(
                f"{name}.{ending}: the genotype file does not exist; mend the prefix under files."
                for ending in absent
            )
        )
    samples, male = read_psam(paths["psam"], f"{name}.psam")
    text = read_text_file(paths[pvar], f"{name}.{pvar}")
    variants = _variants(text)
    header = read_pgen_header(paths["pgen"], f"{name}.pgen")
    _refuse_other_sizes(header, name, pvar, samples=len(samples), variants=variants.height)
    return PgenFile(
        name,
        paths["pgen"],
        samples,
        male,
        split_alleles(variants),
        variants.height,
        stated_build(text.comments),
        header.holds_dosages,
    )


def _variants(text: TextFile) -> pl.DataFrame:
    names = text.header or _LIKE_BIM.get(text.rows[: text.rows.index(b"\n")].count(b"\t") + 1, ())
    if not set(_COLUMNS) <= set(names) or len(set(names)) < len(names):
        raise BadInput(
            f"{text.shown}: line {text.first_line} and those before it name no columns {', '.join(_COLUMNS)}; write the "
            "files with PLINK again."
        )
    rows = table(text, names, _COLUMNS).rename(
        {"CHROM": "chromosome", "POS": "position", "ID": "id", "REF": "a2", "ALT": "a1"}
    )
    return clean_variants(rows, shown=text.shown, first_line=text.first_line)


def _refuse_other_sizes(header: PgenHeader, name: str, pvar: str, *, samples: int, variants: int) -> None:
    if (header.samples, header.variants) != (samples, variants):
        raise BadInput(
            f"{name}.pgen: its header tells {header.samples} samples and {header.variants} variants, but the .psam holds "
            f"{samples} and the .{pvar} {variants}; the three files do not belong together."
        )


def _hard_calls(part: slice, copies: NDArray[np.int8]) -> GenotypeBlock:
    from features.genetics.packing_kernels import pack_copies

    packed = np.empty((len(copies), -(-copies.shape[1] // 4)), dtype=np.uint8)
    pack_copies(copies, packed)
    return GenotypeBlock(part, packed=packed)
