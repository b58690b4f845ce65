"""The page on frozen strata at another site."""

from collections.abc import Mapping
from typing import Any

import jinja2

from pipeline.cards.environment import TEMPLATES as CARDS
from pipeline.cards.environment import environment
from pipeline.cards.wording import number
from pipeline.carry.report import TEMPLATES

FIGURES = {
    "share": "share",
    "probability": "mean probability",
    "entropy": "entropy",
    "certain": "assigned with 0.8 or more",
    "in_group": "nearest patient is of it too",
}


def strata_page(report: Mapping[str, Any]) -> str:
    """Return the report as one HTML file without links to anything outside it."""
    made = environment(autoescape=True)
    made.loader = jinja2.FileSystemLoader([TEMPLATES, CARDS])
    tables = {
        "strata": [_stratum(row) for row in report["strata"]],
        "tests": [dict(row) for row in report["bundle"]["tests"]],
        "drift": [_drift(row) for row in report["drift"]],
    }
    outside = {key: number(report[key]) or "suppressed" for key in ("outside", "outside_reference")}
    return made.get_template("assigned.html.j2").render(report=report, tables=tables, outside=outside)


def _stratum(row: Mapping[str, Any]) -> dict[str, str]:
    cells = {"stratum": str(row["stratum"] or "all"), "patients here": number(row["n"])}
    for key, words in FIGURES.items():
        cells[f"{words}, here"] = number(row[key])
        cells[f"{words}, before"] = number(row[f"{key}_reference"])
    return cells


def _drift(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "column": str(row["column"]),
        "figure": str(row["figure"]).replace("_", " "),
        "before": number(row["reference"]),
        "here": number(row["here"]),
        "difference": number(row["difference"], signed=row["figure"] != "total_variation"),
    }
