"""TRIPOD+AI (Collins 2024, BMJ 385:e078378) item by item: where the card answers it, or that a person must.

Item numbers are the guideline's; the wording here is ours and short.
"""

from dataclasses import dataclass

from pipeline.settings.study import Study

NEEDS_INPUT = "needs input from the authors"

# number -> (what it asks, where the card answers it or None)
ITEMS: dict[str, tuple[str, str | None]] = {
    "1": ("title names the model, outcome and population", "title of this card"),
    "2": ("structured abstract", None),
    "3a": ("context and existing models", None),
    "3b": ("target population, users and place in care", "Intended use; Estimand"),
    "3c": ("known health inequalities", None),
    "4": ("objectives, development or evaluation", "Validation"),
    "5a": ("sources of data and how representative they are", "Population"),
    "5b": ("dates of data", None),
    "6a": ("setting and centres", "Population; Results by left-out group"),
    "6b": ("eligibility", "Estimand; Population"),
    "6c": ("treatments received", "Estimand"),
    "7": ("preparation of the data and its quality", "Population (quarantine and exclusions are counted)"),
    "8a": ("outcome, horizon and how it is assessed", "Estimand"),
    "8b": ("who assesses subjective outcomes", None),
    "8c": ("blinding of the outcome's assessment", None),
    "9a": ("choice of predictors before modelling", "Predictors"),
    "9b": ("definition and timing of predictors", "Predictors; Estimand"),
    "9c": ("blinding of the predictors' assessment", None),
    "10": ("sample size", "Population (patients and events)"),
    "11": ("missing data", "Predictors (imputed inside the fold, with indicators)"),
    "12a": ("how data were used for development and evaluation", "Validation"),
    "12b": ("handling of predictors", "Predictors"),
    "12c": ("type of model, tuning, internal validation", "Model; Validation"),
    "12d": ("heterogeneity between centres", "Results by left-out group"),
    "12e": ("measures of performance", "Results"),
    "12f": ("updating and recalibration", "Limits (none is done)"),
    "12g": ("how predictions are computed", "Model (files of the final model)"),
    "13": ("class imbalance", "Validation (no resampling; weights for censoring only)"),
    "14": ("approach to fairness", "Subgroups"),
    "15": ("output of the model and thresholds", "Decision curve"),
    "16": ("differences between development and evaluation data", "Results by left-out group"),
    "17": ("ethical approval", "Population (basis of consent)"),
    "18a": ("funding", None),
    "18b": ("conflicts of interest", None),
    "18c": ("protocol", None),
    "18d": ("registration", None),
    "18e": ("availability of data", None),
    "18f": ("availability of code", "Model"),
    "19": ("involvement of patients and the public", None),
    "20a": ("flow of participants", "Population"),
    "20b": ("characteristics of participants", None),
    "20c": ("development and evaluation compared", "Results by left-out group"),
    "21": ("participants and events in each analysis", "Results"),
    "22": ("full specification of the model", "Model"),
    "23a": ("performance with intervals, overall and in subgroups", "Results; Subgroups"),
    "23b": ("heterogeneity of performance between clusters", "Results by left-out group"),
    "24": ("results of updating", "Limits (none is done)"),
    "25": ("interpretation, fairness included", None),
    "26": ("limitations", "Limits"),
    "27a": ("poor or missing inputs when used", "Predictors"),
    "27b": ("interaction and expertise of users", "Intended use"),
    "27c": ("next steps", None),
}


@dataclass(frozen=True)
class TripodItem:
    """One item of the checklist on one card."""

    number: str
    asks: str
    answer: str
    answered: bool


def tripod_items(study: Study, outcome: str, learner: str) -> tuple[TripodItem, ...]:
    """Return the checklist for a card; items that only a person can answer say so."""
    limits = "Limits" if study.limits else None
    subgroups = "Subgroups" if study.subgroups else None
    own = {"26": limits, "14": subgroups, "18f": f"Model ({learner} of {outcome})"}
    items = []
    for item, (asks, place) in ITEMS.items():
        answer = own.get(item, place)
        items.append(TripodItem(item, asks, answer or NEEDS_INPUT, answer is not None))
    return tuple(items)
