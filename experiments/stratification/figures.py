"""All figures of one stratification, by name; none of them shows a patient unless the data are public."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.chain_figures import (
    null_figure,
    replication_figure,
    selection_figure,
    stability_figure,
)
from experiments.stratification.place_figures import map_figure, places_figure
from experiments.stratification.strata_figures import heat_map_figure, importance_figure, panel_figure
from experiments.stratification.verdict import Verdict


@dataclass(frozen=True)
class Drawn:
    """What figures are drawn from.

    Attributes:
        tables: of the explanation, by name.
        sets: the feature set of each column.
        verdict: of the chain.
        selection, tests, draws, stability, replication: frames as in `schemas`.
        patients: places in two directions, shape (patients, 2), and strata from 0, for public data; else None.
    """

    tables: Mapping[str, pl.DataFrame]
    sets: Mapping[str, str]
    verdict: Verdict
    selection: pl.DataFrame
    tests: pl.DataFrame
    draws: pl.DataFrame
    stability: pl.DataFrame
    replication: pl.DataFrame
    patients: tuple[NDArray[np.float64], NDArray[np.int64]] | None


def draw_all(drawn: Drawn) -> dict[str, Any]:
    """Return matplotlib figures by name; those without anything to show are left out."""
    tables, one_group = drawn.tables, drawn.verdict.k == 1
    figures = {
        "null": null_figure(drawn.draws, drawn.tests),
        "selection": selection_figure(drawn.selection, drawn.tests),
        "stability": stability_figure(drawn.stability, drawn.tests),
        "replication": replication_figure(tables["centroids"], drawn.replication),
        "heat_map": None if one_group else heat_map_figure(tables["profile"], drawn.sets, tables["regions"]),
        "map": map_figure(tables["regions"], tables["region_axes"], drawn.patients),
        "importance": importance_figure(tables["importance"]),
        "panel": panel_figure(tables["accuracy"], tables["panel"]),
        "places": places_figure(tables["places"], tables["place_shares"]),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}
