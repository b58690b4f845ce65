"""Figures of what the strata are like: heat map of effect sizes, SHAP values by stratum, smallest panel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from experiments.figures import (
    LOWERS,
    NO_DIRECTION,
    PALETTE,
    RAISES,
    direction_colour,
    head,
    legend_patch,
    literal,
    new_figure,
    shorten,
    shortened,
)
from experiments.stratification.effect_grid import draw_grid, effect_bar, label_width

MOST_ROWS = 25  # of the heat map
MOST_BARS = 15
PER_LINE = 5  # panels of the importance side by side


def heat_map_figure(profile: pl.DataFrame, sets: Mapping[str, str], regions: pl.DataFrame) -> Any:
    """Return the effect sizes of the columns that differ most, grouped by feature set; None without any.

    Args:
        profile: schema Profile.
        sets: the feature set of each column.
        regions: schema Regions; sizes of strata are written under their numbers where they may be told.
    """
    table = profile.with_columns(
        what=pl.col("column")
        + pl.when(pl.col("level") == "").then(pl.lit("")).otherwise(": " + pl.col("level")),
        group=pl.col("column").replace_strict(dict(sets), default="", return_dtype=pl.String),
        size=pl.col("effect").abs(),
    )
    strongest = (
        table.group_by("what", "group")
        .agg(pl.col("size").max())
        .drop_nulls("size")
        .sort("size", "what", descending=[True, False])
    )
    shown = strongest.head(MOST_ROWS)
    if shown.is_empty():
        return None
    shown = shown.with_columns(first=pl.col("size").max().over("group")).sort(
        "first", "group", "size", "what", descending=[True, False, True, False]
    )
    strata = profile["stratum"].unique().sort().to_list()
    effects = {(row["what"], row["stratum"]): row["effect"] for row in table.iter_rows(named=True)}
    grid = np.array(
        [
            [np.nan if (found := effects.get((what, one))) is None else found for one in strata]
            for what in shown["what"]
        ],
        dtype=np.float64,
    )
    labels, groups = shortened(shown["what"].to_list(), 44), shown["group"].to_list()
    room = label_width(labels) + label_width([_named(one) for one in groups], 8)
    figure, panel = new_figure(1.5 + room + 0.5 * len(strata), 1.6 + 0.24 * len(shown))
    mesh = draw_grid(panel, grid)
    panel.set_yticks(np.arange(len(shown)) + 0.5, labels)
    sizes = dict(regions.select("stratum", "n").iter_rows())
    names = [f"{one}" + (f"\nn =\n{sizes[one]}" if sizes.get(one) is not None else "") for one in strata]
    panel.set_xticks(np.arange(len(strata)) + 0.5, names)
    panel.set_xlabel("stratum")
    _group_names(panel, groups, len(strata))
    effect_bar(figure, panel, mesh, "difference from the mean of all,\nin standard deviations of all")
    more = f", the {len(shown)} strongest of {len(strongest)}" if len(strongest) > len(shown) else ""
    head(figure, f"What the patients of each stratum are like{more}")
    return figure


def _group_names(panel: Any, groups: list[str], width: int) -> None:
    """Write the feature sets to the right of their rows, with a line between them."""
    starts = [place for place in range(len(groups)) if place == 0 or groups[place] != groups[place - 1]]
    for start, end in zip(starts, [*starts[1:], len(groups)], strict=True):
        if start:
            panel.axhline(start, color="#333333", linewidth=1.0)
        panel.text(width + 0.15, (start + end) / 2, _named(groups[start]), ha="left", va="center", fontsize=8)


def _named(group: str) -> str:
    return literal(shorten(group.replace("_", " "), 24))


def importance_figure(importance: pl.DataFrame) -> Any:
    """Return mean |SHAP| of the strongest columns by stratum, whiskers one standard deviation between folds; None without.

    Args:
        importance: schema Importance.
    """
    if importance.is_empty():
        return None
    top = importance.filter(pl.col("stratum") == 0).sort("rank").head(MOST_BARS)["column"].to_list()
    strata = [one for one in importance["stratum"].unique().sort() if one]
    wide = min(len(strata), PER_LINE)
    lines = -(-len(strata) // wide)
    labels = shortened(top, 44)
    figure, axes = new_figure(
        max(6.6, 0.3 + label_width(labels) + 1.35 * wide),
        lines * (0.6 + 0.22 * len(top)) + 0.9,
        rows=lines,
        columns=wide,
    )
    panels = list(np.atleast_1d(np.asarray(axes, dtype=object)).ravel())
    most = _largest(importance.filter(pl.col("stratum") > 0))
    for place, (panel, stratum) in enumerate(zip(panels, strata, strict=False)):
        rows = {row["column"]: row for row in importance.filter(pl.col("stratum") == stratum).to_dicts()}
        _importance_bars(panel, [rows[name] for name in top])
        panel.set_yticks(range(len(top)), labels if place % wide == 0 else ["" for _ in top])
        panel.set_ylim(len(top) - 0.4, -0.6)
        panel.set_xlim(0, most)
        panel.set_title(f"stratum {stratum}", fontsize=9)
    for panel in panels[len(strata) :]:
        panel.set_axis_off()
    handles = [
        legend_patch(RAISES, "higher value: rather this one"),
        legend_patch(LOWERS, "lower value: rather this one"),
        legend_patch(NO_DIRECTION, "no direction, or a category"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    head(
        figure,
        "What a classifier of the stratum goes by, on patients it never saw\n"
        "(mean |SHAP|, log-odds of the stratum; whisker: standard deviation between folds)",
    )
    return figure


def _importance_bars(panel: Any, rows: list[dict[str, Any]]) -> None:
    """Draw the columns of one stratum from above, each with the standard deviation between folds."""
    sizes = np.array([row["mean_absolute"] for row in rows])
    spread = np.array([row["fold_spread"] or 0.0 for row in rows])
    colours = [direction_colour(row["direction"]) for row in rows]
    panel.barh(range(len(rows)), sizes, color=colours, height=0.7)
    panel.errorbar(
        sizes,
        range(len(rows)),
        xerr=np.vstack([np.minimum(spread, sizes), spread]),
        fmt="none",
        ecolor="#333333",
        elinewidth=0.8,
        capsize=1.5,
    )
    panel.grid(visible=False, axis="y")


def _largest(rows: pl.DataFrame) -> float:
    reach = rows.select((pl.col("mean_absolute") + pl.col("fold_spread").fill_null(0.0)).max()).item()
    return 1.05 * float(reach) or 1.0


def panel_figure(accuracy: pl.DataFrame, columns: pl.DataFrame) -> Any:
    """Return balanced accuracy by size of the panel, and how often each column is chosen; None without a panel.

    Args:
        accuracy: schema Accuracy.
        columns: schema PanelColumns.
    """
    path = accuracy.filter(pl.col("classifier") == "panel").sort("size")
    if path.is_empty():
        return None
    shown = columns.head(MOST_BARS)
    figure, axes = new_figure(
        6.6 + label_width(shortened(shown["column"].to_list(), 44)),
        max(3.4, 1.4 + 0.24 * len(shown)),
        rows=1,
        columns=2,
    )
    left, right = axes.ravel()
    chosen = path.filter("chosen")
    _accuracy_by_size(left, path, chosen, accuracy.filter(pl.col("classifier") == "all_columns"))
    figure.legend(loc="outside lower center", ncols=5)
    _chosen_columns(right, shown)
    reached = (
        "The smallest panel that reaches what was declared"
        if len(chosen)
        else "No panel reaches what was declared"
    )
    head(figure, reached)
    return figure


def _accuracy_by_size(panel: Any, path: pl.DataFrame, chosen: pl.DataFrame, whole: pl.DataFrame) -> None:
    """Draw the accuracy of panels of each size, beside that of all columns, the declared one and chance."""
    blue, black, grey = PALETTE["blue"], PALETTE["black"], PALETTE["grey"]
    banded = path.drop_nulls(["lower", "upper"])
    panel.fill_between(banded["size"], banded["lower"], banded["upper"], color=blue, alpha=0.18, linewidth=0)
    panel.plot(
        path["size"], path["accuracy"], "o-", color=blue, markersize=4, label="panel (band: 95 % interval)"
    )
    for row in whole.drop_nulls("accuracy").iter_rows(named=True):
        panel.axhline(
            row["accuracy"], color=PALETTE["green"], linestyle=":", label=f"all {row['size']} columns"
        )
    declared, chance = path["declared"][0], path["chance"][0]
    panel.axhline(declared, color=black, linestyle="--", linewidth=1, label=f"declared: {declared:g}")
    panel.axhline(chance, color=grey, linewidth=1, label=f"by chance: {chance:.2f}")
    for row in chosen.iter_rows(named=True):
        panel.plot(
            row["size"], row["accuracy"], "D", color=RAISES, markersize=8, label=f"chosen: {row['size']}"
        )
    panel.set_ylim(0, 1.03)
    panel.set_xticks(path["size"].to_numpy())
    panel.set_xlabel("columns of the panel")
    panel.set_ylabel("balanced accuracy, out of fold")


def _chosen_columns(panel: Any, shown: pl.DataFrame) -> None:
    inside = [step is not None for step in shown["step"]]
    panel.barh(
        range(len(shown)),
        shown["share"],
        color=[PALETTE["blue"] if one else NO_DIRECTION for one in inside],
        height=0.7,
    )
    words = [
        f"{step}. {name}" if step is not None else name
        for step, name in zip(shown["step"], shortened(shown["column"].to_list(), 44), strict=True)
    ]
    panel.set_yticks(range(len(shown)), words)
    panel.set_ylim(max(len(shown), 6) - 0.4, -0.6)  # few bars stay thin
    panel.set_xlim(0, 1)
    panel.set_xlabel("share of the folds that choose it\n(blue: in the panel, numbered as taken)")
    panel.grid(visible=False, axis="y")
