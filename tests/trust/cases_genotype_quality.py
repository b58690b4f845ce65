"""Bad input 111, continued: genotype files that can be read but not relied on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.genetics.quality import check_genotypes
from tests.features.genotypes_in_memory import GenotypesInMemory
from tests.trust.bad_input import Example, refusal

Floats = NDArray[np.float64]

PEOPLE, VARIANTS = 60, 500


def _checked(copies: Floats, *moved_by: int) -> Callable[[Path], None]:
    """Check people in one file, or in as many as there are shifts of the positions."""
    places = pl.DataFrame({"position": range(1, VARIANTS + 1)}).with_columns(
        chromosome=pl.lit("1"), a1=pl.lit("A"), a2=pl.lit("G")
    )
    names = [f"anna-{place}" for place in range(len(copies))]

    def read(_: Path) -> None:
        parts = np.array_split(np.arange(len(copies)), len(moved_by))
        files = [
            GenotypesInMemory(
                copies[part],
                places.with_columns(pl.col("position") + shift),
                [names[place] for place in part],
                name=name,
            )
            for part, shift, name in zip(parts, moved_by, ("fr", "de"), strict=False)
        ]
        people = pl.DataFrame({"sample_id": names, "patient_id": names})
        check_genotypes(files, people.with_columns(sex=pl.lit("female"), control=pl.lit(True)))

    return read


def _drawn() -> Floats:
    random = np.random.default_rng(0)
    return random.binomial(2, random.uniform(0.2, 0.8, VARIANTS), (PEOPLE, VARIANTS)).astype(np.float64)


def _seldom_called() -> Floats:
    copies = _drawn()
    copies[np.random.default_rng(1).random(copies.shape) < 0.1] = np.nan
    return copies


def _refused(when: str, read: Callable[[Path], None], said: str) -> Example:
    return refusal(read, said, secret=("anna-0", "anna-1"), when=when)


EXAMPLES = (
    _refused(
        "files of two builds", _checked(_drawn(), 0, 10_000), "fr, de: these genotype files have no variant"
    ),
    _refused("nobody called well", _checked(_seldom_called(), 0), "fr: no sample has a genotype at 95%"),
)
