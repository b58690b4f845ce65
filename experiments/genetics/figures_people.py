"""Figures of people: where they lie among reference populations, how well they were genotyped, who is related."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.disclosure import hidden_cells
from experiments.figures import PALETTE, SEQUENCE, head, literal, new_figure
from experiments.genetics.histograms import told_histogram

Floats = NDArray[np.float64]
PAIRS = ((0, 1), (2, 3))  # components that are drawn against each other
WIDTH_OF_PANEL = 4.1
INSIDE = 0.95  # share of a population within its ellipse
SQUARES = (28, 20, 14, 10, 7)  # a side of the map of the cohort, finest first
DRAWN = 0.8  # share of the patients that the map should show


@dataclass(frozen=True)
class Population:
    """One reference population: its name, means of the components, shape (components,), and their covariance."""

    name: str
    mean: Floats
    covariance: Floats


def draw_components(
    projected: Floats, populations: Sequence[Population], *, smallest_cell: int, title: str
) -> Any | None:
    """Return the cohort's map on components 1-2 and 3-4 with reference populations as ellipses; None with one component.

    Args:
        projected: components of the patients, shape (patients, components).
        populations: ellipses hold 95 % of each, were it normal.
        smallest_cell: squares of the map with fewer patients are left empty, and others with which they could be
            told; 0: a point per patient.
        title: of the whole figure.
    """
    pairs = [pair for pair in PAIRS if projected.shape[1] > pair[1]]
    if not pairs or not len(projected):
        return None
    figure, axes = new_figure(WIDTH_OF_PANEL * len(pairs) + 0.4, 4.3, rows=1, columns=len(pairs))
    for panel, pair in zip(np.atleast_1d(axes).ravel(), pairs, strict=True):
        _cohort(panel, projected[:, pair], populations, pair, smallest_cell)
        for place, population in enumerate(populations):
            _ellipse(panel, population, pair, SEQUENCE[place % len(SEQUENCE)])
        panel.set_xlabel(f"component {pair[0] + 1}")
        panel.set_ylabel(f"component {pair[1] + 1}")
        panel.grid(visible=False)
    if populations:
        figure.legend(
            *np.atleast_1d(axes).ravel()[0].get_legend_handles_labels(), loc="outside lower left", ncols=6
        )
    head(figure, title)
    return figure


def _cohort(
    panel: Any, points: Floats, populations: Sequence[Population], pair: tuple[int, int], smallest: int
) -> None:
    if smallest == 0:
        panel.plot(
            points[:, 0],
            points[:, 1],
            ".",
            color=PALETTE["grey"],
            markersize=2.0,
            alpha=0.6,
            label="patients",
        )
        return
    low, high = _frame(points, populations, pair)
    inside = np.clip(points, low, high)  # those beyond the frame count in its outermost squares
    for squares in SQUARES:
        sides = [np.linspace(low[axis], high[axis], squares + 1) for axis in (0, 1)]
        counts = _told_squares(inside, sides, smallest)
        if counts.sum() >= DRAWN * len(points):
            break
    # Shades stand for ranges: an exact count cannot be read from a colour.
    shades = np.searchsorted(np.array([smallest, *(3 * smallest, 10 * smallest)]), counts, side="right")
    panel.pcolormesh(*sides, np.ma.masked_equal(shades, 0).T, cmap="Greys", vmin=0, vmax=4, linewidth=0)


def _told_squares(points: Floats, sides: Sequence[Floats], smallest: int) -> NDArray[np.int64]:
    """Count the patients in each square, 0 where they may not be told."""
    counts = np.histogram2d(points[:, 0], points[:, 1], bins=list(sides))[0].astype(np.int64)
    there = np.nonzero(counts)
    counts[there] *= ~hidden_cells(counts[there][:, None], smallest)
    return counts


def _frame(points: Floats, populations: Sequence[Population], pair: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return lower left and upper right corner: of the ellipses, or without them of all but the outermost patients."""
    if populations:
        reach = [3.0 * np.sqrt(np.diag(item.covariance)[list(pair)]) for item in populations]
        means = [item.mean[list(pair)] for item in populations]
        low = np.min([mean - far for mean, far in zip(means, reach, strict=True)], axis=0)
        high = np.max([mean + far for mean, far in zip(means, reach, strict=True)], axis=0)
        return low, high
    low, high = np.quantile(points, [0.02, 0.98], axis=0)
    return low, np.maximum(high, low + 1e-9)


def _ellipse(panel: Any, population: Population, pair: tuple[int, int], colour: str) -> None:
    """Draw the ellipse of a two-dimensional normal distribution that holds INSIDE of it (chi-square of 2 degrees)."""
    own = population.covariance[np.ix_(pair, pair)]
    sizes, axes = np.linalg.eigh(own)
    turn = np.linspace(0, 2 * np.pi, 73)
    radius = np.sqrt(-2 * np.log(1 - INSIDE) * np.maximum(sizes, 0))
    line = population.mean[list(pair)][:, None] + axes @ (
        radius[:, None] * np.vstack([np.cos(turn), np.sin(turn)])
    )
    panel.plot(line[0], line[1], color=colour, linewidth=1.4, label=literal(population.name))


def draw_samples(
    measures: Mapping[str, tuple[Floats, Sequence[float]]], *, smallest_cell: int, title: str
) -> Any | None:
    """Return histograms of measures of samples, thresholds dashed; None where nothing may be told.

    Args:
        measures: label of an axis to its values, one per sample, and the thresholds.
        smallest_cell: intervals with fewer samples are not drawn.
        title: of the whole figure.
    """
    found = {
        label: (told_histogram(values, intervals=30, smallest_cell=smallest_cell), limits)
        for label, (values, limits) in measures.items()
    }
    drawn = {
        label: (histogram, limits) for label, (histogram, limits) in found.items() if histogram is not None
    }
    if not drawn:
        return None
    figure, axes = new_figure(3.6 * len(drawn) + 0.6, 3.0, rows=1, columns=len(drawn))
    for panel, (label, (histogram, limits)) in zip(np.atleast_1d(axes).ravel(), drawn.items(), strict=True):
        panel.stairs(histogram.counts, histogram.edges, fill=True, color=PALETTE["blue"], alpha=0.7)
        for limit in limits:
            panel.axvline(limit, color=PALETTE["vermilion"], linewidth=0.9, linestyle="--")
        hidden = f"\n({histogram.hidden} intervals of few not drawn)" if histogram.hidden else ""
        panel.set_xlabel(label + hidden)
        panel.set_ylabel("samples")
    head(figure, title)
    return figure


def draw_relatives(pairs: Mapping[str, int | None], title: str) -> Any | None:
    """Return a bar of pairs per relation; a suppressed count is written, not drawn; None where no pair may be told."""
    if not any(pairs.values()):
        return None
    figure, panel = new_figure(8.0, 0.36 * len(pairs) + 1.1)
    for place, count in enumerate(pairs.values()):
        panel.barh(place, count or 0, height=0.6, color=PALETTE["blue"])
        panel.annotate(
            " suppressed" if count is None else f" {count:,}", (count or 0, place), va="center", fontsize=8
        )
    panel.set_yticks(range(len(pairs)), list(pairs))
    panel.set_ylim(len(pairs) - 0.4, -0.6)
    panel.margins(x=0.2)
    panel.set_xlabel("pairs of samples")
    panel.grid(axis="y", visible=False)
    head(figure, title)
    return figure
