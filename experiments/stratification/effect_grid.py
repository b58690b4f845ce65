"""A grid of effect sizes in two colours that the colour-blind can tell apart, with the figures written into its cells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.figures import LOWERS, RAISES

Floats = NDArray[np.float64]

LIMIT = 2.0  # standard deviations at which the colour is full
HIDDEN = "#D9D9D9"
MINUS = "\u2212"
DARK = 1.2  # from which on figures are written in white


def draw_grid(panel: Any, grid: Floats) -> Any:
    """Draw rows by columns, the first row at the top, NaN as hatched grey, and return what a colour bar is made of."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("effects", [LOWERS, "#FFFFFF", RAISES])
    panel.set_facecolor(HIDDEN)
    mesh = panel.pcolormesh(
        np.ma.masked_invalid(grid), cmap=colours, vmin=-LIMIT, vmax=LIMIT, edgecolors="white", linewidth=0.8
    )
    for (row, column), value in np.ndenumerate(grid):
        known = bool(np.isfinite(value))
        panel.text(
            column + 0.5,
            row + 0.5,
            _words(value) if known else "·",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if known and abs(value) >= DARK else "#333333",
        )
    panel.invert_yaxis()
    panel.grid(visible=False)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
    return mesh


def _words(value: float) -> str:
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}".replace("-", MINUS)


def label_width(labels: Sequence[str], size: float = 9.0) -> float:
    """Return the room in inches that the longest label needs at a font size in points."""
    return max((len(label) for label in labels), default=0) * 0.0083 * size


def effect_bar(figure: Any, panel: Any, mesh: Any, label: str) -> None:
    """Draw the colour bar beside the grid."""
    bar = figure.colorbar(mesh, ax=panel, extend="both", ticks=[-2, -1, 0, 1, 2], aspect=25, shrink=0.9)
    bar.ax.tick_params(labelsize=8)
    bar.set_label(label, fontsize=8)
    bar.outline.set_visible(False)
