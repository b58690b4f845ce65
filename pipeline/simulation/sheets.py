"""Source files as tables of text: how each hospital writes numbers, dates and categories."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

EPOCH = date(1970, 1, 1).toordinal()
POSITION, BAD = "__position", "__bad"


@dataclass(frozen=True)
class Style:
    """How a country's hospitals write.

    Attributes:
        delimiter: between cells.
        decimal: decimal mark.
        date_format: as in strftime.
        encoding: of the file.
    """

    delimiter: str
    decimal: str
    date_format: str
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Column:
    """A column of a source file: its header, the canonical column it holds and how it is written.

    Attributes:
        header: as the hospital calls it.
        canonical: name in the simulated frame.
        kind: text, number or date.
        decimals: of a number.
        factor: their unit per canonical unit.
        codes: canonical category -> theirs.
        mark: prefix of values under the limit of detection; the frame then holds `<canonical>_below`.
    """

    header: str
    canonical: str
    kind: str = "text"
    decimals: int = 0
    factor: float = 1.0
    codes: Mapping[str, str] | None = None
    mark: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A source file before it is written.

    Attributes:
        source: name of the source in the study file.
        path: relative to the source folder; "archive.zip!member.csv" for a member of a zip.
        style: how it is written.
        frame: text columns by header, POSITION (order of rows) and BAD (kind of planted fault, or null).
    """

    source: str
    path: str
    style: Style
    frame: pl.DataFrame

    @property
    def headers(self) -> list[str]:
        """The file's header."""
        return [name for name in self.frame.columns if name not in (POSITION, BAD)]

    def with_rows(self, rows: pl.DataFrame, fault: str, positions: Sequence[float]) -> "Sheet":
        """Return the sheet with more rows, each at its position."""
        added = rows.select(self.headers).with_columns(
            pl.Series(POSITION, positions, dtype=pl.Float64), pl.lit(fault).alias(BAD)
        )
        return replace(self, frame=pl.concat([self.frame, added]).sort(POSITION, maintain_order=True))

    def line_of(self, place: int) -> int:
        """Return the line of a row in the written file, counted from 1 with the header (Parquet: without)."""
        return place + (1 if self.path.endswith(".parquet") else 2)


def make_sheet(source: str, path: str, style: Style, frame: pl.DataFrame, columns: Iterable[Column]) -> Sheet:
    """Write a frame's values as the hospital does."""
    text = {column.header: write_column(frame, column, style) for column in columns}
    height = frame.height
    body = pl.DataFrame(text, schema=dict.fromkeys(text, pl.String)).with_columns(
        pl.Series(POSITION, range(height), dtype=pl.Float64), pl.lit(None, dtype=pl.String).alias(BAD)
    )
    return Sheet(source, path, style, body)


def write_column(frame: pl.DataFrame, column: Column, style: Style) -> list[str]:
    """Return a column's cells; a value that is not known is an empty cell."""
    values = frame[column.canonical].to_list()
    if column.kind == "date":
        return [write_date(value, style) for value in values]
    if column.kind == "number":
        cells = [write_number(value, column.decimals, column.factor, style) for value in values]
        if column.mark is None:
            return cells
        below = frame[f"{column.canonical}_below"].to_list()
        return [
            f"{column.mark}{cell}" if under and cell else cell
            for cell, under in zip(cells, below, strict=True)
        ]
    if column.codes is not None:
        return [column.codes[value] if value else "" for value in values]
    return [str(value) if value is not None else "" for value in values]


def write_number(value: float | None, decimals: int, factor: float, style: Style) -> str:
    """Return a number in the country's unit and notation."""
    return "" if value is None else f"{value * factor:.{decimals}f}".replace(".", style.decimal)


def write_date(day: float | None, style: Style) -> str:
    """Return a date from days since 1970-01-01."""
    return "" if day is None else date.fromordinal(int(day) + EPOCH).strftime(style.date_format)


def delimited(sheet: Sheet) -> bytes:
    """Return the file's bytes; a row marked as short lacks its last cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=sheet.style.delimiter, lineterminator="\n")
    writer.writerow(sheet.headers)
    for *cells, _, fault in sheet.frame.select(*sheet.headers, POSITION, BAD).iter_rows():
        writer.writerow(cells[:-1] if fault == "short_row" else cells)
    return buffer.getvalue().encode(sheet.style.encoding)
