"""Answers alone: what is drawn as one group keeps what answers have in common, and planted classes stand out of it."""

import numpy as np
import pytest

from experiments.stratification.draws import OBSERVED, DrawTask, drawn_figures
from experiments.stratification.features_source import FeatureSource
from experiments.stratification.latent_answers import latent_answers
from experiments.stratification.marginals import column_of
from experiments.stratification.source import NULLS
from experiments.validity import strata_items
from experiments.validity.strata_cohorts import SimulatedPatients
from experiments.validity.strata_item_cohorts import (
    CLASSES,
    LOADING,
    TRAITS,
    answers_without_classes,
    latent_classes,
)

DRAWS = 4
SHOWN = {  # of draws: how far a share may lie off, and a correlation
    "copula": (0.001, 0.12),
    "continuum": (0.08, 0.15),
}


def source_of(cohort: SimulatedPatients, seed: int = 1) -> FeatureSource:
    return FeatureSource(cohort.X.select(cohort.recipe.needed), cohort.centres, cohort.recipe, seed)


@pytest.mark.parametrize("name", sorted(TRAITS))
def test_answers_without_classes_are_drawn_as_the_name_says(name: str) -> None:
    cohort = answers_without_classes(name, 300, np.random.default_rng(3))
    assert cohort.X.equals(answers_without_classes(name, 300, np.random.default_rng(3)).X)
    design = TRAITS[name]
    items = cohort.X.select(cohort.recipe.columns)
    assert items.shape == (300, design.items)
    known = items.select("item_00").drop_nulls()
    assert known.n_unique() == design.steps
    assert (sum(items.null_count().row(0)) > 0) == (design.missing > 0)
    assert set(cohort.truth) == {0}


def test_the_bayes_rule_of_planted_classes_is_right_but_for_few() -> None:
    found = {
        name: latent_classes(one, 4000, np.random.default_rng(1)).oracle for name, one in CLASSES.items()
    }
    print(found)
    assert all(oracle is not None and oracle > 0.9 for oracle in found.values())


def test_latent_answers_give_the_answers_and_what_these_have_in_common() -> None:
    cohort = answers_without_classes("one trait, a tenth missing, 24 symptoms", 600, np.random.default_rng(2))
    centres = np.zeros(600, dtype=np.int64)
    columns = [column_of(cohort.X[name], centres) for name in cohort.recipe.columns]
    latent = latent_answers([column for column in columns if column is not None], np.random.default_rng(4))
    assert latent.shape == (600, 24)
    for place, name in enumerate(cohort.recipe.columns):
        answer = cohort.X[name].to_numpy()
        assert latent[answer == 1, place].min() >= latent[answer == 0, place].max()
    found = np.asarray(np.corrcoef(latent, rowvar=False))[np.triu_indices(24, 1)]
    print(f"correlation {found.mean():.3f}, true {LOADING**2:.3f}")
    assert found.mean() == pytest.approx(LOADING**2, abs=0.06)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize(
    "name", ["one trait, a tenth missing, 24 symptoms", "one trait, 12 items of five steps"]
)
def test_draws_keep_shares_correlations_and_what_is_missing(null: str, name: str) -> None:
    cohort = answers_without_classes(name, 600, np.random.default_rng(5))
    source, names = source_of(cohort), list(cohort.recipe.columns)
    draws = [source.draw(null, np.random.default_rng(seed)).select(names) for seed in range(DRAWS)]
    own = cohort.X.select(names)
    share_off, correlation_off = SHOWN[null]
    for drawn in draws:
        assert drawn.null_count().equals(own.null_count())
        assert drawn.select(names).unique().height > 100
    shares = np.mean([drawn.mean().to_numpy() for drawn in draws], axis=0)
    pairs = np.triu_indices(len(names), 1)
    filled = [
        np.asarray(np.corrcoef(one.fill_null(strategy="mean").to_numpy(), rowvar=False))[pairs]
        for one in (own, *draws)
    ]
    means = [float(one.mean()) for one in filled]
    print(null, name, "shares off", np.abs(shares - own.mean().to_numpy()).max(), "correlations", means)
    assert np.abs(shares - own.mean().to_numpy()).max() < share_off * TRAITS[name].steps
    assert np.mean(means[1:]) == pytest.approx(means[0], abs=correlation_off)


def test_planted_classes_have_deeper_valleys_than_one_group() -> None:
    cohort = latent_classes(CLASSES["2 classes, 24 symptoms"], 300, np.random.default_rng(6))
    source = source_of(cohort)

    def depth(null: str, number: int) -> float:
        rows = drawn_figures(DrawTask(source, cohort.recipe, (2,), 0.05, (), 0, null, number, 1))
        return float(rows[0]["separation"] or 0.0)

    observed = depth(OBSERVED, 0)
    drawn = {null: [depth(null, number) for number in range(1, DRAWS + 1)] for null in NULLS}
    print(observed, drawn)
    assert observed > 1.25 * max(max(found) for found in drawn.values())


def test_the_section_sets_claims_beside_classes_found() -> None:
    common = {"run": 0, "replicated": False, "oracle": None}
    records = [{**common, "scenario": name, "k": 1, "claimed": False, "index": 0.0} for name in TRAITS] + [
        {**common, "scenario": name, "k": one.classes, "claimed": True, "index": 0.9, "oracle": 0.95}
        for name, one in CLASSES.items()
    ]
    records.append({"scenario": next(iter(CLASSES)), "run": 1, "left_out": True})
    told = strata_items.section(records, "psystrata validity strata_items --runs 2")
    print(told)
    assert all(name in told for name in (*TRAITS, *CLASSES))
    assert "0 of 8" in told
    assert "1 of 1" in told
