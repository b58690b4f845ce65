"""What the report of genotypes warns of."""

import numpy as np
import polars as pl
import pytest

from experiments.genetics.warnings import warnings_of
from features.genetics.settings import GeneticSettings


def warned(ancestry: list[str | None]) -> list[str]:
    people = pl.DataFrame({"file": "chip", "ancestry": pl.Series(ancestry, dtype=pl.String)}).with_columns(
        genetic_mdd=pl.Series(np.arange(len(ancestry), dtype=np.float64))
    )
    settings = GeneticSettings.from_study({"files": ["chip"], "scores": {"mdd": "mdd.txt"}})
    values = {("mdd", "raw"): "genetic_mdd"}
    return warnings_of(people, values, [], [], pruned=5, settings=settings, smallest_cell=11)


@pytest.mark.parametrize(
    ("apart", "inside", "told"),
    [(20, 100, True), (11, 90, True), (10, 20, False), (20, 400, False), (0, 100, False)],
)
def test_many_people_unlike_the_reference_are_told_without_a_count(
    apart: int, inside: int, told: bool
) -> None:
    found = warned(["not assigned"] * apart + ["EUR"] * inside + [None] * 50)
    assert len(found) == told
    assert not any(letter.isdigit() for words in found for letter in words)


@pytest.mark.parametrize(("ancestry", "pruned", "told"), [(True, 999, 1), (True, 1000, 0), (False, 5, 0)])
def test_components_of_few_variants_are_told(ancestry: bool, pruned: int, told: int) -> None:
    asked = {"ancestry": {"in_fold": True}} if ancestry else {}
    settings = GeneticSettings.from_study({"files": ["chip"], "scores": {"mdd": "mdd.txt"}, **asked})
    nobody = pl.DataFrame(schema={"file": pl.String, "ancestry": pl.String})
    found = warnings_of(nobody, {}, [], [], pruned=pruned, settings=settings, smallest_cell=11)
    assert len(found) == told
    assert all(f"stand on {pruned:,} independent variants" in words for words in found)


@pytest.mark.parametrize(("scores", "told"), [([None, None], True), ([None, 1.0], False)])
def test_nobody_with_a_score_is_told(scores: list[float | None], told: bool) -> None:
    people = pl.DataFrame({"genetic_mdd": scores}, schema={"genetic_mdd": pl.Float64}).with_columns(
        file=pl.lit("chip"), ancestry=pl.lit(None, dtype=pl.String)
    )
    settings = GeneticSettings.from_study({"files": ["chip"], "scores": {"mdd": "mdd.txt"}})
    values = {("mdd", "raw"): "genetic_mdd"}
    found = warnings_of(people, values, [], [], pruned=5, settings=settings, smallest_cell=11)
    assert told == any("no patient has a score" in words for words in found)
