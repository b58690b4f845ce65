"""A whole stratification: the search, what its strata are like, and where they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from experiments.compute import Compute
from experiments.stratification.assignment import certainty
from experiments.stratification.chain import Searched, search
from experiments.stratification.explanation import Explained, explain_strata
from experiments.stratification.panel import PanelSettings
from experiments.stratification.replication import suppressed_replication
from experiments.stratification.search_settings import SearchSettings
from experiments.stratification.source import Source
from experiments.stratification.stability import suppressed_stability
from models.preprocessing import SMALLEST_GROUP
from models.registry import CLUSTERERS
from models.strata_model import Recipe


@dataclass(frozen=True)
class Stratified:
    """The search, its explanation, and what the summary file says."""

    searched: Searched
    explained: Explained
    summary: dict[str, Any]


def stratify(
    rows: pl.DataFrame,
    source: Source,
    recipe: Recipe,
    settings: SearchSettings,
    panel: PanelSettings,
    *,
    described: Mapping[str, Any],
    columns: Sequence[str] | None = None,
    smallest_cell: int,
    public: bool,
    seed: int,
    compute: Compute,
    journal: Path | None,
) -> Stratified:
    """Search for strata and say what they are like.

    Args:
        rows: prediction_id, patient_id, centre, country and network, one row per patient.
        source: the patients' columns, in the same order.
        recipe: what is done to them.
        settings: thresholds of the chain.
        panel: of the smallest panel that assigns patients.
        described: further entries of the summary: name, title, what was counted out.
        columns: of X that say what patients are like; None: those of the recipe.
        smallest_cell: smaller counts are suppressed; 0 for public data.
        public: whether figures may show single patients.
        seed: study's seed.
        compute: where the work runs.
        journal: folder of finished draws and resamples.
    """
    # No stratum of fewer patients could be told of or frozen.
    least = max(settings.smallest_share, SMALLEST_GROUP / max(source.X.height, 1))
    settings = replace(settings, smallest_share=min(least, 0.5))
    found = search(rows, source, recipe, settings, seed=seed, compute=compute, journal=journal)
    if columns is not None:
        found = replace(found, loadings=found.loadings.filter(pl.col("column").is_in(list(columns))))
    explained = explain_strata(
        rows,
        source.X,
        found,
        panel=panel,
        columns=columns,
        smallest_cell=smallest_cell,
        public=public,
        seed=seed,
        compute=compute,
    )
    summary = {
        **described,
        **found.verdict.to_json(),
        "patients": source.X.height,
        "columns": list(recipe.columns if columns is None else columns),
        "columns_used": list(found.model.representation.columns),
        "dimensions": found.dimensions["dimension"].n_unique(),
        "clusterer": recipe.clusterer,
        "description": CLUSTERERS[recipe.clusterer].description,
        "adjusted": recipe.plan is not None,
        "assignment": certainty(found.strata, smallest_cell=smallest_cell),
        "notes": list(explained.notes),
    }
    published = replace(
        found,
        selection=_told_shares(found.selection, source.X.height, smallest_cell),
        stability=suppressed_stability(found.stability, smallest_cell),
        replication=suppressed_replication(found.replication, smallest_cell),
    )
    return Stratified(published, explained, summary)


def _told_shares(selection: pl.DataFrame, patients: int, smallest_cell: int) -> pl.DataFrame:
    """Return schemas.Selection without shares of small strata: times the patients they are counts."""
    few = (pl.col("smallest") * patients).round().is_between(1, smallest_cell - 1)
    return selection.with_columns(smallest=pl.when(~few.fill_null(value=False)).then(pl.col("smallest")))
