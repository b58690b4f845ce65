"""The validity studies: exact truth, resumable runs, a ledger that is rewritten in place."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from experiments.compute import Compute
from experiments.validity import coverage
from experiments.validity.coverage import SCENARIOS, coverage_of, simulate_run
from experiments.validity.truth import EFFECTS, RIDGE, draw_patients, exact_auroc, fit_ridge
from pipeline.commands import validity


def test_the_exact_auroc_is_what_many_patients_give() -> None:
    patients = draw_patients(200_000, np.random.default_rng(1))
    noisy = EFFECTS + np.linspace(-0.3, 0.3, len(EFFECTS))
    assert exact_auroc(noisy) == pytest.approx(
        roc_auc_score(patients.label, patients.values @ noisy), abs=0.004
    )
    assert exact_auroc(np.zeros(10)) == 0.5
    assert exact_auroc(-EFFECTS) == pytest.approx(1 - exact_auroc(EFFECTS))


def test_the_quick_learner_is_ridge_logistic_regression() -> None:
    patients = draw_patients(400, np.random.default_rng(2))
    expected = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=1000).fit(patients.values, patients.label)
    assert fit_ridge(patients.values, patients.label)[1:] == pytest.approx(expected.coef_[0], abs=1e-4)


def test_a_run_depends_on_its_number_alone() -> None:
    assert simulate_run(("kfold_150_1", 3)) == simulate_run(("kfold_150_1", 3))
    assert simulate_run(("kfold_150_1", 3)) != simulate_run(("kfold_150_1", 4))


def test_coverage_counts_the_intervals_that_hold_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = SCENARIOS[0]
    monkeypatch.setattr(coverage, "true_values", lambda _: np.array([0.7]))
    bounds = [(0.6, 0.8), (0.65, 0.75), (0.71, 0.8), (0.5, 0.9)]
    records = [
        {
            "scenario": scenario.name,
            "run": run,
            "interval": "corrected_resampling",
            "estimate": 0.7,
            "lower": low,
            "upper": high,
        }
        for run, (low, high) in enumerate(bounds)
    ]
    (found,) = coverage_of(scenario, records)
    assert (found.runs, found.coverage) == (4, 0.75)
    assert found.lower < 0.75 < found.upper
    assert found.width == pytest.approx((0.2 + 0.1 + 0.09 + 0.4) / 4)


def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    study = replace(validity.STUDIES["coverage"], scenarios=(SCENARIOS[0].name,))
    whole = validity.finish_runs(tmp_path / "whole.jsonl", study, 6, Compute(), "coverage")
    part = tmp_path / "part.jsonl"
    validity.finish_runs(part, study, 3, Compute(), "coverage")
    part.write_text(part.read_text() + '{"scenario": "kfold_1')  # cut short while writing
    assert validity.finish_runs(part, study, 6, Compute(), "coverage") == whole
    assert [json.loads(line) for line in part.read_text().splitlines()] == whole


def test_a_section_of_the_ledger_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    ledger = tmp_path / "validity.md"
    validity.write_section(ledger, "coverage", "old\n")
    validity.write_section(ledger, "drivers", "other\n")
    validity.write_section(ledger, "coverage", "new\n")
    text = ledger.read_text()
    assert text.startswith("# Validity ledger")
    assert "old" not in text
    assert text.index("new") < text.index("other")
    assert text.count("<!-- coverage: end -->") == 1
