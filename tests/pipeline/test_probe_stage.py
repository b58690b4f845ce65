"""Stage probe writes its tables and figures, goes on from what an interrupted run had finished, and can be switched off."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from experiments.probing.schemas import Instability, LearningCurve, Permutations
from pipeline.__main__ import main
from pipeline.commands.use import parameters_text
from pipeline.files import read_json, read_table, write_json, write_text
from pipeline.settings.load import check_study
from tests.pipeline.test_signals_stage import prepared
from tests.workplace import small_study

INPUTS = ("assembled", "outcomes", "splits")


def declare(folder: Path, **probe: Any) -> None:
    """Write params.yaml of a study whose lead learner needs no tuning."""
    study = small_study("small", probe={"instability": 3, "permutations": 2, "folds": 2, **probe})
    study["cells"] = [{"outcome": "relapse_1y", "learners": ["base_rate", "clinical"], "schemes": ["random"]}]
    study["primary"]["learner"] = "clinical"
    write_text(parameters_text(check_study(study, folder / "study.yaml")), folder / "params.yaml")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe")
    prepared(folder, proxy=False, signed_off=[])
    declare(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        paths = [f"--{name}={folder / name}" for name in (*INPUTS, "journals")]
        out = folder / "train" / "clinical"
        assert main(["stage", "train", "relapse_1y", "clinical", *paths, f"--out={out}"]) == 0
    return folder


def probe(folder: Path, monkeypatch: pytest.MonkeyPatch, outcome: str = "relapse_1y") -> Path:
    monkeypatch.chdir(folder)
    paths = [f"--{name}={folder / name}" for name in ("assembled", "outcomes", "train", "journals")]
    assert main(["stage", "probe", outcome, *paths, f"--out={folder / 'probe'}"]) == 0
    return folder / "probe"


def test_the_stage_writes_tables_figures_and_a_summary(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(trained, learning_curve=[0.5, 1.0])
    out = probe(trained, monkeypatch)
    assert sorted(path.name for path in (out / "figures").iterdir()) == [
        "calibration_instability.svg",
        "instability.svg",
        "learning_curve.svg",
        "permutation.svg",
    ]
    said = read_json(out / "summary.json")
    assert said["learner"] == "clinical"
    assert said["instability"]["refits"] == 3
    assert set(said["instability"]["switched"]) == {"0.2", "0.4", "0.6"}
    scores = read_table(out / "permutation.parquet", Permutations)
    assert scores["permutation"].to_list() == [0, 1, 2]
    assert said["permutation"]["observed"] == scores["auroc"][0]
    assert said["permutation"]["p"] == pytest.approx(1 / 3)  # a_0 drives the event
    curve = read_table(out / "learning_curve.parquet", LearningCurve)
    assert curve.filter(pl.col("fold").is_null())["share"].to_list() == [0.5, 1.0]
    refits = read_table(out / "instability.parquet", Instability)
    assert refits.filter(pl.col("part") == "calibration")["draw"].unique().sort().to_list() == [0, 1, 2, 3]


def test_permutations_go_on_from_those_that_were_finished(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(trained, instability=0, learning_curve=[])
    first = read_table(probe(trained, monkeypatch) / "permutation.parquet", Permutations)["auroc"].to_list()
    (notes,) = (trained / "journals" / "probe" / "relapse_1y").glob("*.json")
    write_json([0.123, *first[1:]], notes)  # marks what was kept
    declare(trained, instability=0, learning_curve=[], permutations=3)
    longer = read_table(probe(trained, monkeypatch) / "permutation.parquet", Permutations)["auroc"].to_list()
    assert longer[:3] == [0.123, *first[1:]]
    assert len(longer) == 4
    declare(trained, instability=0, learning_curve=[], permutations=1, folds=3)  # another procedure: anew
    other = read_table(probe(trained, monkeypatch) / "permutation.parquet", Permutations)["auroc"].to_list()
    assert other[0] not in {0.123, first[0]}
    assert not notes.exists()


def test_everything_can_be_switched_off(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(trained, instability=0, permutations=0, learning_curve=[])
    out = probe(trained, monkeypatch)
    assert list((out / "figures").iterdir()) == []
    assert read_table(out / "learning_curve.parquet", LearningCurve).is_empty()
    assert read_json(out / "summary.json")["title"] == "relapse_1y, clinical"


def test_a_changed_final_model_is_refused(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(trained, permutations=0, learning_curve=[])
    description = trained / "train" / "clinical" / "final.json"
    kept = read_json(description)
    write_json({**kept, "fingerprint": "0" * 64}, description)
    monkeypatch.chdir(trained)
    paths = [f"--{name}={trained / name}" for name in ("assembled", "outcomes", "train", "journals")]
    assert main(["stage", "probe", "relapse_1y", *paths, f"--out={trained / 'probe'}"]) == 2
    assert "is not the model that was trained" in capsys.readouterr().err
    write_json(kept, description)
