"""The text of a scoring file or weight table, plain or gzip, a block of lines at a time: memory does not grow with it."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import polars as pl

from features.errors import BadInput

BLOCK_BYTES = 1 << 25
_OPENING_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NEWLINE, _RETURN, _SPACE, _TAB = 10, 13, 32, 9
_SEPARATORS = {"\t": "tabs", ",": "commas", " ": "spaces"}


@dataclass(frozen=True)
class Opening:
    """What a file starts with.

    Attributes:
        header: the `#key=value` lines before the table.
        names: cells of the table's first line, which holds names or already the first row.
        second: cells of the line after it; empty: there is none.
        separator: tab or comma; a space stands for any run of white space.
        line: the number of the table's first line, from 1.
    """

    header: dict[str, str]
    names: tuple[str, ...]
    second: tuple[str, ...]
    separator: str
    line: int

    @property
    def separated_by(self) -> str:
        """The separator in words."""
        return _SEPARATORS[self.separator]


def read_opening(path: Path, shown: str) -> Opening:
    """Read the comments and the first two lines of the table.

    A last comment line such as plink2's `#CHROM POS ID A1 BETA`, which has as many cells as the line after it, is the
    table's line of names.

    Raises:
        BadInput: the file is missing, cut short, no text or holds nothing but comments.
    """
    header: dict[str, str] = {}
    comment = ""
    table: list[str] = []
    first = number = 0
    for number, line in enumerate(_lines(path, shown), start=1):
        if not table and line.startswith("#"):
            comment = line
            key, found, value = line.lstrip("#").partition("=")
            if found:
                header[key.strip()] = value.strip()
        elif line.strip():
            table.append(line)
            first = first or number
        if len(table) == 2:
            break
    if not table:
        raise BadInput(f"{shown}: this is not a scoring file: it holds no table; fetch the file again.")
    separator = next((mark for mark in ("\t", ",") if mark in table[0]), " ")
    cells = [_cells(line, separator) for line in (comment.lstrip("#"), *table)]
    if "=" not in comment and len(cells[0]) == len(cells[1]) > 2:
        return Opening(header, cells[0], cells[1], separator, first - 1)
    return Opening(header, cells[1], cells[2] if len(cells) > 2 else (), separator, first)


def read_rows(
    path: Path, opening: Opening, *, columns: Sequence[str], wanted: Sequence[int], headed: bool, shown: str
) -> Iterator[pl.DataFrame]:
    """Yield the rows below the opening as text: `line`, then the wanted columns, cells stripped of blanks and quotes,
    null where empty. Empty lines and comments are left out.

    Args:
        path: the file.
        opening: of that file.
        columns: names of all columns, in the file's order.
        wanted: places of the columns to keep.
        headed: whether the table's first line holds names.
        shown: how messages name the file.

    Raises:
        BadInput: a line holds more cells than the table has columns; the file is cut short.
    """  # noqa: D205
    kept = sorted({0, *wanted})
    skipped = opening.line if headed else opening.line - 1
    number = 1
    for block in _blocks(path, shown, size=BLOCK_BYTES):
        text, before = block, number
        number += block.count(b"\n")
        while before <= skipped and text:
            _, _, text = text.partition(b"\n")
            before += 1
        if text:
            yield _table(text, before, opening.separator, columns, kept=kept, shown=shown)


def _table(
    text: bytes, line: int, separator: str, columns: Sequence[str], *, kept: Sequence[int], shown: str
) -> pl.DataFrame:
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    if separator == " ":
        text, separator = _squeezed(text), "\t"
    # Polars takes the number of columns from the first line, which may be a short or an empty one.
    names = separator.join(f"c{place}" for place in range(len(columns))).encode()
    try:
        raw = pl.read_csv(
            names + b"\n" + text,
            separator=separator,
            quote_char=None,
            encoding="utf8-lossy",
            infer_schema=False,
            columns=list(kept),
            row_index_name="line",
            row_index_offset=line,
        )
    except pl.exceptions.PolarsError:
        raise BadInput(_too_many_cells(text, line, separator, len(columns), shown=shown)) from None
    raw = raw.rename({f"c{place}": columns[place] for place in kept})
    cells = pl.exclude("line").str.strip_chars(" \t\r\"'").replace("", None)
    raw = raw.with_columns(pl.col("line").cast(pl.Int64), cells)
    empty = pl.all_horizontal(pl.exclude("line").is_null())
    return raw.filter(~empty & ~pl.col(columns[kept[0]]).str.starts_with("#").fill_null(False))


def _squeezed(text: bytes) -> bytes:
    """Runs of blanks as one tab, none at the start or end of a line."""
    marks = np.frombuffer(text, dtype=np.uint8)
    blank = (marks == _SPACE) | (marks == _TAB)
    after = np.ones_like(blank)
    after[1:] = blank[:-1] | (marks[:-1] == _NEWLINE)
    marks = marks[~(blank & after)]
    marks[marks == _SPACE] = _TAB
    ends = np.ones(marks.shape, dtype=np.bool_)
    ends[:-1] = (marks[1:] == _NEWLINE) | (marks[1:] == _RETURN)
    squeezed: bytes = marks[~((marks == _TAB) & ends)].tobytes()
    return squeezed


def _too_many_cells(text: bytes, line: int, separator: str, columns: int, *, shown: str) -> str:
    for number, row in enumerate(text.split(b"\n"), start=line):
        cells = row.count(separator.encode()) + 1
        if cells > columns:
            return (
                f"{shown}: line {number} has {cells} cells, but the table has {columns} columns; is this a scoring file? Mend "
                "the line or fetch the file again."
            )
    return f"{shown}: this is not a scoring file: its lines cannot be read as a table; fetch the file again."


def _cells(line: str, separator: str) -> tuple[str, ...]:
    cells = line.split() if separator == " " else line.split(separator)
    return tuple(cell.strip(" \t\r\n\"'") for cell in cells)


def _lines(path: Path, shown: str) -> Iterator[str]:
    rest = b""
    for block in _blocks(path, shown, size=_OPENING_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")


def _blocks(path: Path, shown: str, *, size: int) -> Iterator[bytes]:
    """Blocks of whole lines; only the last one may lack its line end."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            file = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
            rest = file.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK)
            while block := file.read(size):
                whole, newline, after = block.rpartition(b"\n")
                if newline:
                    yield rest + whole + newline
                    rest = after
                else:
                    rest += block
            if rest:
                yield rest
    except FileNotFoundError:
        raise BadInput(f"{shown}: the scoring file does not exist; mend its path under scores.") from None
    except EOFError:
        raise BadInput(
            f"{shown}: the scoring file is cut short (its gzip ends early); fetch it again."
        ) from None
    except (OSError, zlib.error):
        raise BadInput(f"{shown}: the scoring file cannot be read; fetch it again.") from None
