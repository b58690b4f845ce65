"""The BIDS format: a small data set by hand, and the real one where it is there."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.intake.ledger import Intake, Problem
from pipeline.intake.registry import examine_cohort
from pipeline.settings.cohort import BidsCohort, Variable
from pipeline.settings.load import load_study
from pipeline.settings.study import Consent

PARTICIPANTS = "participant_id\tdiagnosis\tage\tgender\nsub-01\tSCHZ\t30\tF\nsub-02\tCONTROL\t41\tM\nsub-03\tCONTROL\tn/a\tM\n"
TEST = "participant_id\tscore\thand\tfree\tseconds\nsub-01\t5\t2.0\tx\t1.5\nsub-02\t99\t2\ty\t2.5\nsub-03\tn/a\t3\tz\tn/a\n"
DESCRIBED = {
    "score": {"Description": "a score", "MinValue": "0", "MaxValue": "16"},
    "hand": {"Description": "a hand", "Levels": {"1": "left", "2": "right"}},
    "MeasurementToolMetadata": {"Description": "a test"},
}


def _examine(
    folder: Path,
    *,
    test: str = TEST,
    described: Any = DESCRIBED,
    table: dict[str, Any] | None = None,
    participants: str = PARTICIPANTS,
    ignore: Sequence[str] = (),
) -> tuple[Intake | None, list[Problem]]:
    (folder / "phenotype").mkdir(exist_ok=True)
    (folder / "participants.tsv").write_text(participants)
    (folder / "phenotype/test.tsv").write_text(test)
    (folder / "phenotype/test.json").write_text(
        described if isinstance(described, str) else json.dumps(described)
    )
    cohort = BidsCohort.model_validate(
        {
            "format": "bids",
            "key": {"derive_from_seed": True},
            "participants": {"sex": {"from": "gender", "codes": {"F": "female", "M": "male"}}, "age": "age"},
            "participant_variables": {"diagnosis": "diagnosis"},
            "tables": {"test": table or {}},
            "ignore": ignore,
        }
    )
    return examine_cohort(
        cohort,
        dictionary={"diagnosis": Variable(kind="category", role="outcome")},
        consent=Consent(basis="public data"),
        source=folder,
        seed=1,
        open_data=True,
    )


def test_levels_ranges_and_numbers(tmp_path: Path) -> None:
    intake, problems = _examine(tmp_path)
    assert intake is not None
    told = {
        (item.verdict, item.file, item.first_row, item.variable)
        for item in problems
        if item.file != "all files"
    }
    assert told == {
        ("warning", "phenotype/test.tsv", 2, "free"),
        ("quarantined", "phenotype/test.tsv", 3, "test_score"),
        ("quarantined", "phenotype/test.tsv", 4, "test_hand"),
    }
    measured = intake.tables["measurements"]
    assert sorted(set(measured["variable"])) == ["diagnosis", "test_hand", "test_score", "test_seconds"]
    assert measured.filter(variable="test_hand")["category"].to_list() == ["2", "2"]
    assert sorted(measured.filter(variable="test_seconds")["number"]) == [1.5, 2.5]
    assert measured.filter(variable="diagnosis")["available"].is_infinite().all()
    assert set(measured.filter(variable="test_score")["time"]) == {0.0}
    assert intake.tables["visits"].select("visit", "time").unique().rows() == [("baseline", 0.0)]
    assert sorted(intake.tables["patients"]["age_band"].drop_nulls()) == ["25-34", "35-44"]
    for account in intake.flow["files"]:
        assert account["read"] == account["kept"] + account["quarantined"] + account["excluded"] == 3


def test_columns_by_pattern(tmp_path: Path) -> None:
    intake, _ = _examine(tmp_path, table={"include": ["s*"], "exclude": ["sec*"]})
    assert intake is not None
    assert sorted(set(intake.tables["measurements"]["variable"])) == ["diagnosis", "test_score"]
    _, problems = _examine(tmp_path, table={"include": ["nothing*"]})
    assert [problem.rule for problem in problems if problem.verdict == "refused"] == [
        "the column 'nothing*' is not in the header"
    ]


@pytest.mark.parametrize(
    ("cell", "verdict", "rule"),
    [
        ("2,5", "refused", "a number with the other decimal mark"),
        ("nr", "refused", "looks like a missing-value mark that is not declared"),
        ("2.5 s", "quarantined", "not a number"),
    ],
)
def test_one_odd_cell_is_named_and_costs_no_column(
    tmp_path: Path, cell: str, verdict: str, rule: str
) -> None:
    intake, problems = _examine(tmp_path, test=TEST.replace("n/a\t3\tz\tn/a", f"n/a\t1\tz\t{cell}"))
    assert [
        (item.verdict, item.rule, item.first_row) for item in problems if item.variable == "test_seconds"
    ] == [(verdict, rule, 4)]
    if intake is not None:
        assert sorted(intake.tables["measurements"].filter(variable="test_seconds")["number"]) == [1.5, 2.5]


def test_a_missing_mark_is_no_participant(tmp_path: Path) -> None:
    text = PARTICIPANTS.replace("sub-02", "n/a")
    intake, problems = _examine(tmp_path, participants=text)
    assert intake is not None
    assert intake.tables["patients"].height == 2
    assert ("quarantined", "no patient id", 3) in {(p.verdict, p.rule, p.first_row) for p in problems}


def test_an_unmapped_participants_column_that_identifies(tmp_path: Path) -> None:
    text = "".join(
        f"{line}\t{more}\n"
        for line, more in zip(PARTICIPANTS.splitlines(), ("phone", "1", "2", "3"), strict=True)
    )
    intake, problems = _examine(tmp_path, participants=text)
    assert intake is None
    assert "column 5, 'phone', looks as if it identified patients, and is not mapped" in {
        item.rule for item in problems if item.verdict == "refused"
    }
    assert _examine(tmp_path, participants=text, ignore=["phone"])[0] is not None


@pytest.mark.parametrize("described", ["{", "[]", "null"])
def test_damaged_dictionary(tmp_path: Path, described: str) -> None:
    intake, problems = _examine(tmp_path, described=described)
    assert intake is None
    assert [problem.file for problem in problems if problem.verdict == "refused"] == ["phenotype/test.json"]


def test_table_without_ids(tmp_path: Path) -> None:
    intake, problems = _examine(tmp_path, test=TEST.replace("participant_id", "person"))
    assert intake is None
    assert any("'participant_id' is not in the header" in problem.rule for problem in problems)


@pytest.mark.real_data
@pytest.mark.skipif("PSYSTRATA_DATA" not in os.environ, reason="PSYSTRATA_DATA names no folder of real data")
def test_cnp() -> None:
    study = load_study(Path("experiments/studies/cnp"))
    intake, _ = examine_cohort(
        study.cohort,
        dictionary=study.dictionary,
        consent=study.consent,
        source=Path(os.environ["PSYSTRATA_DATA"]) / "cnp",
        seed=study.seed,
        open_data=True,
    )
    assert intake is not None
    diagnosis = intake.tables["measurements"].filter(variable="diagnosis")["category"].value_counts()
    assert dict(diagnosis.rows()) == {"CONTROL": 130, "SCHZ": 50, "BIPOLAR": 49, "ADHD": 43}  # Poldrack 2016
    forbidden = ("hamilton", "bprs", "ymrs", "acds", "saps", "sans", "medication", "scid")
    assert not [name for name in set(intake.tables["measurements"]["variable"]) if name.startswith(forbidden)]
