"""Canonical tables from a few rows written in a test."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from features.schema import NO_ROUTE, TABLES, PredictionTimes

Row = Mapping[str, Any]


def patient(number: int) -> str:
    """Return the pseudonym of a test's patient 1, 2, ..."""
    return f"{number:032x}"


def tables(**rows: Sequence[Row]) -> dict[str, pl.DataFrame]:
    """Return all canonical tables; `patient` in a row stands for its patient_id, columns not given take a default."""
    built: dict[str, pl.DataFrame] = {}
    for name, schema in TABLES.items():
        frame = _frame(schema.create_empty(), [_completed(name, row) for row in rows.get(name, ())])
        built[name] = schema.validate(frame, cast=True)
    return built


def predictions(*rows: tuple[int, float] | tuple[int, float, str]) -> pl.DataFrame:
    """Return prediction times of a rule "index" from (patient, time) or (patient, time, stay_id)."""
    listed: list[Row] = []
    for number, time, *stay in rows:
        earlier = sum(1 for row in listed if row["patient_id"] == patient(number))
        listed.append(
            {
                "prediction_id": f"index-{number}-{earlier + 1}",
                "index_rule": "index",
                "patient_id": patient(number),
                "position": number,
                "number": earlier + 1,
                "time": time,
                "stay_id": stay[0] if stay else None,
            }
        )
    return PredictionTimes.validate(_frame(PredictionTimes.create_empty(), listed), cast=True)


def value(number: int, variable: str, time: float, measured: float | str, **more: Any) -> Row:
    """Return a measurement that was available when it was taken."""
    kind = "category" if isinstance(measured, str) else "number"
    return {"patient": number, "variable": variable, "time": time, kind: measured, **more}


def _completed(table: str, row: Row) -> Row:
    filled = dict(row)
    if "patient" in filled:
        number = filled.pop("patient")
        filled["patient_id"] = patient(number)
        if table == "patients":
            filled.setdefault("position", number)
    if table == "measurements":
        filled = {"replicate": 0, "below_limit": False, "available": filled["time"], **filled}
    if table == "medications":
        filled.setdefault("route", NO_ROUTE)
    return filled


def _frame(empty: pl.DataFrame, rows: Sequence[Row]) -> pl.DataFrame:
    names = empty.columns
    return pl.DataFrame(
        {name: pl.Series(name, [row.get(name) for row in rows], dtype=empty[name].dtype) for name in names}
    )
