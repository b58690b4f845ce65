from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss, roc_auc_score

from experiments.cluster import close_workers
from experiments.compute import Compute, Engine
from experiments.results import Predictions, Trials
from experiments.validation.cell import CellData, Procedure
from experiments.validation.fingerprint import journal_fingerprint
from experiments.validation.nested import CellResult, outer_folds, validate_cell
from experiments.validation.procedure import fit_fold, inner_folds, weighted_log_loss
from experiments.validation.tuning import chosen
from features.errors import BadInput
from models.contract import LearnerKind
from models.elastic_net import ElasticNet
from models.registry import LEARNERS
from models.target import Target
from pipeline.settings.experiment import LearnerSettings
from pipeline.stages.train import choose_predictors, remove_stale_journals, write_result
from tests.experiments.validation_cohort import cell, procedure

DATA, SPLITS, KINDS = cell()


def validated(kind: str = "elastic_net", **changes: Any) -> CellResult:
    return validate_cell(DATA, SPLITS, KINDS, procedure(DATA, kind), **changes)


def written(result: CellResult, folder: Path) -> dict[str, bytes]:
    write_result(result, folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def result() -> CellResult:
    return validated()


def test_every_test_row_of_every_fold_is_predicted_once(result: CellResult) -> None:
    keys = ["scheme", "repeat", "fold", "prediction_id"]
    assert result.predictions.select(keys).sort(keys).equals(SPLITS.select(keys).sort(keys))
    Predictions.validate(result.predictions, cast=True)
    Trials.validate(result.trials, cast=True)


def test_one_complete_trial_with_the_smallest_score_is_chosen_in_each_fold(result: CellResult) -> None:
    for _, trials in result.trials.group_by("scheme", "repeat", "fold"):
        best = trials.filter(pl.col("chosen"))
        assert best.height == 1
        assert best["score"].item() == trials["score"].min()
    assert result.trials["scheme"].unique().sort().to_list() == ["centres", "countries", "final", "kfold"]


def test_the_planted_signal_is_found_within_each_fold(result: CellResult) -> None:
    truth = DATA.rows.select("prediction_id", happened="cause")
    for _, part in result.predictions.join(truth, on="prediction_id").group_by("scheme", "fold"):
        assert roc_auc_score(part["happened"], part["risk"]) > 0.65  # the driver alone: about 0.78


def test_without_signal_tuning_inside_the_fold_finds_none() -> None:
    areas = []
    for seed in range(6):
        data, splits, kinds = cell(effect=0.0, seed=seed)
        found = validate_cell(
            data, splits, kinds, procedure(data, "elastic_net", fixed={"penalty": 0.001, "l1_ratio": 0.0})
        )
        scored = found.predictions.join(
            data.rows.select("prediction_id", happened="cause"), on="prediction_id"
        )
        areas += [
            roc_auc_score(part["happened"], part["risk"]) for _, part in scored.group_by("scheme", "fold")
        ]
    assert abs(np.mean(areas) - 0.5) < 0.05


def test_the_base_rate_is_that_of_the_training_rows_alone() -> None:
    found = validated("base_rate")
    for fold in outer_folds(DATA.rows, SPLITS, KINDS):
        train = fold.train(DATA.rows.height)
        prior = DummyClassifier(strategy="prior").fit(np.zeros((len(train), 1)), DATA.target.cause[train])
        own = found.predictions.filter(pl.col("scheme") == fold.scheme, pl.col("fold") == fold.fold)
        assert own["risk"].to_numpy() == pytest.approx(prior.predict_proba([[0]])[0, 1])
    assert found.trials.is_empty()


def test_an_untuned_fold_is_a_plain_fit_on_its_training_rows() -> None:
    fixed = {"penalty": 0.01, "l1_ratio": 0.5}
    found = validate_cell(DATA, SPLITS, KINDS, procedure(DATA, "elastic_net", fixed=fixed))
    fold = outer_folds(DATA.rows, SPLITS, KINDS)[0]
    train = fold.train(DATA.rows.height)
    learner = ElasticNet(fixed, predictors=tuple(DATA.X.columns)).fit(DATA.X[train], DATA.target.rows(train))
    own = found.predictions.filter(pl.col("scheme") == fold.scheme, pl.col("fold") == fold.fold)
    expected = learner.predict_risk(DATA.X[fold.test], (0.0,))[:, 0, 0]
    assert own["risk"].to_numpy() == pytest.approx(expected)
    assert own["prediction_id"].to_list() == DATA.rows["prediction_id"][fold.test].to_list()


def test_the_final_model_is_the_inner_procedure_on_everybody(result: CellResult) -> None:
    final = result.trials.filter(pl.col("scheme") == "final", pl.col("chosen"))
    assert result.description["rows"] == DATA.rows.height
    assert result.description["events"] == DATA.target.cause.sum()
    assert (
        result.description["parameters"]["penalty"]
        == pl.Series([final["parameters"].item()])
        .str.json_decode(pl.Struct({"penalty": pl.Float64}))
        .struct.field("penalty")
        .item()
    )
    loaded = LEARNERS["elastic_net"].load(result.final)
    assert tuple(result.description["columns"]) == tuple(loaded.columns)


def test_every_engine_writes_the_same_bytes(tmp_path: Path) -> None:
    data, splits, kinds = cell(times=True)
    folders = {}
    for engine in get_args(Engine):
        compute = Compute(engine, 2, folder=tmp_path / "tmp")
        found = validate_cell(
            data,
            splits,
            kinds,
            procedure(data, "lightgbm"),
            compute=compute,
            journals=tmp_path / "journals" / engine,
        )
        folders[engine] = written(found, tmp_path / engine)
    close_workers()
    assert list(folders) == ["serial", "processes", "dask"]
    assert folders["serial"] == folders["processes"] == folders["dask"]
    assert {"predictions.parquet", "trials.parquet", "certificate.json", "final.json"} <= set(
        folders["serial"]
    )
    assert "models/kfold_0_0/learner.json" in folders["serial"]


class Interrupted(ElasticNet):
    """Stops the program at its n-th fit."""

    left = -1

    def fit(self, X: pl.DataFrame, target: Target) -> "Interrupted":
        if Interrupted.left == 0:
            raise KeyboardInterrupt
        Interrupted.left -= 1
        return super().fit(X, target)


def test_an_interrupted_cell_goes_on_from_its_journals(tmp_path: Path) -> None:
    kind = replace(LEARNERS["elastic_net"], build=Interrupted)
    inner = procedure(DATA, "elastic_net", kind=kind)
    journals = tmp_path / "journals"
    Interrupted.left = -1
    whole = written(validate_cell(DATA, SPLITS, KINDS, inner), tmp_path / "whole")
    Interrupted.left = 17
    with pytest.raises(KeyboardInterrupt):
        validate_cell(DATA, SPLITS, KINDS, inner, journals=journals)
    assert any(journals.iterdir())
    Interrupted.left = -1
    assert written(validate_cell(DATA, SPLITS, KINDS, inner, journals=journals), tmp_path / "again") == whole


def test_journals_of_other_data_settings_or_seed_are_not_taken_up(tmp_path: Path) -> None:
    fold = outer_folds(DATA.rows, SPLITS, KINDS)[0]
    inner = np.zeros(DATA.rows.height, dtype=np.int64)
    changed = DATA.X.with_columns(a_0=pl.when(pl.int_range(pl.len()) == 3).then(9.0).otherwise(pl.col("a_0")))
    category = DATA.X.with_columns(c=pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("c")))
    own = procedure(DATA, "elastic_net")
    variants: list[tuple[CellData, Procedure]] = [
        (DATA, own),
        (replace(DATA, X=changed), own),
        (replace(DATA, X=category), own),
        (replace(DATA, target=Target.from_labels(1 - DATA.target.cause)), own),
        (DATA, replace(own, seed=8)),
        (DATA, replace(own, fixed={"penalty": 0.1})),
        (DATA, replace(own, predictors=("a_0",))),
    ]
    assert len({journal_fingerprint(data, inner, fold, one) for data, one in variants}) == len(variants)
    assert journal_fingerprint(DATA, inner, fold, replace(own, trials=99)) == journal_fingerprint(
        DATA, inner, fold, own
    )
    (tmp_path / "old.log").touch()
    (tmp_path / "new.log").touch()
    remove_stale_journals(tmp_path, {"new.log"})
    assert [path.name for path in tmp_path.iterdir()] == ["new.log"]


def test_inner_folds_keep_patients_whole_and_centres_where_the_outer_fold_does() -> None:
    for fold in outer_folds(DATA.rows, SPLITS, KINDS):
        part = DATA.take(fold.train(DATA.rows.height))
        inner, whole = inner_folds(part, fold, procedure(DATA, "elastic_net"))
        placed = part.rows.select("position", "centre").with_columns(inner=pl.Series(inner))
        assert placed.group_by("position").agg(pl.col("inner").n_unique())["inner"].max() == 1
        cut = placed.group_by("centre").agg(pl.col("inner").n_unique())["inner"].max()
        assert (cut == 1) is (fold.scheme != "kfold")
        assert whole == (() if fold.scheme == "kfold" else ("centre",))
        assert set(inner) == {0, 1, 2}


def test_the_loss_is_the_weighted_log_loss_of_the_known_rows() -> None:
    target = Target.from_times([10, 20, 30, 40, 50], [1, 0, 2, 1, 0], [35.0])
    risk = np.array([0.9, 0.2, 0.3, 0.4, 0.1])
    weights = target.weights()
    assert weights[1] == 0  # censored before the horizon
    expected = log_loss(target.labels(), risk, sample_weight=weights, labels=[0, 1])
    assert weighted_log_loss(risk.reshape(5, 1, 1), target) == pytest.approx(expected)


def test_a_certain_and_wrong_risk_costs_much_but_not_everything() -> None:
    target = Target.from_labels([1, 0])
    assert 1 < weighted_log_loss(np.array([0.0, 0.5]).reshape(2, 1, 1), target) < 20


def test_predictions_that_lost_their_rows_are_refused() -> None:
    with pytest.raises(BadInput, match="are not among the assembled rows"):
        outer_folds(DATA.rows[4:], SPLITS, KINDS)


COLUMNS = pl.DataFrame({"column": ["a_0", "a_1", "b_0"], "feature_set": ["a", "a", "b"]})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("a_0", "a_1", "b_0")),
        ({"feature_sets": ["a"]}, ("a_0", "a_1")),
        ({"predictors": ["b_0", "a_1"]}, ("a_1", "b_0")),
    ],
)
def test_a_learner_gets_its_predictors_its_sets_or_all(
    settings: Mapping[str, Any], expected: tuple[str, ...]
) -> None:
    available = ["prediction_id", "b_0", "a_1", "a_0"]
    assert (
        choose_predictors(LearnerSettings.model_validate(settings), COLUMNS, available, "lightgbm")
        == expected
    )


def test_a_predictor_that_does_not_exist_is_answered_with_those_that_do() -> None:
    asked = LearnerSettings(predictors=("a_9",))
    with pytest.raises(
        BadInput, match=r"learners.clinical.predictors: a_9 are not feature columns; known: a_0, a_1, b_0"
    ):
        choose_predictors(asked, COLUMNS, ["prediction_id", "a_0", "a_1", "b_0"], "clinical")


def test_a_fold_is_tuned_with_the_trials_asked_for() -> None:
    fold = outer_folds(DATA.rows, SPLITS, KINDS)[0]
    fitted = fit_fold(DATA, fold, procedure(DATA, "elastic_net", trials=6))
    assert len(fitted.records) == 6
    assert fitted.parameters == chosen(fitted.records).parameters


def test_every_tuned_learner_starts_from_its_defaults() -> None:
    kinds: dict[str, LearnerKind] = {name: kind for name, kind in LEARNERS.items() if kind.space is not None}
    fold = outer_folds(DATA.rows, SPLITS, KINDS)[0]
    times, splits, schemes = cell(times=True, patients=120)
    for name, kind in kinds.items():
        data, held = (
            (DATA, fold) if "label" in kind.targets else (times, outer_folds(times.rows, splits, schemes)[0])
        )
        fitted = fit_fold(data, held, procedure(data, name, trials=1))
        assert fitted.records[0].parameters == dict(kind.defaults)
