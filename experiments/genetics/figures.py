"""Figures of scores: how they are distributed by network and ancestry, and how much of each was found in each file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from experiments.figures import PALETTE, SEQUENCE, head, literal, new_figure, shortened

WIDTH, BAR, MARGIN = 8.0, 0.24, 0.9
FORM_LABELS = {
    "raw": "sum of weights",
    "mean": "normalised by ancestry: mean",
    "mean_variance": "normalised by ancestry: mean and variance",
}
MATCHED = "matched"


def draw_scores(summary: pl.DataFrame, forms: Sequence[str], title: str) -> Any | None:
    """Return boxes of every score by network and by ancestry, one row of panels per score; None where nothing may be told.

    A box spans the middle half of the patients, its whiskers the 5th to the 95th percentile. Groups too small for that have
    their mean and one SD to each side; groups whose figures are suppressed are not drawn.

    Args:
        summary: schema ScoreSummary.
        forms: which forms of a score to draw beside each other.
        title: of the whole figure.
    """
    one_way = pl.col("network").is_null() | pl.col("ancestry").is_null()
    told = summary.filter(pl.col("mean").is_not_null() & one_way & pl.col("form").is_in(list(forms)))
    if told.is_empty():
        return None
    scores = sorted(told["score"].unique())
    shown = [form for form in forms if form in set(told["form"])]
    groups = _groups(told)
    height = len(scores) * (BAR * len(groups) + MARGIN) + 0.4
    figure, axes = new_figure(WIDTH, height, rows=len(scores), columns=len(shown))
    panels = np.asarray(axes, dtype=object).reshape(len(scores), len(shown))
    for row, score in enumerate(scores):
        for column, form in enumerate(shown):
            own = told.filter((pl.col("score") == score) & (pl.col("form") == form))
            _boxes(panels[row, column], own, groups, named=column == 0)
            panels[row, column].set_title(literal(score) if column == 0 else "")
            panels[row, column].set_xlabel(FORM_LABELS[form])
    head(figure, title)
    return figure


def _groups(told: pl.DataFrame) -> list[tuple[str | None, str | None]]:
    pairs = told.select("network", "ancestry").unique().rows()
    return sorted(
        pairs, key=lambda pair: (pair[0] is not None, pair[0] or "", pair[1] is not None, pair[1] or "")
    )


def _boxes(
    panel: Any, own: pl.DataFrame, groups: list[tuple[str | None, str | None]], *, named: bool
) -> None:
    colours = [_colour(*group) for group in groups]
    rows = {(row["network"], row["ancestry"]): row for row in own.iter_rows(named=True)}
    for place, group in enumerate(groups):
        row = rows.get(group)
        if row is not None:
            _box(panel, row, place, colours[place])
    panel.use_sticky_edges = False  # a box begins inside the panel
    panel.set_ylim(len(groups) - 0.4, -0.6)
    panel.set_yticks(range(len(groups)), shortened([_label(*group) for group in groups]) if named else [])
    panel.grid(axis="y", visible=False)


def _colour(network: str | None, ancestry: str | None) -> str:
    """One colour for all patients, one for ancestries, one for networks."""
    if network is not None:
        return PALETTE["blue"]
    return PALETTE["grey"] if ancestry is None else PALETTE["orange"]


def _label(network: str | None, ancestry: str | None) -> str:
    if network is not None:
        return network
    return f"ancestry {ancestry}" if ancestry else "all patients"


def _box(panel: Any, row: Mapping[str, Any], place: int, colour: str) -> None:
    width = 0.6
    if row["q25"] is None or row["q75"] is None:
        spread = row["sd"] or 0.0
        panel.errorbar(row["mean"], place, xerr=spread, fmt="o", markersize=3.0, color=colour, linewidth=0.8)
        return
    if row["q05"] is not None and row["q95"] is not None:
        panel.plot([row["q05"], row["q95"]], [place, place], color=colour, linewidth=0.9)
    panel.barh(
        place,
        row["q75"] - row["q25"],
        left=row["q25"],
        height=width,
        color=colour,
        alpha=0.3,
        edgecolor=colour,
    )
    middle = row["mean"] if row["q50"] is None else row["q50"]
    panel.plot([middle, middle], [place - width / 2, place + width / 2], color=colour, linewidth=1.8)


def draw_matches(matches: pl.DataFrame, minimum: float, title: str) -> Any | None:
    """Return for each score and file the share of its rows that matched and, of the others, why not; None without scores.

    Args:
        matches: `score`, `file`, `verdict` (MATCHED or a reason) and `rows`.
        minimum: least share that is accepted, drawn as a line.
        title: of the whole figure.
    """
    if matches.is_empty():
        return None
    bars = matches.select("score", "file").unique().sort("score", "file").rows()
    reasons = sorted(set(matches.filter(pl.col("rows") > 0)["verdict"]) - {MATCHED})
    figure, panel = new_figure(WIDTH, BAR * 1.3 * len(bars) + 1.7)
    left = np.zeros(len(bars))
    for place, verdict in enumerate([MATCHED, *reasons]):
        shares = np.array([_share(matches, score, file, verdict) for score, file in bars])
        colour = SEQUENCE[place % len(SEQUENCE)]
        panel.barh(
            range(len(bars)), shares, left=left, height=0.7, color=colour, label=verdict.replace("_", " ")
        )
        left += shares
    panel.axvline(minimum, color=PALETTE["black"], linewidth=0.8, linestyle="--")
    panel.set_yticks(range(len(bars)), shortened([f"{score}, {file}" for score, file in bars], 48))
    panel.set_ylim(len(bars) - 0.4, -0.6)
    panel.set_xlim(0, 1)
    panel.set_xlabel(f"share of the score's variants (dashed: at least {minimum:g} must match)")
    panel.grid(axis="y", visible=False)
    figure.legend(loc="outside lower left", ncols=4)
    head(figure, title)
    return figure


def _share(matches: pl.DataFrame, score: str, file: str, verdict: str) -> float:
    own = matches.filter((pl.col("score") == score) & (pl.col("file") == file))
    rows, found = (int(part["rows"].sum()) for part in (own, own.filter(pl.col("verdict") == verdict)))
    return found / max(rows, 1)
