"""The card says which predictions trained nothing for the sake of a tested relative, and no small count of patients."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.cards.flow import HIDDEN
from pipeline.cards.relatives import relatives_section, set_aside
from pipeline.files import write_json
from pipeline.settings.load import check_study
from tests.workplace import demo_study

STUDY = check_study(demo_study("demo"), Path("study.yaml"))


def fold(scheme: str, kind: str, predictions: int = 0, patients: int = 0) -> dict[str, Any]:
    entry: dict[str, Any] = {"scheme": scheme, "kind": kind, "train": 100, "test": 20}
    return entry | ({"relatives": predictions, "relatives_patients": patients} if predictions else {})


FOLDS = [
    fold("kfold", "stratified_kfold"),
    fold("centres", "leave_centre_out", 30, 12),
    fold("centres", "leave_centre_out", 1400, 5),
    fold("centres", "leave_centre_out"),
    fold("countries", "leave_country_out", 25, 10),
]


@pytest.mark.parametrize(("smallest", "countries"), [(11, HIDDEN), (10, "25"), (0, "25")])
def test_schemes_that_cut_families_are_told_and_few_patients_hidden(smallest: int, countries: str) -> None:
    rows = {row["scheme"]: row for row in set_aside(FOLDS, smallest)}
    assert rows.keys() == {"centres", "countries"}
    assert rows["centres"]["predictions set aside, over all folds"] == "1,430"
    assert rows["centres"]["folds that cut a family"] == "2"
    assert rows["countries"]["predictions set aside, over all folds"] == countries


def test_many_folds_with_few_patients_each_may_be_the_same_few() -> None:
    folds = [fold("centres", "leave_centre_out", 9, 9) for _ in range(20)]
    assert set_aside(folds, 11)[0]["predictions set aside, over all folds"] == HIDDEN


def test_without_relatives_the_card_has_no_such_section(tmp_path: Path) -> None:
    outcome = STUDY.cells[0].outcome
    scheme = STUDY.cells[0].schemes[0]
    place = tmp_path / "splits" / outcome / "folds.json"
    write_json([fold(scheme, "leave_centre_out")], place)
    assert relatives_section(STUDY, outcome, tmp_path) is None
    write_json([fold(scheme, "leave_centre_out", 30, 20), fold("another", "temporal", 30, 20)], place)
    section = relatives_section(STUDY, outcome, tmp_path)
    assert section is not None
    assert [row["scheme"] for row in section.tables[0][1]] == [scheme]
