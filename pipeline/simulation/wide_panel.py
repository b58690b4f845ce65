"""The variants of the genotype files: those that may carry weight, and those that quality control lives on."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.random import Generator
from numpy.typing import NDArray

from experiments.seeds import seed_for
from pipeline.simulation.dials import Ancestry
from pipeline.simulation.genotypes import PAIRS, Panel
from pipeline.simulation.world import Array

LINKED, NEUTRAL, ON_X, UNBALANCED = "linked", "neutral", "x", "unbalanced"
CORRELATION = 0.9  # between a variant and one that is linked to it
LOST_HETEROZYGOTES = 0.6  # share of an unbalanced variant's heterozygotes called homozygous
ORDER = {**{str(number): number for number in range(1, 23)}, "X": 23}
LAST = 60_000_000
FIRST_NAME = 910_000_000  # of the added variants


@dataclass(frozen=True)
class WidePanel:
    """All variants, sorted by chromosome and position.

    Attributes:
        panel: variants and weights; weights of added variants are 0.
        weighted: places of the variants of the narrow panel among them, in order.
        linked: places of those that follow another one, and `leader` its place, shape (linked,) each.
        leader: see `linked`.
        neutral: places of autosomal variants that are like those of the narrow panel but carry no weight.
        on_x: places of those on chromosome X.
        unbalanced: places of those out of Hardy-Weinberg proportions.
    """

    panel: Panel
    weighted: NDArray[np.int64]
    linked: NDArray[np.int64]
    leader: NDArray[np.int64]
    neutral: NDArray[np.int64]
    on_x: NDArray[np.int64]
    unbalanced: NDArray[np.int64]

    @property
    def passed_on(self) -> NDArray[np.int64]:
        """Places of the variants that relatives share: all of the autosomes that stand for themselves."""
        return np.union1d(self.weighted, self.neutral)


def widen(narrow: Panel, dials: Ancestry, seed: int) -> WidePanel:
    """Add linked and neutral variants, variants of chromosome X and variants out of proportion to a panel."""
    draw = np.random.default_rng(seed_for(seed, "simulation", "added variants"))
    own = narrow.variants
    led = np.sort(draw.integers(0, own.height, round(dials.linked * own.height)))
    x, unbalanced = dials.variants_of_x, dials.out_of_equilibrium
    neutral = round(dials.neutral * own.height)
    chromosome = [
        *own["chromosome"].gather(led).to_list(),
        *draw.integers(1, 23, neutral).astype(str).tolist(),
        *["X"] * x,
        *draw.integers(1, 23, unbalanced).astype(str).tolist(),
    ]
    near = own["position"].gather(led).to_numpy() + draw.integers(50, 5_000, len(led))
    position = np.concatenate([near, draw.integers(50_000, LAST, neutral + x + unbalanced)])
    frequency = np.concatenate(
        [
            own["frequency"].gather(led).to_numpy(),
            draw.uniform(0.1, 0.9, neutral),
            draw.uniform(0.25, 0.75, x),
            draw.uniform(0.2, 0.8, unbalanced),
        ]
    )
    pairs = draw.integers(0, 8, len(chromosome))  # none is palindromic
    added = pl.DataFrame(
        {
            "name": [f"rs{FIRST_NAME + number}" for number in range(len(chromosome))],
            "chromosome": pl.Series(chromosome, dtype=pl.String),
            "position": _unused(own, chromosome, position.tolist()),
            "first": pl.Series([PAIRS[pair][0] for pair in pairs], dtype=pl.String),
            "second": pl.Series([PAIRS[pair][1] for pair in pairs], dtype=pl.String),
            "frequency": frequency,
        }
    )
    kind = (
        [""] * own.height + [LINKED] * len(led) + [NEUTRAL] * neutral + [ON_X] * x + [UNBALANCED] * unbalanced
    )
    leader = np.full(len(kind), -1)
    leader[own.height : own.height + len(led)] = led
    joined = pl.concat([own, added.cast(own.schema)]).with_columns(
        kind=pl.Series(kind, dtype=pl.String),
        leader=pl.Series(leader),
        place=pl.int_range(pl.len()),
        order=pl.col("chromosome").replace_strict(ORDER, return_dtype=pl.Int64),
    )
    ordered = joined.sort("order", "position")
    weighted = np.flatnonzero((ordered["kind"] == "").to_numpy())
    weights = {}
    for trait, values in narrow.weights.items():
        weights[trait] = np.zeros(ordered.height)
        weights[trait][weighted] = values
    places = {
        name: np.flatnonzero((ordered["kind"] == name).to_numpy())
        for name in (LINKED, NEUTRAL, ON_X, UNBALANCED)
    }
    # Variants of the narrow panel keep their order: the n-th of them stands at weighted[n].
    followed = weighted[ordered["leader"].to_numpy()[places[LINKED]]]
    return WidePanel(
        Panel(ordered.select(own.columns), weights),
        weighted,
        places[LINKED],
        followed,
        places[NEUTRAL],
        places[ON_X],
        places[UNBALANCED],
    )


def widened(
    narrow: NDArray[np.int8], wide: WidePanel, frequency: Array, male: NDArray[np.bool_], draw: Generator
) -> NDArray[np.int8]:
    """Return people x all variants, given their genotypes at the narrow panel's.

    Args:
        narrow: people x variants of the narrow panel.
        wide: all variants.
        frequency: of the first alleles where each person comes from, people x all variants.
        male: whose one chromosome X is coded as two copies or none.
        draw: of the added genotypes.
    """
    result = np.empty((len(narrow), len(frequency[0])), dtype=np.int8)
    result[:, wide.weighted] = narrow
    led, share = result[:, wide.leader], (1 - CORRELATION) * frequency[:, wide.leader]
    result[:, wide.linked] = draw.binomial(led, CORRELATION + share) + draw.binomial(2 - led, share)
    result[:, wide.neutral] = draw.binomial(2, frequency[:, wide.neutral])
    on_x = frequency[:, wide.on_x]
    result[:, wide.on_x] = np.where(male[:, None], 2 * draw.binomial(1, on_x), draw.binomial(2, on_x))
    expected = draw.binomial(2, frequency[:, wide.unbalanced])
    lost = (expected == 1) & (draw.random(expected.shape) < LOST_HETEROZYGOTES)
    result[:, wide.unbalanced] = np.where(lost, 2 * draw.integers(0, 2, expected.shape), expected)
    return result


def _unused(own: pl.DataFrame, chromosome: list[str], position: list[int]) -> list[int]:
    """Return the positions, moved to the next free one where a variant stands already."""
    taken = set(own.select("chromosome", "position").iter_rows())
    free = []
    for name, wanted in zip(chromosome, position, strict=True):
        place = wanted
        while (name, place) in taken:
            place += 1
        taken.add((name, place))
        free.append(place)
    return free
