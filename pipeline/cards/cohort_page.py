"""The cohort's page: what every centre measured, what can be compared, how well raters agree, and the genotypes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from experiments.reliability.schemas import Reliability
from pipeline.cards.environment import environment
from pipeline.cards.flow import Table
from pipeline.cards.genetic import genetic_of_cohort
from pipeline.cards.section import count, drawn
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import number
from pipeline.files import read_frame, read_json, read_table
from pipeline.settings.study import Study

STATUSES = ("complete", "partial", "impossible")
SHARES = "share of patients with a value, by centre"
STATISTICS = {
    "icc": "ICC",
    "cohen_kappa": "Cohen's kappa",
    "fleiss_kappa": "Fleiss' kappa",
    "gwet_ac": "Gwet's AC",
    "agreement": "agreement",
}


def render_cohort(study: Study, workspace: Path) -> str:
    """Return the page of a study's cohort as one HTML file.

    Args:
        study: the settings.
        workspace: artifacts/<study>.
    """
    harmonised = read_frame(workspace / "tables" / "harmonisation.parquet")
    report = read_json(workspace / "tables" / "report.json")
    agreement = workspace / "reliability"
    return (
        environment(autoescape=True)
        .get_template("cohort.html.j2")
        .render(
            title=study.title,
            study=study.study,
            words=_words(harmonised),
            overview=overview(harmonised),
            reasons=reasons(harmonised),
            problems=problems(report["problems"]),
            reliability_words=read_json(agreement / "summary.json")["sentence"],
            reliability=_reliability(read_table(agreement / "reliability.parquet", Reliability)),
            genotypes=genetic_of_cohort(study, workspace),
            figures=drawn(agreement / "figures", {"reliability": "Agreement by centre and half-year"}),
        )
    )


def _words(table: pl.DataFrame) -> str:
    of_variables = table.group_by("variable").agg(
        (pl.col("status") == "complete").all().alias("everywhere"),
        (pl.col("status") == "impossible").all().alias("nowhere"),
    )
    everywhere, nowhere = (int(of_variables[name].sum()) for name in ("everywhere", "nowhere"))
    return (
        f"{table['variable'].n_unique()} variables in {table['centre'].n_unique()} centres. Complete in every centre: "
        f"{everywhere or 'none'}. In no centre such that they could be compared: {nowhere or 'none'}."
    )


def overview(table: pl.DataFrame) -> Table:
    """Return one row per variable: in how many centres it is complete, partial, impossible, and the range of shares."""
    counted = table.group_by("modality", "variable", maintain_order=True).agg(
        *((pl.col("status") == status).sum().alias(status) for status in STATUSES),
        pl.col("share").min().alias("least"),
        pl.col("share").max().alias("most"),
        pl.col("suppressed").any().alias("suppressed"),
    )
    return [
        {
            "set": row["modality"] or "",
            "variable": row["variable"],
            **{f"centres: {name}": str(row[name]) for name in STATUSES},
            SHARES: _shares(row["least"], row["most"], row["suppressed"]),
        }
        for row in counted.sort("modality", "variable", nulls_last=True).iter_rows(named=True)
    ]


def _shares(least: float | None, most: float | None, suppressed: bool) -> str:
    """Word the range of shares over centres; centres whose counts are suppressed are not in it."""
    if least is None or most is None:
        return "suppressed"
    low, high = (f"{100 * share:.0f}" for share in (least, most))
    told = f"{low} %" if low == high else f"{low} to {high} %"
    return f"{told} (some suppressed)" if suppressed else told


def reasons(table: pl.DataFrame) -> Table:
    """Return why variables are not complete: one row per reason and centres, with all variables of which that holds."""
    per_variable = (
        table.filter(pl.col("reason").is_not_null())
        .group_by("variable", "status", "reason")
        .agg(pl.col("centre").sort().str.join(", ").alias("centres"))
    )
    rows = (
        per_variable.group_by("status", "reason", "centres")
        .agg(pl.col("variable").sort().str.join(", ").alias("variables"), pl.len().alias("many"))
        .sort("status", "reason", "many", "centres", descending=[True, False, True, False])
    )
    return [
        {
            "status": str(row["status"]),
            "why": row["reason"],
            "variables": row["variables"],
            "centres": row["centres"],
        }
        for row in rows.iter_rows(named=True)
    ]


def problems(told: Sequence[Mapping[str, Any]]) -> Table:
    """Return what intake told about files, without counts or rows: one row per file and rule, with its variables."""
    variables: dict[tuple[str, str, str], list[str]] = {}
    for problem in told:
        key = (str(problem["file"]), str(problem["rule"]), str(problem["verdict"]))
        variables.setdefault(key, []).append(str(problem.get("variable") or ""))
    return [
        {
            "file": file,
            "variables": ", ".join(dict.fromkeys(filter(None, names))),
            "found": rule,
            "verdict": verdict,
        }
        for (file, rule, verdict), names in variables.items()
    ]


def _reliability(table: pl.DataFrame) -> Table:
    whole = table.filter(pl.col("centre").is_null() & pl.col("half_year").is_null())
    return [
        {
            "variable": row["variable"],
            "coefficient": f"{STATISTICS[row['statistic']]} {row['form']}".strip(),
            "estimate": number(row["estimate"], digits=2) + in_brackets(row["lower"], row["upper"]),
            "sessions": count(row["sessions"]),
            "raters": count(row["raters"]),
            "limit": "" if row["limit"] is None else f"{row['limit']:g}",
            "verdict": row["verdict"] or "",
        }
        for row in whole.iter_rows(named=True)
    ]
