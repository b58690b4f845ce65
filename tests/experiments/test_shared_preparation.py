"""Trials of one inner fold share their preparation: same bytes as fits of their own, prepared once per fold."""

from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

import optuna
import pytest

from experiments.validation.nested import outer_folds
from experiments.validation.procedure import fit_fold
from models.contract import PreparedLearner
from models.fixed_horizon import Prepared
from models.light_gbm import LightGbm
from models.registry import LEARNERS
from tests.experiments.validation_cohort import cell, procedure

DATA, SPLITS, KINDS = cell(patients=120)
TIMES = cell(patients=120, times=True)[0]
SHARING = sorted(
    name
    for name, kind in LEARNERS.items()
    if kind.space and isinstance(kind.build(dict(kind.defaults), predictors=["a_0"], seed=1), PreparedLearner)
)


@pytest.mark.parametrize("name", SHARING)
def test_a_prepared_fit_gives_the_bytes_of_a_plain_one_trial_after_trial(name: str) -> None:
    kind = LEARNERS[name]
    assert kind.space is not None
    data = DATA if "label" in kind.targets else TIMES
    inner = procedure(data, name)
    prepared: Any = None
    for seed in range(3):
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask()
        parameters = {**kind.defaults, **kind.space(trial)}
        shared = inner.build(parameters, 4)
        assert isinstance(shared, PreparedLearner)
        prepared = shared.prepare(data.X, data.target) if prepared is None else prepared
        shared = shared.fit_prepared(prepared)
        plain = inner.build(parameters, 4).fit(data.X, data.target)
        assert isinstance(shared, type(plain))
        assert shared.to_parts() == plain.to_parts()


class Counted(LightGbm):
    """Counts what is prepared and what is fitted."""

    calls: ClassVar[Counter[str]] = Counter()

    def prepare(self, X: Any, target: Any) -> Prepared:
        self.calls["prepared"] += 1
        return super().prepare(X, target)

    def fit_prepared(self, prepared: Prepared) -> Any:
        self.calls["fitted"] += 1
        return super().fit_prepared(prepared)


def test_each_inner_fold_is_prepared_once() -> None:
    Counted.calls.clear()
    kind = replace(LEARNERS["lightgbm"], build=Counted)
    fitted = fit_fold(DATA, outer_folds(DATA.rows, SPLITS, KINDS)[0], procedure(DATA, "lightgbm", kind=kind))
    assert len(fitted.records) == 3
    assert Counted.calls == {"prepared": 3 + 1, "fitted": 3 * 3 + 1}  # and once for the outer fold's model
