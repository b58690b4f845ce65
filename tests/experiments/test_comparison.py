"""Paired differences: within folds, centres and countries, against their formulas and planted order."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from experiments.evaluation.comparison import compare
from experiments.evaluation.evaluate import predicted_parts, risks_of
from experiments.evaluation.metrics import auroc
from experiments.evaluation.reporting import Evaluation
from tests.experiments.evaluated_cohort import KINDS, cohort, sample_of

EVALUATION = Evaluation("demo", "relapse", 1, 11, resamples=200)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return cohort(900, repeats=2)


def difference(data: dict[str, Any], scheme: str, learner: str, reference: str) -> pl.DataFrame:
    sample = sample_of(data, scheme)
    parts = [predicted_parts(sample, data["predictions"][name], name) for name in (learner, reference)]
    return compare(EVALUATION, sample, (learner, reference), (parts[0], parts[1]))


@pytest.mark.parametrize("scheme", KINDS)
def test_the_better_model_is_better_under_every_scheme(data: dict[str, Any], scheme: str) -> None:
    found = difference(data, scheme, "model", "clinical")
    better = found.filter(pl.col("metric") == "auroc")
    assert (better["lower"] > 0).all()
    assert (found.filter(pl.col("metric") == "brier")["upper"] < 0).all()


@pytest.mark.parametrize("scheme", KINDS)
def test_a_model_does_not_differ_from_itself(data: dict[str, Any], scheme: str) -> None:
    found = difference(data, scheme, "model", "model")
    assert found["difference"].to_list() == [0.0] * found.height


def test_each_scheme_has_its_own_interval(data: dict[str, Any]) -> None:
    kinds = {
        scheme: difference(data, scheme, "model", "clinical")["interval_kind"].unique() for scheme in KINDS
    }
    assert {scheme: kind.to_list() for scheme, kind in kinds.items()} == {
        "kfold": ["corrected_resampling"],
        "centres": ["random_effects"],
        "countries": ["patient_bootstrap"],
    }
    assert difference(data, "countries", "model", "clinical")["group"].to_list() == ["FR", "NL"] * 2


def test_repeated_folds_follow_nadeau_and_bengio(data: dict[str, Any]) -> None:
    sample = sample_of(data, "kfold")
    own, other = (
        sample.parts(risks_of(sample, data["predictions"][name], name)) for name in ("model", "clinical")
    )
    values = np.array(
        [
            float(auroc(a.label, a.risk, a.weight)) - float(auroc(b.label, b.risk, b.weight))
            for a, b in zip(own, other, strict=True)
        ]
    )
    half = stats.t.ppf(0.975, 9) * values.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    found = (
        difference(data, "kfold", "model", "clinical").filter(pl.col("metric") == "auroc").row(0, named=True)
    )
    assert found["folds"] == 10
    assert found["difference"] == pytest.approx(values.mean())
    assert found["upper"] - found["lower"] == pytest.approx(2 * half, rel=1e-3)
