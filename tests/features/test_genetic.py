"""The genetic set as a whole: whose score it is, what is refused, what is reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.contract import BuiltFeatures
from features.errors import BadInput
from features.genetics.bed import BedFile
from features.schema import ColumnDescriptions
from tests.features.genetic_files import Variant, mapping, score_row, times, write_genotypes, write_score
from tests.features.genetic_study import genetic_set

VARIANTS: list[Variant] = [("1", 10, "A", "G"), ("1", 20, "C", "T"), ("2", 30, "A", "C"), ("2", 40, "G", "T")]
FRENCH = np.array([[0, 1, 2, 0], [2, 2, 0, 1]], dtype=float)
GERMAN = np.array([[1, 1, 1, 1]], dtype=float)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two people of one country, one of the other with one variant less; a score of the four variants."""
    write_genotypes(tmp_path / "genotypes" / "fr", FRENCH, VARIANTS, ["f1", "f2"])
    write_genotypes(tmp_path / "genotypes" / "de", np.ascontiguousarray(GERMAN[:, :3]), VARIANTS[:3], ["d1"])
    rows = [
        {**score_row(10, "A", "G", 1.0)},
        {**score_row(20, "C", "T", 10.0)},
        {**score_row(30, "A", "C", 100.0), "chr_name": "2"},
        {**score_row(40, "G", "T", 1000.0), "chr_name": "2"},
    ]
    header = {"pgs_id": "PGS999999", "trait_reported": "Schizophrenia", "citation": "Nobody (2020)"}
    write_score(tmp_path / "weights" / "scz.txt", rows, header)
    write_score(tmp_path / "weights" / "half.txt", rows[:2])
    return tmp_path


def built(source: Path, samples: list[str], **settings: Any) -> BuiltFeatures:
    chosen: dict[str, Any] = {
        "files": ["genotypes/fr", "genotypes/de"],
        "scores": {"scz": "weights/scz.txt"},
    }
    chosen |= {"variants": "each", **settings}
    tables = chosen.pop("tables", mapping(samples))
    return genetic_set(source, times(samples), tables, **chosen)


def refused(source: Path, **settings: Any) -> str:
    with pytest.raises(BadInput) as bad:
        built(source, ["f1"], **settings)
    return str(bad.value)


def test_each_country_is_scored_from_its_own_file(source: Path) -> None:
    result = built(source, ["d1", "f2", "f1"])
    assert result.frame.columns == ["prediction_id", "genetic_scz"]
    assert result.frame["genetic_scz"].to_list() == [111.0, 1022.0, 210.0]


def test_patients_without_sample_and_without_mapping_have_null(source: Path) -> None:
    result = built(source, ["f1", "nobody", "f2"], tables=mapping(["f1", "nobody"]))
    assert result.frame["genetic_scz"].to_list() == [210.0, None, None]
    assert (result.report["predictions"], result.report["predictions_with_a_score"]) == (3, 1)


def test_by_default_a_score_uses_the_variants_that_every_file_holds(source: Path) -> None:
    """The German file lacks the variant that weighs 1000."""
    result = built(source, ["d1", "f2", "f1"], variants="common")
    assert result.frame["genetic_scz"].to_list() == [111.0, 22.0, 210.0]


def test_nobody_with_consent_gives_nulls(source: Path) -> None:
    result = built(source, ["f1", "f2"], tables=mapping([]))
    assert result.frame["genetic_scz"].to_list() == [None, None]
    assert result.frame.schema["genetic_scz"] == pl.Float64


def test_a_patient_with_two_samples_is_scored_from_the_one_called_more_often(source: Path) -> None:
    copies = np.vstack([FRENCH, FRENCH, FRENCH])
    copies[0, 0] = np.nan
    samples = ["f1", "f2", "f3", "f4", "f5", "f6"]
    write_genotypes(source / "genotypes" / "fr", copies, VARIANTS, samples)
    patients = ["p-f1", "p-f1", *(f"p-{sample}" for sample in samples[2:])]
    tables = {"genotypes": pl.DataFrame({"sample_id": samples, "patient_id": patients})}
    quality = {"sample_call_rate": 0.1, "variant_call_rate": 0.1}
    assert built(source, ["f1"], tables=tables, quality=quality).frame["genetic_scz"].to_list() == [1022.0]


def test_every_prediction_of_a_patient_has_the_score(source: Path) -> None:
    result = built(source, ["f1", "f2", "f1"], tables=mapping(["f1", "f2"]))
    assert result.frame["genetic_scz"].to_list() == [210.0, 1022.0, 210.0]


def test_columns_are_described_and_sorted(source: Path) -> None:
    result = built(source, ["f1"], scores={"scz": "weights/scz.txt", "half": "weights/half.txt"})
    ColumnDescriptions.validate(result.columns)
    assert result.frame.columns == ["prediction_id", "genetic_half", "genetic_scz"]
    scz = result.columns.row(by_predicate=pl.col("column") == "genetic_scz", named=True)
    assert scz["source"] == "PGS999999: Nobody (2020)"
    assert scz["unit"] == "sum of weights"
    assert "Schizophrenia" in scz["description"]


def test_the_report_counts_matches_by_file(source: Path) -> None:
    report = built(source, ["f1"]).report
    matches: Any = report["matches"]
    found = {entry["file"]: (entry["rate"], entry["unused"]["absent"]) for entry in matches}
    assert found == {"genotypes/de": (0.75, 1), "genotypes/fr": (1.0, 0)}


def test_the_order_of_the_files_does_not_matter(source: Path) -> None:
    there, back = (
        built(source, ["f1", "d1"], files=files) for files in (["genotypes/fr", "genotypes/de"],) * 2
    )
    turned = built(source, ["f1", "d1"], files=["genotypes/de", "genotypes/fr"])
    assert there.frame.equals(back.frame)
    assert there.frame.equals(turned.frame)
    assert there.report == turned.report


def test_too_low_a_match_is_refused_with_counted_reasons(source: Path) -> None:
    message = refused(source, minimum_match=0.8)
    assert (
        "genotypes/de: 3 of 4 variants of the score scz match (75.0%, at least 80% needed): 1 absent."
        in message
    )
    assert "genotypes/fr" not in message


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"files": ["../fr"]}, "'../fr' must be a path inside"),
        ({"files": ["/etc/fr"]}, "'/etc/fr' must be a path inside"),
        ({"files": ["C:\\fr"]}, "must be a path inside"),
        ({"scores": {"scz": "weights/../../scz.txt"}}, "must be a path inside"),
        ({"scores": {"scz": ""}}, "'' must be a path inside"),
        ({"files": []}, "files must list at least one genotype file"),
        ({"files": "genotypes/fr"}, "files must list at least one genotype file"),
        ({"files": ["genotypes/fr", "genotypes/fr"]}, "the same genotype file twice"),
        ({"files": 3}, "files must list at least one genotype file"),
        ({"files": [3]}, "3 must be a path inside"),
        ({"scores": {}}, "scores must map at least one name to a scoring file"),
        ({"scores": ["weights/scz.txt"]}, "scores must map at least one name to a scoring file"),
        ({"minimum_match": "high"}, "minimum_match must be above 0"),
        ({"scores": {"SCZ": "weights/scz.txt"}}, "score name 'SCZ'"),
        ({"minimum_match": 0}, "minimum_match must be above 0"),
        ({"minimum_match": 1.5}, "minimum_match must be above 0"),
        ({"palindromic": "guess"}, "palindromic must be one of drop, keep, frequency, got: 'guess'"),
        ({"files": ["genotypes/it"]}, "genotypes/it: no genotype file of this name"),
        ({"scores": {"scz": "weights/none.txt"}}, "weights/none.txt: the scoring file does not exist"),
    ],
)
def test_settings_that_are_refused(source: Path, settings: dict[str, Any], expected: str) -> None:
    assert expected in refused(source, **settings)


def test_all_problems_are_listed_at_once(source: Path) -> None:
    message = refused(source, files=["genotypes/it"], scores={"a": "none.txt", "b": "nothing.txt"})
    assert [name in message for name in ("genotypes/it", "none.txt", "nothing.txt")] == [True] * 3


def truncate(source: Path) -> None:
    bed = source / "genotypes" / "fr.bed"
    bed.write_bytes(bed.read_bytes()[:-1])


def start_with(magic: bytes) -> Callable[[Path], None]:
    def change(source: Path) -> None:
        bed = source / "genotypes" / "fr.bed"
        bed.write_bytes(magic + bed.read_bytes()[3:])

    return change


def edit(ending: str, old: str, new: str) -> Callable[[Path], None]:
    def change(source: Path) -> None:
        path = source / "genotypes" / f"fr.{ending}"
        path.write_text(path.read_text().replace(old, new))

    return change


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (truncate, "genotypes/fr.bed: 6 bytes, but 2 samples in the .fam and 4 variants in the .bim make 7"),
        (start_with(b"\x6c\x1b\x00"), "genotypes/fr.bed: the file is sample-major"),
        (start_with(b"BED"), "genotypes/fr.bed: this is not a PLINK 1 .bed file"),
        (
            edit("bim", "\t30\t", "\tthirty\t"),
            "genotypes/fr.bim: 1 position(s) are not whole numbers, first at line 3",
        ),
        (edit("bim", "C\tT", "C"), "genotypes/fr.bim: line 2 has 5 fields, not 6"),
        (edit("fam", "f2", "f1"), "genotypes/fr.fam: 1 individual id(s) stand more than once"),
        (edit("fam", "f2", "d1"), "1 sample id(s) stand in more than one of the genotype files"),
        (
            lambda source: (source / "genotypes" / "fr.fam").write_text(""),
            "genotypes/fr.fam: the file is empty",
        ),
        (
            lambda source: (source / "genotypes" / "fr.bim").unlink(),
            "genotypes/fr.bim: the genotype file does not",
        ),
    ],
)
def test_damaged_genotype_files(source: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(source)
    message = refused(source)
    assert expected in message
    assert "f2" not in message.replace("genotypes/f2", "")


def test_genotypes_of_people_without_mapping_are_never_read(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[tuple[str, tuple[int, ...]]] = set()
    whole = BedFile.blocks

    def spy(file: BedFile, *, samples: Any, variants: Any) -> Any:
        asked.add((file.name, tuple(int(sample) for sample in samples)))
        return whole(file, samples=samples, variants=variants)

    monkeypatch.setattr(BedFile, "blocks", spy)
    built(source, ["f2"])
    assert {samples for name, samples in asked if name == "genotypes/fr"} == {(1,)}
    assert {samples for name, samples in asked if name == "genotypes/de"} <= {()}


@pytest.mark.parametrize("fold", ["components", "frequencies"])
def test_what_is_fitted_in_the_fold_gets_genotypes_and_no_figure_of_anybody_else(
    source: Path, fold: str
) -> None:
    settings: dict[str, Any] = {"variants": "common"}
    settings |= (
        {"ancestry": {"in_fold": True, "components": 2}}
        if fold == "components"
        else {"missing": {"imputation": "mean", "frequencies": "cohort"}}
    )
    wanted = {
        "components": {"genetic_variants", "genetic_family"},
        "frequencies": {"genetic_genotypes", "genetic_scz_missing"},
    }[fold]
    whole = built(source, ["f1", "f2", "d1"], **settings)
    context = whole.columns.filter(pl.col("role") == "context")["column"].to_list()
    assert set(context) == wanted
    if (
        fold == "frequencies"
    ):  # which variants hardly correlate is judged on everybody's genotypes, and no outcome
        assert whole.frame.row(1)[1:] == built(source, ["f2"], **settings).frame.row(0)[1:]
