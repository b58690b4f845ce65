"""psystrata check and the stage tables, on a study of four files."""

from pathlib import Path
from shutil import copytree

import polars as pl
import pytest
import yaml

from features.schema import TABLES
from pipeline.__main__ import main
from pipeline.commands.check import problem_table
from pipeline.files import read_json, read_table
from pipeline.intake.ledger import Problem
from tests.trust.small_cohort import FILES, SmallCohort


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one study, `small`: the settings of cnp with the files of the small cohort."""
    values = yaml.safe_load(Path("experiments/studies/cnp/study.yaml").read_text(encoding="utf-8"))
    cohort = SmallCohort(tmp_path)
    values["study"] = "small"
    values["cohort"] = cohort.settings().model_dump(mode="json", by_alias=True)
    values["dictionary"] = cohort.dictionary
    folder = tmp_path / "experiments/studies/small"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    (tmp_path / "data/small").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / "data/small" / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PSYSTRATA_DATA", raising=False)
    return tmp_path


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("", ""), 0, "Clean"),
        (("2019-05-09", "2019-04-09"), 1, "discharge before admission"),
        (("id,stay,in,out", "id,stay,in,in"), 2, "stands twice"),
    ],
)
def test_check_lists_problems_and_writes_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], code: int, said: str
) -> None:
    stays = workspace / "data/small/stays.csv"
    stays.write_text(FILES["stays.csv"].replace(*change))
    before = _files(workspace)
    assert main(["check", "small"]) == code
    assert said in capsys.readouterr().out
    assert _files(workspace) == before


def test_check_opens_genotypes_and_scores(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = workspace / "experiments/studies/small/study.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["feature_sets"]["genetic"] = {"files": ["chip"], "scores": {"mdd": "mdd.txt"}}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert main(["check", "small"]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "no genotype file of this name" in said
    assert "the scoring file does not exist" in said
    assert "mend its path under scores." in said


def test_brackets_in_names_are_printed_as_they_are(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workspace / "data/small/patients.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},[/b] :smile:", *(f"{row},x" for row in rows)]) + "\n")
    main(["check", "small"])
    assert "[/b] :smile:" in capsys.readouterr().out


def test_check_finds_files_under_psystrata_data(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(workspace / "data/small", workspace / "elsewhere/small")
    for name in FILES:
        (workspace / "data/small" / name).unlink()
    (workspace / "data/small").rmdir()
    assert main(["check", "small"]) == 2
    assert "PSYSTRATA_DATA" in capsys.readouterr().err
    monkeypatch.setenv("PSYSTRATA_DATA", str(workspace / "elsewhere"))
    assert main(["check", "small"]) == 0
    assert not (workspace / "data/small").exists()


def test_a_problem_of_a_file_that_feeds_several_tables_is_told_once() -> None:
    missing = Problem(verdict="refused", file="a.csv", rule="the file is missing", action="Put it there")
    assert problem_table([missing, missing]).row_count == 1


def test_stage_tables_writes_seven_tables_and_the_account(workspace: Path) -> None:
    assert main(["use", "small"]) == 0
    stage = ["stage", "tables", "--source", "data/small", "--out", "out"]
    assert main(stage) == 0
    written = {name: read_table(workspace / f"out/{name}.parquet", schema) for name, schema in TABLES.items()}
    assert written["patients"].height == 4
    assert read_json(workspace / "out/report.json")["problems"] == []
    assert {item["read"] for item in read_json(workspace / "out/flow.json")["files"]} == {2, 4}
    assert pl.read_parquet(workspace / "out/quarantine.parquet").is_empty()
    first = _files(workspace / "out")
    assert main(stage) == 0
    assert _files(workspace / "out") == first


def test_stage_tables_refuses_in_sentences_and_leaves_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", "small"]) == 0
    (workspace / "data/small/visits.csv").write_text("")
    (workspace / "data/small/stays.csv").write_text("id,stay,in,in\n")
    assert main(["stage", "tables", "--source", "data/small", "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert "visits.csv: the file is empty" in said
    assert "stays.csv, row 1: column 3, 4 of the header stands twice" in said
    assert not (workspace / "out").exists()
