"""A small cohort of genotypes with planted relatives, duplicates, faults and linkage, for the tests of quality control."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from bed_reader import to_bed
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UNRELATED = 220
BLOCK = 4  # neighbouring variants that descend from one: linked
AUTOSOMAL, ON_X = 2400, 160
CHROMOSOMES = ("1", "2", "3", "9", "13", "22")
# Places of people: children of 0 with 1, 1 and 2; a second sample of 10; a mixture of 11 and 12; 20 calls little; 30 is of the other sex.
SIBLING, OTHER_SIBLING, HALF_SIBLING, TWIN, CONTAMINATED = range(UNRELATED, UNRELATED + 5)
TWIN_OF, SELDOM_CALLED, OTHER_SEX = 10, 20, 30
ONLY_HETEROZYGOUS, NEVER_HETEROZYGOUS, OFTEN_MISSING = 41, 45, 50  # places of variants
LETTERS = (("A", "G"), ("C", "T"), ("G", "T"), ("A", "C"))


@dataclass(frozen=True)
class Cohort:
    """Copies of a1, shape (people, variants), NaN where missing, and what is planted.

    Attributes:
        copies: the last ON_X variants lie on chromosome X; men have 0 or 2 copies there.
        variants: chromosome, position, a1, a2, id.
        male: by the patients' records, shape (people,).
    """

    copies: Floats
    variants: pl.DataFrame
    male: NDArray[np.bool_]

    @property
    def names(self) -> list[str]:
        return [f"s{number}" for number in range(len(self.copies))]

    def people(self, **columns: object) -> pl.DataFrame:
        """One patient per sample, sex as it is, nobody declared a control."""
        return pl.DataFrame(
            {
                "sample_id": self.names,
                "patient_id": [f"p-{name}" for name in self.names],
                "sex": ["male" if man else "female" for man in self.male],
                "control": [None] * len(self.male),
            },
            schema_overrides={"control": pl.Boolean},
        ).with_columns(**columns)  # type: ignore[arg-type]


def make_cohort(seed: int = 3, missing: float = 0.01) -> Cohort:
    random = np.random.default_rng(seed)
    haplotypes = _haplotypes(random, 2 * UNRELATED)
    people = [(haplotypes[2 * person], haplotypes[2 * person + 1]) for person in range(UNRELATED)]
    mother, father, other_father = people[0], people[1], people[2]
    people += [
        (_gamete(random, mother), _gamete(random, father)),
        (_gamete(random, mother), _gamete(random, father)),
        (_gamete(random, mother), _gamete(random, other_father)),
        people[TWIN_OF],
    ]
    male = np.arange(len(people) + 1) % 2 == 1
    male[TWIN] = male[TWIN_OF]
    copies = np.array([one + other for one, other in people], dtype=np.float64)
    x = slice(AUTOSOMAL, AUTOSOMAL + ON_X)
    copies[male[:-1], x] = 2 * np.array([one[x] for (one, _), man in zip(people, male, strict=False) if man])
    copies = np.vstack([copies, np.where(copies[11] == copies[12], copies[11], 1)])
    copies[:, ONLY_HETEROZYGOUS] = 1
    copies[:, NEVER_HETEROZYGOUS] = 2 * (np.arange(len(copies)) % 3 == 0)
    copies[random.random(copies.shape) < missing] = np.nan
    copies[SELDOM_CALLED, random.random(copies.shape[1]) < 0.1] = np.nan
    copies[random.random(len(copies)) < 0.07, OFTEN_MISSING] = np.nan
    male[OTHER_SEX] = not male[OTHER_SEX]
    return Cohort(copies, _variants(), male)


def write_cohort(prefix: Path, cohort: Cohort, *, rows: slice = slice(None)) -> None:
    """Write .bed, .bim and .fam of some of the people."""
    names = cohort.names[rows]
    to_bed(
        prefix.with_name(prefix.name + ".bed"),
        np.ascontiguousarray(cohort.copies[rows]),
        properties={
            "fid": names,
            "iid": names,
            "sex": [1 if man else 2 for man in cohort.male[rows]],
            "chromosome": cohort.variants["chromosome"].to_list(),
            "sid": cohort.variants["id"].to_list(),
            "bp_position": cohort.variants["position"].to_list(),
            "allele_1": cohort.variants["a1"].to_list(),
            "allele_2": cohort.variants["a2"].to_list(),
        },
        num_threads=1,
    )


def _haplotypes(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Blocks of linked variants: the first of a block, and copies of it in which some alleles changed."""
    total = AUTOSOMAL + ON_X
    frequency = np.repeat(random.uniform(0.1, 0.9, total // BLOCK), BLOCK)
    founder = np.repeat(random.random((count, total // BLOCK)), BLOCK, axis=1) < frequency
    fresh = random.random((count, total)) < frequency
    mixed = random.random((count, total)) < np.tile([0, 0.15, 0.6, 0.8], total // BLOCK)
    return np.where(mixed, fresh, founder).astype(np.int64)


def _gamete(
    random: np.random.Generator, parent: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.int64]:
    """A haplotype of a child: pieces of 20 variants from either haplotype of the parent."""
    pieces = -(-len(parent[0]) // 20)
    first = np.repeat(random.random(pieces) < 0.5, 20)[: len(parent[0])]
    return np.where(first, parent[0], parent[1])


def _variants() -> pl.DataFrame:
    number = np.arange(AUTOSOMAL)
    each = AUTOSOMAL // len(CHROMOSOMES)
    chromosome = [CHROMOSOMES[place // each] for place in number] + ["X"] * ON_X
    position = np.concatenate([14_500_000 + 20_000 * (number % each), 5_000_000 + 300_000 * np.arange(ON_X)])
    letters = [LETTERS[place // 7 % 4] for place in range(AUTOSOMAL + ON_X)]
    return pl.DataFrame(
        {
            "chromosome": chromosome,
            "position": position,
            "id": [f"v{place}" for place in range(AUTOSOMAL + ON_X)],
            "a1": [pair[0] for pair in letters],
            "a2": [pair[1] for pair in letters],
        }
    )
