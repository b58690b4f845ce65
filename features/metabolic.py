"""Metabolic features: body measures, lipids, glucose and the metabolic syndrome, the latest behind each prediction.

The metabolic syndrome follows the revised NCEP ATP III (Grundy 2005, Circulation 112:2735): at least three of waist
>= 102 cm (men) or 88 cm (women), triglycerides >= 1.7 mmol/L, HDL < 1.03 (men) or 1.30 mmol/L (women), blood pressure
>= 130 or 85 mmHg, fasting glucose >= 5.6 mmol/L, each also met by its drug treatment where prescriptions are known.
Missing criteria: the syndrome is present once three are met, absent once three can no longer be met, else null.
Indices of fasting values are null where the sample is known not to be a fasting one.
"""

from collections.abc import Sequence

import polars as pl

from features.columns import chosen_variables, finish, measured
from features.contract import BuiltFeatures, Definition, Tables
from features.treatment import ANTIHYPERTENSIVES, GLUCOSE_DRUGS, LIPID_DRUGS, on_treatment
from features.windows import Window, open_window

GRUNDY = "revised NCEP ATP III, Grundy 2005, Circulation 112:2735"
MEASURED = "measured as it is"
TRIGLYCERIDES_MG_DL, CHOLESTEROL_MG_DL, GLUCOSE_MG_DL = 88.57, 38.67, 18.016  # mg/dL in one mmol/L
CRITERIA = ("waist", "triglycerides", "hdl", "blood_pressure", "glucose")
AS_MEASURED = {
    "waist": "cm", "systolic": "mmHg", "diastolic": "mmHg", "triglycerides": "mmol/L", "hdl": "mmol/L",
    "glucose": "mmol/L", "hba1c": "%",
}  # fmt: skip

DEFINITIONS = (
    *(Definition(name, f"latest {name}", unit, MEASURED, (name,)) for name, unit in AS_MEASURED.items()),
    Definition(
        "bmi",
        "body-mass index: weight / height^2",
        "kg/m^2",
        "WHO technical report 894, 2000",
        ("weight", "height"),
    ),
    Definition(
        "mean_arterial_pressure",
        "(systolic + 2 diastolic) / 3",
        "mmHg",
        "Meaney 2000, Heart 84:64",
        ("systolic", "diastolic"),
    ),
    Definition(
        "tyg",
        "triglyceride-glucose index: ln(triglycerides [mg/dL] x fasting glucose [mg/dL] / 2)",
        None,
        "Simental-Mendia 2008, Metab Syndr Relat Disord 6:299",
        ("triglycerides", "glucose"),
    ),
    Definition(
        "tg_hdl",
        "triglycerides / HDL cholesterol, both in mg/dL",
        None,
        "McLaughlin 2003, Ann Intern Med 139:802",
        ("triglycerides", "hdl"),
    ),
    Definition(
        "homa_ir",
        "insulin [uU/mL] x fasting glucose [mmol/L] / 22.5",
        None,
        "Matthews 1985, Diabetologia 28:412",
        ("insulin", "glucose"),
    ),
    Definition(
        "non_hdl",
        "total minus HDL cholesterol",
        "mmol/L",
        "NCEP ATP III 2001, JAMA 285:2486",
        ("total_cholesterol", "hdl"),
    ),
    Definition(
        "metabolic_syndrome",
        "at least three of five criteria; null while missing ones could decide",
        None,
        GRUNDY,
        ("waist", "triglycerides", "hdl", "systolic", "diastolic", "glucose", "patients.sex"),
    ),
    Definition(
        "criteria_met",
        "criteria of the metabolic syndrome that are met, of those known; null where fewer than three are known",
        "criteria",
        GRUNDY,
        ("waist", "triglycerides", "hdl", "systolic", "diastolic", "glucose", "patients.sex"),
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
    """Build the metabolic set.

    Args:
        prediction_times: as in features.schema.PredictionTimes.
        tables: the canonical tables; lipids and glucose in mmol/L, insulin in uU/mL, pressure in mmHg, cm, kg.
        look_behind_days: how old a value may be.
        variables: further measured variables, by name or glob pattern, taken as they are.
        exclude: names or patterns that `variables` leaves out.
    """
    window = open_window(prediction_times, tables, look_behind_days=look_behind_days)
    numbers = window.numbers((*AS_MEASURED, "weight", "height", "insulin", "total_cholesterol"))
    fasting = window.latest("fasting")["category"].ne_missing("no").alias("fasting")
    values = {**{name: numbers[name] for name in AS_MEASURED}, **_indices(numbers.with_columns(fasting))}
    met = criteria(numbers.with_columns(fasting, sex(window, tables["patients"])), _treated(window, tables))
    values |= {"metabolic_syndrome": syndrome(met), "criteria_met": _count_met(met)}
    chosen = chosen_variables("metabolic", window, variables, exclude)
    extra, definitions = measured(window, [name for name in chosen if name not in values])
    return finish("metabolic", prediction_times, {**values, **extra}, (*DEFINITIONS, *definitions))


def criteria(measures: pl.DataFrame, treated: pl.DataFrame) -> pl.DataFrame:
    """Return which of the five criteria are met: true, false, or null where not known; shape (predictions, 5).

    Args:
        measures: waist, triglycerides, hdl, systolic, diastolic, glucose, fasting and sex of each prediction.
        treated: 1 where a drug treats lipids, blood_pressure or glucose; null where prescriptions are not known.
    """
    man = pl.when(pl.col("sex") == "male")
    woman = pl.when(pl.col("sex") == "female")
    level = {
        "waist": pl.coalesce(man.then(pl.col("waist") >= 102), woman.then(pl.col("waist") >= 88)),
        "triglycerides": pl.when("fasting").then(pl.col("triglycerides") >= 1.7),
        "hdl": pl.coalesce(man.then(pl.col("hdl") < 1.03), woman.then(pl.col("hdl") < 1.30)),
        "blood_pressure": (pl.col("systolic") >= 130) | (pl.col("diastolic") >= 85),
        "glucose": pl.when("fasting").then(pl.col("glucose") >= 5.6),
    }
    drug = {
        "triglycerides": "lipids", "hdl": "lipids", "blood_pressure": "blood_pressure", "glucose": "glucose",
    }  # fmt: skip
    both = pl.concat(
        [measures, treated.rename({name: f"treated_{name}" for name in treated.columns})], how="horizontal"
    )
    return both.select(
        pl.when(pl.col(f"treated_{drug[name]}") == 1.0).then(True).otherwise(met).alias(name)
        if name in drug
        else met.alias(name)
        for name, met in level.items()
    )


def syndrome(met: pl.DataFrame) -> pl.Series:
    """Return 1 where at least three criteria are met, 0 where at least three are known not to be, else null."""
    present = pl.sum_horizontal(CRITERIA) >= 3
    absent = pl.sum_horizontal(~pl.col(name) for name in CRITERIA) >= 3
    return met.select(pl.when(present).then(1.0).when(absent).then(0.0).alias("syndrome"))["syndrome"]


def sex(window: Window, patients: pl.DataFrame) -> pl.Series:
    """Return each prediction's sex; shape (predictions,)."""
    found = window.times.select("patient_id").join(
        patients.select("patient_id", pl.col("sex").cast(pl.String)),
        on="patient_id",
        how="left",
        maintain_order="left",
    )
    return found["sex"]


def _count_met(met: pl.DataFrame) -> pl.Series:
    known = pl.sum_horizontal(pl.col(name).is_not_null() for name in CRITERIA)
    counted = pl.sum_horizontal(CRITERIA).cast(pl.Float64)
    return met.select(pl.when(known >= 3).then(counted).alias("met"))["met"]


def _treated(window: Window, tables: Tables) -> pl.DataFrame:
    groups = {"lipids": LIPID_DRUGS, "blood_pressure": ANTIHYPERTENSIVES, "glucose": GLUCOSE_DRUGS}
    return pl.DataFrame(
        {name: on_treatment(window, tables["medications"], codes) for name, codes in groups.items()}
    )


def _indices(numbers: pl.DataFrame) -> dict[str, pl.Series]:
    triglycerides = pl.col("triglycerides") * TRIGLYCERIDES_MG_DL
    product = triglycerides * pl.col("glucose") * GLUCOSE_MG_DL / 2
    built = numbers.select(
        bmi=pl.col("weight") / (pl.col("height") / 100) ** 2,
        mean_arterial_pressure=(pl.col("systolic") + 2 * pl.col("diastolic")) / 3,
        tyg=pl.when(pl.col("fasting") & (product > 0)).then(product.log()),
        tg_hdl=triglycerides / (pl.col("hdl") * CHOLESTEROL_MG_DL),
        homa_ir=pl.when("fasting").then(pl.col("insulin") * pl.col("glucose") / 22.5),
        non_hdl=pl.col("total_cholesterol") - pl.col("hdl"),
    )
    return {name: built[name] for name in built.columns}
