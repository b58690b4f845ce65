"""What of the genetic set travels: rules alike at two sites, files by name, nothing of the site's own."""

from pathlib import Path
from typing import Any

import pytest

from features.genetics.portable import portable

SCORES = {"one": "weights/one.txt", "two": "weights/many.txt#second"}
SITE: dict[str, Any] = {"files": ["fr"], "scores": SCORES, "genome_build": "GRCh37", "vcf_field": "GT"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for ending in ("bed", "bim", "fam"):
        (tmp_path / f"panel.{ending}").touch()
    return tmp_path


def test_what_is_the_sites_own_does_not_travel(source: Path) -> None:
    other = {"files": [["de_1", "de_2"]], "scores": SCORES, "quality": {"sample_call_rate": 0.9}}
    assert portable(SITE, source) == portable(other, source)


def test_files_of_the_definition_are_named(source: Path) -> None:
    asked = {
        **SITE,
        "ancestry": {"reference": "panel", "populations": "panel.tsv", "components": 4},
        "missing": {"imputation": "mean", "frequencies": "known.afreq"},
    }
    rules, files = portable(asked, source)
    assert files == {
        "scores.one": "weights/one.txt",
        "scores.two": "weights/many.txt",
        "missing.frequencies": "known.afreq",
        "ancestry.populations": "panel.tsv",
        **{f"ancestry.reference.panel.{ending}": f"panel.{ending}" for ending in ("bed", "bim", "fam")},
    }
    assert rules["weights"] == {"two": "second"}


@pytest.mark.parametrize(
    "change",
    [
        {"palindromic": "keep"},
        {"minimum_match": 0.9},
        {"variants": "each"},
        {"missing": {"imputation": "none"}},
        {"ancestry": {"in_fold": True, "components": 3}},
        {"scores": {**SCORES, "two": "weights/many.txt#first"}},
    ],
)
def test_another_rule_is_another_definition(source: Path, change: dict[str, Any]) -> None:
    assert portable({**SITE, **change}, source)[0] != portable(SITE, source)[0]
