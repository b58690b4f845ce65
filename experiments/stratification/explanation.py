"""What the strata are like, what tells them apart, which few columns assign a patient, and whether they are places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import dataframely as dy
import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute
from experiments.evaluation.intervals import Interval
from experiments.seeds import seed_for
from experiments.stratification.explanation_schemas import (
    Accuracy,
    Centroids,
    Importance,
    PanelColumns,
    Places,
    PlaceShares,
    RegionAxes,
    Regions,
)
from experiments.stratification.figures import Drawn, draw_all
from experiments.stratification.importance import accuracy_of, explain_strata_folds, folds_of, importance
from experiments.stratification.panel import PanelSettings, find_panel
from experiments.stratification.places import locate
from experiments.stratification.profile import profile
from experiments.stratification.regions import centroids, region_axes, regions, two_directions
from experiments.stratification.schemas import Profile
from experiments.stratification.verdict import TestResult, Verdict
from models.strata_model import StrataModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SCHEMAS: Mapping[str, type[dy.Schema]] = {
    "profile": Profile,
    "importance": Importance,
    "accuracy": Accuracy,
    "panel": PanelColumns,
    "places": Places,
    "place_shares": PlaceShares,
    "regions": Regions,
    "region_axes": RegionAxes,
    "centroids": Centroids,
}
ONE_GROUP = (
    "There is one group: no classifier, panel or place of strata is looked for; the profile is that of all."
)
DESCRIPTION_ONLY = (
    "Effect sizes, SHAP values and panels describe the strata. The columns made the strata, so the strata differ in them by "
    "construction: no p-value exists, and the intervals hold given who is in which stratum."
)


class Found(Protocol):
    """What a search gives, as far as it is explained; frames as in `schemas`."""

    @property
    def verdict(self) -> Verdict:
        """Of the chain."""

    @property
    def model(self) -> StrataModel:
        """The frozen model."""

    @property
    def memberships(self) -> pl.DataFrame:
        """Schema Memberships."""

    @property
    def selection(self) -> pl.DataFrame:
        """Schema Selection."""

    @property
    def tests(self) -> pl.DataFrame:
        """Schema Tests."""

    @property
    def draws(self) -> pl.DataFrame:
        """Schema Draws."""

    @property
    def stability(self) -> pl.DataFrame:
        """Schema Stability."""

    @property
    def replication(self) -> pl.DataFrame:
        """Schema Replication."""


@dataclass(frozen=True)
class Explained:
    """The explanation's result files.

    Attributes:
        tables: frames by name, of `schemas`.
        figures: matplotlib figures by name; what would show single patients is drawn for public data alone.
        notes: sentences for the card; where strata are places, that comes first.
        places: the site audit in the form of a test, beside the chain.
        schemas: the schema of each table.
    """

    tables: Mapping[str, pl.DataFrame]
    figures: Mapping[str, Any]
    notes: tuple[str, ...]
    places: TestResult
    schemas: Mapping[str, type[dy.Schema]] = field(default_factory=lambda: dict(SCHEMAS))


def explain_strata(
    rows: pl.DataFrame,
    X: pl.DataFrame,
    found: Found,
    *,
    panel: PanelSettings,
    columns: Sequence[str] | None = None,
    smallest_cell: int,
    public: bool,
    seed: int,
    compute: Compute,
    beside: Sequence[str] = (),
) -> Explained:
    """Explain the strata of a search.

    Args:
        rows: prediction_id, centre and country, and network where there is one; one row per patient.
        X: one row per patient, with the columns of the recipe's `needed`, as a clinician sees them, in the same order.
        found: the search.
        panel: what is declared of the smallest panel.
        columns: of X that made the strata and say what patients are like; None: all of the recipe.
        smallest_cell: smaller counts are suppressed; 0 for public data.
        public: whether figures may show single patients.
        seed: study's seed.
        compute: where the work runs.
        beside: further columns of X, which did not make the strata and are profiled only.
    """
    made = list(found.model.recipe.columns if columns is None else columns)
    sets = found.model.recipe.options.modalities
    memberships = membership_matrix(rows, found.memberships)
    strata = np.asarray(memberships.argmax(axis=1), dtype=np.int64)
    points, shares = two_directions(found.model.points(X))
    made_alone, centres = X.select(made), rows["centre"].to_list()
    located = locate(rows, strata, smallest_cell=smallest_cell, seed=seed)
    told, told_notes = _told(made_alone, strata, centres, panel, sets=sets, seed=seed, compute=compute)
    tables = {
        **{name: schema.create_empty() for name, schema in SCHEMAS.items()},
        **told,
        "profile": profile(
            X.select(*made, *(name for name in beside if name not in made)),
            memberships,
            centres,
            made=made,
            smallest_cell=smallest_cell,
            seed=seed,
        ),
        "places": located.table,
        "place_shares": located.shares,
        "regions": regions(points, memberships, smallest_cell=smallest_cell),
        "region_axes": region_axes(points, shares, made_alone),
    }
    if memberships.shape[1] > 1:
        countries = rows["country"].to_list()
        tables["centroids"] = centroids(made_alone, strata, countries, smallest_cell=smallest_cell)
    figures = _figures(found, tables, sets, patients=(points, strata) if public else None)
    notes = (
        *(() if located.result.status in ("passed", "not_asked") else (located.result.reason,)),
        *told_notes,
        *((DESCRIPTION_ONLY,) if memberships.shape[1] > 1 else ()),
    )
    return Explained(tables, figures, notes, located.result)


def _figures(
    found: Found,
    tables: Mapping[str, pl.DataFrame],
    sets: Mapping[str, str],
    *,
    patients: tuple[Floats, Integers] | None,
) -> dict[str, Any]:
    return draw_all(
        Drawn(
            tables=tables,
            sets=sets,
            verdict=found.verdict,
            selection=found.selection,
            tests=found.tests,
            draws=found.draws,
            stability=found.stability,
            replication=found.replication,
            patients=patients,
        )
    )


def membership_matrix(rows: pl.DataFrame, memberships: pl.DataFrame) -> Floats:
    """Return the probability of each stratum, shape (patients, k), in the order of rows.

    Args:
        rows: prediction_id.
        memberships: schema Memberships of the same patients.
    """
    wide = memberships.pivot("stratum", index="prediction_id", values="probability")
    names = sorted((name for name in wide.columns if name != "prediction_id"), key=int)
    ordered = rows.select("prediction_id").join(wide, on="prediction_id", how="left", maintain_order="left")
    return np.asarray(ordered.select(names).to_numpy(), dtype=np.float64)


def _told(
    X: pl.DataFrame,
    strata: Integers,
    centres: Sequence[str | None],
    settings: PanelSettings,
    *,
    sets: Mapping[str, str],
    seed: int,
    compute: Compute,
) -> tuple[dict[str, pl.DataFrame], tuple[str, ...]]:
    """Return tables and sentences of the classifier and the panel; nothing where they cannot be had."""
    if strata.max() == 0:
        return {}, (ONE_GROUP,)
    if len(np.unique(strata)) <= strata.max():
        return {}, ("Some stratum is the most probable one of nobody: nothing can be trained to tell it.",)
    fold = folds_of(strata, centres, settings.folds, seed_for(seed, "stratify", "explanation", "folds"))
    if fold is None:
        return {}, ("A stratum has too few patients: no classifier of the strata can be tested.",)
    folds = explain_strata_folds(X, strata, fold, seed=seed, compute=compute)
    accuracy = accuracy_of(folds)
    panel = find_panel(
        X,
        strata,
        centres,
        settings=settings,
        sets=sets,
        beside=accuracy,
        seed=seed,
        compute=compute,
    )
    tables = {
        "importance": importance(folds, X.columns, sets),
        "accuracy": panel.path,
        "panel": panel.columns,
    }
    return tables, (_accuracy_sentence(accuracy), panel.sentence)


def _accuracy_sentence(found: Interval) -> str:
    interval = "" if found.lower is None else f" ({found.lower:.2f} to {found.upper:.2f})"
    return (
        f"A classifier that sees all columns tells the stratum of patients it never saw with a balanced accuracy of "
        f"{found.estimate:.2f}{interval}."
    )
