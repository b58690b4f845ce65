"""A reference panel must be large enough for the components asked of it."""

import numpy as np
import polars as pl
import pytest

from experiments.genetics.reference import Reference, fit_reference
from features.errors import BadInput
from features.genetics.scoring import MissingGenotypes
from tests.features.genotypes_in_memory import GenotypesInMemory

COMPONENTS = 5


def fitted(people: int, variants: int) -> Reference:
    random = np.random.default_rng(3)
    copies = random.binomial(2, random.uniform(0.2, 0.8, variants), (people, variants)).astype(np.float64)
    places = pl.DataFrame(
        {"chromosome": ["1"] * variants, "position": range(1, variants + 1), "a1": "A", "a2": "G"}
    )
    return fit_reference(
        GenotypesInMemory(copies, places, name="panel"),
        places.with_row_index("variant"),
        {},
        MissingGenotypes(),
        populations=None,
        components=COMPONENTS,
        seed=1,
    )


@pytest.mark.parametrize(("people", "variants"), [(59, 200), (200, 10)])
def test_a_panel_of_few_is_refused(people: int, variants: int) -> None:
    with pytest.raises(BadInput, match="5 components, which take 60 people and more than 10 variants"):
        fitted(people, variants)


def test_ten_people_a_term_are_enough() -> None:
    assert fitted(60, 200).components.eigenvalues.shape == (COMPONENTS,)
