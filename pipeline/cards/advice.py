"""What follows from a cell's result files: limits that nobody need declare, and what to do next."""

import polars as pl

from pipeline.cards.wording import METRICS
from pipeline.settings.study import Study

FEW_EVENTS = 100  # fewer than this in a validation give wide intervals: Collins 2016, Stat Med 35:214


def limits_found(study: Study, outcome: str, events: int) -> tuple[str, ...]:
    """Return limits that the settings and the counts themselves show."""
    kinds = {study.validation[scheme].kind for scheme in _schemes(study, outcome)}
    limits = []
    if "leave_country_out" not in kinds:
        limits.append(
            "No country was left out: nothing is known of a new country."
            if "leave_centre_out" in kinds
            else "Neither a centre nor a country was left out: nothing is known of patients elsewhere."
        )
    if events < FEW_EVENTS:
        limits.append(f"Fewer than {FEW_EVENTS} events: every figure is uncertain, calibration most of all.")
    return tuple(limits)


def next_steps(study: Study, outcome: str, learner: str, comparisons: pl.DataFrame) -> tuple[str, ...]:
    """Return what to do next, as plain sentences.

    Args:
        study: the settings.
        outcome: name of the outcome.
        learner: name of the learner in the study.
        comparisons: rows of experiments.results.Comparisons of this learner.
    """
    reference = study.tuning.clinical_reference
    steps = [_against_reference(reference, comparisons)] if learner != reference else []
    kinds = {study.validation[scheme].kind for scheme in _schemes(study, outcome)}
    if not kinds & {"leave_centre_out", "leave_country_out"}:
        steps.append(
            "Validate elsewhere: map the centre of each patient and add a scheme of kind leave_centre_out, or run the "
            "frozen model on another cohort."
        )
    if study.outcomes[outcome].thresholds is None:
        steps.append(
            "Declare the thresholds of risk at which a decision would change (outcomes: thresholds) before reading the "
            "decision curve."
        )
    steps.append("Complete the TRIPOD+AI items below that need a person before this is reported.")
    return tuple(step for step in steps if step)


def _against_reference(reference: str, comparisons: pl.DataFrame) -> str:
    rows = comparisons.filter(
        (pl.col("reference") == reference) & pl.col("group").is_null() & (pl.col("metric") == "auroc")
    ).drop_nulls(["lower", "upper"])
    better = rows.filter(pl.col("lower") > 0)["scheme"].to_list()
    unsure = rows.filter(pl.col("lower") <= 0)["scheme"].to_list()
    if not rows.height:
        return ""
    if not unsure:
        return f"{METRICS['auroc']} is above that of {reference} under {', '.join(better)}: weigh it against what it costs."
    return (
        f"Under {', '.join(unsure)} it is not shown to be better than {reference} ({METRICS['auroc']}): prefer the "
        "smaller model unless other data say otherwise."
    )


def _schemes(study: Study, outcome: str) -> tuple[str, ...]:
    return next(cell.schemes for cell in study.cells if cell.outcome == outcome)
