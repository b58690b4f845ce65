"""Figures of one outcome's examination: aggregated points alone, one panel per scheme."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from experiments.examination.conformal import KINDS
from experiments.examination.local_updates import METHODS
from experiments.examination.recalibration import LOSS, OE
from experiments.figures import PALETTE, SEQUENCE, literal, new_figure, shortened

WIDTH, HEIGHT = 3.8, 3.5  # inches, of one panel
PER_LINE = 0.24
KIND_COLOURS = dict(zip(KINDS, ("vermilion", "blue", "grey", "black"), strict=True))


def sensitivity_figure(table: pl.DataFrame, schemes: Sequence[str]) -> Any:
    """Return observed over expected under every analysis, with 95 % intervals.

    Args:
        table: schema Sensitivity.
        schemes: the panels, in order.
    """
    own = table.filter((pl.col("metric") == "observed_to_expected") & (pl.col("analysis") != "tipping point"))
    lines = max((own.filter(pl.col("scheme") == scheme).height for scheme in schemes), default=1)
    # One below the other: the labels are longer than the panels are wide.
    figure, axes = new_figure(8.0, len(schemes) * (1.3 + PER_LINE * max(3, lines)), rows=max(1, len(schemes)))
    panels = [axes] if len(schemes) <= 1 else list(np.asarray(axes).ravel())
    for panel, scheme in zip(panels, schemes, strict=True):
        rows = own.filter(pl.col("scheme") == scheme).to_dicts()
        labels = [" ".join(filter(None, [row["analysis"], row["level"], row["group"]])) for row in rows]
        _forest(panel, rows, labels, "estimate", 1.0)
        panel.set_title(literal(scheme))
        panel.set_xlabel("observed over expected (95 % interval)")
    return figure


def recalibration_figure(table: pl.DataFrame, schemes: Sequence[str]) -> Any:
    """Return both errors against the number of local patients: above |log O/E|, below the log loss.

    Args:
        table: schema Recalibration.
        schemes: the columns, in order.
    """
    figure, axes = new_figure(WIDTH * max(1, len(schemes)), 2 * HEIGHT, rows=2, columns=max(1, len(schemes)))
    grid = np.asarray(axes).reshape(2, -1)
    names = {OE: "|log observed / expected|, median", LOSS: "log loss, mean"}
    for column, scheme in enumerate(schemes):
        for row, measure in enumerate((OE, LOSS)):
            panel = grid[row, column]
            own = table.filter((pl.col("scheme") == scheme) & (pl.col("measure") == measure))
            for method, colour in zip(METHODS, SEQUENCE, strict=False):
                _curve(panel, own.filter(pl.col("method") == method), method, colour, band=measure == OE)
            panel.set_ylabel(names[measure])
            panel.set_xlabel("local patients")
            panel.legend(loc="best")
        grid[0, column].set_title(literal(scheme))
    return figure


def _curve(panel: Any, own: pl.DataFrame, method: str, colour: str, *, band: bool) -> None:
    points = own.filter(pl.col("patients").is_not_null() & pl.col("estimate").is_not_null()).sort("patients")
    x, y = points["patients"].to_numpy(), points["estimate"].to_numpy()
    panel.plot(x, y, marker="o", markersize=4, color=colour, label=method)
    if band and len(x):
        panel.fill_between(x, points["lower"], points["upper"], color=colour, alpha=0.12, linewidth=0)
    half = own.filter(pl.col("patients").is_null() & pl.col("estimate").is_not_null())
    if not half.is_empty() and len(x):
        panel.plot([2.0 * max(1.0, float(x.max()))], [half["estimate"][0]], marker="D", color=colour)
    panel.set_xscale("symlog", linthresh=10)
    if len(x):
        half_at = [2.0 * max(1.0, float(x.max()))] if not half.is_empty() else []
        texts = [*(f"{value:g}" for value in x), *("half" for _ in half_at)]
        panel.set_xticks([*map(float, x), *half_at], texts)
        panel.minorticks_off()


def sets_figure(table: pl.DataFrame, schemes: Sequence[str]) -> Any:
    """Return the shares of each kind of label set by level, and the coverage of each class.

    Args:
        table: schema LabelSets.
        schemes: the panels, in order.
    """
    figure, panels = _panels(len(schemes), HEIGHT)
    for panel, scheme in zip(panels, schemes, strict=True):
        own = table.filter((pl.col("scheme") == scheme) & pl.col("group").is_null())
        levels = own["level"].unique().sort(descending=True).to_list()
        for height, level in enumerate(levels):
            left = 0.0
            for kind in KINDS:
                found = own.filter((pl.col("level") == level) & (pl.col("metric") == f"share: {kind}"))
                width = found["estimate"][0] if found.height and found["estimate"][0] is not None else 0.0
                label = kind if height == 0 else None
                panel.barh(height, width, left=left, color=PALETTE[KIND_COLOURS[kind]], label=label)
                left += width
        texts = [f"{level:.0%}\n{_coverage(own, level)}" for level in levels]
        panel.set_yticks(range(len(levels)), texts)
        panel.set_xlim(0, 1)
        panel.set_ylim(-0.6, len(levels) + 0.4)
        panel.set_title(literal(scheme))
        panel.set_xlabel("share of predictions, by label set")
        panel.legend(loc="upper center", ncols=2)
    return figure


def _coverage(own: pl.DataFrame, level: float) -> str:
    found = own.filter((pl.col("level") == level) & (pl.col("metric") == "coverage"))["estimate"]
    return "" if not len(found) or found[0] is None else f"covers {found[0]:.0%}"


def abstaining_figure(table: pl.DataFrame, schemes: Sequence[str]) -> Any:
    """Return the events among those without an answer against their share, by rule.

    Args:
        table: schema Abstaining.
        schemes: the panels, in order.
    """
    figure, panels = _panels(len(schemes), HEIGHT)
    for panel, scheme in zip(panels, schemes, strict=True):
        own = table.filter(pl.col("scheme") == scheme)
        panel.plot([0, 1], [0, 1], color=PALETTE["grey"], linestyle="--", linewidth=1, label="at random")
        for rule, colour in zip(own["rule"].unique(maintain_order=True), SEQUENCE, strict=False):
            some = own.filter(pl.col("rule") == rule)
            wide = some.filter(pl.col("metric") == "share_abstained").join(
                some.filter(pl.col("metric") == "events_missed"), on="level"
            )
            known = wide.drop_nulls(["estimate", "estimate_right"])
            panel.plot(known["estimate"], known["estimate_right"], "o", color=colour, label=rule)
            for row in known.iter_rows(named=True):
                panel.annotate(
                    f"{row['level']:g}", (row["estimate"], row["estimate_right"]), fontsize=7, xytext=(3, 3),
                    textcoords="offset points",
                )  # fmt: skip
        panel.set_xlim(-0.02, 1.02)
        panel.set_ylim(-0.02, 1.02)
        panel.set_title(literal(scheme))
        panel.set_xlabel("share without an answer")
        panel.set_ylabel("share of events among them")
        panel.legend(loc="upper left")
    return figure


def differences_figure(table: pl.DataFrame, schemes: Sequence[str]) -> Any:
    """Return each subgroup's difference of the AUROC from the others, with 95 % intervals.

    Args:
        table: schema SubgroupDifferences.
        schemes: the panels, in order.
    """
    own = table.filter(pl.col("metric") == "auroc")
    lines = max((own.filter(pl.col("scheme") == scheme).height for scheme in schemes), default=1)
    figure, panels = _panels(len(schemes), 1.3 + PER_LINE * max(3, lines), width=6.0)
    for panel, scheme in zip(panels, schemes, strict=True):
        rows = own.filter(pl.col("scheme") == scheme).to_dicts()
        labels = [
            f"{row['variable']}: {row['level']}{' in ' + row['group'] if row['group'] else ''}"
            for row in rows
        ]
        _forest(panel, rows, labels, "estimate", 0.0)
        panel.set_title(literal(scheme))
        panel.set_xlabel("AUROC minus that of the others (95 % interval)")
    return figure


def _forest(
    panel: Any, rows: Sequence[dict[str, Any]], labels: Sequence[str], value: str, neutral: float
) -> None:
    heights = np.arange(len(rows))[::-1]
    for height, row in zip(heights, rows, strict=True):
        if row[value] is None:
            panel.text(neutral, height, " not published or not estimable", va="center", fontsize=7)
            continue
        if row["lower"] is not None:
            panel.hlines(height, row["lower"], row["upper"], color=PALETTE["blue"], linewidth=1.6)
        panel.plot([row[value]], [height], marker="o", markersize=4, color=PALETTE["blue"])
    panel.axvline(neutral, color=PALETTE["grey"], linestyle="--", linewidth=1)
    panel.set_yticks(heights, shortened(list(labels), 60))
    panel.grid(axis="y", visible=False)


def _panels(count: int, height: float, width: float = WIDTH) -> tuple[Any, list[Any]]:
    figure, axes = new_figure(width * max(1, count), height, rows=1, columns=max(1, count))
    return figure, [axes] if count <= 1 else list(np.asarray(axes).ravel())
