"""The whole search for strata, with the draws of both nulls: how long it takes, and what in it takes long.

    python -m tests.benchmarks strata_chain
    python -m tests.benchmarks.strata_chain --patients 600 --draws 100

Asked: with 100 draws of each null on two cores, 2,000 patients x 50 columns within 15 minutes and 600 within 4. Three strata at
separation 4 are planted, so every test of the chain runs. Expected beforehand: fits of the Gaussian mixture are nearly all of it.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl

from experiments.compute import Compute
from experiments.stratification import chain
from experiments.stratification.chain import Searched, search
from experiments.stratification.features_source import FeatureSource
from experiments.stratification.search_settings import SearchSettings
from models.strata_model import Recipe

Row = tuple[str, str, str]

COLUMNS, STRATA, SEPARATION, CENTRES, SEED = 50, 3, 4.0, 4, 31
DRAWS, CORES = 100, 2
MINUTES = {600: 4, 2000: 15}
PARTS = {
    "prediction_strength": "prediction strength",
    "run_draws": "draws of both nulls",
    "number_of_strata": "gap, likelihood ratio and the rest of the number",
    "stability_test": "stability",
    "replication_test": "replication",
}


def planted(patients: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows and columns of patients of three strata whose centroids lie spread over all columns."""
    draws = np.random.default_rng(SEED)
    axes = np.linalg.qr(draws.normal(size=(COLUMNS, STRATA)))[0]
    stratum = draws.integers(0, STRATA, patients)
    values = draws.normal(size=(patients, COLUMNS)) + SEPARATION / np.sqrt(2) * axes.T[stratum]
    centre = np.arange(patients) % CENTRES
    rows = pl.DataFrame(
        {
            "prediction_id": [f"visit-{place:05}-1" for place in range(patients)],
            "patient_id": [f"{place:032x}" for place in range(patients)],
            "centre": [f"centre {one}" for one in centre],
            "country": ["DE" if one < CENTRES // 2 else "FR" for one in centre],
        }
    )
    return rows, pl.DataFrame(values, schema=[f"x_{place:02}" for place in range(COLUMNS)])


def timed(patients: int, draws: int) -> tuple[float, dict[str, float], Searched]:
    """Return the seconds of one search, those of its parts, and what was found."""
    rows, X = planted(patients)
    recipe = Recipe("gaussian_mixture", tuple(X.columns))
    source = FeatureSource(X, np.arange(patients) % CENTRES, recipe, SEED)
    parts: dict[str, float] = {}
    watched = [patch.object(chain, name, _watched(getattr(chain, name), name, parts)) for name in PARTS]
    for one in watched:
        one.start()
    try:
        start = time.perf_counter()
        found = search(
            rows, source, recipe, SearchSettings(draws=draws), seed=SEED, compute=Compute("processes", CORES)
        )
        return time.perf_counter() - start, parts, found
    finally:
        for one in watched:
            one.stop()


def table(patients: int, draws: int) -> list[Row]:
    """Return the rows of the table for one cohort."""
    seconds, parts, found = timed(patients, draws)
    name = f"chain, {patients:,} x {COLUMNS}, {draws} draws of each null"
    asked = f"within {MINUTES[patients]} minutes" if patients in MINUTES and draws == DRAWS else ""
    shares = [(f"  {PARTS[part]}", "", f"{100 * spent / seconds:.0f} %") for part, spent in parts.items()]
    return [(name, asked, f"{seconds / 60:.1f} minutes: {found.verdict.claim}"), *shares]


def strata_chain(folder: Path) -> list[Row]:
    """The whole chain at both sizes; nothing is written."""
    del folder
    return [row for patients in MINUTES for row in table(patients, DRAWS)]


def main(arguments: Sequence[str]) -> int:
    """Run one size and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=600)
    parser.add_argument("--draws", type=int, default=DRAWS)
    asked = parser.parse_args(arguments)
    for row in table(asked.patients, asked.draws):
        print("  ".join(row), flush=True)
    return 0


def _watched(function: Callable[..., Any], name: str, parts: dict[str, float]) -> Callable[..., Any]:
    def run(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            parts[name] = parts.get(name, 0.0) + time.perf_counter() - start

    return run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
