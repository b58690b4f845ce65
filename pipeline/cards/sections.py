"""Sections of a card that look closer: before fitting, every horizon, openings, and what the lead learner went through."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from experiments.disclosure import smallest_published
from experiments.results import LADDER_METRICS, Heterogeneity, Ladder, Metrics
from experiments.signals.signal import Signals
from pipeline.cards.audited import audited_sections
from pipeline.cards.examined import examined_sections
from pipeline.cards.flow import Table, attendance_flow, horizon_flow
from pipeline.cards.genetic import genetic_section
from pipeline.cards.relatives import relatives_section
from pipeline.cards.section import Section, count, without_empty_columns
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import METRICS, SCHEMES, SHORT_INTERVALS, horizon_words, number
from pipeline.files import read_json, read_table
from pipeline.settings.study import Study

EACH_PATIENT = (
    "Figures in which each patient counts once are shifted where the event itself makes further predictions, as a "
    "readmission makes another discharge: read them beside the first discharges alone, under the sensitivity analyses."
)


def closer_sections(study: Study, outcome: str, learner: str, workspace: Path) -> tuple[Section, ...]:
    """Return what the stages signals, compare, examine and probe say of one card's cell.

    Args:
        study: the settings.
        outcome: name of the outcome.
        learner: name of the learner in the study.
        workspace: artifacts/<study>.
    """
    sections: list[Section | None] = [
        _before_fitting(outcome, workspace),
        genetic_section(study, outcome, learner, workspace),
        relatives_section(study, outcome, workspace),
        _between_centres(study, outcome, learner, workspace),
        _over_time(study, outcome, learner, workspace),
        _attendance(study, outcome, workspace),
        _openings(outcome, learner, workspace),
    ]
    lead = study.lead_learner(outcome)
    if learner == lead:
        sections += examined_sections(outcome, workspace)
        sections += audited_sections(outcome, workspace)
    else:
        sections.append(
            Section(
                "closer",
                "Closer examination",
                (
                    f"Sensitivity, recalibration, label sets, refits and centres were examined for {lead}, the lead learner of this "
                    "outcome; see its card.",
                ),
            )
        )
    return tuple(section for section in sections if section is not None)


def ladder_table(study: Study, outcome: str, learner: str, workspace: Path) -> Table:
    """Word the validation ladder at the main horizon: one row per rung, between-centre variance for centres alone."""
    main = study.outcomes[outcome].main_horizon or 0.0
    rows = read_table(workspace / "compare" / outcome / "ladder.parquet", Ladder).filter(
        (pl.col("learner") == learner) & (pl.col("horizon") == main)
    )
    shown = [name for name in LADDER_METRICS if rows[name].is_not_null().any()]
    return [
        {
            "rung": str(row["rung"]),
            "validation": SCHEMES[row["kind"]] + (f": {row['group']}" if row["group"] else ""),
            **{
                METRICS[name]: number(row[name]) + in_brackets(row[f"{name}_lower"], row[f"{name}_upper"])
                for name in shown
            },
            "intervals are of": _kinds(row, shown),
            "n": count(row["n"]),
            "patients": count(row["patients"]),
            "events": count(row["events"]),
        }
        for row in rows.sort("rung").iter_rows(named=True)
    ]


def _kinds(row: Mapping[str, Any], names: Sequence[str]) -> str:
    kinds = dict.fromkeys(row[f"{name}_interval_kind"] for name in names if row[f"{name}_lower"] is not None)
    return "; ".join(SHORT_INTERVALS[kind] for kind in kinds if kind) or "no interval"


def _between_centres(study: Study, outcome: str, learner: str, workspace: Path) -> Section | None:
    main = study.outcomes[outcome].main_horizon or 0.0
    table = read_table(workspace / "compare" / outcome / "heterogeneity.parquet", Heterogeneity).filter(
        (pl.col("learner") == learner) & (pl.col("horizon") == main) & pl.col("between").is_not_null()
    )
    rows: Table = [
        {
            "scheme": row["scheme"],
            "figure": METRICS.get(row["metric"], row["metric"]),
            "variance between centres (tau squared)": number(row["between"])
            + in_brackets(row["between_lower"], row["between_upper"]),
            "on the scale": row["scale"],
            "share of the variance (I squared)": number(row["share"], digits=2),
            "where a new centre is expected": in_brackets(row["new_lower"], row["new_upper"]).strip(" ()"),
            "centres and pools": str(row["units"]),
        }
        for row in table.iter_rows(named=True)
    ]
    return (
        Section("between", "Between centres", tables=(("How much centres differ", rows),)) if rows else None
    )


def _before_fitting(outcome: str, workspace: Path) -> Section | None:
    path = workspace / "signals" / outcome / "signals.parquet"
    signals = read_table(path, Signals)
    counted = {
        verdict: signals.filter(pl.col("verdict") == verdict).height for verdict in ("high", "unclear", "low")
    }
    high = signals.filter(pl.col("verdict") == "high")
    return Section(
        "before",
        "Before fitting",
        (
            f"{counted['high']} signals of the PROBAST kind raise a high concern, {counted['unclear']} an unclear one, "
            f"{counted['low']} a low one.",
        ),
        (
            (
                "Signals of high concern",
                [
                    {name: str(row[name]) for name in ("domain", "signal", "place", "found", "expected")}
                    for row in high.iter_rows(named=True)
                ],
            ),
        ),
        links={"All signals": f"../../signals/{outcome}/signals.html"},
    )


def _over_time(study: Study, outcome: str, learner: str, workspace: Path) -> Section | None:
    if len(study.outcomes[outcome].horizons) < 2:
        return None
    flow = read_json(workspace / "outcomes" / outcome / "flow.json")
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    metrics = read_table(workspace / "compare" / outcome / "metrics.parquet", Metrics).filter(
        (pl.col("learner") == learner)
        & pl.col("subgroup").is_null()
        & pl.col("metric").is_in(list(METRICS))
        & (pl.col("interval_kind") != "prediction_interval")
    )
    rows: Table = []
    for scheme, settings in study.validation.items():
        own = metrics.filter(pl.col("scheme") == scheme)
        by_group = settings.kind == "leave_country_out"
        own = own.filter(pl.col("fold").is_not_null() if by_group else pl.col("fold").is_null())
        for (group, horizon), part in own.group_by(["group", "horizon"], maintain_order=True):
            cells = {
                METRICS[row["metric"]]: number(row["estimate"]) + in_brackets(row["lower"], row["upper"])
                for row in part.iter_rows(named=True)
            }
            first = part.row(0, named=True)
            rows.append(
                {
                    "validation": SCHEMES[settings.kind] + (f": {group}" if group else ""),
                    "horizon": horizon_words(float(str(horizon))),
                    **{name: cells.get(name, "") for name in METRICS.values()},
                    "n": count(first["n"]),
                    "events": count(first["events"]),
                }
            )
    equal = metrics["metric"].str.ends_with("_per_patient").any()
    return Section(
        "time",
        "Over time",
        (EACH_PATIENT,) if equal else (),
        tables=(
            ("What had happened by each horizon", horizon_flow(flow, smallest)),
            ("Figures at every horizon", without_empty_columns(rows)),
        ),
    )


def _attendance(study: Study, outcome: str, workspace: Path) -> Section | None:
    flow = read_json(workspace / "outcomes" / outcome / "flow.json")
    if "attendance" not in flow:
        return None
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    return Section(
        "attendance",
        "Who came back",
        (
            "The event is only known between visits. Who did not come to the visit that would have told it is unknown, not "
            "free of it; those who came stand for them within the declared groups.",
        ),
        (("Status known, by country", attendance_flow(flow, smallest)),),
    )


def _openings(outcome: str, learner: str, workspace: Path) -> Section | None:
    path = workspace / "compare" / outcome / "openings.json"
    if not path.is_file():
        return None
    sentences = tuple(entry["sentence"] for entry in read_json(path) if entry["learner"] == learner)
    return Section("openings", "How often left-out countries were opened", sentences) if sentences else None
