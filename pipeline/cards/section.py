"""A part of a card, and how long tables become tables that can be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.cards.flow import Table
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import METRICS, number


@dataclass(frozen=True)
class Section:
    """A part of a card: words, tables with their captions, figures (SVG) with theirs.

    Attributes:
        anchor: its place in the page's address.
        title: its heading.
        words: paragraphs.
        tables: caption and rows.
        figures: caption and SVG text.
    """

    anchor: str
    title: str
    words: tuple[str, ...] = ()
    tables: tuple[tuple[str, Table], ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)


def count(value: int | None) -> str:
    """Word a count; a missing one is empty."""
    return "" if value is None else f"{value:,}"


def without_empty_columns(rows: Table) -> Table:
    """Leave out columns that are empty in every row."""
    kept = [name for name in (rows[0] if rows else {}) if any(row[name] for row in rows)]
    return [{name: row[name] for name in kept} for row in rows]


def same_columns(rows: Table) -> Table:
    """Return rows with the same columns each, n and events last."""
    names = dict.fromkeys(name for row in rows for name in row)
    last = [name for name in ("n", "events") if name in names]
    ordered = [*(name for name in names if name not in last), *last]
    return [{name: row.get(name, "") for name in ordered} for row in rows]


def by_metric(table: pl.DataFrame, keys: tuple[str, ...]) -> Table:
    """Word a long table: one row per key, one column per metric."""
    rows: Table = []
    for key, part in table.group_by(keys, maintain_order=True):
        named = dict(zip(keys, key, strict=True))
        first = part.row(0, named=True)
        rows.append(
            {
                **{
                    name: "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
                    for name, value in named.items()
                },
                **{
                    METRICS.get(row["metric"], row["metric"].replace("_", " ")): number(row["estimate"])
                    + in_brackets(row["lower"], row["upper"])
                    for row in part.iter_rows(named=True)
                },
                "n": count(first["n"]),
                "events": count(first["events"]),
            }
        )
    return without_empty_columns(same_columns(rows))


def drawn(folder: Path, captions: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return caption and SVG text of the figures that there are."""
    return tuple(
        (caption, path.read_text(encoding="utf-8"))
        for name, caption in captions.items()
        if (path := folder / f"{name}.svg").is_file()
    )
