"""The first pass over a VCF file: its samples, its variants and whether every line holds what is asked for."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from features.errors import BadInput
from features.genetics.delimited import TextFile

_GZIP, _ZSTANDARD, _BCF = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BCF"
_FIXED = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
_FORMAT = 8
_TAB = 9  # the character's code
# The empty block that ends a file of bgzip (SAM/BAM specification, section 4.1.2).
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BGZIP_MARK = slice(12, 14)
_LONGEST_LINE = 1_000_000_000  # bytes of a header line


@dataclass(frozen=True)
class VcfIndex:
    """What the first pass over a VCF file found.

    Attributes:
        header: the lines that start with ##.
        samples: their ids in the file's order.
        rows: chromosome, position, id, reference and alternatives of every record.
        formats: what stands under FORMAT, with the first line that has it.
    """

    header: tuple[str, ...]
    samples: tuple[str, ...]
    rows: TextFile
    formats: dict[tuple[str, ...], int] = field(default_factory=dict)

    def line_without(self, name: str) -> int | None:
        """The first line without this field; None: every line has it."""
        return min((line for fields, line in self.formats.items() if name not in fields), default=None)


def index_vcf(path: Path, shown: str) -> VcfIndex:
    """Read a VCF file once, plain, gzip or bgzip, without looking at genotypes.

    Format: the Variant Call Format specification, versions 4.1 to 4.4 (Danecek et al., Bioinformatics 2011, 27:2156-2158,
    doi:10.1093/bioinformatics/btr330).

    Raises:
        BadInput: the file does not exist, is no VCF file, holds no sample or no variant, or is cut short.
    """
    try:
        with _opened(path, shown) as stream:
            return _index(stream, shown)
    except FileNotFoundError:
        raise BadInput(f"{shown}: the genotype file does not exist; mend its path under files.") from None
    except PermissionError:
        raise BadInput(
            f"{shown}: the genotype file may not be read; give yourself permission to read it."
        ) from None
    except (OSError, EOFError, zlib.error):
        raise BadInput(f"{shown}: the compressed file is damaged or cut short; copy it again.") from None


@contextmanager
def _opened(path: Path, shown: str) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        start = file.read(18)
        if not start.startswith(_GZIP):
            if start.startswith(_BCF):
                raise BadInput(f"{shown}: this is BCF, not VCF; write it as VCF with `bcftools view -Oz`.")
            if start.startswith(_ZSTANDARD):
                raise BadInput(f"{shown}: a VCF packed with Zstandard is not read; pack it with bgzip.")
            file.seek(0)
            yield file
            return
        if start[_BGZIP_MARK] == b"BC":
            file.seek(-min(len(_BGZIP_END), path.stat().st_size), io.SEEK_END)
            if file.read() != _BGZIP_END:
                raise BadInput(
                    f"{shown}: the compressed file is cut short (its end mark is missing); copy it again."
                )
        file.seek(0)
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield io.BufferedReader(unpacked, 1_000_000)


def _index(stream: BinaryIO, shown: str) -> VcfIndex:
    header, line = _header(stream, shown)
    number = len(header) + 1
    names = line.rstrip("\r\n").split("\t")
    if tuple(names[: _FORMAT + 1]) != _FIXED or len(names) == _FORMAT + 1:
        raise BadInput(
            f"{shown}: line {number} names no samples after the columns {' '.join(_FIXED)}; deliver genotypes, not a list of "
            "variants."
        )
    rows, formats = _rows(stream, shown, first_line=number + 1, columns=len(names))
    index = VcfIndex(
        header, tuple(names[_FORMAT + 1 :]), TextFile(shown, header, None, rows, number + 1), formats
    )
    if not rows:
        raise BadInput(f"{shown}: the file holds no variant.")
    return index


def _header(stream: BinaryIO, shown: str) -> tuple[tuple[str, ...], str]:
    """The lines that start with ##, and the one after them."""
    lines: list[str] = []
    line = stream.readline(_LONGEST_LINE)
    if line.startswith(_BCF):
        raise BadInput(f"{shown}: this is BCF, not VCF; write it as VCF with `bcftools view -Oz`.")
    if not line.startswith(b"##fileformat=VCF"):
        raise BadInput(
            f"{shown}: this is no VCF file: its first line is not ##fileformat=VCFv4; mend the path under files."
        )
    while line.startswith(b"##"):
        lines.append(line.decode(errors="replace").rstrip("\r\n"))
        line = stream.readline(_LONGEST_LINE)
    return tuple(lines), line.decode(errors="replace")


def _rows(
    stream: BinaryIO, shown: str, *, first_line: int, columns: int
) -> tuple[bytes, dict[tuple[str, ...], int]]:
    """Chromosome to alternatives of every record, and the first line of everything that stands under FORMAT."""
    rows = io.BytesIO()
    formats: dict[bytes, int] = {}
    for number, line in enumerate(stream, start=first_line):
        # Counted by numpy: several times faster than bytes.count where every fourth byte is a tab.
        found = int(np.count_nonzero(np.frombuffer(line, dtype=np.uint8) == _TAB)) + 1
        if found != columns:
            raise BadInput(
                f"{shown}: line {number} has {found} fields, not {columns}; the file is cut short or damaged: copy it again."
            )
        fields = line.split(b"\t", _FORMAT + 1)
        formats.setdefault(fields[_FORMAT], number)
        rows.write(b"\t".join(fields[:5]) + b"\n")
    known = {tuple(text.decode(errors="replace").split(":")): line for text, line in formats.items()}
    return rows.getvalue(), known
