"""The planted effects, told in terms of the feature columns that carry them."""

from typing import Any

import numpy as np

from pipeline.simulation.cohort import SimulatedCohort
from pipeline.simulation.hazards import READMISSION_SHARE
from pipeline.simulation.world import DRIVERS

# The feature columns that show each driver, the closest first.
CARRIERS: dict[str, tuple[str, ...]] = {
    "admissions_1_to_3": ("clinical_previous_admissions",),
    "admissions_4_to_5": ("clinical_previous_admissions",),
    "admissions_6_and_more": ("clinical_previous_admissions",),
    "adherence_partial": ("clinical_adherence",),
    "adherence_poor": ("clinical_adherence",),
    "substance_use": ("clinical_substance_use",),
    "symptoms": (
        "clinical_panss_general",
        "clinical_gaf",
        "clinical_madrs",
        "clinical_panss_total",
        "clinical_panss_positive",
    ),
    "metabolic_syndrome": ("metabolic_metabolic_syndrome", "metabolic_criteria_met", "metabolic_waist"),
    "polygenic_schizophrenia": ("genetic_schizophrenia",),
    "substance_use_and_poor_adherence": ("clinical_substance_use", "clinical_adherence"),
}
GROUPS = {
    "previous_admissions": ("admissions_1_to_3", "admissions_4_to_5", "admissions_6_and_more"),
    "adherence": ("adherence_partial", "adherence_poor"),
    "substance_use": ("substance_use",),
    "symptoms": ("symptoms",),
    "metabolic_syndrome": ("metabolic_syndrome",),
    "polygenic_schizophrenia": ("polygenic_schizophrenia",),
    "interaction": ("substance_use_and_poor_adherence",),
}
NULL = ("inflammatory_crp_log", "inflammatory_crp_above_3", "inflammatory_crp_above_10", "genetic_crp")


def driver_table(cohort: SimulatedCohort) -> dict[str, Any]:
    """Return each driver's log hazard ratio per unit and per SD, by country, and each group's spread in the cohort.

    `groups` tells how much a driver as a whole moves the linear predictor (SD of its terms' sum) and the oracle's mean
    |SHAP|: the mean distance of its term from the term's mean, exact for an additive predictor.
    """
    truth = cohort.truth
    drivers = {}
    for name in DRIVERS:
        values = truth[f"driver_{name}"].to_numpy()
        effects = {country: table[name] for country, table in cohort.effects.items()}
        mean = float(np.mean(list(effects.values())))
        drivers[name] = {
            "log_hazard_ratio": effects,
            "mean_log_hazard_ratio": mean,
            "per_sd": mean * float(values.std()),
            "columns": list(CARRIERS[name]),
        }
    groups = {}
    for name, members in GROUPS.items():
        term = truth.select(f"term_{member}" for member in members).sum_horizontal().to_numpy()
        groups[name] = {
            "sd_of_term": float(term.std()),
            "oracle_mean_absolute_shap": float(np.abs(term - term.mean()).mean()),
            "columns": sorted({column for member in members for column in CARRIERS[member]}),
        }
    return {
        "drivers": drivers,
        "groups": groups,
        "null_columns": list(NULL),
        "readmission_share": READMISSION_SHARE,  # log hazard ratios of readmission: this share of those of relapse
    }
