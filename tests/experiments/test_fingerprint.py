"""A tuning journal is taken up again only where everything that decides a trial's score is the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from experiments.validation.cell import CellData
from experiments.validation.fingerprint import journal_fingerprint
from experiments.validation.nested import outer_folds
from tests.experiments.validation_cohort import cell, procedure

DATA, SPLITS, KINDS = cell(patients=60)
FOLD = outer_folds(DATA.rows, SPLITS, KINDS)[0]
INNER = np.arange(DATA.rows.height, dtype=np.int64) % 3


def of(data: CellData = DATA, name: str = "stacking", **changes: Any) -> str:
    return journal_fingerprint(data, INNER, FOLD, procedure(DATA, name, **changes))


def with_target(**changes: Any) -> CellData:
    return replace(DATA, target=replace(DATA.target, **changes))


@pytest.mark.parametrize(
    "changed",
    [
        {"known": np.arange(DATA.rows.height) % 7 > 0},
        {"strata": np.arange(DATA.rows.height) % 2},
        {"groups": np.arange(DATA.rows.height) // 2},
        {"causes": 2},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_target_is_another_journal(changed: dict[str, Any]) -> None:
    assert of(with_target(**changed)) != of()


def test_modalities_matter_to_learners_that_use_them() -> None:
    other = dict.fromkeys(DATA.X.columns, "one")
    assert of(modalities=other) != of()
    assert of(name="elastic_net", modalities=other) == of(name="elastic_net")


def test_constraints_matter_and_the_number_of_trials_does_not() -> None:
    assert of(fixed={"monotone": {"a_0": "increasing"}}) != of()
    assert of(trials=99) == of()
