"""The figures of a study's genotypes that may be drawn."""

from typing import Any

import numpy as np
import polars as pl

from experiments.genetics.figures import MATCHED, draw_matches, draw_scores
from experiments.genetics.figures_people import Population, draw_components, draw_relatives, draw_samples
from experiments.genetics.told import Told, match_rows, related_pairs
from features.genetics.settings import GeneticSettings
from features.genetics.thresholds import QualityThresholds

COMPONENT = "genetic_component_"


def draw_all(
    told: Told, settings: GeneticSettings, summary: pl.DataFrame, title: str, smallest_cell: int
) -> dict[str, Any]:
    """Return the figures that may be drawn, by name."""
    limits = QualityThresholds.from_settings(settings.quality)
    samples = told.quality.samples
    figures = {
        "scores": draw_scores(summary, _forms(settings), f"{title}: polygenic scores"),
        "matches": draw_matches(_verdicts(told), settings.minimum_match, f"{title}: variants of scores"),
        "samples": draw_samples(
            {
                "call rate": (_numbers(samples["call_rate"]), (limits.sample_call_rate,)),
                "F of the autosomes": (
                    _numbers(samples["heterozygosity_f"]),
                    (-limits.heterozygosity_f, limits.heterozygosity_f),
                ),
                "F of chromosome X": (_numbers(samples["x_f"]), (limits.female_f, limits.male_f)),
            },
            smallest_cell=smallest_cell,
            title=f"{title}: samples",
        ),
        "relatives": draw_relatives(related_pairs(told.quality, smallest_cell), f"{title}: related pairs"),
        "components": _components(told, title, smallest_cell),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _forms(settings: GeneticSettings) -> tuple[str, ...]:
    ancestry = settings.ancestry
    return ("raw",) if ancestry is None or ancestry.in_fold else ("raw", ancestry.normalise)


def _components(told: Told, title: str, smallest_cell: int) -> Any | None:
    names = [name for name in told.scored.frame.columns if name.startswith(COMPONENT)]
    if told.reference is None or not names:
        return None
    names.sort(key=lambda name: int(name.removeprefix(COMPONENT)))
    fitted = told.reference.populations
    populations = (
        []
        if fitted is None
        else [
            Population(name, mean, covariance)
            for name, mean, covariance in zip(fitted.names, fitted.means, fitted.covariances, strict=True)
        ]
    )
    projected = told.scored.frame.select(names).drop_nulls().to_numpy()
    return draw_components(projected, populations, smallest_cell=smallest_cell, title=f"{title}: ancestry")


def _verdicts(told: Told) -> pl.DataFrame:
    rows = [
        {"score": row["score"], "file": row["file"], "verdict": verdict, "rows": count}
        for row in match_rows(told)
        for verdict, count in {MATCHED: row["used"], **row["unused"]}.items()
    ]
    return pl.DataFrame(
        rows, schema={"score": pl.String, "file": pl.String, "verdict": pl.String, "rows": pl.Int64}
    )


def _numbers(column: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
