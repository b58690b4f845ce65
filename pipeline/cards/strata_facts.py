"""What a stratification card says, read from the result files of its two stages."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.stratification import schemas
from features.schema import ColumnDescriptions
from pipeline.cards.flow import Table
from pipeline.cards.section import Section, count, without_empty_columns
from pipeline.cards.strata_chain import chain_section, number_section, replication_section, stability_section
from pipeline.cards.strata_course import AT_ONE_TIME, OVER_TIME, course_section
from pipeline.cards.strata_described import (
    assignment_section,
    compared_section,
    dimensions_section,
    explained_section,
    places_section,
    profile_section,
)
from pipeline.cards.strata_outcomes import medication_section, outcome_sections, value_section
from pipeline.cards.tables import what_it_is
from pipeline.cards.wording import number, p_value
from pipeline.files import read_json, read_table
from pipeline.settings.study import Study

ONE_GROUP_LIMITS = (
    "That no strata were claimed does not show that there are none: strata that overlap, or are small, are missed more often the "
    "fewer the patients. How often stands in docs/validity.md.",
)
CLAIMED_LIMIT = (
    "That a claim passed its tests does not make strata kinds of illness, and nothing here says that a treatment works better "
    "in one of them."
)
UNCLAIMED_LIMIT = "Strata that were not claimed are shown because the chain looked at them; nothing should be built on them."
DESCRIBED_LIMIT = (
    "The variables that made the strata differ between them by construction: their differences have sizes and intervals, "
    "never p-values."
)


@dataclass(frozen=True)
class StrataCard:
    """Everything on one stratification card, worded."""

    study: str
    study_title: str
    title: str
    description: str
    claim: str
    claimed: bool
    intended_use: str
    notes: tuple[str, ...]
    headlines: Table
    sections: tuple[Section, ...]


def read_strata_card(study: Study, name: str, workspace: Path) -> StrataCard:
    """Read the result files of one stratification and word them.

    Args:
        study: the settings.
        name: of the stratification.
        workspace: artifacts/<study>.
    """
    asked = study.stratifications[name]
    found, related = workspace / "strata" / name, workspace / "strata_outcomes" / name
    summary, outcome = read_json(found / "summary.json"), read_json(related / "summary.json")
    tests = pl.concat([read_table(folder / "tests.parquet", schemas.Tests) for folder in (found, related)])
    columns = read_table(workspace / "assembled" / "columns.parquet", ColumnDescriptions)
    units = dict(columns.drop_nulls("unit").select("column", "unit").iter_rows())
    sections = [
        chain_section(asked, outcome, tests, found),
        number_section(found),
        stability_section(found, outcome),
        replication_section(found),
        course_section(found, summary),
        profile_section(found, summary, units),
        explained_section(found, summary),
        places_section(found),
        value_section(related),
        *outcome_sections(related, outcome),
        compared_section(related, outcome),
        medication_section(related),
        dimensions_section(found, related, summary),
        assignment_section(summary),
        _population(study, name, summary, columns),
        Section("limits", "Limits", (*_limits(outcome, course=asked.course is not None), *study.limits)),
    ]
    return StrataCard(
        study=study.study,
        study_title=study.title,
        title=asked.title or name,
        description=str(summary["description"]),
        claim=f"Claim: {outcome['claim']}",
        claimed=bool(outcome["claimed"]),
        intended_use=study.intended_use,
        notes=tuple(summary["notes"]),
        headlines=_headlines(outcome, tests),
        sections=tuple(section for section in sections if section is not None),
    )


def _limits(outcome: Mapping[str, Any], *, course: bool) -> tuple[str, ...]:
    """Return the limits that hold for what came out: strata that were claimed, strata that were not, or one group."""
    time = OVER_TIME if course else AT_ONE_TIME
    if int(outcome["k"]) == 1:
        return (time, *ONE_GROUP_LIMITS)
    return time, CLAIMED_LIMIT if outcome["claimed"] else UNCLAIMED_LIMIT, DESCRIBED_LIMIT


def _headlines(outcome: Mapping[str, Any], tests: pl.DataFrame) -> Table:
    """Return the figures that decided: of each test the one that is worst for a claim."""
    shown = (
        ("one_group", "p_copula", "One group as a copula", "max"),
        ("one_group", "p_continuum", "One group as a continuum", "max"),
        ("stability", "jaccard_", "Least stable stratum (Jaccard)", "min"),
        (
            "replication",
            "adjusted_rand_index",
            "Agreement between places (adjusted Rand index), the lesser direction",
            "min",
        ),
    )
    status = {item["test"]: str(item["status"]).replace("_", " ") for item in outcome["tests"]}
    rows: Table = []
    for test, figure, what, worst in shown:
        own = tests.filter((pl.col("test") == test) & pl.col("figure").str.starts_with(figure))["estimate"]
        if own.drop_nulls().is_empty():
            continue
        value = float(
            np.max(own.drop_nulls().to_numpy()) if worst == "max" else np.min(own.drop_nulls().to_numpy())
        )
        told = (
            f"p {p_value(value) if value < 0.0005 else '= ' + p_value(value)}"
            if test == "one_group"
            else number(value, digits=2)
        )
        beside = f"test {test}: {status.get(test, 'not run')}"
        rows.append({"what": what, "figure": told, "beside": beside})
    return rows


def _population(study: Study, name: str, summary: Mapping[str, Any], columns: pl.DataFrame) -> Section:
    """Word who was looked at, and what the columns are that divided them."""
    asked, used = study.stratifications[name], summary["columns_used"]
    made = (
        f"by the course of {', '.join(asked.course.variables)}"
        if asked.course is not None
        else f"by {count(len(used))} columns of {', '.join(asked.feature_sets)}"
    )
    rows: Table = [
        {
            "column": row["column"].replace("_", " "),
            "what it is": what_it_is(row, study.dictionary),
            "unit": row["unit"] or "",
            "source": row["source"],
        }
        for row in columns.filter(pl.col("column").is_in(used)).sort("column").iter_rows(named=True)
    ]
    return Section(
        "population",
        "Population",
        (
            f"{summary['patients']:,} patients at the first prediction time of the rule {asked.index}, {made}. Basis of consent: "
            f"{study.consent.basis}.",
            *map(str, summary.get("counted_out", ())),
        ),
        (("The columns that divided the patients", without_empty_columns(rows)),) if rows else (),
    )
