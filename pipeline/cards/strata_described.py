"""Sections of a stratification card: what the strata are like, what tells them apart, where they are, who is in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.stratification import explanation_schemas, outcome_schemas, schemas
from pipeline.cards.flow import HIDDEN, Table
from pipeline.cards.section import Section, count, drawn, without_empty_columns
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import number, p_value
from pipeline.files import read_table

TOP_COLUMNS = 14
TOP_LOADINGS = 6
ON_LINES = "those with missing values stand where their known ones put them, often on a line"
NOTHING_COMPARED = "There is one group: no strata agree or disagree with this. How continuous scores go with outcomes stands above."


def profile_section(folder: Path, summary: Mapping[str, Any], units: Mapping[str, str]) -> Section | None:
    """Word the columns in which strata differ most, with effect sizes and no p-value."""
    if int(summary["k"]) == 1:
        return None
    table = read_table(folder / "profile.parquet", schemas.Profile).with_columns(
        what=pl.col("column").str.replace_all("_", " ")
        + pl.col("column").replace_strict(
            {name: f" ({unit})" for name, unit in units.items()}, default="", return_dtype=pl.String
        )
        + pl.when(pl.col("level") == "").then(pl.lit("")).otherwise(": " + pl.col("level"))
    )
    largest = (
        table.group_by("what")
        .agg(pl.col("effect").abs().max())
        .drop_nulls()
        .sort("effect", "what", descending=[True, False])
    )
    rows: Table = []
    for what in largest["what"].head(TOP_COLUMNS):
        own = table.filter(pl.col("what") == what).sort("stratum")
        rows.append(
            {
                "column": what,
                **{f"stratum {row['stratum']}": _effect(row) for row in own.iter_rows(named=True)},
            }
        )
    return Section(
        "profile",
        "What the strata are like",
        (
            "Differences of each stratum's mean from that of all patients, in standard deviations of all, with 95 % bootstrap "
            "intervals given the strata; then the stratum's mean in the column's unit, or the share at the level. These columns made the strata: a p-value of theirs would mean nothing, and none is "
            "computed.",
        ),
        ((f"The {len(rows)} columns that differ most", without_empty_columns(rows)),),
        drawn(
            folder / "figures",
            {
                "heat_map": "Effect sizes of each column in each stratum",
                "map": "The strata in the two directions of largest spread",
            },
        ),
    )


def explained_section(folder: Path, summary: Mapping[str, Any]) -> Section | None:
    """Word what an out-of-fold classifier of the stratum goes by, and the smallest panel that assigns patients."""
    if int(summary["k"]) == 1:
        return None
    accuracy = read_table(folder / "accuracy.parquet", explanation_schemas.Accuracy)
    importance = read_table(folder / "importance.parquet", explanation_schemas.Importance)
    panel = read_table(folder / "panel.parquet", explanation_schemas.PanelColumns)
    sizes: Table = [
        {
            "classifier": "all columns" if row["classifier"] == "all_columns" else "panel",
            "columns": str(row["size"]),
            "balanced accuracy": number(row["accuracy"], digits=2)
            + in_brackets(row["lower"], row["upper"], digits=2),
            "declared": f"{row['declared']:g}",
            "by chance": number(row["chance"], digits=2),
            "chosen": "yes" if row["chosen"] else "",
        }
        for row in accuracy.iter_rows(named=True)
    ]
    top: Table = [
        {
            "column": row["column"].replace("_", " "),
            "mean |SHAP|": number(row["mean_absolute"]),
            "feature set": row["feature_set"],
            "used in folds": f"{100 * row['used']:.0f} %",
        }
        for row in importance.filter(pl.col("stratum") == 0)
        .sort("rank")
        .head(TOP_COLUMNS)
        .iter_rows(named=True)
    ]
    columns: Table = [
        {
            "column": row["column"].replace("_", " "),
            "feature set": row["feature_set"],
            "step": "" if row["step"] is None else str(row["step"]),
            "chosen in folds": f"{100 * row['share']:.0f} %",
        }
        for row in panel.sort(pl.col("step").fill_null(10_000), "column").iter_rows(named=True)
    ]
    return Section(
        "explained",
        "What tells the strata apart",
        (
            "SHAP values of a classifier of the stratum, on patients of folds it did not see; and the smallest panel of columns whose "
            "balanced accuracy, selected inside each fold, reaches what was declared.",
        ),
        (
            ("Accuracy by number of columns, out of fold", sizes),
            ("The panel", columns),
            ("What the classifier goes by, over all strata", top),
        ),
        drawn(
            folder / "figures",
            {"importance": "SHAP values by stratum", "panel": "Balanced accuracy by size of the panel"},
        ),
    )


def places_section(folder: Path) -> Section | None:
    """Word how far the strata follow centres, countries and networks."""
    table = read_table(folder / "places.parquet", explanation_schemas.Places)
    if table.is_empty():
        return None
    rows: Table = [
        {
            "place": row["place"],
            "places": str(row["levels"]),
            "patients": HIDDEN if row["patients"] is None else count(row["patients"]),
            "mutual information (nats)": number(row["mutual_information"]),
            "adjusted for chance": "" if row["adjusted"] is None else number(row["adjusted"]),
            "p": p_value(row["p"]),
            "strata follow it": row["follows"],
        }
        for row in table.iter_rows(named=True)
    ]
    return Section(
        "places",
        "Strata and places",
        (
            "Strata that follow a centre say something of the centre. Adjusted for chance, 0 is none and 1 is the same division.",
        ),
        (("Mutual information of stratum and place", rows),),
        drawn(folder / "figures", {"places": "Share of each stratum by centre"}),
    )


def compared_section(folder: Path, outcome: Mapping[str, Any]) -> Section | None:
    """Word strata beside columns that they were never made of, such as a diagnosis."""
    if not outcome.get("compared"):
        return None
    title = "Beside what the strata were not made of"
    if int(outcome["k"]) == 1:
        return Section("compared", title, (NOTHING_COMPARED,), tuple(_crossed(folder)))
    rows: Table = [
        {
            "compared with": str(item["column"]).replace("_", " "),
            "adjusted mutual information": number(item["adjusted_mutual_information"]),
        }
        for item in outcome["compared"]
    ]
    return Section(
        "compared",
        title,
        (str(outcome["compared"][0]["note"]),),
        (("Agreement (0 by chance, 1 complete)", rows), *_crossed(folder)),
    )


def _crossed(folder: Path) -> list[tuple[str, Table]]:
    table = read_table(folder / "compared.parquet", outcome_schemas.Compared)
    tables = []
    one_group = table["stratum"].n_unique() == 1
    of = "the one group" if one_group else "the stratum"
    for (column,), own in table.group_by(["column"], maintain_order=True):
        rows: Table = []
        for (level,), cells in own.group_by(["level"], maintain_order=True):
            row = {"level": str(level)}
            for cell in cells.sort("stratum").iter_rows(named=True):
                shown = (
                    HIDDEN
                    if cell["n"] is None
                    else f"{count(cell['n'])} ({100 * (cell['share'] or 0):.0f} %)"
                )
                row["patients" if one_group else f"stratum {cell['stratum']}"] = shown
            rows.append(row)
        tables.append((f"Patients by {str(column).replace('_', ' ')} (share of {of})", rows))
    return tables


def dimensions_section(folder: Path, related: Path, summary: Mapping[str, Any]) -> Section:
    """Word what the continuous dimensions are made of: they are the answer where there are no strata."""
    table = read_table(folder / "loadings.parquet", schemas.Loadings)
    one_group = {"map": f"The patients in the two directions of largest spread; {ON_LINES}"}
    cloud = drawn(folder / "figures", one_group if int(summary["k"]) == 1 else {})
    rows: Table = []
    for (dimension,), own in table.group_by("dimension", maintain_order=True):
        largest = own.sort(pl.col("loading").abs(), "column", descending=[True, False]).head(TOP_LOADINGS)
        made = ", ".join(
            f"{row['column'].replace('_', ' ')} {row['loading']:+.2f}"
            for row in largest.iter_rows(named=True)
        )
        rows.append({"dimension": str(dimension), "made of (correlation)": made})
    return Section(
        "dimensions",
        "Continuous dimensions",
        (
            "The scores along which patients were divided, or along which they form a continuum. Later stages use them where no "
            "strata are claimed.",
        ),
        (("Largest correlations of each dimension", rows),),
        (*drawn(related / "figures", {"associations": "Continuous scores and outcomes"}), *cloud),
    )


def assignment_section(summary: Mapping[str, Any]) -> Section | None:
    """Word how certainly patients are assigned."""
    if int(summary["k"]) == 1:
        return None
    rows: Table = [
        {
            "stratum": "all" if item["stratum"] == 0 else str(item["stratum"]),
            "patients": HIDDEN if item["n"] is None else count(item["n"]),
            "mean probability of the assigned stratum": number(item["probability"], digits=2),
            "mean entropy (0 certain, 1 none)": number(item["entropy"], digits=2),
            "assigned with 0.8 or more": "" if item["certain"] is None else f"{100 * item['certain']:.0f} %",
        }
        for item in summary["assignment"]
    ]
    return Section(
        "assignment",
        "Assignment",
        (
            "Each patient has a probability of every stratum; associations with outcomes carry that uncertainty. The frozen model "
            "assigns new patients and other cohorts: psystrata assign.",
        ),
        (("Certainty", rows),),
    )


def _effect(row: Mapping[str, Any]) -> str:
    if row["effect"] is None:
        return HIDDEN if row["n"] is None else ""
    around = in_brackets(row["effect_lower"], row["effect_upper"], digits=2)
    mean = f"{100 * row['mean']:.0f} %" if row["level"] else number(row["mean"], digits=2)
    return f"{number(row['effect'], digits=2, signed=True)}{around}; {mean}"
