"""Figures of the chain of tests: the null's draws, the number of strata, stability and replication."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.figures import PALETTE, RAISES, head, legend_patch, literal, new_figure, shortened
from experiments.stratification.effect_grid import draw_grid, effect_bar, label_width

Floats = NDArray[np.float64]

OBSERVED = "observed"
NULL_WORDS = {"copula": "one group as a copula", "continuum": "one group as a continuum"}
BINS = 24
MOST_COLUMNS = 20  # of the replication's grid
MOST_COUNTRIES = 6


def null_figure(draws: pl.DataFrame, tests: pl.DataFrame) -> Any:
    """Return histograms of the largest separation in the draws of each null, with that of the patients; None without draws.

    Args:
        draws: schema Draws.
        tests: schema Tests; p-values are read from it.
    """
    largest = draws.group_by("null", "draw", maintain_order=True).agg(pl.col("separation").max()).drop_nulls()
    observed = largest.filter(pl.col("null") == OBSERVED)["separation"]
    nulls = [
        name for name in largest["null"].unique(maintain_order=True) if name != OBSERVED and name is not None
    ]
    if not nulls or observed.is_empty():
        return None
    figure, axes = new_figure(3.5 * max(len(nulls), 2), 2.9, rows=1, columns=max(len(nulls), 2))
    most = max(float(largest["separation"].to_numpy().max()), 0.1)
    edges = np.linspace(0.0, min(1.0, 1.06 * most), BINS + 1)
    for panel, null in zip(axes.ravel(), nulls, strict=False):
        values = largest.filter(pl.col("null") == null)["separation"].to_numpy()
        panel.hist(values, bins=edges, color=PALETTE["grey"], alpha=0.75)
        panel.axvline(observed[0], color=RAISES, linewidth=2)
        p = _estimate(tests, "one_group", f"p_{null}")
        words = "" if p is None else f", p = {p:.3g}"
        panel.set_title(literal(f"{NULL_WORDS.get(str(null), str(null))}{words}"), fontsize=9)
        panel.set_xlabel("largest separation over numbers of strata")
        panel.set_xlim(-0.02 * edges[-1], edges[-1])  # a line at 0 does not hide in the axis
        panel.grid(visible=False, axis="x")
    for spare in axes.ravel()[len(nulls) :]:
        spare.set_axis_off()
    axes.ravel()[0].set_ylabel("draws")
    handles = [_line(RAISES, "the patients"), legend_patch(PALETTE["grey"], "draws of one group")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    head(figure, "Is there a valley that one group does not have?")
    return figure


def selection_figure(selection: pl.DataFrame, tests: pl.DataFrame) -> Any:
    """Return prediction strength with its threshold and ambiguous pairs beside one group's, by number of strata.

    Args:
        selection: schema Selection.
        tests: schema Tests; the threshold is read from it.
    """
    if selection.is_empty():
        return None
    figure, axes = new_figure(7.0, 3.4, rows=1, columns=2)
    return _selection_panels(figure, axes.ravel(), selection.sort("k"), tests)


def _selection_panels(figure: Any, axes: Any, table: pl.DataFrame, tests: pl.DataFrame) -> Any:
    left, right = axes
    chosen = table.filter("chosen")["k"]
    threshold = _threshold(tests, "number", "prediction_strength")
    own = table.drop_nulls("prediction_strength")
    _with_bars(left, own["k"], own["prediction_strength"], own["prediction_strength_error"], PALETTE["blue"])
    if threshold is not None:
        left.axhline(threshold, color=PALETTE["black"], linestyle="--", linewidth=1)
        left.annotate(
            f"declared: {threshold:g}",
            (1, threshold),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
    left.set_ylim(0, 1.05)
    left.set_title("prediction strength (bar: standard error)", fontsize=9)
    pairs = table.drop_nulls("consensus")
    right.plot(pairs["k"], pairs["consensus"], "o-", color=PALETTE["blue"], label="the patients")
    one, beside = table.drop_nulls("consensus_null"), pairs.drop_nulls("consensus_index")
    if not one.is_empty():
        right.plot(
            one["k"], one["consensus_null"], "s--", color=PALETTE["grey"], label="one group (mean of draws)"
        )
    most = float(np.nanmax([*pairs["consensus"].to_list(), *one["consensus_null"].to_list(), 0.05]))
    right.set_ylim(0 if beside.is_empty() else -0.2 * most, 1.12 * most)
    for row in beside.iter_rows(named=True):
        index = round(row["consensus_index"], 2) + 0.0
        right.text(row["k"], -0.1 * most, f"{index:.2f}", ha="center", va="center", fontsize=7.5)
    below = "" if beside.is_empty() else "\n(below: log10 of one group's over the patients')"
    right.set_title(f"share of ambiguous pairs, consensus clustering{below}", fontsize=9)
    figure.legend(loc="outside lower center", ncols=2)
    for panel in (left, right):
        panel.set_xlabel("number of strata")
        panel.set_xticks(table["k"].to_list())
        panel.set_xlim(table["k"][0] - 0.4, table["k"][-1] + 0.4)
        if len(chosen):
            panel.axvspan(chosen[0] - 0.2, chosen[0] + 0.2, color=PALETTE["orange"], alpha=0.25, linewidth=0)
    head(figure, f"How many strata? Chosen: {chosen[0]}" if len(chosen) else "How many strata?")
    return figure


def stability_figure(stability: pl.DataFrame, tests: pl.DataFrame) -> Any:
    """Return the Jaccard similarity of each stratum with its 2.5th to 97.5th percentile over bootstrap samples.

    Args:
        stability: schema Stability.
        tests: schema Tests; the threshold is read from it.
    """
    if stability.is_empty():
        return None
    table = stability.sort("stratum")
    figure, panel = new_figure(6.5, 1.35 + 0.32 * len(table))
    for height, row in enumerate(table.iter_rows(named=True)):
        colour = PALETTE["blue"] if row["stable"] else RAISES
        if row["lower"] is not None:
            panel.hlines(height, row["lower"], row["upper"], color=colour, linewidth=1.6)
        panel.plot(
            [row["mean_jaccard"]], [height], marker="o" if row["stable"] else "X", markersize=6, color=colour
        )
    threshold = _threshold(tests, "stability", "jaccard_1")
    handles = [_marker(PALETTE["blue"], "o", "stable"), _marker(RAISES, "X", "not stable")]
    if threshold is not None:
        panel.axvline(threshold, color=PALETTE["black"], linestyle="--", linewidth=1)
        handles.append(_line(PALETTE["black"], f"declared: {threshold:g}", "--"))
    panel.set_yticks(range(len(table)), [f"stratum {one}" for one in table["stratum"]])
    panel.set_ylim(len(table) - 0.5, -0.5)
    panel.set_xlim(0, 1.02)
    panel.set_xlabel("Jaccard similarity: mean, and 2.5th to 97.5th percentile over bootstrap samples")
    panel.grid(visible=False, axis="y")
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    head(figure, "Is each stratum found again?")
    return figure


def replication_figure(centroids: pl.DataFrame, replication: pl.DataFrame) -> Any:
    """Return the strata's means in each country side by side, and the agreement in words; None with fewer than two countries.

    Args:
        centroids: schema Centroids.
        replication: schema Replication; its figures over all strata are written above.
    """
    countries = centroids["country"].unique().sort().to_list()[:MOST_COUNTRIES]
    if len(countries) < 2:
        return None
    order = (
        centroids.group_by("column")
        .agg(pl.col("effect").abs().max())
        .drop_nulls()
        .sort("effect", "column", descending=[True, False])
    )
    columns = order["column"].head(MOST_COLUMNS).to_list()
    if not columns:
        return None
    strata = centroids["stratum"].unique().sort().to_list()
    values = {
        (row["country"], row["stratum"], row["column"]): row["effect"]
        for row in centroids.iter_rows(named=True)
    }
    pairs = [(stratum, country) for stratum in strata for country in countries]
    grid = np.array(
        [[_nan(values.get((country, stratum, column))) for stratum, country in pairs] for column in columns],
        dtype=np.float64,
    )
    lines = _agreement(replication)
    labels = shortened(columns, 44)
    named = shortened([country for _, country in pairs], 14)
    upright = max(len(name) for name in named) > 3
    figure, panel = new_figure(
        max(6.6, 1.3 + label_width(labels) + 0.42 * len(pairs)),
        1.1 + 0.24 * len(columns) + 0.17 * len(lines) + (label_width(named) if upright else 0.2),
    )
    mesh = draw_grid(panel, grid)
    panel.set_yticks(np.arange(len(columns)) + 0.5, labels)
    panel.set_xticks(np.arange(len(pairs)) + 0.5, named, rotation=90 if upright else 0)
    for place, stratum in enumerate(strata):
        if place:
            panel.axvline(place * len(countries), color="white", linewidth=4)
        panel.text(
            (place + 0.5) * len(countries), -0.25, f"stratum {stratum}", ha="center", va="bottom", fontsize=8
        )
    effect_bar(figure, panel, mesh, "mean, SD of the country\n(grey: not told)")
    cut = f" (the {len(columns)} strongest of {len(order)} columns)" if len(order) > len(columns) else ""
    head(figure, "\n".join([f"Means of the strata of all patients, by country{cut}", *lines]))
    return figure


def _agreement(replication: pl.DataFrame) -> list[str]:
    """Return one line per direction with the figures over all strata."""
    own = replication.filter((pl.col("stratum") == 0) & pl.col("estimate").is_not_null())
    lines = []
    for (first, second), part in own.group_by("first", "second", maintain_order=True):
        found = dict(part.select("figure", "estimate").iter_rows())
        told = [
            f"{words} {found[name]:.2f}"
            for name, words in (
                ("adjusted_rand_index", "adjusted Rand index"),
                ("centroid_correlation", "correlation of the profiles"),
            )
            if name in found
        ]
        number = f"{found['number_of_strata']:.0f} strata" if "number_of_strata" in found else ""
        lines.append(f"{first} to {second}: {', '.join(filter(None, [number, *told]))}")
    return lines


def _with_bars(panel: Any, x: pl.Series, y: pl.Series, error: pl.Series, colour: str) -> None:
    panel.errorbar(
        x.to_numpy(),
        y.to_numpy(),
        yerr=error.fill_null(0.0).to_numpy(),
        marker="o",
        markersize=4,
        color=colour,
        elinewidth=1,
        capsize=2,
    )


def _estimate(tests: pl.DataFrame, test: str, figure: str) -> float | None:
    return _of(tests, test, figure, "estimate")


def _threshold(tests: pl.DataFrame, test: str, figure: str) -> float | None:
    return _of(tests, test, figure, "threshold")


def _of(tests: pl.DataFrame, test: str, figure: str, what: str) -> float | None:
    found: Sequence[float | None] = tests.filter((pl.col("test") == test) & (pl.col("figure") == figure))[
        what
    ].to_list()
    return found[0] if found else None


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _line(colour: str, label: str, style: str = "-") -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linestyle=style, label=label)


def _marker(colour: str, marker: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker=marker, linestyle="", label=label)
