"""Tables of a card: subgroups, and what drives the predictions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.results import ShapSummary
from features.catalogue import catalogue
from pipeline.cards.flow import Table
from pipeline.cards.wording import METRICS, interval, number
from pipeline.files import read_table
from pipeline.settings.cohort import Variable

TOP_FEATURES = 15


def subgroup_table(metrics: pl.DataFrame) -> Table:
    """Word the figures of each subgroup, in the order of the settings, the lowest band of age first."""
    shown = ("auroc", "observed_to_expected")
    rows = metrics.filter(
        pl.col("subgroup").is_not_null() & pl.col("fold").is_null() & pl.col("metric").is_in(shown)
    )
    everybody = metrics.filter(pl.col("subgroup").is_null() & pl.col("fold").is_null())["n"].max()
    rows = rows.with_row_index("at").with_columns(
        pl.col("at")
        .min()
        .over("scheme", "group", pl.col("subgroup").str.extract(r"^([^:]*)"))
        .alias("block"),
        pl.col("subgroup").str.contains(r"^[^:]*: <").alias("lowest"),
    )
    rows = rows.sort("block", pl.col("lowest").not_(), "at")  # the band "<25" stands before "25-34"
    table = []
    for (scheme, group, subgroup), part in rows.group_by(
        ["scheme", "group", "subgroup"], maintain_order=True
    ):
        if str(subgroup).endswith(": not recorded") and part["n"][0] == everybody:
            continue  # nobody has it recorded: no subgroup
        found = {row["metric"]: row for row in part.iter_rows(named=True)}
        first = part.row(0, named=True)
        table.append(
            {
                "scheme": f"{scheme}{f': {group}' if group else ''}",
                "subgroup": str(subgroup).replace("_", " "),
                **{
                    METRICS[metric]: number(row["estimate"]) + in_brackets(row["lower"], row["upper"])
                    for metric, row in found.items()
                },
                "n": "" if first["n"] is None else f"{first['n']:,}",
                "events": "" if first["events"] is None else f"{first['events']:,}",
                "note": first["note"] or "",
            }
        )
    return table


def in_brackets(lower: float | None, upper: float | None, *, digits: int = 3) -> str:
    """Word an interval after its estimate; empty where there is none."""
    around = interval(lower, upper, digits=digits)
    return f" ({around})" if around else ""


def what_it_is(row: Mapping[str, Any], dictionary: Mapping[str, Variable]) -> str:
    """Return a column's description; of a variable taken as measured that of the dictionary or the catalogue."""
    variable = str(row["column"]).removeprefix(f"{row['feature_set']}_")
    if row["description"] != f"latest {variable} behind the prediction":
        return row["description"] or ""
    declared, known = dictionary.get(variable), catalogue().get(variable)
    own = declared.description if declared is not None else ""
    return own or (known.description if known is not None else row["description"])


def feature_table(
    path: Path, learner: str, columns: pl.DataFrame, dictionary: Mapping[str, Variable]
) -> Table:
    """Word the largest SHAP summaries of one learner, with what each column is."""
    rows = read_table(path, ShapSummary).filter(pl.col("learner") == learner)
    described = rows.join(
        columns.select("column", "feature_set", "description", "unit"), on="column", how="left"
    )
    return [
        {
            "rank": str(row["rank"]),
            "feature": row["column"],
            "what it is": what_it_is(row, dictionary),
            "unit": row["unit"] or "",
            "mean |SHAP|": number(row["mean_absolute"], digits=3),
            "spread between folds": number(row["fold_spread"], digits=3),
            "direction": _direction(row["direction"]),
        }
        for row in described.sort("rank").head(TOP_FEATURES).iter_rows(named=True)
    ]


def _direction(value: float | None) -> str:
    if value is None:
        return "by category"
    return f"{'higher' if value > 0 else 'lower'} value, higher risk ({value:+.2f})"
