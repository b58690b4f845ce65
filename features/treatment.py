"""What a patient is prescribed at a prediction time, by ATC code (WHO Collaborating Centre, ATC/DDD index)."""

from collections.abc import Sequence

import polars as pl

from features.windows import Window

ATC = "WHO ATC/DDD index"
LITHIUM = ("N05AN",)
CLOZAPINE = ("N05AH02",)
MOOD_STABILISERS = (
    "N05AN",
    "N03AF01",
    "N03AF02",
    "N03AG01",
    "N03AX09",
)  # lithium, (ox)carbamazepine, valproate, lamotrigine
ANTIPSYCHOTICS = ("N05A",)  # lithium, N05AN, is filed there and is not one
ANTIHYPERTENSIVES = ("C02", "C03", "C07", "C08", "C09")
LIPID_DRUGS = ("C10AB", "C10AD")  # fibrates and nicotinic acid
GLUCOSE_DRUGS = ("A10",)


def on_treatment(
    window: Window, medications: pl.DataFrame, codes: Sequence[str], *, without: Sequence[str] = ()
) -> pl.Series:
    """Return 1 where a prescription of the codes began before the prediction and had not stopped, else 0.

    All null where the study has no prescriptions at all; shape (predictions,).
    """
    if medications.is_empty():
        return pl.Series(values=[None] * len(window.times), dtype=pl.Float64)
    matching = medications.filter(_begins_with(codes) & ~_begins_with(without))
    current = window.behind(matching, "start").filter(
        pl.col("stop").is_null() | (pl.col("stop") >= pl.col("prediction_time"))
    )
    return window.per_prediction(current, pl.lit(1.0).first(), empty=0.0)


def _begins_with(codes: Sequence[str]) -> pl.Expr:
    return pl.any_horizontal(pl.lit(False), *[pl.col("atc").str.starts_with(code) for code in codes])
