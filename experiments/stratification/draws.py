"""The patients and draws of one group, each put through the whole procedure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.compute import Compute
from experiments.seeds import seed_for
from experiments.stratification.consensus import consensus_by_number
from experiments.stratification.families import families_fingerprint
from experiments.stratification.journal import fingerprint_of, resumed_map
from experiments.stratification.schemas import Draws
from experiments.stratification.separation import separation_by_number
from experiments.stratification.source import NULLS, Source
from models.strata_model import Recipe, prepare_patients

Integers = NDArray[np.int64]

OBSERVED = "observed"
JOURNAL_FILE = "draws.jsonl"


@dataclass(frozen=True)
class DrawTask:
    """One draw of a null, or the patients themselves.

    Attributes:
        source: the patients.
        recipe: what is done to them.
        ks: numbers of strata.
        smallest_share: of the patients in a stratum.
        consensus_at: numbers whose consensus is asked for.
        resamples: of consensus; 0: none.
        null: one of NULLS, or OBSERVED.
        number: of the draw, from 1; 0 for OBSERVED.
        seed: study's seed.
        families: number of each patient's family, drawn whole in the resamples; None: nobody has relatives.
    """

    source: Source
    recipe: Recipe
    ks: tuple[int, ...]
    smallest_share: float
    consensus_at: tuple[int, ...]
    resamples: int
    null: str
    number: int
    seed: int
    families: Integers | None = None

    @property
    def key(self) -> str:
        """Name of the task in the journal."""
        return f"{self.null} {self.number}"


def run_draws(
    source: Source,
    recipe: Recipe,
    *,
    most_strata: int,
    smallest_share: float,
    draws: int,
    resamples: int,
    seed: int,
    compute: Compute,
    journal: Path | None,
    consensus_at: Iterable[int] | None = None,
    families: Integers | None = None,
) -> pl.DataFrame:
    """Put the patients and draws of one group through the whole procedure and return schemas.Draws.

    Args:
        source: the patients, and how one group that resembles them is drawn.
        recipe: what is done to them; fitted anew in every draw.
        most_strata: largest number tried; from 2.
        smallest_share: of the patients in a stratum.
        draws: of each null.
        resamples: of consensus, for the patients and the copula's draws; 0: none.
        seed: study's seed.
        compute: where the work runs.
        journal: folder in which finished draws are kept; None: nowhere.
        consensus_at: numbers whose consensus is looked at in the copula's draws, since it costs the most; None: every number. The
            patients' own is looked at for every number.
        families: number of each patient's family, shape (patients,), drawn whole in the resamples; None: nobody has relatives.
    """
    ks = tuple(range(2, most_strata + 1))
    asked = ks if consensus_at is None else tuple(sorted(set(consensus_at)))
    numbers = [(OBSERVED, 0), *((null, number) for null in NULLS for number in range(1, draws + 1))]
    tasks = [
        DrawTask(
            source=source,
            recipe=recipe,
            ks=ks,
            smallest_share=smallest_share,
            consensus_at=ks if null == OBSERVED else asked,
            resamples=0 if null == "continuum" else resamples,
            null=null,
            number=number,
            seed=seed,
            families=families,
        )
        for null, number in numbers
    ]
    for null in NULLS:  # what draws share is made here once, not in every worker
        source.draw(null, np.random.default_rng(0))
    rows = resumed_map(
        drawn_figures,
        tasks,
        [task.key for task in tasks],
        compute,
        "draws of one group",
        path=None if journal is None else journal / JOURNAL_FILE,
        fingerprint=fingerprint_of(
            source.X,
            recipe,
            hashlib.sha256(np.ascontiguousarray(source.centres).tobytes()).hexdigest(),
            most_strata,
            smallest_share,
            asked,
            resamples,
            seed,
            families_fingerprint(families),
        ),
    )
    table = pl.DataFrame([row for found in rows for row in found], infer_schema_length=None)
    return Draws.validate(table, cast=True)


def drawn_figures(task: DrawTask) -> list[dict[str, Any]]:
    """Return one row of schemas.Draws per number of strata."""
    X = task.source.X
    if task.null != OBSERVED:
        generator = np.random.default_rng(seed_for(task.seed, "stratify", task.null, task.number))
        X = task.source.draw(task.null, generator)
    prepared = prepare_patients(X, task.recipe)
    separation = separation_by_number(
        X,
        task.recipe,
        ks=task.ks,
        smallest_share=task.smallest_share,
        seed=task.seed,
        prepared=prepared,
    )
    consensus: dict[int, float] = {}
    if task.resamples and task.consensus_at:
        consensus = consensus_by_number(
            X,
            task.recipe,
            ks=task.consensus_at,
            resamples=task.resamples,
            smallest_share=task.smallest_share,
            seed=task.seed,
            prepared=prepared,
            families=task.families,
        )
    return [
        {
            "null": task.null,
            "draw": task.number,
            "k": k,
            "separation": separation[k],
            "consensus": consensus.get(k),
        }
        for k in task.ks
    ]
