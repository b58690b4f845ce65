"""Outcomes: what happened strictly after each prediction time, and who is not eligible and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from features.errors import BadInput
from features.labels import NO_VALUE, OTHER_VALUE, build_label
from features.outcome_flow import (
    by_horizon,
    counts,
    exclusion_steps,
    label_status,
    status_at,
    treatment_counts,
)
from features.prediction_times import TimeKind
from features.schema import Outcomes
from features.seen_at_visits import NOT_DUE, attendance_flow, build_seen
from features.timed_outcome import (
    ENDED,
    IN_HOSPITAL,
    NOT_FOLLOWED,
    OPEN,
    SAME_EPISODE,
    WASHOUT,
    build_timed,
)
from features.treatment_changes import first_start, treatment_starts

REASONS = (
    ENDED,
    SAME_EPISODE,
    IN_HOSPITAL,
    OPEN,
    WASHOUT,
    NOT_FOLLOWED,
    NOT_DUE,
    NO_VALUE,
    OTHER_VALUE,
)


@dataclass(frozen=True)
class BuiltOutcome:
    """An outcome of every prediction of its index rule.

    Attributes:
        frame: as in features.schema.Outcomes, in the order of the prediction times.
        flow: "steps" with predictions and patients left after each exclusion; the counts of predictions eligible, with
            the event, with a competing event, censored before and unknown at the main horizon, and the same of patients
            under "patients". An event in time adds "main_horizon", "horizons" (the counts at each) and "treatments"
            (who began each declared one while at risk); one seen at visits adds "attendance".
    """

    frame: pl.DataFrame
    flow: dict[str, object]


def build_outcome(
    name: str,
    settings: Mapping[str, Any],
    prediction_times: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    *,
    extract_time: float | None = None,
    time: TimeKind = "date",
) -> BuiltOutcome:
    """Build one outcome.

    Args:
        name: the outcome's name in the study file, for messages.
        settings: the outcome's settings, as pipeline.settings.outcome dumps them.
        prediction_times: of all rules; those of settings["index"] are used.
        tables: the canonical tables.
        extract_time: the time of the extract, where follow-up ends for all; None: not declared.
        time: what a time is.

    Raises:
        BadInput: nobody is eligible, all have the same outcome, or the tables cannot tell it.
    """
    index = prediction_times.filter(pl.col("index_rule") == settings["index"]).sort("position", "number")
    if index.is_empty():
        raise BadInput(
            f"outcomes.{name}.index: no prediction time of the rule {settings['index']}. Check that rule."
        )
    if settings["kind"] == "label":
        return _of_label(name, settings, build_label(name, settings, index, tables["measurements"]))
    if time == "order":
        raise BadInput(
            f"outcomes.{name}: an event within a horizon of days needs times, but the study declares an order only. "
            "Use an outcome of kind label, or declare times."
        )
    if settings["kind"] == "seen_at_visits":
        return _of_seen(name, settings, build_seen(name, settings, index, tables, extract_time))
    return _of_time(name, settings, index, tables, build_timed(name, settings, index, tables, extract_time))


def outcome_horizons(settings: Mapping[str, Any]) -> tuple[tuple[float, ...], float]:
    """Return the horizons of an event in time, in days, and the main one: the longest where none is declared."""
    if "horizons_days" not in settings:
        only = float(settings["horizon_days"])
        return (only,), only
    horizons = tuple(float(horizon) for horizon in settings["horizons_days"])
    main = settings.get("main_horizon_days")
    return horizons, horizons[-1] if main is None else float(main)


def whole_outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame of schema Outcomes; columns that this kind of outcome does not have are null."""
    filled = frame.with_columns(
        pl.lit(None).alias(name) for name in Outcomes.column_names() if name not in frame.columns
    )
    return Outcomes.validate(filled.select(Outcomes.column_names()), cast=True)


def _of_label(name: str, settings: Mapping[str, Any], frame: pl.DataFrame) -> BuiltOutcome:
    eligible = _eligible(name, frame)
    return BuiltOutcome(whole_outcomes(frame), _flow(name, settings, frame, eligible, label_status(eligible)))


def _of_seen(name: str, settings: Mapping[str, Any], frame: pl.DataFrame) -> BuiltOutcome:
    eligible = _eligible(name, frame)
    status = label_status(eligible)
    died = eligible["died"] & (status == "free")
    status = pl.select(pl.when(died).then(pl.lit("competing")).otherwise(status).alias("status")).to_series()
    flow = _flow(name, settings, frame, eligible, status)
    return BuiltOutcome(whole_outcomes(frame), {**flow, "attendance": attendance_flow(eligible)})


def _of_time(
    name: str,
    settings: Mapping[str, Any],
    index: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    frame: pl.DataFrame,
) -> BuiltOutcome:
    horizons, main = outcome_horizons(settings)
    treatments = tuple(settings.get("treatments", ()))
    starts = treatment_starts(name, treatments, index, tables["medications"]) if treatments else {}
    whole = frame.with_columns(first_start(starts, frame.height).alias("treatment"))
    eligible = _eligible(name, whole)
    for horizon in horizons:
        _require_both(name, eligible, status_at(eligible, horizon), f" by {horizon:g} days")
    competing = [kind for kind in settings["competing"] if kind != settings["event"]]
    at_risk = frame["excluded"].is_null()
    flow = {
        **_flow(name, settings, whole, eligible, status_at(eligible, main)),
        "main_horizon": main,
        "horizons": by_horizon(eligible, horizons, competing),
        "treatments": treatment_counts(
            eligible, {entry: days.filter(at_risk) for entry, days in starts.items()}
        ),
    }
    unexcluded = pl.when(pl.col("excluded").is_null()).then(pl.col("treatment")).alias("treatment")
    return BuiltOutcome(whole_outcomes(whole.with_columns(unexcluded)), flow)


def _flow(
    name: str, settings: Mapping[str, Any], frame: pl.DataFrame, eligible: pl.DataFrame, status: pl.Series
) -> dict[str, object]:
    _require_both(name, eligible, status, "")
    of_predictions, of_patients = counts(eligible, status)
    return {
        "steps": exclusion_steps(settings["index"], frame, REASONS),
        **of_predictions,
        "patients": of_patients,
    }


def _eligible(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the eligible rows, or refuse where nobody is, with the reasons counted."""
    eligible = frame.filter(pl.col("excluded").is_null())
    if eligible.is_empty():
        counted = frame.group_by("excluded").len().sort("excluded")
        reasons = "; ".join(f"{reason} ({number})" for reason, number in counted.iter_rows())
        raise BadInput(
            f"outcomes.{name}: none of {len(frame)} predictions is eligible: {reasons}. Mend its settings."
        )
    return eligible


def _require_both(name: str, eligible: pl.DataFrame, status: pl.Series, when: str) -> None:
    """Refuse what nobody can learn from: no event, or nobody known to be without it."""
    events = int((status == "events").sum())
    negatives = int(status.is_in(["free", "competing"]).sum())
    if events and negatives:
        return
    found = "no event" if events == 0 else "nobody known to be without the event"
    raise BadInput(
        f"outcomes.{name}: {found}{when} among {len(eligible)} eligible predictions; a model needs both. Check the "
        "event, codes and horizons in the study file."
    )
