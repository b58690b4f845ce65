"""The register on disk: what compare notes, what the command prints, and that a rerun leaves every byte."""

from pathlib import Path

import pytest

from pipeline.commands import openings
from pipeline.commands.use import read_study
from pipeline.files import read_json, write_json
from pipeline.openings import record_comparison

FOLDS = [
    {"scheme": "countries", "kind": "leave_country_out", "group": "DE"},
    {"scheme": "countries", "kind": "leave_country_out", "group": "FR"},
    {"scheme": "random", "kind": "stratified_kfold", "group": "fold 1"},
    {"scheme": "undeclared", "kind": "leave_country_out", "group": "IT"},
]


def record(folder: Path, *changes: str) -> Path:
    study = read_study("demo", list(changes))
    write_json(FOLDS, folder / "splits" / "folds.json")
    register = folder / "experiments" / "studies" / "demo" / "openings.jsonl"
    record_comparison(study, "relapse_1y", folder / "splits", register, folder / "out")
    return register


def test_a_rerun_adds_nothing_and_other_choices_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register = record(tmp_path)
    learners = next(cell.learners for cell in read_study("demo").cells if cell.outcome == "relapse_1y")
    assert {"elastic_net", "lightgbm"} < set(learners)
    first = register.read_bytes()
    assert first.count(b"\n") == 2 * len(learners)
    assert record(tmp_path).read_bytes() == first
    assert (
        record(tmp_path, "compute={engine: serial, workers: 1}").read_bytes() == first
    )  # results are the same under each

    record(tmp_path, "learners.elastic_net.trials=9")
    assert register.read_bytes().startswith(first)
    counts = {
        (item["learner"], item["left_out"]): item for item in read_json(tmp_path / "out" / "openings.json")
    }
    assert len(counts) == 2 * len(learners)
    assert counts["elastic_net", "DE"]["openings"] == counts["elastic_net", "DE"]["sets_of_choices"] == 2
    assert counts["lightgbm", "DE"]["openings"] == 1
    assert "DE were opened 2 times for elastic_net" in counts["elastic_net", "DE"]["sentence"]

    (tmp_path / "params.yaml").write_text("study: demo\n", encoding="utf-8")
    study_file = Path("experiments/studies/demo/study.yaml").read_bytes()
    (register.parent / "study.yaml").write_bytes(study_file)
    monkeypatch.chdir(tmp_path)
    assert openings.run("demo") == 0
    printed = capsys.readouterr().out
    assert "the first" in printed
    assert "relapse_1y: The results of DE were opened 2 times for elastic_net" in printed


def test_without_a_register_nothing_is_written(tmp_path: Path) -> None:
    record_comparison(read_study("demo"), "relapse_1y", tmp_path, None, tmp_path / "out")
    assert not list(tmp_path.iterdir())
