"""What each clinical feature is, with its unit and where it comes from."""

from features.contract import Definition
from features.diagnosis_groups import SOURCE
from features.treatment import ATC

DONISI = "predictor of readmission, Donisi 2016, BMC Psychiatry 16:449"
RELAPSE = "predictor of relapse, Alvarez-Jimenez 2012, Schizophr Res 139:116"
REGISTER = "the study's patients table"
PANSS = "Positive and Negative Syndrome Scale, Kay 1987, Schizophr Bull 13:261"
DEMOGRAPHICS = ("age", "sex", "education", "network", "age_band")
# Feature -> measured variable that it is the latest value of.
MEASURED = {
    "illness_duration": "illness_duration",
    "age_at_onset": "age_at_onset",
    "panss_positive": "panss_positive",
    "panss_negative": "panss_negative",
    "panss_general": "panss_general",
    "madrs": "madrs",
    "ymrs": "ymrs",
    "gaf": "gaf",
    "adherence": "adherence",
    "substance_use": "substance_use",
    "smoking": "smoking",
    "sleep": "sleep_quality",
}

DEFINITIONS = (
    Definition("age", "age at the prediction", "years", REGISTER, ("patients.age or patients.birth_year",)),
    Definition("sex", "sex", None, REGISTER, ("patients.sex",), "category"),
    Definition("education", "education", "years", REGISTER, ("patients.education_years",)),
    Definition("network", "clinical network", None, REGISTER, ("patients.network",), "category"),
    Definition(
        "age_band", "age band, where the age is not known", None, REGISTER, ("patients.age_band",), "category"
    ),
    Definition(
        "illness_duration",
        "time since the illness began",
        "years",
        "clinical interview",
        ("illness_duration",),
    ),
    Definition(
        "age_at_onset", "age at which the illness began", "years", "clinical interview", ("age_at_onset",)
    ),
    Definition("panss_positive", "positive symptoms", "points", PANSS, ("panss_positive",)),
    Definition("panss_negative", "negative symptoms", "points", PANSS, ("panss_negative",)),
    Definition("panss_general", "general psychopathology", "points", PANSS, ("panss_general",)),
    Definition(
        "panss_total",
        "sum of the three scales",
        "points",
        PANSS,
        ("panss_positive", "panss_negative", "panss_general"),
    ),
    Definition(
        "madrs", "depression", "points", "Montgomery & Asberg 1979, Br J Psychiatry 134:382", ("madrs",)
    ),
    Definition("ymrs", "mania", "points", "Young 1978, Br J Psychiatry 133:429", ("ymrs",)),
    Definition(
        "gaf", "global assessment of functioning; higher is better", "points", "DSM-IV, 1994", ("gaf",)
    ),
    Definition("adherence", "adherence to treatment", None, RELAPSE, ("adherence",), "category"),
    Definition("substance_use", "substance use", None, RELAPSE, ("substance_use",), "category"),
    Definition("smoking", "smoking", None, "clinical interview", ("smoking",), "category"),
    Definition(
        "sleep",
        "sleep quality",
        None,
        "predictor of recurrence, J Affect Disord 2025, doi 10.1016/j.jad.2025.120570",
        ("sleep_quality",),
    ),
    Definition(
        "previous_admissions",
        "admissions before the present one: number known at an interview and stays since, or stays alone",
        "admissions",
        DONISI,
        ("previous_admissions", "stays"),
    ),
    Definition(
        "admissions_behind_365",
        "admissions in the 365 days before the prediction, the present one apart",
        "admissions",
        DONISI,
        ("stays",),
    ),
    Definition(
        "days_since_last_discharge",
        "time since the last discharge before the present stay; null where there is none",
        "days",
        DONISI,
        ("stays",),
    ),
    Definition("antipsychotic", "on an antipsychotic (N05A without lithium)", None, ATC, ("medications",)),
    Definition(
        "mood_stabiliser",
        "on lithium, carbamazepine, oxcarbazepine, valproate or lamotrigine",
        None,
        ATC,
        ("medications",),
    ),
    Definition("lithium", "on lithium (N05AN)", None, ATC, ("medications",)),
    Definition("clozapine", "on clozapine (N05AH02)", None, ATC, ("medications",)),
)


def icd9_definition(variable: str) -> Definition:
    """Return the definition of a grouped diagnosis."""
    return Definition(
        f"{variable}_group", f"{variable} in ten ICD-9 groups", None, SOURCE, (variable,), "category"
    )
