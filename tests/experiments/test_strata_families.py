"""Relatives and rows of one person are never on both sides of a split and are drawn together; without them nothing changes."""

from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.compute import Compute
from experiments.stratification import chain
from experiments.stratification.consensus import consensus_by_number, subsamples
from experiments.stratification.families import (
    draw_within,
    families_fingerprint,
    families_of,
    halves,
    number_of_units,
    of_one_place,
    rows_of_units,
)
from experiments.stratification.features_source import FeatureSource
from experiments.stratification.prediction_strength import prediction_strength
from experiments.stratification.search_settings import SearchSettings
from experiments.stratification.stability import stability_test
from features.errors import BadInput
from models.clustering.contract import ClusterOptions
from models.strata_model import Recipe
from tests.experiments.planted_groups import planted

PATIENTS = 60
FAMILY = [None if place % 5 else place // 10 * 10 for place in range(PATIENTS)]  # 0 with 5, 10 with 15, ...
ROWS = pl.DataFrame({"position": range(PATIENTS), "family": FAMILY}, schema_overrides={"family": pl.Int64})
FAMILIES = families_of(ROWS)
ALONE = np.arange(PATIENTS)


def recipe_of(X: pl.DataFrame) -> Recipe:
    return Recipe("k_means", tuple(X.columns), ClusterOptions(parameters={"n_init": 1}))


def whole(rows: Any) -> bool:
    """Tell whether each family's patients are drawn as often as one another."""
    assert FAMILIES is not None
    times = np.bincount(rows, minlength=PATIENTS)
    return all(len(set(times[one == FAMILIES])) == 1 for one in np.unique(FAMILIES))


def test_a_family_is_one_unit_and_so_are_rows_of_one_person() -> None:
    assert FAMILIES is not None
    assert number_of_units(FAMILIES, PATIENTS) == PATIENTS - 6
    assert FAMILIES[0] == FAMILIES[5] != FAMILIES[10] == FAMILIES[15]
    double = pl.DataFrame({"position": [4, 2, 4, 7], "family": [None, None, None, 2]}).cast(pl.Int64)
    found = families_of(double)
    assert found is not None
    assert found.tolist() == [0, 1, 0, 1]  # the family of 2 is named by its smallest position


@pytest.mark.parametrize(
    "rows",
    [ROWS.drop("family"), ROWS.with_columns(family=pl.lit(None, dtype=pl.Int64))],
    ids=["no column", "nobody"],
)
def test_without_relatives_there_are_no_families(rows: pl.DataFrame) -> None:
    assert families_of(rows) is None
    assert families_fingerprint(None) is None


@pytest.mark.parametrize("seed", range(5))
def test_no_half_subsample_or_bootstrap_parts_a_family(seed: int) -> None:
    first, second = halves(PATIENTS, FAMILIES, np.random.default_rng(seed))
    assert whole(first)
    assert sorted([*first, *second]) == list(range(PATIENTS))
    assert abs(len(first) - len(second)) <= 6
    assert all(whole(some) and len(set(some)) == len(some) for some in subsamples(60, 3, 0.8, seed, FAMILIES))
    centres = np.arange(PATIENTS) // 10 % 2
    drawn = draw_within(centres, np.random.default_rng(seed), FAMILIES)
    assert whole(drawn)
    units = [len(set(FAMILIES[centres == one])) for one in (0, 1)] if FAMILIES is not None else []
    again = [sum(1 for unit in np.unique(drawn) if centres[unit] == one) for one in (0, 1)]
    assert all(0 < few < 2 * many for few, many in zip(again, units, strict=True))


def test_a_family_of_two_centres_is_drawn_in_that_of_its_first_patient() -> None:
    families, centres = np.array([0, 1, 2, 0]), np.array([0, 0, 1, 1])
    for seed in range(20):
        drawn = draw_within(centres, np.random.default_rng(seed), families)
        assert (drawn == 2).sum() == 1  # the only unit of its centre
        assert (drawn == 0).sum() == (drawn == 3).sum()


def test_who_is_related_to_no_one_is_drawn_as_if_nobody_were() -> None:
    for seed in range(5):
        drawn = [draw_within(ALONE // 9, np.random.default_rng(seed), some) for some in (None, ALONE)]
        parts = [halves(PATIENTS, some, np.random.default_rng(seed)) for some in (None, ALONE)]
        samples = [subsamples(PATIENTS, 3, 0.8, seed, some) for some in (None, ALONE)]
        assert (drawn[0] == drawn[1]).all()
        for one, other in ((parts[0], parts[1]), (samples[0], samples[1])):
            assert all((a == b).all() for a, b in zip(one, other, strict=True))
        # The draws themselves, as they were before families were known of.
        order = np.random.default_rng(seed).permutation(PATIENTS)
        assert (parts[0][0] == np.sort(np.array_split(order, 2)[0])).all()
        generator = np.random.default_rng(seed)
        groups = np.array_split(ALONE, np.flatnonzero(np.diff(ALONE // 9)) + 1)
        plain = [generator.choice(group, size=len(group)) for group in groups]
        assert (drawn[0] == np.sort(np.concatenate(plain))).all()


def test_doubles_lend_a_continuum_no_strength() -> None:
    """Every patient twice: by patient the halves hold the same points and foretell one another; by family they do not."""
    _, X, _ = planted(60, 0, seed=4, columns=2)
    twice = pl.concat([X, X])
    families = np.tile(np.arange(60), 2)
    asked: dict[str, Any] = {"ks": [4], "splits": 6, "seed": 2, "compute": Compute()}
    by_patient = prediction_strength(twice, recipe_of(X), **asked)["mean"][0]
    by_family = prediction_strength(twice, recipe_of(X), **asked, families=families)["mean"][0]
    assert by_family < by_patient - 0.05


def test_the_three_tests_of_families_give_other_figures_and_without_them_the_same_bytes() -> None:
    rows, X, truth = planted(PATIENTS, 3)
    recipe, compute = recipe_of(X), Compute()
    centres = rows["centre"].rank("dense").cast(pl.Int64).to_numpy()

    def figures(families: Any) -> tuple[Any, ...]:
        strength = prediction_strength(
            X, recipe, ks=[2], splits=2, seed=1, compute=compute, families=families
        )
        consensus = consensus_by_number(
            X, recipe, ks=[2], resamples=4, smallest_share=0.05, seed=1, families=families
        )
        stable, _ = stability_test(
            X,
            truth,
            centres,
            recipe,
            k=2,
            bootstraps=4,
            threshold=0.75,
            seed=1,
            compute=compute,
            families=families,
        )
        return strength["mean"].to_list(), consensus, stable["mean_jaccard"].to_list()

    alone, nobody, related = figures(ALONE), figures(None), figures(FAMILIES)
    assert alone == nobody
    assert all(one != other for one, other in zip(nobody, related, strict=True))


def test_relatives_across_a_border_take_part_on_neither_side() -> None:
    places = pl.Series("country", ["DE", "DE", "FR", "FR", None, "FR"])
    families = np.array([0, 1, 0, 2, 3, 3])
    assert of_one_place(places, families).to_list() == [None, "DE", None, "FR", None, "FR"]
    assert of_one_place(places, None) is places


def test_units_come_in_the_order_of_their_first_patients() -> None:
    assert rows_of_units(np.array([2, 0, 2]), np.array([4, 4, 9, 11])).tolist() == [0, 1, 3, 3]


def test_a_single_family_is_drawn_as_it_is() -> None:
    drawn = subsamples(12, 2, 0.8, 1, np.zeros(12, dtype=np.int64))
    assert all(rows.tolist() == list(range(12)) for rows in drawn)


class EnoughError(Exception):
    """The search has come as far as it is looked at."""


def record(told: dict[str, Any], name: str, found: Any, *_: Any, **asked: Any) -> Any:
    told[name] = asked["families"]
    if isinstance(found, Exception):
        raise found
    return found


def test_the_whole_search_knows_who_is_related(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, X, _ = planted(PATIENTS, 6)
    rows = rows.hstack(ROWS)
    told: dict[str, Any] = {}
    strength = pl.DataFrame({"k": [2], "mean": [0.9]})
    found = {"prediction_strength": strength, "run_draws": EnoughError(), "stability_test": None}
    for name, one in found.items():
        monkeypatch.setattr(chain, name, partial(record, told, name, one))
    settings = SearchSettings(most_strata=2, prediction_strength=0.3, splits=2, fewest=20)
    source = FeatureSource(X, np.zeros(PATIENTS, dtype=np.int64), recipe_of(X), 1)
    alike: dict[str, Any] = {"seed": 1, "compute": Compute()}
    with pytest.raises(EnoughError):
        chain.search(rows, source, recipe_of(X), settings, **alike)
    chain._stability(X, rows, source, recipe_of(X), settings, k=2, journal=None, **alike)
    assert FAMILIES is not None
    assert set(told) == set(found)
    assert all((given == FAMILIES).all() for given in told.values())
    replicated, _ = chain._replication(X, rows, recipe_of(X), settings, k=2, journal=None, **alike)
    alone = replicated.filter(pl.col("figure") == "number_of_strata")["n"]
    assert alone.sum() == PATIENTS - 12  # six families have a patient on either side of the border


def test_fewer_families_than_patients_to_be_looked_at_are_refused_by_their_number() -> None:
    rows, X, _ = planted(PATIENTS, 6)
    related = rows.with_columns(
        position=pl.int_range(PATIENTS), family=(pl.int_range(PATIENTS) % (chain.FEWEST - 1)).cast(pl.Int64)
    )
    source = FeatureSource(X, np.zeros(PATIENTS, dtype=np.int64), recipe_of(X), 1)
    with pytest.raises(BadInput, match=f"{PATIENTS} patients of {chain.FEWEST - 1} families"):
        chain.search(related, source, recipe_of(X), SearchSettings(), seed=1, compute=Compute())
