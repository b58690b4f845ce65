"""What cards say of polygenic scores: words first, what nobody checked, and nothing that a small count follows from."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from experiments.genetics.checked import CheckedGenotypes
from experiments.genetics.schemas import ScoreSummary
from experiments.genetics.summary import score_summary
from pipeline.cards.genetic import (
    ancestry_words,
    column_words,
    genetic_of_cohort,
    genetic_section,
    missing_words,
    scored_words,
)
from pipeline.cards.genetic_tables import ancestry_table, match_table, sample_flow, variant_flow
from pipeline.cards.tripod import NEEDS_INPUT
from pipeline.files import write_json, write_table
from pipeline.settings.load import check_study
from pipeline.settings.study import Study
from pipeline.stages.genotypes import write_checked
from tests.workplace import small_study

FLOW = {
    "mapped_samples": 800,
    "samples": [
        {"step": "samples in the genotype files", "samples": 900},
        {"step": "of patients of the study", "samples": 800},
        {"step": "call rate high enough", "samples": 797},
        {"step": "sex as recorded: kept", "samples": 795},
    ],
    "variants": [
        {
            "file": "fr",
            "steps": [{"step": "variants in the file", "variants": 5000}, {"step": "kept", "variants": 4990}],
        },
        {
            "file": "de",
            "steps": [{"step": "variants in the file", "variants": 6000}, {"step": "kept", "variants": 6000}],
        },
    ],
    "pruning": [{"step": "left by pruning", "variants": 1200}],
}
ASKED = {"reference": "panel", "components": 10, "normalise": "mean_variance"}


def match(file: str, used: int, *, reference: bool = False) -> dict[str, Any]:
    return {
        "score": "scz", "file": file, "reference": reference, "rows": 1000, "matched": used, "used": used, "rate": used / 1000,
        "weight_share": used / 1000, "alleles_flipped": 3, "strand_flipped": 0, "unused": {"absent": 1000 - used, "duplicate": 0},
    }  # fmt: skip


def score(name: str) -> dict[str, Any]:
    return {
        "score": name, "trait": name, "file": f"{name}.txt", "format": "PGS Catalog 2.0", "source": f"PGS1: {name} 2020",
        "genome_build": "GRCh37", "rows": 1000, "repeated_rows": 0, "matched_by": "position", "unused_columns": [], "used": 900,
    }  # fmt: skip


def report(**changes: Any) -> dict[str, Any]:
    settings = {
        "palindromic": "drop", "variants": "common", "minimum_match": 0.75, "genome_build": None, "quality": {},
        "missing": {"imputation": "hardy_weinberg", "frequencies": "scoring_file"}, "ancestry": ASKED,
    }  # fmt: skip
    return {
        "sentence": "Two files.", "settings": settings, "scores": [score("mdd"), score("scz")],
        "matches": [match("de", 900), match("fr", 950), match("panel", 910, reference=True)],
        "missing": [{"score": "scz", "file": "fr", "share": 0.012}], "warnings": ["scz: means lie apart."],
        "files": [{"file": "fr", "reference": False, "variants": 5000, "genome_build": None, "dosages": True}],
        "relatives": {"duplicate": None, "first degree": 24, "second degree": 0}, "relative_words": ["Relatives."],
        "quality_words": ["Sex was not checked."], "variants": {"pruned": 1200}, **changes,
    }  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Results of a stage and of two learners, one of which uses a score."""
    genotypes = tmp_path / "genotypes"
    write_checked(CheckedGenotypes(report=report(), flow=FLOW), genotypes)
    people = pl.DataFrame(
        {
            "network": ["FACE"] * 40 + ["DZPG"] * 60,
            "ancestry": (["A"] * 30 + ["B"] * 3 + ["C"] * 7) + ["A"] * 60,
        }
    )
    people = people.with_columns(genetic_scz=pl.int_range(pl.len()).cast(pl.Float64))
    summary = score_summary(people, {("scz", "raw"): "genetic_scz"}, study="small", smallest_cell=11)
    write_table(summary, genotypes / "summary.parquet", ScoreSummary)
    columns = {
        "elastic_net": ["clinical_age", "genetic_scz_ancestry_mean_variance"],
        "clinical": ["clinical_age"],
    }
    for learner, used in columns.items():
        folder = tmp_path / "train" / "relapse_1y" / learner
        folder.mkdir(parents=True)
        write_json({"columns": used}, folder / "final.json")
    return tmp_path


def study(level: str = "restricted", *, genetic: bool = True) -> Study:
    values = small_study("small", disclosure={"level": level, "smallest_cell": 11})
    sets = {name: one for name, one in values["feature_sets"].items() if name != "genetic"}
    asked = (
        {"genetic": {"files": ["fr", "de"], "scores": {"scz": "scz.txt", "mdd": "mdd.txt"}}}
        if genetic
        else {}
    )
    return check_study({**values, "feature_sets": {**sets, **asked}}, Path("study.yaml"))


def test_a_card_says_what_the_score_is_and_what_nobody_checked(workspace: Path) -> None:
    section = genetic_section(study(), "relapse_1y", "elastic_net", workspace)
    assert section is not None
    words = " ".join(section.words)
    assert "scz (normalised, mean and variance)" in section.words[1]
    assert "scz: PGS1: scz 2020" in words
    assert "mdd: PGS1" not in words  # this model does not use it; its row stands in the table
    assert words.count(NEEDS_INPUT) == 2  # overlap with the weights' studies, and other ancestries
    assert "Take care: scz: means lie apart." in words
    assert [row["score"] for row in dict(section.tables)["Scores and their sources"]] == ["mdd", "scz"]


def test_a_model_without_genetic_columns_has_no_section(workspace: Path) -> None:
    assert genetic_section(study(), "relapse_1y", "clinical", workspace) is None
    assert genetic_section(study(genetic=False), "relapse_1y", "elastic_net", workspace) is None


def test_a_study_without_genotypes_says_so_on_the_cohorts_page(tmp_path: Path) -> None:
    write_checked(CheckedGenotypes(), tmp_path / "genotypes")
    section = genetic_of_cohort(study(genetic=False), tmp_path)
    assert "no genetic feature set" in section.words[0]
    assert section.tables == ()


def test_a_small_removal_follows_from_no_count(workspace: Path) -> None:
    tables = dict(genetic_of_cohort(study(), workspace).tables)
    told = json.dumps(tables["Samples"])
    assert (
        "900" not in told
    )  # the files' own count, less that of the account of files, would be a start of its own
    assert '"3"' not in told
    assert "797" not in told
    assert "795" not in told
    assert {row["relation"]: row["pairs"] for row in tables["Related pairs of samples"]} == {
        "duplicate": "suppressed", "first degree": "24", "second degree": "0",
    }  # fmt: skip
    assert sample_flow(FLOW, 0)[-1] == {"step": "sex as recorded: kept", "removed": "2", "samples": "795"}


def test_small_ancestries_are_suppressed(workspace: Path) -> None:
    tables = dict(genetic_of_cohort(study(), workspace).tables)
    rows = {row["ancestry"]: row for row in tables["Ancestry by network"]}
    assert rows["B"]["FACE"] == rows["C"]["FACE"] == "suppressed"
    assert rows["A"]["DZPG"] == "60"


def test_variants_stand_by_file_and_those_of_all_files_after(workspace: Path) -> None:
    rows = variant_flow(FLOW)
    assert rows[1] == {"step": "kept", "fr": "4,990", "de": "6,000", "all files": ""}
    assert rows[2]["all files"] == "1,200"


def test_what_was_matched_is_told_with_the_reasons() -> None:
    rows = match_table(report(), ["scz"])
    assert match_table(report(), ["mdd"]) == []
    assert rows[0]["matched"] == "900 of 1,000 (90.0 %)"
    assert rows[0]["not matched"] == "absent 100"
    assert rows[2]["file"] == "panel (reference)"
    assert "90.0 to 95.0 % matched" in scored_words(score("scz"), report())


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (None, "Ancestry was not looked at"),
        ({**ASKED, "reference": None}, "inside each training fold"),
        (ASKED, "reference panel panel"),
    ],
)
def test_the_handling_of_ancestry_is_named(asked: dict[str, Any] | None, told: str) -> None:
    settings = {**report()["settings"], "ancestry": asked}
    assert told in ancestry_words(report(settings=settings))


def test_missing_genotypes_are_told_with_their_source() -> None:
    assert "1.2 % of the genotypes" in missing_words(report())
    none = {**report()["settings"], "missing": {"imputation": "none", "frequencies": "scoring_file"}}
    assert "no-mean-imputation" in missing_words(report(settings=none))
    assert "frequencies" not in missing_words(report(settings=none))


def test_columns_are_worded() -> None:
    assert column_words("genetic_scz_ancestry_mean", report()) == "scz (normalised, mean)"
    assert column_words("genetic_component_2", report()) == "component 2"


def test_without_populations_there_is_no_table_of_ancestry() -> None:
    assert ancestry_table(ScoreSummary.create_empty()) == []
