"""Sections of a stratification card: the chain of tests, the number, stability and replication."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.stratification import schemas
from pipeline.cards.flow import Table
from pipeline.cards.section import Section, count, drawn, without_empty_columns
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import interval, number, p_value
from pipeline.files import read_table
from pipeline.settings.stratification import Stratification

ASKED = {
    "one_group": "Would one group, of any shape, give this?",
    "number": "How many strata, from one up?",
    "stability": "Is each stratum found again in other samples of the same patients?",
    "replication": "Is it found in one country or centre and again in the others?",
    "value": "Do strata tell more than continuous scores of the same variables?",
}
PARTS_ARE_STABLE = (
    "With many patients a continuum is cut at the same places again and again: stable parts are no evidence of strata where the test "
    "of one group failed."
)
RESULTS = {
    "passed": "passed",
    "failed": "FAILED",
    "not_possible": "not possible here",
    "not_asked": "not run",
}

FIGURES = {
    "p_copula": "p against one group as a copula",
    "p_continuum": "p against one group as a continuum",
    "separation": "deepest valley between two strata (0 none, 1 to the ground)",
    "number": "number of strata taken",
    "prediction_strength": "prediction strength",
    "smallest_share": "share of patients in the smallest stratum",
    "consensus_p": "p of the consensus against one group",
    "consensus_index": "ambiguous pairs: log10 of one group's over the patients'",
    "number_by_gap": "number by the gap statistic",
    "number_by_bic": "number by BIC",
    "likelihood_ratio_p": "p of the likelihood ratio against one stratum fewer",
    "samples_not_fitted": "bootstrap samples without a fit",
}
WHOLE_NUMBERS = ("number", "number_by_gap", "number_by_bic", "number_of_strata", "samples_not_fitted")
P_VALUES = ("p_copula", "p_continuum", "consensus_p", "likelihood_ratio_p", "p_adjusted")
STANDS_ON = {
    "one_group": "draws",
    "number": "draws",
    "stability": "bootstrap samples",
    "replication": "patients",
    "value": "patients",
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
    ordered = tests.sort(
        pl.col("test").replace_strict(list(ASKED), list(range(len(ASKED))), return_dtype=pl.Int32),
        pl.col("threshold").is_null(),
        maintain_order=True,
    )
    figures = [_figure(row) for row in ordered.iter_rows(named=True)]
    return Section(
        "chain",
        "The chain of tests",
        (
            "The tests, their order and their thresholds were declared in the study file before any result was seen. "
            "A continuum is a valid answer. A figure without a threshold stands beside and decides nothing.",
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
            "p of consensus": p_value(row["consensus_p"]),
            "gap": _blank(row["gap"]),
            "BIC": "" if row["bic"] is None else f"{row['bic']:,.0f}",
            "likelihood ratio p": p_value(row["likelihood_ratio_p"]),
            "deepest valley": _blank(row["separation"]),
            "smallest stratum": "" if row["smallest"] is None else f"{100 * row['smallest']:.0f} %",
        }
        for row in table.iter_rows(named=True)
    ]
    return Section(
        "number",
        "How many strata",
        (
            "Prediction strength, consensus against one group and the size of the smallest stratum decide; gap, BIC and the bootstrap "
            "likelihood ratio of a number against one fewer stand beside. A number chosen here is no claim where the test of one group "
            "failed.",
        ),
        (("By number of strata", without_empty_columns(rows)),),
        drawn(folder / "figures", {"selection": "Prediction strength and consensus by number of strata"}),
    )


def stability_section(folder: Path, outcome: Mapping[str, Any]) -> Section | None:
    """Word how well each stratum is found again in bootstrap samples, and that parts of one group can be, too."""
    table = read_table(folder / "stability.parquet", schemas.Stability)
    if table.is_empty():
        return None
    rows: Table = [
        {
            "stratum": str(row["stratum"]),
            "patients": "suppressed" if row["n"] is None else count(row["n"]),
            "mean Jaccard": number(row["mean_jaccard"], digits=2),
            "2.5th to 97.5th percentile": interval(row["lower"], row["upper"], digits=2),
            "stable": "passed" if row["stable"] else "FAILED",
        }
        for row in table.iter_rows(named=True)
    ]
    return Section(
        "stability",
        "Stability",
        (
            "Bootstrap samples of the patients within centres; everything is fitted anew in each.",
            *((PARTS_ARE_STABLE,) if int(outcome["k"]) == 1 else ()),
        ),
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
            "figure": _figure_name(row["figure"]),
            "stratum": "all" if row["stratum"] == 0 else str(row["stratum"]),
            "estimate": count(round(row["estimate"]))
            if row["figure"] in WHOLE_NUMBERS and row["estimate"] is not None
            else number(row["estimate"]),
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


def _figure(row: Mapping[str, Any]) -> dict[str, str]:
    """Word one figure of a test beside its threshold, with what it stands on."""
    kind, estimate = _kind(row["figure"]), row["estimate"]
    if estimate is None:
        told = "not computed"
    elif kind in WHOLE_NUMBERS:
        told = count(round(estimate))
    else:
        told = p_value(estimate) if kind in P_VALUES else number(estimate)
    return {
        "test": row["test"],
        "figure": _figure_name(row["figure"]),
        "estimate": told + in_brackets(row["lower"], row["upper"]),
        "threshold": _threshold(row["threshold"], kind),
        "passed": "" if row["passed"] is None else "passed" if row["passed"] else "FAILED",
        "stands on": f"{count(row['n'])} {STANDS_ON[row['test']]}" if row["n"] else "",
    }


def _threshold(threshold: float | None, kind: str) -> str:
    """Word a threshold: p-values are to lie below theirs, other figures above."""
    if threshold is None:
        return ""
    return f"{'at most' if kind in P_VALUES else 'at least'} {threshold:g}"


def _kind(figure: str) -> str:
    """Return a figure's name without the stratum, place or column that it is of."""
    return figure.partition(",")[0].partition(":")[0].strip()


def _figure_name(figure: str) -> str:
    if figure.startswith("jaccard_"):
        return f"mean Jaccard of stratum {figure.removeprefix('jaccard_')}"
    return FIGURES.get(figure) or figure.replace("_", " ").replace("p adjusted:", "p after Holm:").replace(
        " rand ", " Rand "
    )


def _blank(value: float | None) -> str:
    return "" if value is None else number(value)
