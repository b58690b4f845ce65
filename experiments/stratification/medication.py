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
        written = ", ".join(codes) + (f" without {', '.join(without)}" if without else "")
        found += [
            {"group": name, "codes": written, "warning": WARNING, "share": row["on"] / row["patients"], **row}
            for row in counted.iter_rows(named=True)
        ]
    frame = table(Medication, found).with_columns(off=pl.col("patients") - pl.col("on"))
    shown = suppress_counts(
        frame, counts=["on", "off"], smallest_cell=smallest_cell, within=["group"], blank=["share"]
    )
    return Medication.validate(shown.drop("off"), cast=True)
