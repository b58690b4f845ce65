"""Figures of SHAP values: bars with fold spread, aggregated dependence, and the beeswarm for public data alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.explanation import FoldExplanation, pooled
from experiments.figures import (
    LOWERS,
    NO_DIRECTION,
    RAISES,
    direction_colour,
    head,
    legend_patch,
    literal,
    new_figure,
    shorten,
    shortened,
)

Floats = NDArray[np.float64]

MOST_BARS = 15
MOST_PANELS = 6
GROUPS = 5
MOST_POINTS = 250  # per column of a beeswarm: a systematic sample, so that the file stays small


def draw_bars(summary: pl.DataFrame, title: str) -> Any:
    """Return the bar chart of the largest mean |SHAP|, whiskers one standard deviation between folds either way.

    Args:
        summary: ShapSummary rows of one cell; may be empty, and the figure then says so.
        title: drawn above.
    """
    if summary.is_empty():
        return _nothing(title)
    top = summary.sort("rank").head(MOST_BARS).reverse()
    figure, axes = new_figure(6.5, 1.3 + 0.27 * len(top))
    sizes, spread = top["mean_absolute"].to_numpy(), top["fold_spread"].fill_null(0.0).to_numpy()
    axes.barh(
        range(len(top)), sizes, color=[direction_colour(value) for value in top["direction"]], height=0.7
    )
    axes.errorbar(
        sizes,
        range(len(top)),
        xerr=np.vstack([np.minimum(spread, sizes), spread]),
        fmt="none",
        ecolor="#333333",
        elinewidth=1.0,
        capsize=2,
    )
    axes.set_yticks(range(len(top)), shortened(top["column"].to_list()))
    axes.set_xlabel("mean |SHAP|, log-odds or log hazard\n(whisker: standard deviation between outer folds)")
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    head(figure, title)
    handles = [
        legend_patch(RAISES, "higher value, higher risk"),
        legend_patch(LOWERS, "higher value, lower risk"),
        legend_patch(NO_DIRECTION, "no clear direction, or a category"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def draw_dependence(
    folds: Sequence[FoldExplanation], summary: pl.DataFrame, title: str, *, least_patients: int
) -> Any:
    """Return mean contributions of groups of patients for the largest columns; no point stands for fewer than a cell.

    A number's groups are fifths of its values, joined until each holds `least_patients` patients; a category's are its
    levels, smaller ones left out.
    """
    names = summary.sort("rank")["column"].head(MOST_PANELS).to_list()
    groups = {name: dependence(folds, name, least_patients=least_patients) for name in names}
    groups = {name: frame for name, frame in groups.items() if not frame.is_empty()}
    if not groups:
        return _nothing(title)
    rows = -(-len(groups) // 3)
    figure, panels = new_figure(7.2, 0.6 + 2.1 * rows, rows=rows, columns=3)
    flat = np.atleast_1d(np.asarray(panels, dtype=object)).ravel()
    for axes, (name, frame) in zip(flat, groups.items(), strict=False):
        _dependence_panel(axes, name, frame)
    for axes in flat[len(groups) :]:
        axes.set_axis_off()
    largest = max(float(frame["contribution"].abs().max()) for frame in groups.values())  # type: ignore[arg-type]
    for axes in flat[: len(groups)]:
        axes.set_ylim(-1.1 * largest or -1.0, 1.1 * largest or 1.0)  # one scale: panels can be compared
    head(figure, title)
    figure.supylabel("mean contribution, log-odds or log hazard", fontsize=9)
    return figure


def dependence(folds: Sequence[FoldExplanation], column: str, *, least_patients: int) -> pl.DataFrame:
    """Return group (label), value (mean, null for categories), contribution (mean) and patients, in order of value."""
    values, contributions, patients = pooled(folds, column)
    frame = pl.DataFrame({"value": values, "contribution": contributions, "patient": patients})
    frame = frame.with_columns(pl.col("value").fill_nan(None)) if values.dtype.is_float() else frame
    frame = frame.drop_nulls("value")
    if values.dtype == pl.String:
        grouped = frame.group_by("value", maintain_order=True).agg(
            contribution=pl.col("contribution").mean(), patients=pl.col("patient").n_unique()
        )
        kept = grouped.filter(pl.col("patients") >= least_patients).sort(
            "patients", "value", descending=[True, False]
        )
        return kept.head(GROUPS).select(
            group="value",
            value=pl.lit(None, dtype=pl.Float64),
            contribution="contribution",
            patients="patients",
        )
    frame = frame.with_columns(group=pl.Series(_value_groups(frame, least_patients), dtype=pl.Int64))
    return (
        frame.group_by("group", maintain_order=True)
        .agg(
            value=pl.col("value").cast(pl.Float64).mean(),
            contribution=pl.col("contribution").mean(),
            patients=pl.col("patient").n_unique(),
        )
        .filter(pl.col("patients") >= least_patients)
        .sort("group")
        .with_columns(pl.col("group").cast(pl.String))
    )


def draw_beeswarm(folds: Sequence[FoldExplanation], summary: pl.DataFrame, title: str) -> Any:
    """Return a beeswarm, one point per patient and column: for studies whose disclosure is public, no other."""
    top = summary.sort("rank").head(MOST_BARS).reverse()
    if top.is_empty():
        return _nothing(title)
    figure, axes = new_figure(6.5, 1.2 + 0.3 * len(top))
    points = None
    for place, column in enumerate(top["column"]):
        values, contributions, _ = pooled(folds, column)
        step = -(-len(values) // MOST_POINTS)
        values, contributions = values[::step], contributions[::step]
        points = axes.scatter(
            contributions,
            place + _swarm(contributions),
            c=_shades(values),
            cmap="cividis",
            vmin=0,
            vmax=1,
            s=5,
            linewidths=0,
        )
    axes.axvline(0, color="#333333", linewidth=0.8)
    axes.set_yticks(range(len(top)), shortened(top["column"].to_list()))
    axes.set_xlabel("contribution, log-odds or log hazard")
    axes.grid(visible=False, axis="y")
    head(figure, title)
    bar = figure.colorbar(points, ax=axes, ticks=[0, 1], aspect=40, pad=0.02)
    bar.ax.set_yticklabels(["low", "high"])
    bar.set_label("value, by rank (missing and categories: middle)")
    return figure


def _value_groups(frame: pl.DataFrame, least_patients: int) -> list[int]:
    """Return each row's group: fifths of the distinct values' cumulative share, joined upwards until large enough."""
    levels = (
        frame.group_by("value", maintain_order=True)
        .agg(rows=pl.len(), patients=pl.col("patient").unique())
        .sort("value")
        if not frame.is_empty()
        else frame.select("value")
    )
    groups: dict[float, int] = {}
    group, seen, members = 0, 0, set[int]()
    for value, rows, patients in levels.iter_rows():
        groups[value] = group
        seen += rows
        members.update(patients)
        if seen * GROUPS >= (group + 1) * len(frame) and len(members) >= least_patients:
            group, members = max(group + 1, seen * GROUPS // len(frame)), set()
    if members and len(members) < least_patients:  # the last group joins the one before it
        last = max(groups.values())
        before = max((number for number in groups.values() if number < last), default=last)
        groups = {value: before if number == last else number for value, number in groups.items()}
    return [groups[value] for value in frame["value"].to_list()]


def _dependence_panel(axes: Any, name: str, frame: pl.DataFrame) -> None:
    axes.axhline(0, color="#333333", linewidth=0.8)
    if frame["value"].null_count():
        places = list(range(len(frame)))
        axes.plot(places, frame["contribution"], "s", color=NO_DIRECTION, markersize=5)
        axes.set_xticks(
            places, [literal(shorten(level, 9)) for level in frame["group"]], rotation=30, ha="right"
        )
    else:
        axes.plot(frame["value"], frame["contribution"], "o-", color=LOWERS, markersize=4)
    axes.set_title(literal(shorten(name, 30)), fontsize=8)
    axes.tick_params(labelsize=7)


def _swarm(contributions: Floats) -> Floats:
    """Return vertical places in [-0.4, 0.4]: points of one narrow bin spread evenly, alternating about the middle."""
    span = float(np.ptp(contributions)) or 1.0
    bins = np.floor((contributions - contributions.min()) / span * 60).astype(np.int64)
    order = np.zeros(len(bins))
    for number in np.unique(bins):
        members = np.flatnonzero(bins == number)
        order[members] = [(place + 1) // 2 * (-1) ** place for place in range(len(members))]
    return np.asarray(0.4 * order / max(np.abs(order).max(), 12.0), dtype=np.float64)


def _shades(values: pl.Series) -> Floats:
    """Return ranks in [0, 1], 0.5 for a missing value or a category."""
    if not values.dtype.is_numeric():
        return np.full(len(values), 0.5)
    known = values.cast(pl.Float64).fill_nan(None)
    ranks = (known.rank("average") - 1) / max(known.len() - known.null_count() - 1, 1)
    return np.asarray(ranks.fill_null(0.5).to_numpy(), dtype=np.float64)


def _nothing(title: str) -> Any:
    figure, axes = new_figure(6.5, 1.2)
    axes.set_axis_off()
    head(figure, title)
    axes.text(0, 0.5, "Nothing to show: no column is used, or too few patients.", va="center")
    return figure
