"""PLINK 1 genotype files: the packed bytes as they stand in the file, in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.alleles import clean_variants
from features.genetics.delimited import read_text_file, table
from features.genetics.genotypes import GenotypeBlock, Integers
from features.genetics.people import read_fam

_BIM = ("chromosome", "id", "centimorgan", "position", "a1", "a2")
_HEADER = 3
_VARIANT_MAJOR = b"\x6c\x1b\x01"
_SAMPLE_MAJOR = b"\x6c\x1b\x00"
_BLOCK_BYTES = 8_000_000
_NEAR_BYTES = 32_000  # variants closer than this are read in one go, with what lies between them


@dataclass(frozen=True)
class BedFile:
    """One trio of .bed, .bim and .fam that agree; a GenotypeFile.

    Attributes:
        bed: the .bed file.
        others: see GenotypeFile.
    """

    name: str
    bed: Path
    samples: tuple[str, ...]
    male: NDArray[np.bool_] | None
    variants: pl.DataFrame
    genome_build: str | None = None
    holds_dosages: bool = False

    def blocks(self, *, samples: Integers, variants: Integers) -> Iterator[GenotypeBlock]:
        """Read hard calls; see GenotypeFile."""
        row_bytes = -(-len(self.samples) // 4)
        everybody = len(samples) == len(self.samples)
        width = max(1, _BLOCK_BYTES // max(1, row_bytes))
        if not len(samples):
            return
        with self.bed.open("rb", buffering=0) as file:
            for start in range(0, len(variants), width):
                part = slice(start, min(start + width, len(variants)))
                packed = np.empty((part.stop - part.start, row_bytes), dtype=np.uint8)
                self._read(file, variants[part], packed)
                yield GenotypeBlock(part, packed=packed if everybody else _taken(packed, samples))

    def _read(self, file: FileIO, variants: Integers, packed: NDArray[np.uint8]) -> None:
        """Fill `packed` with the rows of some variants, runs of near ones in one go."""
        row_bytes = packed.shape[1]
        far = np.flatnonzero(np.diff(variants) * row_bytes > _NEAR_BYTES) + 1
        for start, stop in zip([0, *far], [*far, len(variants)], strict=True):
            run = variants[start:stop]
            self._read_run(file, run, packed[start:stop])
        spare = len(self.samples) % 4
        if spare:
            packed[:, -1] &= (1 << (2 * spare)) - 1

    def _read_run(self, file: FileIO, run: Integers, packed: NDArray[np.uint8]) -> None:
        if run[-1] - run[0] + 1 == len(run):
            self._fill(file, int(run[0]), packed)
            return
        # The run spans at most _NEAR_BYTES per variant asked for: spans are cut so that memory stays bounded.
        row_bytes = packed.shape[1]
        rows = max(1, _BLOCK_BYTES // row_bytes)
        for first in range(int(run[0]), int(run[-1]) + 1, rows):
            low, high = np.searchsorted(run, [first, first + rows])
            if low < high:
                span = np.empty((int(run[high - 1] - run[low]) + 1, row_bytes), dtype=np.uint8)
                self._fill(file, int(run[low]), span)
                np.take(span, run[low:high] - run[low], axis=0, out=packed[low:high])

    def _fill(self, file: FileIO, first: int, rows: NDArray[np.uint8]) -> None:
        """Fill `rows` with those of the variants from `first` on."""
        file.seek(_HEADER + first * rows.shape[1])
        wanted = rows.reshape(-1).data
        while len(wanted):
            found = file.readinto(wanted)
            if not found:
                raise BadInput(f"{self.name}.bed: the file became shorter while it was read; copy it again.")
            wanted = wanted[found:]


def open_bed(prefix: Path, *, name: str) -> BedFile:
    """Read .fam and .bim and check that the .bed file has their size.

    Format: PLINK 1 binary, Purcell et al., American Journal of Human Genetics 2007, 81:559-575,
    doi:10.1086/519795.

    Args:
        prefix: the path without its ending.
        name: the prefix relative to the study's source folder.

    Raises:
        BadInput: a file is missing, a row has another number of fields than six, ids repeat, or the .bed file is not
            variant-major or not 3 + ceil(samples / 4) x variants bytes long.
    """
    paths = {ending: prefix.with_name(f"{prefix.name}.{ending}") for ending in ("bed", "bim", "fam")}
    absent = [ending for ending, path in paths.items() if not path.is_file()]
    if absent:
        raise BadInput(
            *(
                f"{name}.{ending}: the genotype file does not exist; mend the prefix under files."
                for ending in absent
            )
        )
    samples, male = read_fam(paths["fam"], f"{name}.fam")
    text = read_text_file(paths["bim"], f"{name}.bim")
    rows = table(text, _BIM, ("chromosome", "id", "position", "a1", "a2"))
    variants = clean_variants(rows, shown=f"{name}.bim", first_line=text.first_line)
    _check_bed(paths["bed"], f"{name}.bed", samples=len(samples), variants=variants.height)
    return BedFile(name, paths["bed"], samples, male, variants)


def _taken(packed: NDArray[np.uint8], samples: Integers) -> NDArray[np.uint8]:
    from features.genetics.packing_kernels import take_samples

    taken = np.empty((len(packed), -(-len(samples) // 4)), dtype=np.uint8)
    take_samples(packed, np.array(samples, dtype=np.int64), taken)
    return taken


def _check_bed(path: Path, shown: str, *, samples: int, variants: int) -> None:
    with path.open("rb") as file:
        magic = file.read(_HEADER)
    if magic == _SAMPLE_MAJOR:
        raise BadInput(f"{shown}: the file is sample-major; write it with `plink2 --make-bed`.")
    if magic != _VARIANT_MAJOR:
        raise BadInput(f"{shown}: this is not a PLINK 1 .bed file (its first three bytes differ).")
    expected = _HEADER + -(-samples // 4) * variants
    found = path.stat().st_size
    if found != expected:
        raise BadInput(
            f"{shown}: {found} bytes, but {samples} samples in the .fam and {variants} variants in the .bim make "
            f"{expected}; the three files do not belong together or the copy is incomplete."
        )
