"""Medication by stratum: who is on what at the prediction time. Description only: no test, no effect."""

from collections.abc import Sequence

import polars as pl

from experiments.disclosure import suppress_counts
from experiments.stratification.outcome_schemas import Medication
from experiments.stratification.responses import table
from features.treatment import (
    ANTICHOLINERGICS,
    ANTIDEPRESSANTS,
    ANTIEPILEPTICS,
    ANTIHYPERTENSIVES,
    ANTIPSYCHOTICS,
    ANXIOLYTICS,
    CLOZAPINE,
    GLUCOSE_DRUGS,
    HYPNOTICS,
    LIPID_DRUGS,
    LITHIUM,
    STIMULANTS,
    begins_with,
)

WARNING = (
    "Description only: treatment follows severity and the clinic's habits, so these shares say nothing about who responds to "
    "what, or what should be given."
)
# Name, ATC groups, and those taken out of them.
GROUPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("antipsychotics", ANTIPSYCHOTICS, LITHIUM),
    ("clozapine", CLOZAPINE, ()),
    ("lithium", LITHIUM, ()),
    ("antidepressants", ANTIDEPRESSANTS, ()),
    ("antiepileptics", ANTIEPILEPTICS, ()),
    ("anxiolytics", ANXIOLYTICS, ()),
    ("hypnotics", HYPNOTICS, ()),
    ("anticholinergics", ANTICHOLINERGICS, ()),
    ("stimulants", STIMULANTS, ()),
    ("glucose-lowering drugs", GLUCOSE_DRUGS, ()),
    ("lipid-lowering drugs", LIPID_DRUGS, ()),
    ("antihypertensives", ANTIHYPERTENSIVES, ()),
)

FIGURES = ("share", "lower", "upper", "difference", "difference_lower", "difference_upper")
NORMAL = 1.959963984540054


def medication_table(
    rows: pl.DataFrame,
    assigned: Sequence[int],
    times: pl.DataFrame,
    medications: pl.DataFrame,
    *,
    smallest_cell: int,
) -> pl.DataFrame:
    """Return schema Medication: prescriptions that began before the prediction and had not stopped; empty without any.

    Args:
        rows: prediction_id and patient_id, one row per patient.
        assigned: each patient's stratum, from 1.
        times: prediction_id and time, in the study's days.
        medications: the canonical table.
        smallest_cell: shares of fewer patients on, or not on, a group are suppressed; 0 for public data.
    """
    if medications.is_empty():
        return table(Medication, [])
    people = rows.select("prediction_id", "patient_id", stratum=pl.Series(assigned, dtype=pl.Int32)).join(
        times.select("prediction_id", at="time"), on="prediction_id", how="left", validate="1:1"
    )
    current = medications.join(people, on="patient_id").filter(
        (pl.col("start") < pl.col("at")) & (pl.col("stop").is_null() | (pl.col("stop") >= pl.col("at")))
    )
    found = []
    for name, codes, without in GROUPS:
        taken = current.filter(begins_with(codes) & ~begins_with(without))["patient_id"].unique()
        counted = (
            people.with_columns(taking=pl.col("patient_id").is_in(taken.implode()))
            .group_by("stratum")
            .agg(on=pl.col("taking").sum().cast(pl.Int64), patients=pl.len().cast(pl.Int64))
            .sort("stratum")
        )
        whole = counted.select(pl.col("on", "patients").sum()).row(0)
        written = ", ".join(codes) + (f" without {', '.join(without)}" if without else "")
        found += [
            {
                "group": name,
                "codes": written,
                "warning": WARNING,
                **row,
                **_shares(row["on"], row["patients"], whole),
            }
            for row in counted.iter_rows(named=True)
        ]
    frame = table(Medication, found).with_columns(off=pl.col("patients") - pl.col("on"))
    shown = suppress_counts(
        frame, counts=["on", "off"], smallest_cell=smallest_cell, within=["group"], blank=FIGURES
    )
    return Medication.validate(shown.drop("off"), cast=True)


def _shares(on: int, patients: int, whole: tuple[int, int]) -> dict[str, float | None]:
    """Return FIGURES of a stratum, with the others together as what it differs from; `whole` is on and patients of all."""
    share, lower, upper = share_interval(on, patients)
    found = (share, lower, upper)
    others = whole[1] - patients
    apart = difference_interval((on, patients), (whole[0] - on, others)) if others else (None, None, None)
    return dict(zip(FIGURES, (*found, *apart), strict=True))


def share_interval(on: int, patients: int) -> tuple[float, float, float]:
    """Return a share and its 95 % score interval (Wilson 1927, doi 10.1080/01621459.1927.10502953); patients 1 or more."""
    share, square = on / patients, NORMAL**2
    middle = (on + square / 2) / (patients + square)
    width = NORMAL * (patients * share * (1 - share) + square / 4) ** 0.5 / (patients + square)
    return share, min(max(middle - width, 0.0), share), max(min(middle + width, 1.0), share)


def difference_interval(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float, float]:
    """Return the difference of two independent shares and its 95 % interval (Newcombe 1998, method 10).

    doi 10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I. Each is given as patients on it and all.
    """
    first, first_lower, first_upper = share_interval(*one)
    second, second_lower, second_upper = share_interval(*other)
    difference = first - second
    below = ((first - first_lower) ** 2 + (second_upper - second) ** 2) ** 0.5
    above = ((first_upper - first) ** 2 + (second - second_lower) ** 2) ** 0.5
    return difference, difference - below, difference + above
