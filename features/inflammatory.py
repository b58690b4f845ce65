"""Inflammatory features: C-reactive protein, cytokines and blood-count ratios, the latest behind each prediction.

Concentrations are log-transformed because they are right-skewed; a value under the limit of detection (LOD) is replaced
by LOD / sqrt(2) (Hornung & Reed 1990, Appl Occup Environ Hyg 5:46) and flagged.
"""

import math
from collections.abc import Sequence

import polars as pl

from features.columns import chosen_variables, finish, measured
from features.contract import BuiltFeatures, Definition, Tables
from features.windows import Window, open_window

HORNUNG_REED = "below the LOD: LOD/sqrt(2), Hornung & Reed 1990, Appl Occup Environ Hyg 5:46"
PEARSON = "Pearson 2003, Circulation 107:499 (AHA/CDC)"
CYTOKINES = {
    "il6": "interleukin-6",
    "tnf_alpha": "TNF-alpha",
    "il10": "interleukin-10",
    "il1ra": "IL-1 receptor antagonist",
}
LOW_GRADE, ACUTE = 3.0, 10.0  # mg/L

DEFINITIONS = (
    Definition("crp_log", "natural logarithm of C-reactive protein", "ln(mg/L)", HORNUNG_REED, ("crp",)),
    Definition(
        "crp_above_3", "C-reactive protein above 3 mg/L: low-grade inflammation", None, PEARSON, ("crp",)
    ),
    Definition(
        "crp_above_10",
        "C-reactive protein above 10 mg/L: look for an acute infection",
        None,
        PEARSON,
        ("crp",),
    ),
    *(
        Definition(f"{name}_log", f"natural logarithm of {words}", "ln(pg/mL)", HORNUNG_REED, (name,))
        for name, words in CYTOKINES.items()
    ),
    *(
        Definition(
            f"{name}_below_limit", f"{words} under the limit of detection", None, HORNUNG_REED, (name,)
        )
        for name, words in CYTOKINES.items()
    ),
    Definition(
        "nlr",
        "neutrophil-to-lymphocyte ratio",
        None,
        "Zahorec 2001, Bratisl Lek Listy 102:5",
        ("neutrophils", "lymphocytes"),
    ),
    Definition(
        "plr",
        "platelet-to-lymphocyte ratio",
        None,
        "Smith 2009, Am J Surg 197:466",
        ("platelets", "lymphocytes"),
    ),
    Definition(
        "sii",
        "systemic immune-inflammation index: platelets x neutrophils / lymphocytes",
        "10^9/L",
        "Hu 2014, Clin Cancer Res 20:6212",
        ("platelets", "neutrophils", "lymphocytes"),
    ),
)


def build(
    prediction_times: pl.DataFrame,
    tables: Tables,
    *,
    look_behind_days: float | None = None,
    variables: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> BuiltFeatures:
    """Build the inflammatory set.

    Args:
        prediction_times: as in features.schema.PredictionTimes.
        tables: the canonical tables; crp in mg/L, cytokines in pg/mL, cell counts in 10^9/L.
        look_behind_days: how old a value may be.
        variables: further measured variables, by name or glob pattern, taken as they are.
        exclude: names or patterns that `variables` leaves out.
    """
    window = open_window(prediction_times, tables, look_behind_days=look_behind_days)
    values = {**_proteins(window), **_ratios(window)}
    extra, extra_definitions = measured(window, chosen_variables("inflammatory", window, variables, exclude))
    return finish("inflammatory", prediction_times, {**values, **extra}, (*DEFINITIONS, *extra_definitions))


def concentration(window: Window, variable: str) -> pl.Series:
    """Return the latest concentration, LOD / sqrt(2) where it is under the limit; shape (predictions,)."""
    latest = window.latest(variable)
    substituted = pl.when("below_limit").then(pl.col("number") / math.sqrt(2)).otherwise("number")
    return latest.select(substituted.alias(variable))[variable]


def _proteins(window: Window) -> dict[str, pl.Series]:
    crp = concentration(window, "crp")
    values = {
        "crp_log": _logarithm(crp),
        "crp_above_3": (crp > LOW_GRADE).cast(pl.Float64),
        "crp_above_10": (crp > ACUTE).cast(pl.Float64),
    }
    for name in CYTOKINES:
        values[f"{name}_log"] = _logarithm(concentration(window, name))
        values[f"{name}_below_limit"] = window.latest(name)["below_limit"].cast(pl.Float64)
    return values


def _ratios(window: Window) -> dict[str, pl.Series]:
    cells = window.numbers(("neutrophils", "lymphocytes", "platelets"))
    neutrophils, lymphocytes, platelets = cells.get_columns()
    return {
        "nlr": neutrophils / lymphocytes,
        "plr": platelets / lymphocytes,
        "sii": platelets * neutrophils / lymphocytes,
    }


def _logarithm(values: pl.Series) -> pl.Series:
    """Return the natural logarithm of positive values; a zero has none and becomes null."""
    return pl.select(pl.when(values > 0).then(values.log())).to_series()
