"""Populations of the simulated patients: allele frequencies that differ between them, and genotypes that follow.

Population A is that of the panel, with a cline from south to north; B and C have drifted away from it (Balding and Nichols
1995, doi 10.1007/BF01441146). Mean polygenic scores differ between populations, outcomes do not: only a patient's score
within the population is a driver.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from experiments.seeds import seed_for
from pipeline.simulation.dials import Ancestry
from pipeline.simulation.genotypes import Panel, tilted
from pipeline.simulation.wide_panel import WidePanel
from pipeline.simulation.world import Array, World

POPULATIONS = ("A", "B", "C")
SHIFTED = {"B": 1.0, "C": -1.0}  # direction in which the mean of the score lies away from A's
DRIVER = "schizophrenia"  # the trait whose score is a driver of relapse
RAREST = 0.03
LATITUDE = {"FR": -1.0, "DE": 1.0}  # along the cline; other countries lie in the middle
SPREAD_OF_CLINE = 0.4  # SD of patients of one country along it
MOST_OTHERS = 0.6  # of one centre


@dataclass(frozen=True)
class Populations:
    """Allele frequencies of the panel's variants.

    Attributes:
        frequency: populations x variants, of each variant's first allele, in the order of POPULATIONS.
        cline: what a step of 1 to the north adds to A's, shape (variants,).
    """

    frequency: Array
    cline: Array

    def expected(self, population: NDArray[np.int64], latitude: Array) -> Array:
        """Return the frequencies that people are drawn with, people x variants."""
        moved = np.where(population == 0, latitude, 0.0)[:, None] * self.cline
        kept: Array = np.clip(self.frequency[population] + moved, 0.001, 0.999)
        return kept


def make_populations(wide: WidePanel, dials: Ancestry, seed: int) -> Populations:
    """Return the populations of the world of this panel; linked variants have the frequencies of those they follow.

    The drift of B and C has twice the declared Fst, as A does not drift; the mean of the score of DRIVER lies the
    declared number of standard deviations above A's in B and below it in C.
    """
    draw = np.random.default_rng(seed_for(seed, "simulation", "populations"))
    own = wide.panel.variants["frequency"].to_numpy().astype(np.float64)
    weights = wide.panel.weights[DRIVER]
    spread = np.sqrt((2 * own * (1 - own)) @ weights**2)
    frequencies = [own]
    for name in POPULATIONS[1:]:
        drifted = own if dials.fst == 0 else _drifted(own, 2 * dials.fst, draw)
        away = float(2 * (drifted - own) @ weights / spread) if spread > 0 else 0.0
        wanted = SHIFTED[name] * dials.score_shift - away if dials.fst > 0 else 0.0
        frequencies.append(tilted(drifted, weights, wanted) if spread > 0 else drifted)
    cline = np.sqrt(dials.cline * own * (1 - own) / 2) * draw.normal(size=len(own))
    frequency = np.stack(frequencies)
    frequency[:, wide.linked], cline[wide.linked] = frequency[:, wide.leader], cline[wide.leader]
    return Populations(frequency, cline)


def draw_ancestry(world: World, people: pl.DataFrame, draw: Generator) -> tuple[NDArray[np.int64], Array]:
    """Return each patient's population (place in POPULATIONS) and place along the cline."""
    dials = world.dials.ancestry
    shares = {centre: _shares(centre, dials.others, world.seed) for centre in sorted(set(people["centre"]))}
    edges = np.cumsum([shares[centre] for centre in people["centre"]], axis=1)
    population = (draw.random((people.height, 1)) > edges[:, :-1]).sum(axis=1)
    middle = np.array([LATITUDE.get(country, 0.0) for country in people["country"]])
    return population.astype(np.int64), middle + SPREAD_OF_CLINE * draw.normal(size=people.height)


def carried_over(dosages: NDArray[np.int8], panel: Panel, wanted: Array, draw: Generator) -> NDArray[np.int8]:
    """Return genotypes of people of A as those of other frequencies, changing as few alleles as can be.

    Args:
        dosages: people x variants, copies of the first allele, drawn with the panel's frequencies.
        panel: the variants.
        wanted: people x variants, the frequencies to have.
        draw: of the alleles that change.
    """
    own = panel.variants["frequency"].to_numpy()
    kept = np.minimum(1.0, wanted / own)
    gained = np.maximum(0.0, (wanted - own) / (1 - own))
    result: NDArray[np.int8] = (draw.binomial(dosages, kept) + draw.binomial(2 - dosages, gained)).astype(
        np.int8
    )
    return result


def with_score(
    dosages: NDArray[np.int8], weights: Array, frequency: Array, score: float, draw: Generator
) -> NDArray[np.int8]:
    """Return one person's genotypes with alleles exchanged until the score within the population is as wanted.

    Args:
        dosages: shape (variants,).
        weights: per copy, shape (variants,).
        frequency: of the person's population, shape (variants,).
        score: wanted, in standard deviations from the mean under Hardy-Weinberg proportions.
        draw: of the variants that change.
    """
    spread = np.sqrt((2 * frequency * (1 - frequency)) @ weights**2)
    missing = (2 * frequency) @ weights + score * spread - dosages @ weights
    step = np.sign(missing * weights).astype(np.int8)
    able = np.flatnonzero((step != 0) & (dosages + step >= 0) & (dosages + step <= 2))
    order = draw.permutation(able)
    reached = np.cumsum(np.abs(weights[order]))
    count = int(np.searchsorted(reached, abs(missing)))
    changed = dosages.copy()
    changed[order[:count]] += step[order[:count]]
    rest, left = order[count:], abs(missing) - (reached[count - 1] if count else 0.0)
    if len(rest):
        nearest = rest[np.argmin(np.abs(np.abs(weights[rest]) - left))]
        if abs(weights[nearest]) < 2 * left:
            changed[nearest] += step[nearest]
    return changed


def _drifted(frequency: Array, inbreeding: float, draw: Generator) -> Array:
    size = (1 - inbreeding) / inbreeding
    drawn: Array = draw.beta(frequency * size, (1 - frequency) * size)
    return np.clip(drawn, RAREST, 1 - RAREST)


def _shares(centre: str, others: float, seed: int) -> list[float]:
    """Return the shares of A, B and C of a centre; they depend on its name, the dial and the seed alone."""
    draw = np.random.default_rng(seed_for(seed, "simulation", "ancestry", centre))
    share = min(MOST_OTHERS, others * float(draw.lognormal(-0.32, 0.8)))  # of mean 1
    first = float(draw.beta(3.0, 2.0))
    return [1 - share, share * first, share * (1 - first)]
