"""Clinical features: who the patient is, symptoms, course of illness, hospital stays and treatment behind a prediction.

Variables that a study measured are taken as they are by `variables`; ICD-9 codes are grouped by `icd9_chapters`.
"""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import polars as pl

from features.clinical_definitions import DEFINITIONS, DEMOGRAPHICS, MEASURED, icd9_definition
from features.columns import as_measured, chosen_variables, finish, measured
from features.contract import BuiltFeatures, Definition, Tables
from features.diagnosis_groups import icd9_group
from features.errors import BadInput
from features.history import age_at, stays_behind
from features.prediction_times import TimeKind
from features.treatment import (
    ANTIPSYCHOTICS,
    CLOZAPINE,
    LITHIUM,
    MOOD_STABILISERS,
    on_treatment,
)
from features.windows import Window, open_window


def build(
    prediction_times: pl.DataFrame,
    tables: Tables,
    *,
    look_behind_days: float | None = None,
    demographics: bool | Sequence[str] = True,
    variables: Sequence[str] = (),
    exclude: Sequence[str] = (),
    icd9_chapters: Sequence[str] = (),
    time: TimeKind = "date",
) -> BuiltFeatures:
    """Build the clinical set.

    Args:
        prediction_times: as in features.schema.PredictionTimes.
        tables: the canonical tables.
        look_behind_days: how old a measured value may be; stays and prescriptions have no such limit.
        demographics: true, false, or some of age, sex, education, network, age_band.
        variables: further measured variables, by name or glob pattern, taken as they are.
        exclude: names or patterns of columns left out.
        icd9_chapters: measured variables that hold ICD-9 codes; each becomes the category <variable>_group.
        time: what a time is; where only an order is known, features in days are left out.
    """
    window = open_window(prediction_times, tables, look_behind_days=look_behind_days)
    values = {
        **{name: as_measured(window, variable) for name, variable in MEASURED.items()},
        "panss_total": _panss_total(window),
        **_treatment(window, tables["medications"]),
        **stays_behind(window, tables["stays"], time),
        **_demographics(window, tables, demographics, time),
    }
    groups = _diagnosis_groups(window, icd9_chapters)
    chosen = chosen_variables("clinical", window, variables, (*exclude, *icd9_chapters))
    extra, extra_definitions = measured(window, [name for name in chosen if name not in values])
    left_out = set(chosen_names([*values], exclude))
    definitions = [
        *(_as_found(item, values[item.name]) for item in DEFINITIONS if item.name in values),
        *(icd9_definition(name) for name in icd9_chapters),
        *extra_definitions,
    ]
    return finish(
        "clinical",
        prediction_times,
        {**values, **groups, **extra},
        [item for item in definitions if item.name not in left_out],
    )


def chosen_names(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that a glob pattern matches."""
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _as_found(definition: Definition, values: pl.Series) -> Definition:
    """Return the definition with the kind that the study's values have: a scale may be a number or a category."""
    return replace(definition, kind="category" if values.dtype == pl.String else "number")


def _panss_total(window: Window) -> pl.Series:
    scales = window.numbers(("panss_positive", "panss_negative", "panss_general"))
    total = pl.col("panss_positive") + pl.col("panss_negative") + pl.col("panss_general")
    return scales.select(total.alias("panss_total"))["panss_total"]


def _treatment(window: Window, medications: pl.DataFrame) -> dict[str, pl.Series]:
    return {
        "antipsychotic": on_treatment(window, medications, ANTIPSYCHOTICS, without=LITHIUM),
        "mood_stabiliser": on_treatment(window, medications, MOOD_STABILISERS),
        "lithium": on_treatment(window, medications, LITHIUM),
        "clozapine": on_treatment(window, medications, CLOZAPINE),
    }


def _demographics(
    window: Window, tables: Tables, chosen: bool | Sequence[str], time: TimeKind
) -> dict[str, pl.Series]:
    names = DEMOGRAPHICS if chosen is True else () if chosen is False else tuple(chosen)
    unknown = sorted(set(names) - set(DEMOGRAPHICS))
    if unknown:
        raise BadInput(
            f"feature_sets.clinical.demographics: {', '.join(unknown)} is not known; "
            f"known: {', '.join(DEMOGRAPHICS)}."
        )
    patients = window.times.select("patient_id").join(
        tables["patients"], on="patient_id", how="left", maintain_order="left"
    )
    age = age_at(window, tables, time)
    built = {
        "age": age,
        "sex": patients["sex"].cast(pl.String),
        "education": patients["education_years"],
        "network": patients["network"],
        "age_band": pl.select(pl.when(age.is_null()).then(patients["age_band"])).to_series(),
    }
    return {name: built[name] for name in names}


def _diagnosis_groups(window: Window, variables: Sequence[str]) -> dict[str, pl.Series]:
    unknown = sorted(set(variables) - set(window.variables))
    if unknown:
        raise BadInput(
            f"feature_sets.clinical.icd9_chapters: {', '.join(unknown)} is not a measured variable; "
            f"known: {', '.join(window.variables) or 'none'}."
        )
    return {f"{name}_group": icd9_group(as_measured(window, name).cast(pl.String)) for name in variables}
