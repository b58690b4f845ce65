"""What reruns and what does not: over edits, studies side by side, and a clone with the pulled cache."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.workplace import commit, make_workplace, run, small_study, stages_run

CLEAN = "Data and pipelines are up to date."


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    other = small_study("other", seed=7)
    other["learners"] = {"base_rate": {}, "clinical": other["learners"]["clinical"]}
    other["cells"] = [{"outcome": "relapse_1y", "learners": ["base_rate", "clinical"], "schemes": ["random"]}]
    other["primary"] = {**other["primary"], "learner": "clinical"}
    studies = {"small": small_study("small"), "other": other}
    return make_workplace(tmp_path_factory.mktemp("workplace"), studies)


def test_a_finished_study_is_clean_and_runs_nothing_again(workplace: Path) -> None:
    run(workplace, "psystrata", "use", "small")
    first = stages_run(run(workplace, "dvc", "repro"))
    assert "simulate@small" in first
    assert "track@small" in first
    assert CLEAN in run(workplace, "dvc", "status")
    assert stages_run(run(workplace, "dvc", "repro")) == []


def test_switching_to_another_study_and_back_runs_nothing(workplace: Path) -> None:
    run(workplace, "psystrata", "use", "other")
    run(workplace, "dvc", "repro")
    run(workplace, "psystrata", "use", "small")
    assert stages_run(run(workplace, "dvc", "repro")) == []
    assert CLEAN in run(workplace, "dvc", "status")


def test_editing_one_learner_reruns_its_cell_and_what_follows(workplace: Path) -> None:
    run(workplace, "psystrata", "use", "small", "--set", "learners.elastic_net.trials=2")
    ran = stages_run(run(workplace, "dvc", "repro"))
    assert [stage for stage in ran if stage.startswith("train@")] == ["train@small_relapse_1y_elastic_net"]
    assert not [
        stage
        for stage in ran
        if stage.split("@")[0] in {"tables", "features", "assemble", "splits", "stratify"}
    ]


def test_what_is_dropped_is_neither_read_nor_rerun_in_a_clone(workplace: Path, tmp_path: Path) -> None:
    dropped = small_study("small")
    dropped["feature_sets"] = {"clinical": dropped["feature_sets"]["clinical"]}
    dropped["learners"] = {key: dropped["learners"][key] for key in ("base_rate", "clinical")}
    dropped["cells"] = [
        {"outcome": "relapse_1y", "learners": ["base_rate", "clinical"], "schemes": ["random"]}
    ]
    dropped["primary"] = {**dropped["primary"], "learner": "clinical"}
    blood = dropped["stratifications"].pop("blood")
    dropped["stratifications"]["clinic"] = {**blood, "feature_sets": ["clinical"]}
    place = workplace / "experiments" / "studies" / "small" / "study.yaml"
    place.write_text(yaml.safe_dump(dropped, sort_keys=False, allow_unicode=True), encoding="utf-8")
    removed = run(workplace, "psystrata", "use", "small")
    assert "artifacts/small/features/inflammatory" in removed
    assert "artifacts/small/train/relapse_1y/elastic_net" in removed
    run(workplace, "dvc", "repro")
    results = workplace / "artifacts" / "small"
    columns = pl.read_parquet(results / "assembled" / "matrix.parquet").columns
    assert not [name for name in columns if name.startswith("inflammatory_")]
    metrics = pl.read_parquet(results / "compare" / "relapse_1y" / "metrics.parquet")
    assert sorted(metrics["learner"].unique()) == ["base_rate", "clinical"]
    assert CLEAN in run(workplace, "dvc", "status")

    commit(workplace)
    run(workplace, "dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    run(workplace, "dvc", "push", "-q", "--run-cache")
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "-q", str(workplace), str(clone))
    (clone / ".venv").symlink_to((workplace / ".venv").resolve(), target_is_directory=True)
    run(clone, "dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    run(clone, "dvc", "pull", "-q", "--run-cache")
    assert stages_run(run(clone, "dvc", "repro")) == []
    assert CLEAN in run(clone, "dvc", "status")
    assert not (clone / "artifacts" / "small" / "features" / "inflammatory").exists()
