"""Figures of where the strata are: in two directions of the data, and in centres, countries and networks."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.figures import PALETTE, SEQUENCE, head, literal, new_figure, shorten
from experiments.stratification.effect_grid import HIDDEN, MINUS

Floats = NDArray[np.float64]

HALVES = {0.5: 1.177410, 0.9: 2.145966}  # share of a normal stratum inside: radius, from chi-squared of 2
LIGHT = (PALETTE["orange"], PALETTE["sky"], PALETTE["purple"])  # figures on them are black
MOST_LEVELS = 30  # of a place
MOST_POINTS = 3000
NAMED = 3  # columns that name a direction
MARKERS = "osD^vPX*<>hp"


def map_figure(
    regions: pl.DataFrame, axes: pl.DataFrame, patients: tuple[Floats, NDArray[np.int64]] | None
) -> Any:
    """Return the strata in the two directions of largest spread: ellipses that hold half and nine tenths of a normal stratum.

    Args:
        regions: schema Regions.
        axes: schema RegionAxes.
        patients: places, shape (patients, 2), and strata from 0: drawn as points, for public data alone.
    """
    if regions.is_empty():
        return None
    from matplotlib.patches import Ellipse

    figure, panel = new_figure(6.6, 6.0)
    if patients is not None:
        _points(panel, *patients)
    for row in regions.sort("stratum").iter_rows(named=True):
        colour = SEQUENCE[(row["stratum"] - 1) % len(SEQUENCE)]
        covariance = np.array(
            [
                [row["variance_first"], row["covariance"]],
                [row["covariance"], row["variance_second"]],
            ]
        )
        variances, directions = np.linalg.eigh(covariance)
        angle = float(np.degrees(np.arctan2(directions[1, 1], directions[0, 1])))
        reach = 2 * np.sqrt(np.maximum(variances[::-1], 1e-12))
        centre = (row["centre_first"], row["centre_second"])
        for inside, radius in HALVES.items():
            panel.add_patch(
                Ellipse(
                    centre,
                    *(radius * reach),
                    angle=angle,
                    facecolor=colour if inside == min(HALVES) else "none",
                    alpha=0.3 if inside == min(HALVES) else 1.0,
                    edgecolor=colour,
                    linewidth=1.4,
                    linestyle="-" if inside == min(HALVES) else "--",
                )
            )
        size = "" if row["n"] is None else f" (n = {row['n']:,})"
        name = f"stratum {row['stratum']}" if len(regions) > 1 else "all patients"
        panel.plot([], [], marker="s", linestyle="", color=colour, label=f"{name}{size}")
        panel.text(
            *centre,
            str(row["stratum"]),
            ha="center",
            va="center",
            fontsize=11,
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": colour, "linewidth": 1.4},
        )
    panel.autoscale_view()
    panel.set_aspect("equal", adjustable="datalim")
    panel.set_xlabel(_axis_words(axes, 1), fontsize=8)
    panel.set_ylabel(_axis_words(axes, 2), fontsize=8)
    figure.legend(loc="outside lower center", ncols=4)
    head(
        figure,
        f"The {'strata' if len(regions) > 1 else 'patients'} in the two directions of largest spread\n"
        f"(ellipses: half and nine tenths {'of the stratum, were it' if len(regions) > 1 else 'of them, were they'} normal)",
    )
    return figure


def _points(panel: Any, places: Floats, strata: NDArray[np.int64]) -> None:
    step = -(-len(places) // MOST_POINTS)
    for stratum in np.unique(strata):
        own = places[strata == stratum][::step]
        panel.plot(
            own[:, 0],
            own[:, 1],
            MARKERS[stratum % len(MARKERS)],
            markersize=2.5,
            markeredgewidth=0,
            alpha=0.45,
            color=SEQUENCE[stratum % len(SEQUENCE)],
        )


def _axis_words(axes: pl.DataFrame, axis: int) -> str:
    """Return what a direction is made of: its share of the variance and the columns that go with it most."""
    own = axes.filter(pl.col("axis") == axis).sort(
        pl.col("correlation").abs(), "column", descending=[True, False]
    )
    if own.is_empty():
        return f"direction {axis}"
    named = [
        f"{'+' if row['correlation'] > 0 else MINUS} {shorten(row['column'], 44)}"
        for row in own.head(NAMED).iter_rows(named=True)
    ]
    return literal(f"direction {axis}: {100 * own['share'][0]:.0f} % of the variance\n" + "\n".join(named))


def places_figure(places: pl.DataFrame, shares: pl.DataFrame) -> Any:
    """Return the share of each stratum at each centre, country and network; small cells stay grey. None without places.

    Args:
        places: schema Places.
        shares: schema PlaceShares.
    """
    if shares.is_empty():
        return None
    names = shares["place"].unique(maintain_order=True).to_list()
    strata = shares["stratum"].unique().sort().to_list()
    rows = [
        (place, level)
        for place in names
        for level in shares.filter(pl.col("place") == place)["level"].unique().sort().head(MOST_LEVELS)
    ]
    figure, panel = new_figure(7.4, 1.5 + 0.23 * (len(rows) + 1.3 * len(names)))
    told = {(row["place"], row["level"], row["stratum"]): row for row in shares.iter_rows(named=True)}
    follows = {row["place"]: row for row in places.iter_rows(named=True)}
    height, ticks, words = 0.0, [], []
    for place in names:
        panel.text(
            0, height + 0.15, literal(_place_words(place, follows.get(place))), fontsize=8.5, va="center"
        )
        height += 1.0
        for _, level in [one for one in rows if one[0] == place]:
            own = [told[place, level, stratum] for stratum in strata if (place, level, stratum) in told]
            _stack(panel, height, own)
            ticks.append(height)
            words.append(literal(shorten(level, 24)))
            height += 1.0
        height += 0.3
    panel.set_yticks(ticks, words)
    panel.set_ylim(height - 0.3, -0.6)
    panel.set_xlim(0, 1)
    panel.set_xlabel("share of the place's patients")
    panel.grid(visible=False)
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", length=0)
    for stratum in strata:
        panel.plot([], [], marker="s", linestyle="", color=_colour(stratum), label=f"stratum {stratum}")
    panel.plot([], [], marker="s", linestyle="", color=HIDDEN, label="not told: small cells")
    figure.legend(loc="outside lower center", ncols=5)
    head(figure, "Where the patients of each stratum are")
    return figure


def _stack(panel: Any, height: float, own: list[dict[str, Any]]) -> None:
    """Draw one level: told shares one after the other, what is left grey, and a mark where a stratum is this place."""
    panel.barh(height, 1.0, color=HIDDEN, height=0.75)
    start = 0.0
    for row in own:
        share = row["of_level"] or 0.0
        panel.barh(height, share, left=start, color=_colour(row["stratum"]), height=0.75)
        if share >= 0.08:
            panel.text(
                start + share / 2,
                height,
                f"{100 * share:.0f} %",
                ha="center",
                va="center",
                fontsize=7,
                color="black" if _colour(row["stratum"]) in LIGHT else "white",
            )
        start += share
    marked = [f"stratum {row['stratum']} {row['verdict']} it" for row in own if row["verdict"]]
    if marked:
        panel.text(
            1.01,
            height,
            "◀ " + ", ".join(marked),
            va="center",
            fontsize=8,
            color=PALETTE["vermilion"],
            clip_on=False,
        )


def _place_words(place: str, found: dict[str, Any] | None) -> str:
    if found is None:
        return place
    adjusted = (
        ""
        if found["adjusted"] is None
        else f"adjusted mutual information {round(found['adjusted'], 2) + 0.0:.2f}, "
    )
    return f"{place}: {adjusted}p = {found['p']:.2g}; strata follow it: {found['follows']}"


def _colour(stratum: int) -> str:
    return SEQUENCE[(stratum - 1) % len(SEQUENCE)]
