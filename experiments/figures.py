"""Shared drawing helpers: one style, colours that the colour-blind can tell apart, and SVG that is equal byte for byte."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Okabe and Ito's palette (jfly.uni-koeln.de/color): distinguishable under the common kinds of colour blindness.
PALETTE: Mapping[str, str] = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
    "grey": "#7F7F7F",
}
SEQUENCE: tuple[str, ...] = tuple(
    PALETTE[name] for name in ("blue", "orange", "green", "vermilion", "purple", "sky", "black", "grey")
)
RAISES, LOWERS, NO_DIRECTION = PALETTE["vermilion"], PALETTE["blue"], PALETTE["grey"]
CLEAR_DIRECTION = 0.2  # a weaker rank correlation is drawn as no clear direction
_STYLE: Mapping[str, Any] = {
    "svg.hashsalt": "psystrata",  # ids follow from the content, not from a random number
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.use": True,
}
_METADATA = {"Date": None, "Creator": None}


def new_figure(
    width: float = 6.5, height: float = 4.0, *, rows: int = 1, columns: int = 1
) -> tuple[Any, Any]:
    """Return a matplotlib figure and its axes; sizes in inches.

    The axes are one object for one panel, else an array of shape (rows, columns). No global figure is made, so nothing
    needs closing and no display is asked for.
    """
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Titles and legends read the style when they are made, after this function has returned: so it stays set.
    mpl.rcParams.update({**_STYLE, "axes.prop_cycle": cycler(color=SEQUENCE)})
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure, figure.subplots(rows, columns, squeeze=rows == columns == 1)


def head(figure: Any, text: str) -> None:
    """Write a heading over the whole figure, from its left edge, so that long axis labels do not push it out."""
    figure.suptitle(literal(text), x=0.01, ha="left", fontsize=10)


def direction_colour(direction: float | None) -> str:
    """Return the colour of a rank correlation of value and contribution; None, as of a category, has no direction."""
    if direction is None or abs(direction) < CLEAR_DIRECTION:
        return NO_DIRECTION
    return RAISES if direction > 0 else LOWERS


def legend_patch(colour: str, label: str) -> Any:
    """Return a coloured square with its label, for a legend that no drawn thing makes."""
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label)


def svg_text(figure: Any) -> str:
    """Return the figure as SVG text without date, program version or doctype, equal for equal figures."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context(dict(_STYLE)):
        figure.savefig(buffer, format="svg", metadata=_METADATA)
    text = re.sub(r"<!DOCTYPE.*?>\s*", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def save_svg(figure: Any, path: Path) -> None:
    """Write the figure as SVG; the caller gives a path inside a folder that it publishes as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg_text(figure), encoding="utf-8")


def literal(text: str) -> str:
    """Return text so that matplotlib draws it as it is: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def shorten(text: str, length: int = 38) -> str:
    """Return text cut in its middle to at most `length` characters, so that axis labels keep their room."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 3
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def shortened(texts: Sequence[str], length: int = 38) -> list[str]:
    """Return several texts cut alike; where two would become equal, all stay whole."""
    cut = [shorten(text, length) for text in texts]
    return [literal(text) for text in (cut if len(set(cut)) == len(set(texts)) else texts)]
