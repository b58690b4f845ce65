"""Bad rows that the simulation planted: each is found, and nothing else is."""

from pathlib import Path

import pytest

from pipeline.commands.use import read_study
from pipeline.files import read_json
from pipeline.intake.ledger import Intake
from pipeline.intake.registry import read_cohort
from pipeline.simulation.cohort import simulate_cohort
from pipeline.simulation.dials import read_dials
from pipeline.simulation.sources import write_sources, write_truth

Rows = set[tuple[str, int]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Intake, list[dict[str, object]]]:
    """The demo cohort at 300 patients, as read by intake, and the bad rows that were planted."""
    folder: Path = tmp_path_factory.mktemp("demo")
    study = read_study("demo", ["simulation.patients=300"])
    assert study.simulation is not None
    cohort = simulate_cohort(read_dials(study.simulation), study.seed)
    for name in ("source", "truth"):
        (folder / name).mkdir()
    planted = write_sources(cohort, folder / "source")
    write_truth(cohort, planted, folder / "truth")
    intake = read_cohort(
        study.cohort,
        dictionary=study.dictionary,
        consent=study.consent,
        source=folder / "source",
        seed=study.seed,
        open_data=True,
    )
    return intake, read_json(folder / "truth/bad_rows.json")


def _planted(bad: list[dict[str, object]], *verdicts: str) -> Rows:
    return {
        (str(item["source"]), line)
        for item in bad
        if item["verdict"] in verdicts and isinstance(item["lines"], list)
        for line in item["lines"]
    }


def test_every_planted_row_is_quarantined_and_no_other(
    demo: tuple[Intake, list[dict[str, object]]],
) -> None:
    intake, bad = demo
    found: Rows = set(intake.quarantine.select("source", "row").unique().rows())
    planted = _planted(bad, "quarantined", "value")
    assert len(planted) > 20
    assert found == planted


def test_planted_duplicates_are_excluded_and_counted(demo: tuple[Intake, list[dict[str, object]]]) -> None:
    intake, bad = demo
    counted = {
        item["source"]: item["excluded_by"].get("identical duplicate", 0) for item in intake.flow["files"]
    }
    planted = _planted(bad, "excluded")
    assert planted
    assert {source for source, count in counted.items() if count} == {source for source, _ in planted}
    assert sum(counted.values()) == len(planted)
