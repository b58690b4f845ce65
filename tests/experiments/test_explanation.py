"""Contributions equal shap's and the closed form, add up, and are summarised fold by fold."""

from xml.etree import ElementTree

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost
from scipy.stats import spearmanr

from experiments.compute import Compute
from experiments.explanation import (
    FoldExplanation,
    FoldTask,
    explain_fold,
    explain_folds,
    spearman,
    summarise,
)
from experiments.explanation_figures import dependence, draw_bars, draw_beeswarm, draw_dependence
from experiments.figures import svg_text
from experiments.results import ShapSummary
from models.registry import LEARNERS
from models.storage import load_learner
from models.target import Target

shap = pytest.importorskip("shap")
COLUMNS = ["clinical_age", "clinical_severity", "inflammatory_noise"]
DESCRIPTIONS = pl.DataFrame(
    {
        "column": [*COLUMNS, "clinical_sex"],
        "feature_set": ["clinical", "clinical", "inflammatory", "clinical"],
        "kind": ["number"] * 3 + ["category"],
    }
)
NAMES = {"study": "demo", "outcome": "relapse", "learner": "lightgbm", "scheme": "random"}


def _cohort(n: int = 400, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, 3))
    risk = 1 / (1 + np.exp(-(2.0 * X[:, 1] - 0.8 * X[:, 0])))
    return pl.DataFrame(dict(zip(COLUMNS, X.T, strict=True))), (generator.random(n) < risk).astype(np.int64)


def _fitted_parts(kind: str) -> dict[str, bytes]:
    X, labels = _cohort()
    learner = LEARNERS[kind].build({}, predictors=COLUMNS, seed=1)
    return learner.fit(X, Target.from_labels(labels)).to_parts()


def _task(parts: dict[str, bytes], X: pl.DataFrame, start: int = 0) -> FoldTask:
    places = np.arange(start, start + len(X))
    return FoldTask(parts=parts, values=X, rows=places, patients=places)


def _model_file(parts: dict[str, bytes]) -> bytes:
    return next(content for name, content in parts.items() if name != "learner.json")


@pytest.mark.filterwarnings("ignore:.*LightGBM binary classifier with TreeExplainer.*:UserWarning")
def test_lightgbm_contributions_equal_shap_tree_explainer() -> None:
    parts, (X, _) = _fitted_parts("lightgbm"), _cohort(50, seed=7)
    booster = lightgbm.Booster(model_str=_model_file(parts).decode())
    theirs = np.asarray(shap.TreeExplainer(booster).shap_values(X.to_numpy()))
    ours = explain_fold(_task(parts, X))
    assert ours.columns == tuple(COLUMNS)
    np.testing.assert_allclose(ours.contributions, theirs, atol=1e-6)


def test_xgboost_contributions_equal_shap_tree_explainer() -> None:
    parts, (X, _) = _fitted_parts("xgboost"), _cohort(50, seed=7)
    booster = xgboost.Booster()
    booster.load_model(bytearray(_model_file(parts)))
    theirs = np.asarray(shap.TreeExplainer(booster).shap_values(X.to_numpy()))
    np.testing.assert_allclose(explain_fold(_task(parts, X)).contributions, theirs, atol=1e-4)


def test_linear_contributions_are_coefficient_times_distance_from_the_training_mean() -> None:
    parts, (X, _) = _fitted_parts("clinical"), _cohort(50, seed=7)
    found = explain_fold(_task(parts, X)).contributions
    training, _ = _cohort()
    for place, name in enumerate(COLUMNS):
        distance = X[name].to_numpy() - float(training[name].mean())  # type: ignore[arg-type]
        slope = found[:, place] / distance
        np.testing.assert_allclose(slope, slope[0], rtol=1e-6)


@pytest.mark.parametrize(
    "kind",
    sorted(name for name, kind in LEARNERS.items() if "label" in kind.targets and name != "base_rate"),
)
def test_contributions_add_up_to_the_log_odds(kind: str) -> None:
    parts, (X, _) = _fitted_parts(kind), _cohort(30, seed=5)
    learner = load_learner(parts)
    contributions, base = learner.explain(X)
    risk = learner.predict_risk(X, [0.0])[:, 0, 0]
    np.testing.assert_allclose(base + contributions.sum(axis=1), np.log(risk / (1 - risk)), atol=1e-4)


def test_summary_finds_the_planted_drivers_with_their_directions() -> None:
    parts = _fitted_parts("lightgbm")
    tasks = [_task(parts, _cohort(200, seed=9)[0]), _task(parts, _cohort(200, seed=10)[0], start=200)]
    folds = explain_folds(tasks, Compute(), "test")
    summary = summarise(folds, DESCRIPTIONS, least_patients=11, **NAMES)
    assert summary["column"].to_list()[:2] == ["clinical_severity", "clinical_age"]
    assert summary["rank"].to_list() == [1, 2, 3]
    directions = dict(summary.select("column", "direction").iter_rows())
    assert directions["clinical_severity"] > 0.9
    assert directions["clinical_age"] < -0.8
    assert summary["n"].unique().to_list() == [400]


def _two_folds() -> list[FoldExplanation]:
    """The first model uses a, the second a and b."""
    places = np.arange(4)
    return [
        FoldExplanation(
            ("clinical_age",),
            np.array([[1.0], [-1.0], [1.0], [-1.0]]),
            pl.DataFrame({"clinical_age": [4.0, 1.0, 3.0, None]}),
            places,
            places,
        ),
        FoldExplanation(
            ("clinical_age", "clinical_sex"),
            np.array([[3.0, 1.0], [-3.0, 1.0], [3.0, -1.0], [-3.0, -1.0]]),
            pl.DataFrame({"clinical_age": [4.0, 1.0, 3.0, 2.0], "clinical_sex": ["f", "f", "m", "m"]}),
            places + 4,
            places + 4,
        ),
    ]


def test_summary_by_hand() -> None:
    table = summarise(_two_folds(), DESCRIPTIONS, least_patients=1, **NAMES).rows_by_key("column", named=True)
    age, sex = table["clinical_age"][0], table["clinical_sex"][0]
    assert age["mean_absolute"] == 2.0
    assert age["fold_spread"] == pytest.approx(np.sqrt(2.0))
    assert sex["mean_absolute"] == 0.5  # the model without it gives it 0
    assert sex["direction"] is None
    assert (age["rank"], sex["rank"], age["n"]) == (1, 2, 8)


def test_too_few_patients_give_no_summary() -> None:
    assert summarise(_two_folds(), DESCRIPTIONS, least_patients=9, **NAMES).is_empty()
    assert len(summarise(_two_folds(), DESCRIPTIONS, least_patients=8, **NAMES)) == 2


def test_spearman_equals_scipy_and_refuses_constants() -> None:
    values = np.array([1.0, 2.0, 2.0, 5.0, np.nan])
    contributions = np.array([0.1, 0.3, 0.2, 0.9, 7.0])
    assert spearman(values, contributions) == pytest.approx(
        spearmanr(values[:4], contributions[:4]).statistic
    )
    assert spearman(np.ones(5), contributions) is None
    assert spearman(values, np.full(5, 0.1) + 1e-16 * np.arange(5)) is None


def test_processes_and_serial_give_the_same_bytes() -> None:
    parts = _fitted_parts("xgboost")
    tasks = [_task(parts, _cohort(40, seed=seed)[0], start=40 * seed) for seed in (1, 2)]
    found = [
        summarise(explain_folds(tasks, compute, "test"), DESCRIPTIONS, least_patients=1, **NAMES)
        for compute in (Compute(), Compute("processes", 2))
    ]
    assert found[0].write_json() == found[1].write_json()


def test_no_group_of_the_dependence_stands_for_fewer_patients_than_a_cell() -> None:
    generator = np.random.default_rng(3)
    values = np.concatenate([np.zeros(30), generator.normal(5, 1, 27)])
    patients = np.arange(57) // 2  # two predictions each
    fold = FoldExplanation(
        ("x", "g"),
        np.column_stack([values, values]),
        pl.DataFrame({"x": values, "g": ["a"] * 30 + ["b"] * 27}),
        np.arange(57),
        patients,
    )
    for least in (2, 11):
        numbers = dependence([fold], "x", least_patients=least)
        assert numbers["patients"].min() >= least  # type: ignore[operator]
        assert numbers["value"].is_sorted()
    assert dependence([fold], "g", least_patients=15)["group"].to_list() == ["a"]
    assert dependence([fold], "x", least_patients=40).is_empty()


def test_figures_are_whole_and_equal_at_every_run() -> None:
    parts = _fitted_parts("elastic_net")
    folds = [explain_fold(_task(parts, _cohort(60, seed=4)[0]))]
    summary = summarise(folds, DESCRIPTIONS, least_patients=1, **NAMES)

    def drawn() -> list[str]:
        return [
            svg_text(draw_bars(summary, "t")),
            svg_text(draw_dependence(folds, summary, "t", least_patients=11)),
            svg_text(draw_beeswarm(folds, summary, "t")),
        ]

    first = drawn()
    assert first == drawn()
    for text in first:
        assert "clinical_severity" in "".join(ElementTree.fromstring(text).itertext())


def test_an_empty_summary_is_drawn_as_such() -> None:
    text = svg_text(draw_bars(ShapSummary.create_empty(), "few patients"))
    assert "too few patients" in text
