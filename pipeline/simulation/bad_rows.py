"""Bad rows of every declared kind, planted where intake's verdict on them is certain, and counted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.random import Generator

from pipeline.simulation.sheets import BAD, EPOCH, POSITION, Sheet, write_date


@dataclass(frozen=True)
class Planted:
    """One kind of bad row in one file.

    Attributes:
        kind: what is wrong.
        verdict: what intake must do: quarantine the row, quarantine one value, exclude the row, refuse the file.
    """

    source: str
    kind: str
    verdict: str
    lines: tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """What a fault needs to know.

    Attributes:
        share: of the file's rows, per kind.
        good: raw ids of admitted patients: other rows are excluded before any fault is seen.
        died: raw id -> day of death of admitted patients who died well before the extract.
        extract: last day of the data.
    """

    share: float
    good: frozenset[str]
    died: dict[str, int]
    extract: date


Fault = Callable[[Sheet, Place, Generator], Sheet]
VERDICTS = {"exact_duplicate": "excluded", "sentinel": "value", "out_of_range": "value"}


def plant(
    sheets: list[Sheet], place: Place, broken: int, draw: Generator
) -> tuple[list[Sheet], list[Planted]]:
    """Return the sheets with their bad rows, and what was planted where."""
    result, planted = [], []
    for sheet in sheets:
        changed = sheet
        if place.share > 0:
            for fault in FAULTS.get(sheet.source, ()):
                changed = fault(changed, place, draw)
        if broken and sheet.source == "fr_medications":
            changed = _copies(changed, place, draw, count=broken, kind="short_row", cells={})
        if broken and sheet.source == "de_cognition":
            changed = _value("Zahlen_Symbol", "139,8", "decimal_comma", count=broken)(changed, place, draw)
        result.append(changed)
        planted += _lines(changed)
    return result, planted


def _lines(sheet: Sheet) -> list[Planted]:
    found: dict[str, list[int]] = {}
    for row, faults in enumerate(sheet.frame[BAD].to_list()):
        for fault in (faults or "").split():
            found.setdefault(fault, []).append(sheet.line_of(row))
    refused = ("short_row", "decimal_comma")
    return [
        Planted(
            sheet.source,
            kind,
            "refused" if kind in refused else VERDICTS.get(kind, "quarantined"),
            tuple(lines),
        )
        for kind, lines in sorted(found.items())
    ]


def _count(sheet: Sheet, place: Place) -> int:
    return max(1, round(place.share * sheet.frame[BAD].null_count()))


def _good_rows(sheet: Sheet, place: Place, count: int, draw: Generator) -> pl.DataFrame:
    identity = sheet.headers[0]
    frame: pl.DataFrame = sheet.frame.filter(pl.col(BAD).is_null() & pl.col(identity).is_in(list(place.good)))
    chosen = np.sort(draw.choice(frame.height, size=min(count, frame.height), replace=False))
    rows: pl.DataFrame = frame[chosen.tolist()]
    return rows


def _copies(
    sheet: Sheet, place: Place, draw: Generator, *, count: int, kind: str, cells: dict[str, list[str]]
) -> Sheet:
    """Add copies of good rows with some cells replaced, anywhere in the file."""
    rows = _good_rows(sheet, place, count, draw)
    rows = rows.with_columns(pl.Series(name, values[: rows.height]) for name, values in cells.items())
    return sheet.with_rows(rows, kind, (draw.random(rows.height) * sheet.frame.height).tolist())


def _missing_id(sheet: Sheet, place: Place, draw: Generator) -> Sheet:
    count = _count(sheet, place)
    return _copies(sheet, place, draw, count=count, kind="missing_id", cells={sheet.headers[0]: [""] * count})


def _unknown_patient(sheet: Sheet, place: Place, draw: Generator) -> Sheet:
    count = _count(sheet, place)
    unknown = [f"X{number:06d}" for number in range(count)]
    return _copies(sheet, place, draw, count=count, kind="unknown_patient", cells={sheet.headers[0]: unknown})


def _exact_duplicate(sheet: Sheet, place: Place, draw: Generator) -> Sheet:
    rows = _good_rows(sheet, place, _count(sheet, place), draw)
    return sheet.with_rows(rows, "exact_duplicate", (rows[POSITION] + 0.5).to_list())  # after its original


def _impossible_date(visit: str, day: str) -> Fault:
    def fault(sheet: Sheet, place: Place, draw: Generator) -> Sheet:
        count = _count(sheet, place)
        cells = {visit: [f"X{number}" for number in range(count)], day: ["30/02/2020" if "/" in sheet.style.date_format else "30.02.2020"] * count}  # fmt: skip
        return _copies(sheet, place, draw, count=count, kind="impossible_date", cells=cells)

    return fault


def _stay_fault(
    kind: str, stay: str, admission: str, discharge: str, other: dict[str, str] | None = None
) -> Fault:
    """Return a fault that adds stays under numbers of their own, dated as the kind of fault asks."""

    def fault(sheet: Sheet, place: Place, draw: Generator) -> Sheet:
        count = _count(sheet, place)
        last = place.extract.toordinal() - EPOCH
        shift = {"after_extract": 40, "discharge_before_admission": -5}.get(kind, -3)
        start = write_date(last + shift, sheet.style)
        end = write_date(
            last + shift - 9 if kind == "discharge_before_admission" else last + shift + 2, sheet.style
        )
        numbers = [f"{kind[:1].upper()}{number:05d}" for number in range(count)]
        cells = {stay: numbers, admission: [start] * count, discharge: [end] * count}
        cells |= {name: [value] * count for name, value in (other or {}).items()}
        return _copies(sheet, place, draw, count=count, kind=kind, cells=cells)

    return fault


def _conflicting(key: str | None, changed: str, values: tuple[str, str]) -> Fault:
    """Return a fault that adds pairs of rows under one new key which differ in one cell."""

    def fault(sheet: Sheet, place: Place, draw: Generator) -> Sheet:
        count = _count(sheet, place)
        rows = _good_rows(sheet, place, count, draw)
        names = [f"C{number:06d}" for number in range(rows.height)]
        rows = rows.with_columns(pl.Series(key or sheet.headers[0], names))
        for value in values:
            where = (draw.random(rows.height) * sheet.frame.height).tolist()
            sheet = sheet.with_rows(
                rows.with_columns(pl.lit(value).alias(changed)), "conflicting_duplicate", where
            )
        return sheet

    return fault


def _after_death(kind: str, relapse: str, day: str) -> Fault:
    def fault(sheet: Sheet, place: Place, draw: Generator) -> Sheet:
        names = sorted(place.died)
        count = min(_count(sheet, place), len(names))
        if count == 0:
            return sheet
        chosen = [names[index] for index in np.sort(draw.choice(len(names), size=count, replace=False))]
        rows = sheet.frame[:count].with_columns(
            pl.Series(sheet.headers[0], chosen),
            pl.Series(day, [write_date(place.died[name] + 10, sheet.style) for name in chosen]),
            pl.lit(relapse).alias(kind),
        )
        return sheet.with_rows(rows, "after_death", (draw.random(count) * sheet.frame.height).tolist())

    return fault


def _value(column: str, written: str, kind: str, count: int | None = None) -> Fault:
    """Return a fault that replaces one value in good rows that hold one."""

    def fault(sheet: Sheet, place: Place, draw: Generator) -> Sheet:
        frame = sheet.frame.with_row_index("__row")
        usable = frame.filter(
            pl.col(BAD).is_null() & (pl.col(column) != "") & pl.col(sheet.headers[0]).is_in(list(place.good))
        )["__row"].to_numpy()
        wanted = min(count or _count(sheet, place), len(usable))
        chosen = pl.col("__row").is_in(np.sort(draw.choice(usable, size=wanted, replace=False)).tolist())
        frame = frame.with_columns(
            pl.when(chosen).then(pl.lit(written)).otherwise(column).alias(column),
            pl.when(chosen).then(pl.lit(kind)).otherwise(BAD).alias(BAD),
        )
        return replace(sheet, frame=frame.drop("__row"))

    return fault


def days_before(extract: date, days: int) -> int:
    """Return a day so many days before the extract, in days since 1970-01-01."""
    return (extract - timedelta(days=days)).toordinal() - EPOCH


FAULTS: dict[str, tuple[Fault, ...]] = {
    "fr_patients": (_missing_id, _exact_duplicate),
    "de_patients": (_conflicting(None, "Geschlecht", ("weiblich", "männlich")),),
    "fr_visits": (_missing_id, _exact_duplicate, _impossible_date("visite", "date_visite")),
    "de_visits": (_exact_duplicate, _impossible_date("Visite", "Datum"), _unknown_patient),
    "fr_stays": (
        _stay_fault("discharge_before_admission", "numéro_séjour", "entrée", "sortie"),
        _stay_fault("after_extract", "numéro_séjour", "entrée", "sortie"),
        _exact_duplicate,
    ),
    "de_stays": (
        _stay_fault("discharge_before_admission", "Fallnummer", "Aufnahme", "Entlassung"),
        _conflicting("Fallnummer", "entlassen_nach", ("Tagesklinik", "nach Hause")),
        _missing_id,
    ),
    "fr_events": (_after_death("evenement", "rechute", "date"), _missing_id),
    "de_events": (_after_death("Ereignis", "Rückfall", "Datum"),),
    "fr_medications": (_unknown_patient, _exact_duplicate),
    "fr_blood": (_value("glycemie", "-999", "sentinel"), _value("CRP", "8888,00", "out_of_range")),
    "de_laboratory": (_value("Wert", "99999", "out_of_range"),),
    "fr_clinic": (_value("madrs", "-999", "sentinel"), _value("egf", "250", "out_of_range")),
    "de_clinic": (_value("GAF", "-999", "sentinel"), _value("MADRS", "77", "out_of_range")),
    "de_cognition": (_value("TMT_B", "-999", "sentinel"),),
}
