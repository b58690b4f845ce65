"""Sections of a stratification card: the chain of tests, the number, stability and replication."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.stratification import schemas
from pipeline.cards.flow import Table
from pipeline.cards.section import Section, count, drawn, without_empty_columns
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import number
from pipeline.files import read_table
from pipeline.settings.stratification import Stratification

ASKED = {
    "one_group": "Would one group, of any shape, give this?",
    "number": "How many strata, from one up?",
    "stability": "Is each stratum found again in other samples of the same patients?",
    "replication": "Is it found in one country or centre and again in the others?",
    "value": "Do strata tell more than continuous scores of the same variables?",
}
RESULTS = {
    "passed": "passed",
    "failed": "FAILED",
    "not_possible": "not possible here",
    "not_asked": "not run",
}


def chain_section(
    asked: Stratification, outcome: Mapping[str, Any], tests: pl.DataFrame, folder: Path
) -> Section:
    """Word the declared tests with their results, and every figure beside its threshold."""
    rows: Table = [
        {
            "test": item["test"],
            "asks": ASKED[item["test"]],
            "needed for the claim": "yes" if item["test"] in asked.required else "no",
            "result": RESULTS[item["status"]],
            "why": item["reason"],
        }
        for item in outcome["tests"]
    ]
    figures: Table = [
        {
            "test": row["test"],
            "figure": row["figure"].replace("_", " "),
            "estimate": number(row["estimate"]) + in_brackets(row["lower"], row["upper"]),
            "threshold": "" if row["threshold"] is None else f"{row['threshold']:g}",
            "passed": "" if row["passed"] is None else "passed" if row["passed"] else "FAILED",
            "n": count(row["n"]),
        }
        for row in tests.iter_rows(named=True)
    ]
    return Section(
        "chain",
        "The chain of tests",
        (
            "The tests, their order and their thresholds were declared in the study file before any result was seen. "
            "A continuum is a valid answer.",
        ),
        (("Tests", rows), ("Every figure of the tests", figures)),
        drawn(folder / "figures", {"null": "Separation in the patients and in draws of one group"}),
    )


def number_section(folder: Path) -> Section:
    """Word what each number of strata looks like; gap, BIC and likelihood ratio stand beside and decide nothing."""
    table = read_table(folder / "selection.parquet", schemas.Selection)
    rows: Table = [
        {
            "strata": str(row["k"]) + (" (chosen)" if row["chosen"] else ""),
            "prediction strength": _blank(row["prediction_strength"]),
            "ambiguous pairs": _blank(row["consensus"]),
            "in one group": _blank(row["consensus_null"]),
            "p of consensus": _blank(row["consensus_p"]),
            "gap": _blank(row["gap"]),
            "BIC": "" if row["bic"] is None else f"{row['bic']:,.0f}",
            "likelihood ratio p": _blank(row["likelihood_ratio_p"]),
            "separation": _blank(row["separation"]),
            "smallest stratum": "" if row["smallest"] is None else f"{100 * row['smallest']:.0f} %",
        }
        for row in table.iter_rows(named=True)
    ]
    return Section(
        "number",
        "How many strata",
        (
            "Prediction strength, consensus against one group and the size of the smallest stratum decide; gap, BIC and the bootstrap "
            "likelihood ratio of a number against one fewer stand beside. A number chosen here is no claim where test 1 failed.",
        ),
        (("By number of strata", without_empty_columns(rows)),),
        drawn(folder / "figures", {"selection": "Prediction strength and consensus by number of strata"}),
    )


def stability_section(folder: Path) -> Section | None:
    """Word how well each stratum is found again in bootstrap samples."""
    table = read_table(folder / "stability.parquet", schemas.Stability)
    if table.is_empty():
        return None
    rows: Table = [
        {
            "stratum": str(row["stratum"]),
            "patients": "suppressed" if row["n"] is None else count(row["n"]),
            "mean Jaccard": number(row["mean_jaccard"], digits=2),
            "2.5th to 97.5th percentile": in_brackets(row["lower"], row["upper"]).strip(" ()"),
            "stable": "passed" if row["stable"] else "FAILED",
        }
        for row in table.iter_rows(named=True)
    ]
    return Section(
        "stability",
        "Stability",
        ("Bootstrap samples of the patients within centres; everything is fitted anew in each.",),
        (("Each stratum", rows),),
        drawn(folder / "figures", {"stability": "How well each stratum is found again"}),
    )


def replication_section(folder: Path) -> Section | None:
    """Word what is found again in other countries or centres, in both directions."""
    table = read_table(folder / "replication.parquet", schemas.Replication)
    if table.is_empty():
        return None
    rows: Table = [
        {
            "found in": row["first"],
            "looked for in": row["second"],
            "figure": row["figure"].replace("_", " "),
            "stratum": "all" if row["stratum"] == 0 else str(row["stratum"]),
            "estimate": number(row["estimate"]),
            "n": count(row["n"]),
        }
        for row in table.iter_rows(named=True)
    ]
    return Section(
        "replication",
        "Replication",
        (
            "The recipe is the declared one; it is fitted, and the number of strata chosen by prediction strength, in the first country "
            "or centre alone. Where that number is the one of all patients, the second is divided twice: anew with that number, and "
            "by the first one's frozen model. The two divisions are compared. Both directions must agree.",
        ),
        (("Both directions", rows),),
        drawn(folder / "figures", {"replication": "The strata of each country or centre"}),
    )


def _blank(value: float | None) -> str:
    return "" if value is None else number(value)
