"""The simulated cohort's own genotypes: flips, the other strand and absent variants must give the true score back."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.simulation.dials import Simulation
from pipeline.simulation.genotypes import TRAITS, draw_dosages, make_panel, scoring_file, write_plink
from tests.features.genetic_files import mapping, times
from tests.features.genetic_study import genetic_set


@pytest.mark.parametrize(("palindromic", "least"), [("keep", 1 - 1e-6), ("drop", 0.85)])
def test_the_true_scores_come_back(tmp_path: Path, palindromic: str, least: float) -> None:
    panel = make_panel(Simulation(), seed=5)
    dosages = draw_dosages(panel, np.array(["schizophrenia", "bipolar"] * 60), np.random.default_rng(0))
    samples = [f"s{number}" for number in range(len(dosages))]
    write_plink(
        panel, dosages, pl.DataFrame({"sample_id": samples, "sex": ["female"] * 120}), tmp_path / "chip"
    )
    for trait in TRAITS:
        (tmp_path / f"{trait}.txt").write_text(scoring_file(panel, trait, seed=5)[0])
    built = genetic_set(
        tmp_path,
        times(samples),
        mapping(samples),
        files=["chip"],
        scores={trait: f"{trait}.txt" for trait in TRAITS},
        palindromic=palindromic,
    )
    for trait in TRAITS:
        truth = panel.standardise(dosages.astype(float), trait)
        kept = built.frame[f"genetic_{trait}"].is_not_null().to_numpy()
        assert kept.mean() > 0.98  # by chance one in 370 lies beyond 3 SD of heterozygosity
        assert np.corrcoef(built.frame[f"genetic_{trait}"].to_numpy()[kept], truth[kept])[0, 1] > least
