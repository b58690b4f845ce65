"""The reference panel: components of people of no cohort, their populations, and how scores vary among them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.genetics.packed import packed_calls
from features.errors import BadInput
from features.genetics.genotypes import GenotypeFile
from features.genetics.matching import Match
from features.genetics.scoring import MissingGenotypes, score_samples, weighted_sums
from features.genetics.settings import NORMALISATIONS
from models.ancestry.components import Components, principal_components
from models.ancestry.normalisation import AncestryNormalisation
from models.ancestry.populations import ReferencePopulations

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
FEWEST_OF_POPULATION = 11  # no parameter stands on fewer people
MOST_LISTED = 10  # populations, in a message
FEWEST_PER_TERM = (
    10  # people per component and one more, as in the fold; with five, scores of others have an SD of up to 2
)


@dataclass(frozen=True)
class Reference:
    """What the reference panel tells of anybody, alone or in a batch; it holds no row of a person.

    Attributes:
        variants: the variants of the components, in order: chromosome, position, a1, a2.
        components: fitted on the reference's genotypes of these variants.
        populations: where its populations lie among the components; None: none are named.
        normalisations: score -> mean, mean_variance -> how the score varies with the components.
    """

    variants: pl.DataFrame
    components: Components
    populations: ReferencePopulations | None
    normalisations: Mapping[str, Mapping[str, AncestryNormalisation]]

    def project(
        self, genotypes: GenotypeFile, places: pl.DataFrame, samples: Integers, *, threads: int = 1
    ) -> Floats:
        """Return the components of some samples of a file, shape (samples, components).

        Args:
            genotypes: the file.
            places: one row per variant of the panel in its order: `variant` in the file, `turned` where its a1 is the panel's a2.
            samples: places in the file.
            threads: at work on samples.
        """
        turned = places["turned"].to_numpy()
        weights, _ = self.components.projection_weights()
        frequencies = self.components.frequencies
        order = np.argsort(places["variant"].to_numpy())
        return weighted_sums(
            genotypes,
            np.where(turned[:, None], -weights, weights)[order],
            places=places["variant"].to_numpy().astype(np.int64)[order],
            frequencies=np.where(turned, 1 - frequencies, frequencies)[order],
            samples=samples,
            centred=True,
            threads=threads,
        )

    def to_state(self) -> dict[str, Any]:
        """Return everything but the variants as JSON values."""
        return {
            "components": self.components.to_state(),
            "populations": None if self.populations is None else self.populations.to_state(),
            "normalisations": {
                score: {how: one.to_state() for how, one in ways.items()}
                for score, ways in sorted(self.normalisations.items())
            },
        }


def fit_reference(
    genotypes: GenotypeFile,
    variants: pl.DataFrame,
    matches: Mapping[str, Match],
    missing: MissingGenotypes,
    *,
    populations: Sequence[str | None] | None,
    components: int,
    seed: int,
    threads: int = 1,
) -> Reference:
    """Fit components, populations and normalisations on the people of a reference.

    Args:
        genotypes: the reference's.
        variants: those of the components: chromosome, position, a1, a2 and `variant`, the place in the reference.
        matches: score -> what of it is used, matched to the reference.
        missing: what stands in for missing genotypes of scores.
        populations: of each sample; None: none are named.
        components: their number.
        seed: of the random start.
        threads: at work on samples.

    Raises:
        BadInput: too few people or variants for so many components, or a population of fewer than 11 people.
    """
    places = variants["variant"].to_numpy().astype(np.int64)
    everybody = np.arange(len(genotypes.samples), dtype=np.int64)
    if len(everybody) < FEWEST_PER_TERM * (components + 1) or len(places) <= 2 * components:
        raise BadInput(
            f"{genotypes.name}: {len(everybody)} people and {len(places)} variants shared with the cohort are too few for "
            f"{components} components, which take {FEWEST_PER_TERM * (components + 1)} people and more than {2 * components} variants. Ask "
            "for fewer (ancestry.components), or take a larger reference."
        )

    def blocks() -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        for block in genotypes.blocks(samples=everybody, variants=places):
            yield block.part, packed_calls(block)

    fitted = principal_components(
        blocks,
        samples=len(everybody),
        variants=len(places),
        components=components,
        seed=seed,
        threads=threads,
    )
    names = list(matches)
    scores = score_samples(
        genotypes, [matches[name] for name in names], samples=everybody, missing=missing, threads=threads
    ).values
    return Reference(
        variants=variants.select("chromosome", "position", "a1", "a2"),
        components=fitted.components,
        populations=_populations(genotypes, fitted.scores, populations),
        normalisations={
            name: {
                how: AncestryNormalisation.fit(scores[:, place], fitted.scores, how=how)
                for how in NORMALISATIONS
            }
            for place, name in enumerate(names)
        },
    )


def _populations(
    genotypes: GenotypeFile, components: Floats, labels: Sequence[str | None] | None
) -> ReferencePopulations | None:
    if labels is None:
        return None
    known = np.array([label is not None for label in labels])
    named = np.array([label or "" for label in labels], dtype=np.str_)[known]
    names, counts = np.unique(named, return_counts=True)
    few = [str(name) for name, count in zip(names, counts, strict=True) if count < FEWEST_OF_POPULATION]
    if few:
        raise BadInput(
            f"{genotypes.name}: the population(s) {_listed(few)} have fewer than {FEWEST_OF_POPULATION} people; join them "
            "with others in the table of populations, or leave them out of it."
        )
    return ReferencePopulations.fit(components[known], list(map(str, named)))


def _listed(names: list[str]) -> str:
    """The names, or the first of many."""
    further = f" and {len(names) - MOST_LISTED} others" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + further
