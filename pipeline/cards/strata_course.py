"""Section of a stratification card for strata of change: mean courses, who still comes, and what drop-out changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.stratification.schemas import DropoutComparison
from pipeline.cards.flow import Table
from pipeline.cards.section import Section, drawn
from pipeline.cards.wording import number
from pipeline.files import read_table

AT_ONE_TIME = "Strata describe the patients of this study at one time."
OVER_TIME = (
    "Strata of change describe the follow-up of this study's patients. They are known at its end: they predict nothing at the "
    "baseline, and their relations to what happened meanwhile are no forecasts."
)
MEASURABLE = 0.5  # reliability below which a column is mostly noise


def course_section(folder: Path, summary: Mapping[str, Any]) -> Section | None:
    """Word the mean courses; nothing where strata are of features."""
    if summary.get("kind") != "course":
        return None
    words = [
        "Points are means of those seen at a visit with 95 % intervals that take the strata as given; lines are the mean course of all "
        "patients of a stratum, those who left included. Where the two part, those who left were on another course. The last panel says "
        "which share still comes; under it stands how many could have come.",
    ]
    tables = [("How well columns of the course are measured", _reliability(summary["reliability"]))]
    compared = folder / "dropout_comparison.parquet"
    if compared.exists():
        words.append(
            "Strata may differ in how long their patients stay. Where shares or means differ between the two models, the answer "
            "hangs on what is assumed of those who left."
        )
        tables.append(("Strata with drop-out in the model and without", _compared(compared)))
    return Section(
        "course",
        "Mean courses",
        tuple(words),
        tuple(tables),
        drawn(folder / "figures", {"courses": "Mean courses and who still comes"}),
    )


def _reliability(found: Mapping[str, float]) -> Table:
    return [
        {
            "column": column.replace("_", " "),
            "reliability": "" if value == 0 else number(value, digits=2),
            "meaning": "no differences of its own: the same for all, divides nobody"
            if value == 0
            else "mostly noise"
            if value < MEASURABLE
            else "measured",
        }
        for column, value in sorted(found.items())
    ]


def _compared(path: Path) -> Table:
    """Return share and mean at baseline and at the last visit of each stratum, in both models."""
    table = read_table(path, DropoutComparison)
    ends = [float(table["years"].min()), float(table["years"].max())]  # type: ignore[arg-type]
    rows: Table = []
    for stratum in table["stratum"].unique().sort():
        for modelled in (True, False):
            own = table.filter(stratum=stratum, modelled=modelled)
            means = own.filter(pl.col("years").is_in(ends)).sort("variable", "years")
            rows.append(
                {
                    "stratum": "all patients" if stratum == 0 else str(stratum),
                    "drop-out": "modelled" if modelled else "ignored",
                    "share": f"{100 * own['share'][0]:.0f} %",
                    **{
                        f"{row['variable']}, year {row['years']:g}": number(row["mean"], digits=1)
                        for row in means.iter_rows(named=True)
                    },
                }
            )
    return rows
