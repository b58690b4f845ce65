"""Figures of outcomes by stratum: aggregated points alone."""

from typing import Any

import polars as pl

from experiments.figures import PALETTE, SEQUENCE, literal, new_figure, shortened

PER_LINE = 0.26
NARROW = 4.0  # highest over lowest ratio of an axis below which ticks stand at even distances


def curves_figure(curves: pl.DataFrame, outcome: str) -> Any:
    """Return cumulative incidence curves by stratum: the event as lines, competing events dashed.

    Args:
        curves: schema Curves.
        outcome: whose.
    """
    own = curves.filter(pl.col("outcome") == outcome)
    figure, panel = new_figure(6.5, 4.0)
    for stratum in own["stratum"].unique().sort():
        rows = own.filter(pl.col("stratum") == stratum).sort("day")
        colour = SEQUENCE[(stratum - 1) % len(SEQUENCE)]
        panel.plot(rows["day"].to_list(), rows["event"].to_list(), color=colour, label=f"stratum {stratum}")
        if rows["competing"].max():
            panel.plot(
                rows["day"].to_list(), rows["competing"].to_list(), color=colour, linestyle="--", linewidth=1
            )
    panel.set_ylim(bottom=0)
    panel.set_xlabel("days since the prediction")
    panel.set_ylabel("cumulative incidence")
    panel.set_title(literal(f"{outcome}: the event (lines), competing events (dashed)"))
    panel.legend()
    return figure


def contrasts_figure(contrasts: pl.DataFrame) -> Any:
    """Return hazard and odds ratios between strata with their intervals, as assigned and corrected.

    Args:
        contrasts: schema Contrasts.
    """
    own = contrasts.filter(
        pl.col("measure").is_in(["hazard_ratio", "odds_ratio"]) & pl.col("estimate").is_not_null()
    )
    lines = list(own.select("outcome", "stratum", "reference").unique(maintain_order=True).iter_rows())
    figure, panel = new_figure(6.5, 1.1 + PER_LINE * max(3, len(lines)))
    colours = {"none": PALETTE["grey"], "bch": PALETTE["blue"]}
    words = {"none": "as assigned", "bch": "corrected for class uncertainty"}
    for height, (outcome, stratum, reference) in enumerate(reversed(lines)):
        some = own.filter(
            (pl.col("outcome") == outcome)
            & (pl.col("stratum") == stratum)
            & (pl.col("reference") == reference)
        )
        for row in some.iter_rows(named=True):
            at = height + (0.12 if row["correction"] == "none" else -0.12)
            panel.hlines(at, row["lower"], row["upper"], color=colours[row["correction"]], linewidth=1.2)
            panel.plot([row["estimate"]], [at], "o", markersize=3.5, color=colours[row["correction"]])
    names = [f"{outcome}: {stratum} against {reference}" for outcome, stratum, reference in lines]
    panel.set_yticks(range(len(lines))[::-1], shortened(names, 44))
    _ratio_axis(panel)
    panel.set_xlabel("adjusted hazard ratio (of a label: odds ratio), 95 % interval")
    for correction in own["correction"].unique(maintain_order=True):
        panel.plot([], [], "o", markersize=4, color=colours[correction], label=words[correction])
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def value_figure(value: pl.DataFrame) -> Any:
    """Return what the strata add out of fold to splines of continuous scores, with intervals.

    Args:
        value: schema Value.
    """
    own = value.filter(pl.col("gain").is_not_null())
    figure, panel = new_figure(6.5, 0.9 + PER_LINE * max(3, own.height))
    names = []
    for height, row in enumerate(reversed(own.to_dicts())):
        panel.hlines(height, row["gain_lower"], row["gain_upper"], color=PALETTE["blue"], linewidth=1.2)
        panel.plot([row["gain"]], [height], "o", markersize=3.5, color=PALETTE["blue"])
        label = ": ".join(filter(None, (row["name"], row["level"])))
        names.append(f"{label} ({row['gain_metric'].replace('_', ' ')})")
    panel.set_yticks(range(own.height), shortened(names, 44))
    panel.set_ylim(-0.6, max(own.height, 1) - 0.4)
    panel.axvline(0.0, color=PALETTE["grey"], linestyle="--", linewidth=1)
    panel.set_xlabel("gain of the strata over continuous scores, out of fold (95 % interval)")
    return figure


def associations_figure(associations: pl.DataFrame) -> Any:
    """Return the effect of each continuous score on outcomes, per standard deviation, with intervals.

    Args:
        associations: schema Associations; numbers (slopes) are left to the table.
    """
    own = associations.filter((pl.col("effect") != "slope") & pl.col("estimate").is_not_null())
    figure, panel = new_figure(6.5, 0.9 + PER_LINE * max(3, own.height))
    names = []
    for height, row in enumerate(reversed(own.to_dicts())):
        panel.hlines(height, row["lower"], row["upper"], color=PALETTE["blue"], linewidth=1.2)
        panel.plot([row["estimate"]], [height], "o", markersize=3.5, color=PALETTE["blue"])
        label = ": ".join(filter(None, (row["name"], row["level"])))
        names.append(f"{label}, dimension {row['dimension']}")
    panel.set_yticks(range(own.height), shortened(names, 44))
    panel.set_ylim(-0.6, max(own.height, 1) - 0.4)
    _ratio_axis(panel)
    panel.set_xlabel("adjusted hazard or odds ratio per standard deviation (95 % interval)")
    return figure


def _ratio_axis(panel: Any) -> None:
    """Make the axis one of ratios around 1, with ticks as plain numbers: powers of ten run into one another."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    panel.axvline(1.0, color=PALETTE["grey"], linestyle="--", linewidth=1)
    panel.set_xscale("log")
    lowest, highest = panel.get_xlim()
    narrow = highest / lowest < NARROW
    panel.xaxis.set_major_locator(
        MaxNLocator(5, steps=[1, 2, 5, 10]) if narrow else LogLocator(subs=(1.0, 2.0, 5.0))
    )
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
