"""Planted strata for the tests of their explanation: three groups told by two of the columns, and a search that found them."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification import schemas
from experiments.stratification.verdict import Verdict
from models.clustering.contract import ClusterOptions
from models.strata_model import Recipe, StrataModel

SETS = {"immune_a": "immune", "immune_b": "immune", "noise_c": "other", "noise_d": "other"}


@dataclass(frozen=True)
class Search:
    """What a search hands to its explanation."""

    verdict: Verdict
    model: StrataModel
    memberships: pl.DataFrame
    selection: pl.DataFrame
    tests: pl.DataFrame
    draws: pl.DataFrame
    stability: pl.DataFrame
    replication: pl.DataFrame


def planted(n: int = 240, seed: int = 0) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Return columns, of which immune_a and immune_b tell three groups of unit variance, and the groups from 0."""
    generator = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    corners = np.array([[0.0, 0.0, 0.0, 0.0], [6.0, 0.0, 0.0, 0.0], [0.0, 6.0, 0.0, 0.0]])
    values = generator.normal(size=(n, 4)) + corners[truth]
    return pl.DataFrame(dict(zip(SETS, values.T, strict=True))), truth.astype(np.int64)


def rows_of(n: int, centres: list[str] | None = None) -> pl.DataFrame:
    """Return rows of patients dealt over four centres of two countries, independently of `planted`'s groups."""
    generator = np.random.default_rng(99)
    place = generator.integers(0, 4, n)
    names = centres or [f"Town {one}" for one in place]
    return pl.DataFrame(
        {
            "prediction_id": [f"baseline-{one}-1" for one in range(n)],
            "centre": names,
            "country": [("DE", "FR")[one % 2] for one in place],
        }
    )


@cache
def search(k: int = 3) -> tuple[pl.DataFrame, pl.DataFrame, Search]:
    """Return rows, columns and what a search found in them: the model is fitted, figures of tests are given."""
    X, _ = planted()
    rows = rows_of(len(X))
    recipe = Recipe("gaussian_mixture", tuple(sorted(X.columns)), ClusterOptions(modalities=SETS))
    model = StrataModel.fit(X, recipe, k, 1)
    chance = model.predict_probability(X)
    memberships = pl.DataFrame(
        {
            "prediction_id": np.repeat(rows["prediction_id"].to_numpy(), k),
            "stratum": np.tile(np.arange(1, k + 1), len(X)),
            "probability": np.clip(chance.ravel(), 0, 1),
        }
    )
    found = Search(
        verdict=Verdict(f"{k} strata", k, k > 1),
        model=model,
        memberships=schemas.Memberships.validate(memberships, cast=True),
        selection=_filled(schemas.Selection, [_selected(number, k) for number in range(1, 5)]),
        tests=_filled(schemas.Tests, _tests()),
        draws=_filled(schemas.Draws, _draws()),
        stability=_filled(
            schemas.Stability,
            [
                {"stratum": one, "mean_jaccard": 0.9, "lower": 0.8, "upper": 1.0, "stable": True}
                for one in range(1, k + 1)
            ],
        ),
        replication=schemas.Replication.create_empty(),
    )
    return rows, X, found


def _filled(schema: Any, records: list[dict[str, Any]]) -> pl.DataFrame:
    frame: pl.DataFrame = schema.validate(
        pl.DataFrame(records, schema=dict(schema.create_empty().schema)), cast=True
    )
    return frame


def _selected(number: int, k: int) -> dict[str, Any]:
    return {
        "k": number,
        "prediction_strength": 1.0 if number <= k else 0.5,
        "prediction_strength_error": 0.02,
        "consensus": None if number == 1 else 0.1,
        "consensus_null": None if number == 1 else 0.3,
        "consensus_index": None if number == 1 else 0.48,
        "chosen": number == k,
    }


def _draws() -> list[dict[str, Any]]:
    drawn = [
        {"null": null, "draw": draw, "k": 2, "separation": draw / 50}
        for null in ("copula", "continuum")
        for draw in range(1, 20)
    ]
    return [{"null": "observed", "draw": 0, "k": 2, "separation": 0.8}, *drawn]


def _tests() -> list[dict[str, Any]]:
    told = [
        ("number", "prediction_strength", 0.9, 0.8),
        ("one_group", "p_continuum", 0.05, 0.05),
        ("one_group", "p_copula", 0.05, 0.05),
        ("stability", "jaccard_1", 0.9, 0.75),
    ]
    return [
        {"test": test, "figure": figure, "estimate": estimate, "threshold": threshold, "passed": True}
        for test, figure, estimate, threshold in told
    ]
