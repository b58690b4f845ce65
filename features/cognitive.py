"""Cognitive features: the latest test scores as they were measured, not adjusted for age, sex or education.

A composite score is fitted (means and standard deviations of a reference sample), so it belongs into a fold and is not
built here.
"""

from collections.abc import Sequence

import polars as pl

from features.columns import chosen_variables, finish, measured
from features.contract import BuiltFeatures, Definition, Tables
from features.windows import open_window

WECHSLER = "Wechsler Adult Intelligence Scale"
LEARNING = "California Verbal Learning Test, Delis 1987"

DEFINITIONS = (
    Definition(
        "digit_symbol", "digit-symbol coding: processing speed", "points", WECHSLER, ("digit_symbol",)
    ),
    Definition(
        "verbal_learning", "word list, sum of learning trials", "words", LEARNING, ("verbal_learning",)
    ),
    Definition("verbal_delayed", "word list, long-delay free recall", "words", LEARNING, ("verbal_delayed",)),
    Definition(
        "working_memory", "digit span or letter-number sequencing", "points", WECHSLER, ("working_memory",)
    ),
    Definition(
        "category_fluency",
        "words of a category in a minute or two",
        "words",
        "Benton 1968, Neuropsychologia 6:53",
        ("category_fluency",),
    ),
    Definition(
        "trail_making_b",
        "Trail Making Test part B: set shifting; higher is worse",
        "s",
        "Reitan 1958, Percept Mot Skills 8:271",
        ("trail_making_b",),
    ),
    Definition(
        "premorbid_iq",
        "reading estimate of premorbid ability",
        "IQ points",
        "Nelson & O'Connell 1978, Cortex 14:234",
        ("premorbid_iq",),
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
    """Build the cognitive set.

    Args:
        prediction_times: as in features.schema.PredictionTimes.
        tables: the canonical tables; raw scores.
        look_behind_days: how old a test may be.
        variables: further measured variables, by name or glob pattern ("wais_*"), taken as they are.
        exclude: names or patterns that `variables` leaves out.
    """
    window = open_window(prediction_times, tables, look_behind_days=look_behind_days)
    values = {item.name: window.latest(item.name)["number"] for item in DEFINITIONS}
    chosen = chosen_variables("cognitive", window, variables, exclude)
    extra, definitions = measured(window, [name for name in chosen if name not in values])
    return finish("cognitive", prediction_times, {**values, **extra}, (*DEFINITIONS, *definitions))
