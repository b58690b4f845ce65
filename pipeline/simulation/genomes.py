"""The genotypes as the laboratory delivers them: populations, relatives, duplicates, mix-ups and what could not be called.

Drawn after the patients and from generators of their own: the driver of relapse is the score that each patient had been
given before, and everybody's genotypes are made to show it as the score within the population. One person's second
identifier is the exception: it has the genes of the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from experiments.seeds import seed_for
from pipeline.simulation.ancestry import (
    DRIVER,
    POPULATIONS,
    carried_over,
    draw_ancestry,
    make_populations,
    with_score,
)
from pipeline.simulation.genotypes import MISSING, Panel, make_panel
from pipeline.simulation.relatives import Family, draw_duplicates, draw_families, passed_on
from pipeline.simulation.wide_panel import WidePanel, widen, widened
from pipeline.simulation.world import Array, World

BLOCK = 512  # people at once
BADLY_CALLED = 0.2  # share of genotypes missing in a sample of low call rate
AT_ONCE = 0.7  # SD of people of the reference panel along the cline


@dataclass(frozen=True)
class Genomes:
    """What the genotype files hold, and the truth about it.

    Attributes:
        panel: all variants, with weights.
        dosages: samples x variants, copies of the first allele, MISSING where not called.
        truth: one row per sample: population, latitude (along the cline of A), family, duplicate_of, sex_mixed_up, low_call.
        pairs: sample_1, sample_2, relation of all relatives and duplicates.
    """

    panel: Panel
    dosages: NDArray[np.int8]
    truth: pl.DataFrame
    pairs: pl.DataFrame


@dataclass(frozen=True)
class _Planted:
    families: list[Family]
    duplicates: list[Family]
    mixed_up: NDArray[np.int64]
    badly_called: NDArray[np.int64]


def make_genomes(
    world: World,
    people: pl.DataFrame,
    called: NDArray[np.int8],
    dosages: NDArray[np.int8],
    *,
    score: Array,
    draw: Generator,
) -> Genomes:
    """Return the genotypes of the people of a cohort who gave a sample.

    Args:
        world: dials and seed.
        people: one row per sample, in order: sample_id, sex, birth_year, centre, country, consent, withdrawn.
        called: samples x variants of the narrow panel, MISSING where not called.
        dosages: the same before that, drawn as if everybody were of population A.
        score: each person's score of schizophrenia, within the population, shape (samples,).
        draw: of all that is drawn here.
    """
    dials, narrow = world.dials.ancestry, make_panel(world.dials, world.seed)
    wide = widen(narrow, dials, world.seed)
    populations = make_populations(wide, dials, world.seed)
    population, latitude = draw_ancestry(world, people, draw)
    planted = _plant(world, people, population, draw)
    inherited: dict[int, NDArray[np.int8]] = {}
    for family in planted.families:
        first = [family.members[0]]
        where = populations.expected(population[first], latitude[first])[0, wide.passed_on]
        passed = passed_on(family, where, wide.panel.variants[wide.passed_on], draw)
        inherited |= dict(zip(family.members, passed, strict=True))
    male = (people["sex"] == "male").to_numpy().copy()
    male[planted.mixed_up] = ~male[planted.mixed_up]
    blocks = [np.empty((0, wide.panel.variants.height), dtype=np.int8)]
    for start in range(0, people.height, BLOCK):
        part = slice(start, start + BLOCK)
        expected = populations.expected(population[part], latitude[part])
        passed_here = {row - start: one for row, one in inherited.items() if start <= row < start + BLOCK}
        blocks.append(
            _genotypes(
                dosages[part],
                (narrow, wide),
                expected,
                score=score[part],
                inherited=passed_here,
                male=male[part],
                draw=draw,
            )
        )
    genotypes = np.vstack(blocks)
    for pair in planted.duplicates:
        genotypes[pair.members[1]] = genotypes[pair.members[0]]
    genotypes[_not_called(called == MISSING, wide, world.dials.missing_genotypes, draw)] = MISSING
    for row in planted.badly_called:
        genotypes[row, draw.random(genotypes.shape[1]) < BADLY_CALLED] = MISSING
    return Genomes(wide.panel, genotypes, *_truth(people, population, latitude, planted))


def reference_people(world: World) -> tuple[Panel, pl.DataFrame, NDArray[np.int8]]:
    """Return the panel, sample_id, sex and population of the reference panel's people, and their genotypes.

    They are people of no cohort, unrelated, and the same for every cohort of the world.
    """
    dials, narrow = world.dials.ancestry, make_panel(world.dials, world.seed)
    draw = np.random.default_rng(seed_for(world.seed, "simulation", "reference panel"))
    wide = widen(narrow, dials, world.seed)
    population = np.repeat(np.arange(len(POPULATIONS)), dials.reference)
    expected = make_populations(wide, dials, world.seed).expected(
        population, AT_ONCE * draw.normal(size=len(population))
    )
    male = draw.random(len(population)) < 0.5
    own = draw.binomial(2, expected[:, wide.weighted]).astype(np.int8)
    samples = pl.DataFrame(
        {
            "sample_id": [f"REF{number:04d}" for number in range(1, len(population) + 1)],
            "sex": np.where(male, "male", "female"),
            "population": [POPULATIONS[place] for place in population],
        },
        schema={"sample_id": pl.String, "sex": pl.String, "population": pl.String},
    )
    return wide.panel, samples, widened(own, wide, expected, male, draw)


def _genotypes(
    dosages: NDArray[np.int8],
    panels: tuple[Panel, WidePanel],
    expected: Array,
    *,
    score: Array,
    inherited: Mapping[int, NDArray[np.int8]],
    male: NDArray[np.bool_],
    draw: Generator,
) -> NDArray[np.int8]:
    """Return people x all variants: as in their populations, as their parents passed on, and with their scores.

    Args:
        dosages: people x variants of the narrow panel.
        panels: narrow and wide.
        expected: frequencies of where each comes from, people x all variants.
        score: wanted within the population, shape (people,).
        inherited: of some people, by place, the genotypes at `WidePanel.passed_on`.
        male: who has one chromosome X, shape (people,).
        draw: of what is drawn.
    """
    narrow, wide = panels
    weighted, neutral = (np.searchsorted(wide.passed_on, some) for some in (wide.weighted, wide.neutral))
    known = expected[:, wide.weighted]
    own = carried_over(dosages, narrow, known, draw)
    for row, passed in inherited.items():
        own[row] = passed[weighted]
    for row, frequency in enumerate(known):
        own[row] = with_score(own[row], narrow.weights[DRIVER], frequency, float(score[row]), draw)
    result = widened(own, wide, expected, male, draw)
    for row, passed in inherited.items():
        result[row, wide.neutral] = passed[neutral]
    return result


def _plant(world: World, people: pl.DataFrame, population: NDArray[np.int64], draw: Generator) -> _Planted:
    """Choose relatives and errors among those who consented: the others are in no table."""
    dials = world.dials.ancestry
    admitted = ((people["consent"] == "yes") & ~people["withdrawn"]).to_numpy()
    able = np.flatnonzero(admitted)
    wanted = round(dials.related * len(able))
    families = [
        Family(one.relation, tuple(int(able[place]) for place in one.members))
        for one in draw_families(people[able], population[able], wanted, draw)
    ]
    free = admitted.copy()
    free[[place for one in families for place in one.members]] = False
    duplicates = draw_duplicates(people, free, dials.duplicates, draw)
    free[[place for one in duplicates for place in one.members]] = False
    spoilt = draw.permutation(np.flatnonzero(free))
    mixed_up = spoilt[: dials.sex_mix_ups]
    return _Planted(families, duplicates, mixed_up, spoilt[dials.sex_mix_ups :][: dials.low_call])


def _not_called(
    missing: NDArray[np.bool_], wide: WidePanel, share: float, draw: Generator
) -> NDArray[np.bool_]:
    """Return where a genotype is missing: at the narrow panel's variants as given, at the others as many."""
    result: NDArray[np.bool_] = draw.random((len(missing), wide.panel.variants.height)) < share
    result[:, wide.weighted] = missing
    return result


def _truth(
    people: pl.DataFrame, population: NDArray[np.int64], latitude: Array, planted: _Planted
) -> tuple[pl.DataFrame, pl.DataFrame]:
    names = people["sample_id"].to_list()
    family = {place: number for number, one in enumerate(planted.families, 1) for place in one.members}
    copies = {one.members[1]: names[one.members[0]] for one in planted.duplicates}
    places = range(people.height)
    truth = pl.DataFrame(
        {
            "sample_id": names,
            "population": [POPULATIONS[place] for place in population],
            "latitude": latitude,
            "family": pl.Series([family.get(place) for place in places], dtype=pl.Int64),
            "duplicate_of": pl.Series([copies.get(place) for place in places], dtype=pl.String),
            "sex_mixed_up": np.isin(places, planted.mixed_up),
            "low_call": np.isin(places, planted.badly_called),
        }
    )
    pairs = [
        (names[one], names[other], group.relation)
        for group in (*planted.families, *planted.duplicates)
        for one, other in combinations(group.members, 2)
    ]
    columns = {"sample_1": pl.String, "sample_2": pl.String, "relation": pl.String}
    return truth, pl.DataFrame(pairs, schema=columns, orient="row")
