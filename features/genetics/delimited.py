"""Read the text files beside genotypes: columns apart by tabs or spaces, plain or compressed, a million rows at once."""

import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from features.errors import BadInput

_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_NEWLINE, _TAB = 10, 9


@dataclass(frozen=True)
class TextFile:
    """The text of a file beside genotypes.

    Attributes:
        shown: the file's name for messages.
        comments: the lines before the table that start with ##.
        header: the table's column names, without #; None: the file has no header.
        rows: the table, columns apart by one tab, each row ended by a line feed.
        first_line: the number of the table's first row in the file, from 1.
    """

    shown: str
    comments: tuple[str, ...]
    header: tuple[str, ...] | None
    rows: bytes
    first_line: int


def read_text_file(path: Path, shown: str) -> TextFile:
    """Read a whole .bim, .fam, .pvar or .psam file, plain, gzip or Zstandard, and set its header apart.

    Raises:
        BadInput: the file does not exist, cannot be read, is cut short or holds no row.
    """
    content = _content(path, shown).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    comments: list[str] = []
    while content.startswith(b"##"):
        line, _, content = content.partition(b"\n")
        comments.append(line.decode(errors="replace"))
    header, lines = None, len(comments)
    if content.startswith(b"#"):
        line, _, content = content.partition(b"\n")
        header, lines = tuple(line.decode(errors="replace").lstrip("#").split()), lines + 1
    rows = _tabbed(content)
    if not rows.strip():
        raise BadInput(f"{shown}: the file is empty.")
    return TextFile(shown, tuple(comments), header, rows, lines + 1)


def table(text: TextFile, names: Sequence[str], used: Sequence[str]) -> pl.DataFrame:
    """Make a table of text of some columns.

    Args:
        text: the file.
        names: of all its columns.
        used: the columns to return.

    Raises:
        BadInput: a row has another number of fields than `names`.
    """
    codes = np.frombuffer(text.rows, dtype=np.uint8)
    ends = np.flatnonzero(codes == _NEWLINE)
    tabs = np.searchsorted(np.flatnonzero(codes == _TAB), ends)
    fields = np.diff(tabs, prepend=0) + 1
    odd = np.flatnonzero(fields != len(names))
    if len(odd):
        raise BadInput(
            f"{text.shown}: line {text.first_line + int(odd[0])} has {int(fields[odd[0]])} fields, not {len(names)}; write the "
            "files with PLINK again."
        )
    return pl.read_csv(
        io.BytesIO(text.rows),
        separator="\t",
        has_header=False,
        new_columns=list(names),
        columns=[names.index(name) for name in used],
        schema=dict.fromkeys(names, pl.String),
        quote_char=None,
        encoding="utf8-lossy",
    ).select(used)


def _content(path: Path, shown: str) -> bytes:
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            return gzip.decompress(content)
        return _decompressed(path) if content.startswith(_ZSTANDARD) else content
    except FileNotFoundError:
        raise BadInput(f"{shown}: the genotype file does not exist; mend its path.") from None
    except PermissionError:
        raise BadInput(f"{shown}: the file may not be read; give yourself permission to read it.") from None
    except (OSError, EOFError, zlib.error):
        raise BadInput(f"{shown}: the file cannot be read or is cut short; copy it again.") from None


def _decompressed(path: Path) -> bytes:
    """The content of a Zstandard file; OSError where it is damaged or cut short."""
    import pyarrow as pa

    with pa.input_stream(str(path), compression="zstd") as stream:
        content: bytes = stream.read()
    return content


def _tabbed(content: bytes) -> bytes:
    """The rows with exactly one tab between fields and one line feed after each row."""
    content = content.rstrip(b" \t\r\n") + b"\n"
    first = content[: content.index(b"\n")]
    if b" " in first or b"\t\t" in first:
        content = re.sub(rb"[ \t]+", b"\t", content)
        content = re.sub(rb"(?m)^\t|\t$", b"", content)
    return content
