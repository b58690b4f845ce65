"""What the command line says when it refuses: a plain sentence, exit code 2, no traceback."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline.commands.use
from features.errors import BadInput
from models.errors import BadTarget
from pipeline.__main__ import INTERRUPTED, REFUSED, main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the studies in an empty folder, without data."""
    shutil.copytree(ROOT / "experiments" / "studies", tmp_path / "experiments" / "studies")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PSYSTRATA_DATA", raising=False)
    return tmp_path


def test_an_unknown_study_is_answered_with_the_known_ones(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", "nosuch"]) == REFUSED
    said = capsys.readouterr().err
    assert "'nosuch' is not known; known: " in said
    assert "demo" in said
    assert not (elsewhere / "params.yaml").exists()


def test_missing_data_says_where_to_put_it(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["use", "cnp"]) == REFUSED
    said = capsys.readouterr().err
    assert "data/cnp" in said
    assert "PSYSTRATA_DATA" in said
    assert not (elsewhere / "params.yaml").exists()


def test_a_stage_without_its_input_names_the_file(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", "demo"]) == 0
    assert (
        main(["stage", "prediction_times", "--tables", "artifacts/demo/tables", "--out", "out.parquet"])
        == REFUSED
    )
    said = capsys.readouterr().err
    assert "patients.parquet is not there" in said
    assert "Traceback" not in said
    assert not (elsewhere / "out.parquet").exists()


def test_a_stage_without_params_says_which_command_writes_them(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stage", "prediction_times", "--tables", "x", "--out", "out.parquet"]) == REFUSED
    assert "params.yaml is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        (BadInput("first.", "second."), REFUSED, "first."),
        (BadTarget("one class."), REFUSED, "one class."),
        (KeyboardInterrupt(), INTERRUPTED, "Interrupted"),
        (MemoryError(), REFUSED, "memory"),
        (
            OSError(errno.ENOSPC, "No space left on device", "x.parquet"),
            REFUSED,
            "x.parquet cannot be written",
        ),
    ],
)
def test_what_goes_wrong_becomes_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    problem: BaseException,
    code: int,
    words: str,
) -> None:
    def fail(**_: object) -> int:
        raise problem

    monkeypatch.setattr(pipeline.commands.use, "run", fail)
    assert main(["use", "demo"]) == code
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(pipeline.commands.use, "run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["use", "demo"])


TERMINATED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
import pipeline.__main__ as command_line
from pipeline.files import replaced_folder
def run():
    with replaced_folder(Path(sys.argv[1])) as folder:
        (folder / "rows").write_text("a patient's row")
        os.kill(os.getpid(), signal.SIGTERM)
command_line.import_module = lambda name: SimpleNamespace(configure=lambda parser: None, run=run)
sys.exit(command_line.main(["results"]))
"""


def test_a_terminated_command_removes_what_it_had_half_written(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TERMINATED, str(tmp_path / "result")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, list(tmp_path.iterdir())) == (130, [])
    assert ended.stderr.startswith("psystrata: Interrupted.")
