"""Section of a stratification card: what happened in each stratum, and how strata differ in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.disclosure import SUPPRESSED
from experiments.stratification import outcome_schemas
from pipeline.cards.flow import HIDDEN, Table
from pipeline.cards.section import Section, count, drawn, without_empty_columns
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import number
from pipeline.files import read_table

WITH_UNCERTAINTY = "bch"
MEASURES = {
    "risk": "risk of the event",
    "competing": "risk of a competing event",
    "free_time": "mean days without the event",
    "time_lost": "mean days lost to the event",
    "risk_difference": "difference in risk",
    "free_time_difference": "difference in mean days without the event",
    "hazard_ratio": "hazard ratio",
    "odds_ratio": "odds ratio",
}
IN_DAYS = ("free_time", "time_lost", "free_time_difference")
NOT_COMPUTED = "not computed"
COMPETING = "Death and other competing events are events of their own."
CARRIED_ON = (
    f"{COMPETING} Each patient counts with every stratum as far as it is probable "
    "(three-step, BCH): counting only the most probable stratum would shrink the differences."
)
AS_ASSIGNED = (
    f"{COMPETING} Each patient counts with the most probable stratum alone, which shrinks the differences."
)


def incidence_section(folder: Path) -> Section | None:
    """Word outcomes by stratum, with the strata's uncertainty carried on where it can be; None where no outcome was looked at."""
    table = read_table(folder / "incidence.parquet", outcome_schemas.Incidence)
    if table.is_empty():
        return None
    shown = _once(table, ["outcome", "measure", "horizon", "stratum"])
    carried_on = WITH_UNCERTAINTY in shown["correction"]
    notes = shown["note"].unique().to_list()
    common = notes[0] if len(notes) == 1 and notes[0] else None  # said once instead of in every row
    rows: Table = [
        {
            **_which(row),
            "stratum": str(row["stratum"]),
            "estimate": told(row),
            "patients": HIDDEN if row["n"] is None else count(row["n"]),
            "events": count(row["events"]),
            "note": "" if common else row["note"] or "",
        }
        for row in shown.iter_rows(named=True)
    ]
    return Section(
        "outcomes",
        "Outcomes by stratum",
        (CARRIED_ON if carried_on else AS_ASSIGNED, *((f"{common}.",) if common else ())),
        (
            ("Differences and ratios between strata", _differences(folder)),
            ("Each stratum", without_empty_columns(rows)),
        ),
        drawn(folder / "figures", {**_curves(folder), "contrasts": "Ratios between strata, adjusted"}),
    )


def _differences(folder: Path) -> Table:
    table = read_table(folder / "contrasts.parquet", outcome_schemas.Contrasts)
    kept = _once(table, ["outcome", "measure", "horizon", "stratum", "reference"])
    rows: Table = [
        {
            **_which(row),
            "strata": f"{row['stratum']} against {row['reference']}",
            "estimate": told(row),
            "adjusted": "yes" if row["adjusted"] else "no",
            "counted": "as probable" if row["correction"] == WITH_UNCERTAINTY else "as assigned",
            "note": row["note"] or "",
        }
        for row in kept.iter_rows(named=True)
    ]
    return without_empty_columns(rows)


def _once(table: pl.DataFrame, figure: list[str]) -> pl.DataFrame:
    """Keep each figure once: with uncertainty carried on, or as assigned where nothing else could be computed."""
    return (
        table.filter(pl.col("correction").cast(pl.String).is_in([WITH_UNCERTAINTY, "none"]))
        .sort(pl.col("correction") != WITH_UNCERTAINTY, maintain_order=True)
        .unique(figure, keep="first", maintain_order=True)
    )


def _which(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "outcome": row["outcome"].replace("_", " "),
        "figure": MEASURES[row["measure"]],
        "by day": "" if row["horizon"] == 0 else f"{row['horizon']:g}",
    }


def _curves(folder: Path) -> dict[str, str]:
    paths = sorted((folder / "figures").glob("incidence_*.svg"))
    return {
        path.stem: f"Cumulative incidence by stratum: {path.stem.removeprefix('incidence_').replace('_', ' ')}"
        for path in paths
    }


def told(row: Mapping[str, Any]) -> str:
    """Word an estimate with its 95 % interval: days have one digit, other figures three.

    A note says why one is missing: few patients are suppressed, anything else could not be computed.
    """
    if row["estimate"] is None:
        return HIDDEN if row["note"] in (None, SUPPRESSED) else NOT_COMPUTED
    digits = 1 if row.get("measure") in IN_DAYS else 3
    return number(row["estimate"], digits=digits) + in_brackets(row["lower"], row["upper"], digits=digits)
