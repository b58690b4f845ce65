"""Figures of one learner: calibration, decision curve, AUROC by left-out group; aggregated points alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from experiments.figures import PALETTE, literal, new_figure, shortened

WIDTH, HEIGHT = 3.6, 3.5  # inches, of one panel


def calibration_figure(curves: pl.DataFrame, schemes: Sequence[str]) -> Any:
    """Return observed against predicted risk with pointwise 95 % bounds, one panel per scheme.

    Args:
        curves: schema Curves, one learner's.
        schemes: the panels, in order.
    """
    figure, panels = _panels(len(schemes))
    for panel, scheme in zip(panels, schemes, strict=True):
        own = curves.filter(pl.col("scheme") == scheme)
        points = own.filter(pl.col("curve") == "calibration").sort("x")
        smooth = own.filter(pl.col("curve") == "calibration_smooth").sort("x")
        panel.set_title(literal(scheme))
        panel.set_xlabel("predicted risk (mean of group)")
        panel.set_ylabel("observed risk")
        if points.is_empty():
            _say(panel, "too few events or non-events\nto draw")
            continue
        x, y, lower, upper = (points[name].to_numpy() for name in ("x", "y", "lower", "upper"))
        top = min(1.0, 1.05 * float(max(x.max(), upper.max())))
        panel.plot([0, top], [0, top], color=PALETTE["grey"], linestyle="--", linewidth=1, label="ideal")
        if not smooth.is_empty():
            panel.fill_between(
                smooth["x"],
                smooth["lower"],
                smooth["upper"],
                color=PALETTE["sky"],
                alpha=0.3,
                linewidth=0,
                label="smooth, 95 % band",
            )
            panel.plot(smooth["x"], smooth["y"], color=PALETTE["sky"], linewidth=1.5)
        panel.vlines(x, lower, upper, color=PALETTE["blue"], linewidth=1)
        panel.plot(
            x, y, color=PALETTE["blue"], marker="o", markersize=4, linestyle="", label="groups, 95 % interval"
        )
        panel.set_xlim(0, top)
        panel.set_ylim(0, top)
        panel.legend(loc="upper left")
    return figure


def decision_figure(
    curves: pl.DataFrame, schemes: Sequence[str], reference: tuple[str, pl.DataFrame] | None = None
) -> Any:
    """Return net benefit over the threshold for the model, everybody, nobody and a reference, one panel per scheme.

    Args:
        curves: schema Curves, one learner's.
        schemes: the panels, in order.
        reference: the clinical model's name and curves, drawn beside.
    """
    figure, panels = _panels(len(schemes))
    for panel, scheme in zip(panels, schemes, strict=True):
        own = curves.filter(pl.col("scheme") == scheme)
        model = _net_benefit(curves, scheme)
        everybody = own.filter((pl.col("curve") == "treat_all") & pl.col("y").is_not_null()).sort("x")
        beside = pl.DataFrame() if reference is None else _net_benefit(reference[1], scheme)
        panel.set_title(literal(scheme))
        panel.set_xlabel("threshold of risk")
        panel.set_ylabel("net benefit (per patient)")
        panel.axhline(0, color=PALETTE["black"], linewidth=1, linestyle=":", label="nobody")
        if not everybody.is_empty():
            panel.plot(
                everybody["x"], everybody["y"], color=PALETTE["grey"], linestyle="--", label="everybody"
            )
        if reference is not None and not beside.is_empty():
            panel.plot(beside["x"], beside["y"], color=PALETTE["orange"], label=literal(reference[0]))
        if not model.is_empty():
            panel.fill_between(
                model["x"], model["lower"], model["upper"], color=PALETTE["sky"], alpha=0.3, linewidth=0
            )
            panel.plot(model["x"], model["y"], color=PALETTE["blue"], label="model (95 % interval)")
        else:
            _say(panel, "too few flagged events\nto draw")
        highest = max([0.02, *everybody["y"].to_list(), *model["upper"].to_list()])
        panel.set_ylim(-0.25 * highest, 1.1 * highest)
        panel.legend(loc="upper right")
    return figure


def _net_benefit(curves: pl.DataFrame, scheme: str) -> pl.DataFrame:
    return curves.filter(
        (pl.col("scheme") == scheme) & (pl.col("curve") == "decision") & pl.col("y").is_not_null()
    ).sort("x")


def groups_figure(metrics: pl.DataFrame, schemes: Sequence[str]) -> Any:
    """Return the AUROC of every outer fold or left-out group and the combined figure, with 95 % intervals.

    Args:
        metrics: schema Metrics, one learner's.
        schemes: in the order of drawing, from the top.
    """
    lines = [line for scheme in schemes for line in _lines(metrics, scheme)]
    figure, axes = new_figure(6.5, 1.2 + 0.24 * max(3, len(lines)))
    heights = np.arange(len(lines))[::-1]
    for height, (_, row) in zip(heights, lines, strict=True):
        _draw_line(axes, float(height), row)
    axes.axvline(0.5, color=PALETTE["grey"], linestyle="--", linewidth=1)
    axes.set_yticks(heights, shortened([label for label, _ in lines]))
    axes.set_xlabel("AUROC\ndiamond: combined; bar: 95 % interval;\nthin bar: where a new centre is expected")
    axes.grid(axis="y", visible=False)
    return figure


def _lines(metrics: pl.DataFrame, scheme: str) -> list[tuple[str, dict[str, Any]]]:
    own = metrics.filter(
        (pl.col("scheme") == scheme) & (pl.col("metric") == "auroc") & pl.col("subgroup").is_null()
    )
    folds = own.filter(pl.col("fold").is_not_null()).sort("repeat", "fold")
    if folds["repeat"].n_unique() > 1:  # repeated k-fold: single folds of many repeats say little
        folds = folds.clear()
    lines = [(f"{scheme}: {row['group']}", row) for row in folds.iter_rows(named=True)]
    names = {"prediction_interval": "a new centre", "random_effects": "mean of centres"}
    combined = own.filter(pl.col("fold").is_null())
    lines += [
        (f"{scheme}: {names.get(row['interval_kind'], 'combined')}", row)
        for row in combined.iter_rows(named=True)
    ]
    return lines


def _draw_line(axes: Any, height: float, row: dict[str, Any]) -> None:
    if row["estimate"] is None:
        axes.text(
            0.5,
            height,
            " " + literal((row["note"] or "not estimable").split(":")[0]),
            va="center",
            fontsize=8,
        )
        return
    whole = row["fold"] is None
    colour = PALETTE["vermilion"] if whole else PALETTE["blue"]
    if row["lower"] is not None:
        thin = row["interval_kind"] == "prediction_interval"
        axes.hlines(height, row["lower"], row["upper"], color=colour, linewidth=0.8 if thin else 1.8)
    axes.plot([row["estimate"]], [height], marker="D" if whole else "o", markersize=5, color=colour)


def _panels(count: int) -> tuple[Any, list[Any]]:
    figure, axes = new_figure(WIDTH * max(1, count), HEIGHT, rows=1, columns=max(1, count))
    return figure, [axes] if count <= 1 else list(np.asarray(axes).ravel())


def _say(panel: Any, text: str) -> None:
    panel.text(0.5, 0.5, text, ha="center", va="center", transform=panel.transAxes)
