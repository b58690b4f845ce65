"""The lead learner's figures under other assumptions and in other rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from experiments.evaluation.sample import Part
from experiments.examination.after_censoring import HAZARD, WITHOUT_TIMES, hazard_after_censoring
from experiments.examination.estimates import Frame
from experiments.examination.setting import Evaluated, Examination, Row
from experiments.examination.variants import all_figures, published

AS_EVALUATED, MAIN = "as evaluated", "main"
TREATMENT, TREATED = "treatment", "censored at a treatment that changes the course"
PREDICTIONS, FIRST, EQUAL = (
    "predictions of a patient",
    "the first of each patient",
    "each patient counted once",
)
# Where the event makes a further prediction, as a readmission does a discharge, who has it counts less in each of theirs.
NOTES = {EQUAL: "the number of a patient's predictions may follow from the event: then the rate is too low"}
ATTENDANCE, COMPLETE = "attendance", "complete cases, not weighted for visits missed"


@dataclass(frozen=True)
class SensitivitySettings:
    """What is tried out; as in pipeline.settings.experiment.Examination."""

    hazard_after_censoring: tuple[float, ...] = (0.5, 1.0, 2.0)
    tipping_up_to: float = 8.0
    censor_at_treatment: bool = True
    first_only: bool = True
    complete_cases: bool = True


Again = Callable[[pl.DataFrame, pl.Series | None], Evaluated]


def sensitivity(
    examination: Examination,
    tested: Evaluated,
    outcomes: pl.DataFrame,
    again: Again,
    settings: SensitivitySettings,
) -> tuple[list[Row], dict[str, str]]:
    """Return the rows of one scheme's sensitivity analyses, and why any of them does not apply.

    Args:
        examination: what the outcome's examinations share.
        tested: the scheme's rows as evaluated.
        outcomes: schema Outcomes.
        again: evaluates the scheme again with other outcomes and, where a series is given, those predictions alone.
        settings: what is tried out.
    """
    rows = figures(examination, tested, tested.parts, AS_EVALUATED, MAIN)
    reasons = {}
    hazard, why = hazard_after_censoring(
        examination, tested, settings.hazard_after_censoring, settings.tipping_up_to
    )
    rows += hazard
    reasons[HAZARD] = why
    treated, why = _at_treatment(tested, outcomes, again, settings.censor_at_treatment)
    rows += figures(examination, treated, tested.parts, TREATMENT, TREATED) if treated else []
    reasons[TREATMENT] = why
    once, why = _once(tested, outcomes, again, settings.first_only)
    for level, own in once.items():
        rows += figures(examination, own, tested.parts, PREDICTIONS, level)
    reasons[PREDICTIONS] = why
    complete, why = _complete(tested, settings.complete_cases)
    rows += figures(examination, complete, tested.parts, ATTENDANCE, COMPLETE) if complete else []
    reasons[ATTENDANCE] = why
    return rows, {name: why for name, why in reasons.items() if why}


def figures(
    examination: Examination, own: Evaluated, main: Sequence[Part], analysis: str, level: str
) -> list[Row]:
    """Return all figures of one variant of the evaluation; `main` is what was observed in the main one."""
    frame = Frame.of(own.sample.kind, own.sample.test_to_train, own.parts)
    found = all_figures(frame, own.parts, own.reference, examination.threshold)
    return published(examination, own, main, found, analysis=analysis, level=level, note=NOTES.get(level, ""))


def _at_treatment(
    tested: Evaluated, outcomes: pl.DataFrame, again: Again, asked: bool
) -> tuple[Evaluated | None, str]:
    if not asked:
        return None, "not asked for: examination.censor_at_treatment"
    if tested.sample.frame["time"].null_count():
        return None, WITHOUT_TIMES
    before = (pl.col("treatment") < pl.col("time")) & (pl.col("treatment") < tested.sample.horizon)
    eligible = outcomes.filter(pl.col("excluded").is_null())
    if not eligible.filter(before).height:
        return (
            None,
            "no treatment that changes the course (outcome setting `treatments`) begins before the horizon",
        )
    censored = outcomes.with_columns(
        time=pl.when(before).then("treatment").otherwise("time"),
        cause=pl.when(before).then(pl.lit(0, dtype=pl.Int8)).otherwise("cause"),
    )
    return again(censored, None), ""


def _once(
    tested: Evaluated, outcomes: pl.DataFrame, again: Again, asked: bool
) -> tuple[dict[str, Evaluated], str]:
    if not asked:
        return {}, "not asked for: examination.first_only"
    frame = tested.sample.frame
    if (
        not (frame["number"] > 1).any()
        and frame["position"].n_unique() * frame["repeat"].n_unique() == frame.height
    ):
        return {}, "each patient has one prediction"
    first = frame.filter(pl.col("number") == 1)["prediction_id"].unique()
    weights = [part.weight / np.bincount(part.patient)[part.patient] for part in tested.parts]
    found = {EQUAL: tested.weighted(weights)}
    if len(first):
        found[FIRST] = again(outcomes, first)
    return found, ""


def _complete(tested: Evaluated, asked: bool) -> tuple[Evaluated | None, str]:
    if not asked:
        return None, "not asked for: examination.complete_cases"
    sample = tested.sample
    if not sample.frame["cause"].null_count():
        return (
            None,
            "every status is known, or known up to its censoring: nothing is weighted for visits missed",
        )
    return tested.weighted([(part.weight > 0).astype(np.float64) for part in tested.parts]), ""
