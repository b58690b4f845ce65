"""The printed table: the declared primary first, intervals named, no wider than a terminal."""

from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest
from rich.console import Console

from experiments.evaluation.report import OutcomeReport, outcome_report
from experiments.evaluation.reporting import Evaluation
from pipeline.commands.results import WIDTH, outcome_table, result_lines
from pipeline.settings.experiment import CellSettings, Primary
from pipeline.settings.study import Study
from tests.experiments.evaluated_cohort import HORIZON, KINDS, cohort

CELL = CellSettings(outcome="relapse", learners=("base_rate", "clinical", "model"), schemes=tuple(KINDS))
STUDY = cast(
    Study,
    SimpleNamespace(
        primary=Primary(outcome="relapse", learner="model", scheme="centres"),
        tuning=SimpleNamespace(clinical_reference="clinical"),
        validation={name: SimpleNamespace(kind=kind) for name, kind in KINDS.items()},
    ),
)


@pytest.fixture(scope="module")
def report() -> OutcomeReport:
    return outcome_report(
        **cohort(),
        evaluation=Evaluation("demo", "relapse", 1, 11, resamples=50),
        schemes=KINDS,
        horizon=HORIZON,
        references=("clinical", "base_rate"),
    )


def lines(report: OutcomeReport) -> list[tuple[str, ...]]:
    return result_lines(STUDY, CELL, report.metrics, report.comparisons)


def test_the_declared_primary_is_first_and_marked(report: OutcomeReport) -> None:
    found = lines(report)
    assert [line[0] for line in found[:2]] == ["* model", "* model"]
    assert [line[3] for line in found[:2]] == ["mean of centres", "a new centre"]
    assert not any(line[0].startswith("*") for line in found[2:])


def test_every_learner_stands_under_every_scheme_and_direction(report: OutcomeReport) -> None:
    found = [(line[0][2:], line[1]) for line in lines(report)]
    for learner in CELL.learners:
        for scheme in ("kfold", "centres", "countries: FR", "countries: NL"):
            assert (learner, scheme) in found


def test_figures_are_those_of_the_result_files(report: OutcomeReport) -> None:
    row = report.metrics.filter(
        (pl.col("learner") == "model")
        & (pl.col("scheme") == "kfold")
        & pl.col("fold").is_null()
        & (pl.col("metric") == "auroc")
    ).row(0, named=True)
    line = next(line for line in lines(report) if line[:2] == ("  model", "kfold"))
    assert line[2] == f"{row['estimate']:.3f} [{row['lower']:.3f}, {row['upper']:.3f}]"
    assert line[3] == "new patients"


def test_the_reference_is_not_compared_with_itself(report: OutcomeReport) -> None:
    assert all(line[-1] in ("-", "") for line in lines(report) if line[0].endswith("clinical"))


def test_the_table_fits_a_terminal(report: OutcomeReport, capsys: Any) -> None:
    console = Console(width=WIDTH)
    console.print(outcome_table(STUDY, CELL, report.metrics, report.comparisons))
    printed = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in printed) <= WIDTH
    assert "base_rate" in "".join(printed)
    assert "0.500" in "".join(printed)
    assert "…" not in "".join(printed)
