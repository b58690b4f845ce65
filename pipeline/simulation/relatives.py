"""Relatives among the simulated patients: who belongs to whom, and genotypes that are passed on."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline.simulation.world import Array

SIBLINGS, PARENT_AND_CHILD, DUPLICATE = "siblings", "parent and child", "one person"
SIBLING_YEARS = 12  # between births of siblings, at most
PARENT_YEARS = (18, 42)
MORGANS_PER_BASE = (
    2.5e-8  # chromosomes of the simulation are short: 22 of them make a map of about 33 Morgans
)
SAME_CENTRE = 0.6  # share of relatives who are looked for at the same centre first


@dataclass(frozen=True)
class Family:
    """Places of relatives; the first of a parent and child is the parent."""

    relation: str
    members: tuple[int, ...]


def draw_families(
    people: pl.DataFrame, population: NDArray[np.int64], wanted: int, draw: Generator
) -> list[Family]:
    """Choose relatives among people until `wanted` people have one, or no more fit.

    Relatives are of one population; siblings are born at most SIBLING_YEARS apart, every fifth group is of three.

    Args:
        people: sex, birth_year, centre.
        population: shape (people,).
        wanted: number of people.
        draw: who.
    """
    born, centre = people["birth_year"].to_numpy(), people["centre"].to_numpy()
    free = np.ones(people.height, dtype=np.bool_)
    found: list[Family] = []
    for first in draw.permutation(people.height).tolist():
        if people.height - int(free.sum()) >= wanted - 1:
            break
        if not free[first]:
            continue
        gap = born - born[first]
        relation = SIBLINGS if len(found) % 2 == 0 else PARENT_AND_CHILD
        near = np.abs(gap) <= SIBLING_YEARS
        if relation == PARENT_AND_CHILD:
            near = (gap >= PARENT_YEARS[0]) & (gap <= PARENT_YEARS[1])
        able = free & near & (population == population[first])
        able[first] = False
        others = 2 if relation == SIBLINGS and len(found) % 5 == 4 else 1
        members = (first, *_chosen(able, centre == centre[first], others, draw))
        if len(members) > 1:
            free[list(members)] = False
            found.append(Family(relation, members))
    return found


def draw_duplicates(
    people: pl.DataFrame, free: NDArray[np.bool_], pairs: int, draw: Generator
) -> list[Family]:
    """Choose pairs of people of one sex and age who are made one person: patients under two identifiers."""
    born, women = people["birth_year"].to_numpy(), (people["sex"] == "female").to_numpy()
    left = free.copy()
    found: list[Family] = []
    for first in draw.permutation(np.flatnonzero(free)).tolist():
        if len(found) == pairs:
            break
        able = left & (np.abs(born - born[first]) <= 1) & (women == women[first])
        able[first] = False
        if left[first] and able.any():
            second = int(draw.choice(np.flatnonzero(able)))
            left[[first, second]] = False
            found.append(Family(DUPLICATE, (first, second)))
    return found


def passed_on(
    family: Family, frequency: Array, variants: pl.DataFrame, draw: Generator
) -> list[NDArray[np.int8]]:
    """Return the genotypes of each member, shape (variants,), passed on by Mendel's laws with crossing over.

    Args:
        family: siblings, or a parent and a child.
        frequency: of the first allele in their population, shape (variants,).
        variants: chromosome and position, sorted by both; autosomes.
        draw: of alleles and crossings.
    """
    parents = (draw.random((2, 2, len(frequency))) < frequency).astype(np.int8)
    if family.relation == PARENT_AND_CHILD:
        child = _gamete(parents[0], variants, draw) + parents[1, 0]
        return [parents[0].sum(axis=0, dtype=np.int8), child]
    return [_gamete(parents[0], variants, draw) + _gamete(parents[1], variants, draw) for _ in family.members]


def _gamete(parent: NDArray[np.int8], variants: pl.DataFrame, draw: Generator) -> NDArray[np.int8]:
    """Return what a parent (2 x variants) passes on: one strand, changed for the other where they cross (Haldane)."""
    chromosome = variants["chromosome"].to_numpy()
    distance = np.diff(variants["position"].to_numpy().astype(np.float64), prepend=0.0) * MORGANS_PER_BASE
    crossing = (1 - np.exp(-2 * np.abs(distance))) / 2
    crossing[np.append(True, chromosome[1:] != chromosome[:-1])] = 0.5
    strand = np.cumsum(draw.random(len(crossing)) < crossing) % 2
    passed: NDArray[np.int8] = parent[strand, np.arange(len(strand))]
    return passed


def _chosen(able: NDArray[np.bool_], here: NDArray[np.bool_], count: int, draw: Generator) -> tuple[int, ...]:
    near = np.flatnonzero(able & here)
    pool = near if draw.random() < SAME_CENTRE and len(near) >= count else np.flatnonzero(able)
    return tuple(draw.choice(pool, size=count, replace=False).tolist()) if len(pool) >= count else ()
