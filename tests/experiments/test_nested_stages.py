"""The stages splits and train as the command line runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from experiments.results import Predictions, Splits
from features.schema import Outcomes, Rows
from pipeline.__main__ import main
from pipeline.files import read_table, write_frame, write_table
from pipeline.settings.load import check_study, parameters
from tests.experiments.validation_cohort import frames

# A shell may start background programs deaf to Ctrl-C.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from pipeline.__main__ import main; sys.exit(main(sys.argv[1:]))"
)
ROOT = Path(__file__).parents[2]
STUDY: dict[str, Any] = {
    "study": "small",
    "title": "A small study",
    "seed": 5,
    "consent": {"basis": "simulated"},
    "cohort": {
        "format": "tabular",
        "time": "days",
        "key": {"derive_from_seed": True},
        "sources": [{"name": "p", "path": "p.csv", "table": "patients", "columns": {"patient_id": "id"}}],
    },
    "prediction_times": {"visit": {"kind": "baseline_visit"}},
    "feature_sets": {"clinical": {}},
    "outcomes": {
        "relapse": {
            "kind": "event_within_horizon",
            "event": "relapse",
            "horizon_days": 365,
            "index": "visit",
            "title": "Relapse within a year",
            "estimand": {
                "eligible": "everybody",
                "time_zero": "the visit",
                "available": "what was known",
                "horizon": "a year",
                "cause": "relapse",
                "target": "a new country",
            },
        }
    },
    "validation": {
        "kfold": {"kind": "stratified_kfold", "folds": 3},
        "countries": {"kind": "leave_country_out"},
    },
    "learners": {
        "boosted": {"kind": "lightgbm", "trials": 3},
        "plain": {"kind": "clinical", "predictors": ["clinical_a"]},
    },
    "cells": [{"outcome": "relapse", "learners": ["boosted", "plain"], "schemes": ["kfold"]}],
    "primary": {"outcome": "relapse", "learner": "boosted", "scheme": "kfold"},
    "compute": {"engine": "serial"},
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    study = check_study(STUDY, Path("study.yaml"))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(parameters(study)))
    rows, outcomes = frames(150, times=True)
    columns = {
        "column": ["clinical_a", "clinical_b"],
        "feature_set": ["clinical", "clinical"],
        "kind": ["number", "number"],
        "description": ["a driver", "nothing"],
        "unit": [None, None],
        "source": ["planted", "planted"],
        "role": ["predictor", "predictor"],
    }
    write_table(rows, tmp_path / "assembled/rows.parquet", Rows)
    matrix = rows.select("prediction_id", clinical_a="a_0", clinical_b=pl.col("a_0").shuffle(seed=1))
    write_frame(matrix, tmp_path / "assembled/matrix.parquet")
    write_frame(pl.DataFrame(columns), tmp_path / "assembled/columns.parquet")
    write_table(outcomes, tmp_path / "outcomes/outcomes.parquet", Outcomes)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SPLIT = [
    "stage",
    "splits",
    "relapse",
    "--assembled",
    "assembled",
    "--outcomes",
    "outcomes",
    "--out",
    "splits",
]


def train(learner: str) -> list[str]:
    inputs = "--assembled assembled --outcomes outcomes --splits splits --journals journals"
    return f"stage train relapse {learner} {inputs} --out train/{learner}".split()


def test_the_stages_write_what_later_stages_read(workspace: Path) -> None:
    assert main(SPLIT) == 0
    assert main(train("boosted")) == 0
    assert main(train("plain")) == 0
    splits = read_table(workspace / "splits/splits.parquet", Splits)
    folds = json.loads((workspace / "splits/folds.json").read_text())
    assert {fold["scheme"] for fold in folds} == {"kfold", "countries"}
    predictions = read_table(workspace / "train/boosted/predictions.parquet", Predictions)
    assert predictions["scheme"].unique().to_list() == ["kfold"]  # the cell's schemes alone
    assert predictions.height == splits.filter(pl.col("scheme") == "kfold").height
    assert predictions["horizon"].unique().to_list() == [365.0]
    final = json.loads((workspace / "train/boosted/final.json").read_text())
    assert final["kind"] == "lightgbm"
    assert sorted(path.name for path in (workspace / "train/boosted/models").iterdir()) == [
        "kfold_0_0",
        "kfold_0_1",
        "kfold_0_2",
    ]
    plain = json.loads((workspace / "train/plain/final.json").read_text())
    assert plain["columns"] == ["clinical_a"]


def test_too_few_events_are_refused_by_the_command_and_nothing_is_written(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = read_table(workspace / "outcomes/outcomes.parquet", Outcomes)
    write_table(
        outcomes.with_columns(cause=pl.lit(0, pl.Int8), time=pl.lit(400.0)),
        workspace / "outcomes/outcomes.parquet",
        Outcomes,
    )
    assert main(SPLIT) == 2
    assert "Too few events: 0 of 150" in capsys.readouterr().err
    assert not (workspace / "splits").exists()


def test_an_interrupted_stage_leaves_its_journals_alone_and_then_ends_as_if_undisturbed(
    workspace: Path,
) -> None:
    values = yaml.safe_load((workspace / "params.yaml").read_text())
    values["learners"]["boosted"] |= {"kind": "elastic_net", "trials": 12}
    (workspace / "params.yaml").write_text(yaml.safe_dump(values))
    assert main(SPLIT) == 0
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *train("boosted")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(list((workspace / "journals").rglob("*.log"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, message = started.communicate(timeout=60)
    assert started.returncode == 130, message
    assert "Interrupted" in message
    assert "Traceback" not in message
    assert not list(workspace.glob("train/*"))
    assert list((workspace / "journals").rglob("*.log"))
    assert main(train("boosted")) == 0
    resumed = contents(workspace / "train/boosted")
    for journal in (workspace / "journals").rglob("*.log"):
        journal.unlink()
    assert main(train("boosted")) == 0
    assert contents(workspace / "train/boosted") == resumed


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
