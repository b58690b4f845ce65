"""Quality control of genotypes as a whole: planted faults are found, and plink2 says the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from features.errors import BadInput
from features.genetics.quality import GenotypeQuality, check_genotypes
from features.genetics.sample_pairs import DUPLICATE, FIRST_DEGREE, NOT_RELATED, SECOND_DEGREE
from features.genetics.sample_quality import HETEROZYGOSITY, LOW_CALL_RATE, SEX, TWO_PEOPLE
from features.genetics.thresholds import QualityThresholds
from features.genetics.variant_quality import LOW_CALL_RATE as LOW_VARIANT_CALL_RATE
from features.genetics.variant_quality import NOT_HARDY_WEINBERG
from tests.features.genetic_cohort import (
    AUTOSOMAL,
    CONTAMINATED,
    HALF_SIBLING,
    NEVER_HETEROZYGOUS,
    OFTEN_MISSING,
    ONLY_HETEROZYGOUS,
    OTHER_SEX,
    OTHER_SIBLING,
    SELDOM_CALLED,
    SIBLING,
    TWIN,
    TWIN_OF,
    Cohort,
    make_cohort,
)
from tests.features.genotypes_in_memory import GenotypesInMemory
from tests.features.golden.genetic_quality_reference import GOLDEN, plink2_says, plink19_says

SIX_DIGITS = 6e-6
WIDE = QualityThresholds(heterozygosity_sd=4.5)  # no chance outliers among some two hundred


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return make_cohort()


@pytest.fixture(scope="module")
def quality(cohort: Cohort) -> GenotypeQuality:
    return check_genotypes([whole(cohort)], cohort.people(), WIDE)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return dict(json.loads(GOLDEN.read_text()))


def whole(cohort: Cohort, **more: Any) -> GenotypesInMemory:
    return GenotypesInMemory(cohort.copies, cohort.variants, **more)


def by_id(frame: pl.DataFrame, key: str, value: str, wanted: dict[str, str]) -> tuple[Any, Any]:
    """Our figures and the reference's, in one order."""
    found = dict(frame.select(key, value).iter_rows())
    return [found[name] for name in wanted], [float(figure) for figure in wanted.values()]


def test_variants_as_plink2(quality: GenotypeQuality, golden: dict[str, Any]) -> None:
    ours = {row["id"]: row for row in quality.variants.iter_rows(named=True)}
    for name, (allele, frequency) in golden["frequency"].items():
        own = ours[name]["frequency"] if ours[name]["a1"] == allele else 1 - ours[name]["frequency"]
        assert own == pytest.approx(float(frequency), abs=SIX_DIGITS), name
    rates = quality.variants.with_columns(missing=1 - pl.col("call_rate"))
    np.testing.assert_allclose(*by_id(rates, "id", "missing", golden["variant_missing"]), atol=SIX_DIGITS)
    np.testing.assert_allclose(
        *by_id(quality.variants, "id", "hardy_weinberg_p", golden["hardy_weinberg_p"]), rtol=SIX_DIGITS
    )
    assert min(map(float, golden["hardy_weinberg_p"].values())) < 1e-40


def test_samples_as_plink(quality: GenotypeQuality, golden: dict[str, Any]) -> None:
    rates = quality.samples.with_columns(missing=1 - pl.col("call_rate"))
    np.testing.assert_allclose(
        *by_id(rates, "sample_id", "missing", golden["sample_missing"]), atol=SIX_DIGITS
    )
    np.testing.assert_allclose(
        *by_id(quality.samples, "sample_id", "heterozygosity_f", golden["heterozygosity"]), atol=SIX_DIGITS
    )
    np.testing.assert_allclose(*by_id(quality.samples, "sample_id", "x_f", golden["x_f"]), atol=6e-5)


def test_pruned_list_as_plink2(cohort: Cohort, quality: GenotypeQuality, golden: dict[str, Any]) -> None:
    kept = quality.pruned.join(cohort.variants, on=["chromosome", "position"], maintain_order="left")["id"]
    assert kept.to_list() == [f"v{place}" for place in golden["pruned"].split()]
    assert 1000 < kept.len() < AUTOSOMAL - 600


def test_kinship_as_plink2(quality: GenotypeQuality, golden: dict[str, Any]) -> None:
    ours = quality.pairs.select("sample_1", "sample_2", "variants", "kinship").rows()
    reference = [
        (one, other, int(number), float(kinship)) for one, other, number, kinship in golden["kinship"]
    ]
    assert [row[:3] for row in sorted(ours)] == [row[:3] for row in sorted(reference)]
    np.testing.assert_allclose(
        [row[3] for row in sorted(ours)], [row[3] for row in sorted(reference)], atol=SIX_DIGITS
    )


@pytest.mark.skipif(
    shutil.which("plink2") is None, reason="plink2 is not installed; its stored figures stand for it"
)
def test_plink2_says_so_today(cohort: Cohort, golden: dict[str, Any], tmp_path: Path) -> None:
    said = json.loads(json.dumps(plink2_says(cohort, tmp_path)))
    assert said == {name: golden[name] for name in said}


@pytest.mark.skipif(
    shutil.which("plink1.9") is None, reason="plink1.9 is not installed; its stored figures stand for it"
)
def test_plink19_says_so_today(cohort: Cohort, golden: dict[str, Any], tmp_path: Path) -> None:
    assert plink19_says(cohort, tmp_path, golden["x_variants"].split()) == golden["x_f"]


def test_planted_faults_are_found(cohort: Cohort, quality: GenotypeQuality) -> None:
    reasons = dict(quality.samples.filter(~pl.col("kept")).select("sample_id", "reason").iter_rows())
    names = cohort.names
    assert reasons == {
        names[SELDOM_CALLED]: LOW_CALL_RATE,
        names[CONTAMINATED]: HETEROZYGOSITY,
        names[OTHER_SEX]: SEX,
    }
    variants = dict(quality.variants.filter(~pl.col("kept")).select("variant", "reason").iter_rows())
    planted = {
        ONLY_HETEROZYGOUS: NOT_HARDY_WEINBERG,
        NEVER_HETEROZYGOUS: NOT_HARDY_WEINBERG,
        OFTEN_MISSING: LOW_VARIANT_CALL_RATE,
    }
    assert variants == planted


def test_planted_relatives_are_found(cohort: Cohort, quality: GenotypeQuality) -> None:
    names = cohort.names
    found = {
        (row[0], row[1]): row[2]
        for row in quality.pairs.select("sample_1", "sample_2", "relation").iter_rows()
    }
    first = {(parent, child) for child in (SIBLING, OTHER_SIBLING) for parent in (0, 1)}
    first |= {(0, HALF_SIBLING), (2, HALF_SIBLING), (SIBLING, OTHER_SIBLING)}
    second = {(SIBLING, HALF_SIBLING), (OTHER_SIBLING, HALF_SIBLING)}
    planted = dict.fromkeys(first, FIRST_DEGREE) | dict.fromkeys(second, SECOND_DEGREE)
    planted[TWIN_OF, TWIN] = DUPLICATE
    assert found == {(names[one], names[other]): relation for (one, other), relation in planted.items()}
    groups = quality.families.group_by("family", maintain_order=True).agg(pl.col("patient_id").sort())
    family = [0, 1, 2, SIBLING, OTHER_SIBLING, HALF_SIBLING]
    assert groups.rows() == [
        (0, sorted(f"p-{names[place]}" for place in family)),
        (TWIN_OF, sorted(f"p-{names[place]}" for place in (TWIN_OF, TWIN))),
    ]
    relatives = quality.flow["relatives"]
    assert relatives == {
        "duplicates_under_two_patients": 1,
        "first_degree": 7,
        "second_degree": 2,
        "samples_of_one_patient_alike": 0,
        "samples_of_one_patient_of_two_people": 0,
        "families": 2,
        "patients_in_families": 8,
    }


def test_flow_counts_every_step(cohort: Cohort, quality: GenotypeQuality) -> None:
    size = len(cohort.male)
    flow: dict[str, Any] = quality.flow
    assert [step["samples"] for step in flow["samples"]] == [
        size,
        size,
        size - 1,
        size - 2,
        size - 3,
        size - 3,
    ]
    assert [step["patients"] for step in flow["patients"]] == [size, size - 1, size - 2, size - 3, size - 3]
    total = cohort.variants.height
    steps = [step["variants"] for step in flow["variants"][0]["steps"]]
    assert steps == [total, total, total - 1, total - 1, total - 3]
    assert flow["sex_checks"]["contradicts"] == 1
    assert [note.split(";")[0] for note in flow["notes"]] == [
        "chip: fewer than 50 controls are declared",
        "Kinship rests on few chromosomes",
    ]


def test_what_cannot_be_judged_is_said(cohort: Cohort) -> None:
    some = np.r_[0:80, AUTOSOMAL : AUTOSOMAL + 20]
    mixed = cohort.copies.copy()
    mixed[::2, 60:80] = 0
    mixed[1::2, 60:80] = 2
    found = check_genotypes([GenotypesInMemory(mixed[:, some], cohort.variants[some])], cohort.people())
    notes: Any = found.flow["notes"]
    assert [note.split(": ")[1].split(" ")[0] for note in notes[:4]] == [
        "fewer",
        "22%",
        "sex",
        "heterozygosity",
    ]
    assert "neither duplicates nor relatives were looked for" in notes[4]
    assert set(found.samples["sex_check"]) == {"not checked"}
    assert found.pairs.is_empty()
    assert found.relations == ()


def test_a_file_of_nobody_still_limits_the_variants(cohort: Cohort) -> None:
    empty = GenotypesInMemory(
        cohort.copies[:4, ::2], cohort.variants[::2], ["x1", "x2", "x3", "x4"], name="a"
    )
    found = check_genotypes([empty, whole(cohort)], cohort.people()[:60])
    assert found.pruned.join(cohort.variants[::2], on=["chromosome", "position"], how="anti").is_empty()
    assert not empty.read
    assert set(found.variants["file"]) == {"chip"}


def test_threads_and_blocks_change_nothing(cohort: Cohort, quality: GenotypeQuality) -> None:
    same_result(check_genotypes([whole(cohort, block=333)], cohort.people(), WIDE, threads=3), quality)


def same_result(one: GenotypeQuality, other: GenotypeQuality) -> None:
    for table in ("samples", "variants", "pairs", "pruned", "families"):
        assert_frame_equal(getattr(one, table), getattr(other, table), check_exact=True)
    assert one.flow == other.flow


def test_certain_dosages_are_hard_calls(cohort: Cohort, quality: GenotypeQuality) -> None:
    near = cohort.copies + np.where(np.arange(cohort.copies.shape[1]) % 2, 0.0, 0.02) * (1 - cohort.copies)
    found = check_genotypes([GenotypesInMemory(near, cohort.variants, dosages=True)], cohort.people(), WIDE)
    assert_frame_equal(found.samples, quality.samples)
    assert_frame_equal(found.pairs, quality.pairs)
    assert_frame_equal(
        found.variants.drop("frequency", "minor_allele_frequency"),
        quality.variants.drop("frequency", "minor_allele_frequency"),
    )
    odd = found.variants.filter((pl.col("chromosome") != "X") & (pl.col("variant") % 2 == 0))
    expected = np.nanmean(near[np.arange(len(near)) != SELDOM_CALLED], axis=0)[odd["variant"].to_numpy()] / 2
    np.testing.assert_allclose(odd["frequency"], expected, atol=1e-6)


def test_two_files_are_as_one(cohort: Cohort, quality: GenotypeQuality) -> None:
    """The second file counts the other allele, some variants on the other strand, and has its variants in another order."""
    order = np.argsort(cohort.variants["position"].to_numpy(), kind="stable")
    strand = {"A": "T", "C": "G", "G": "C", "T": "A"}
    turned = cohort.variants.with_columns(a1="a2", a2="a1")
    complement = pl.col("a1", "a2").replace_strict(strand)
    turned = turned.with_columns(
        pl.when(pl.col("position") % 3 == 0).then(complement).otherwise(pl.col("a1", "a2"))
    )
    names, half = cohort.names, 101
    files = [
        GenotypesInMemory(cohort.copies[:half], cohort.variants, names[:half], name="first"),
        GenotypesInMemory(2 - cohort.copies[half:][:, order], turned[order], names[half:], name="second"),
    ]
    found = check_genotypes(files, cohort.people(), WIDE)
    common = [
        table.join(found.pruned, on=["chromosome", "position"], how="semi")
        for table in (quality.pruned, found.pruned)
    ]
    assert (
        common[1].height > 0.9 * quality.pruned.height
    )  # call rates are judged by file: not quite the same variants
    columns = ["sample_1", "sample_2", "relation"]
    assert_frame_equal(found.pairs.select(columns), quality.pairs.select(columns))
    assert_frame_equal(found.families, quality.families)


def test_only_patients_are_read(cohort: Cohort) -> None:
    file = whole(cohort)
    some = cohort.people()[40:110]
    found = check_genotypes([file], some)
    assert file.read == set(some["sample_id"])
    assert found.samples["sample_id"].to_list() == some["sample_id"].to_list()
    nobody = check_genotypes([file], cohort.people(sample_id=pl.lit("else")))
    assert nobody.samples.is_empty()
    assert nobody.samples.columns == found.samples.columns
    assert nobody.pruned.schema == found.pruned.schema
    assert nobody.pairs.schema == found.pairs.schema


def test_samples_of_one_patient_must_be_alike(cohort: Cohort) -> None:
    own, other = cohort.names[TWIN_OF], cohort.names[TWIN]
    patient = pl.col("sample_id").replace({other: own, "s50": "s51"})
    found = check_genotypes([whole(cohort)], cohort.people(patient_id="p-" + patient), WIDE)
    reasons = dict(found.samples.select("sample_id", "reason").iter_rows())
    assert reasons[own] is None
    assert reasons[other] is None
    assert reasons["s50"] == reasons["s51"] == TWO_PEOPLE
    apart = found.pairs.filter(pl.col("relation") == NOT_RELATED)
    assert apart.select("sample_1", "sample_2").rows() == [("s50", "s51")]
    assert f"p-{own}" not in found.families["patient_id"]


def test_patients_may_leave_hardy_weinberg_where_controls_keep_it(cohort: Cohort) -> None:
    copies = cohort.copies.copy()
    copies[:150, 8] = 1  # patients only
    people = cohort.people(control=pl.int_range(pl.len()) >= 150)
    found = check_genotypes([GenotypesInMemory(copies, cohort.variants)], people)
    everybody = check_genotypes([GenotypesInMemory(copies, cohort.variants)], cohort.people())
    assert found.variants["kept"][8]
    assert everybody.variants["hardy_weinberg_p"][8] < 1e-10
    assert everybody.variants["reason"][8] == NOT_HARDY_WEINBERG


def test_a_reference_limits_the_pruned_variants(cohort: Cohort) -> None:
    panel = GenotypesInMemory(cohort.copies[:4, ::2], cohort.variants[::2], name="reference")
    found = check_genotypes([whole(cohort)], cohort.people()[:60], reference=panel)
    assert found.pruned.height > 500
    assert found.pruned.join(cohort.variants[::2], on=["chromosome", "position"], how="anti").is_empty()
    assert not panel.read


def test_files_of_two_builds_are_refused(cohort: Cohort) -> None:
    other = GenotypesInMemory(
        cohort.copies[100:],
        cohort.variants.with_columns(pl.col("position") + 7),
        cohort.names[100:],
        name="other",
    )
    first = GenotypesInMemory(cohort.copies[:100], cohort.variants, cohort.names[:100])
    with pytest.raises(BadInput, match=r"^chip, other: these genotype files have no variant in common"):
        check_genotypes([first, other], cohort.people())


def test_a_file_where_everybody_fails_is_refused(cohort: Cohort) -> None:
    copies = cohort.copies[:40, :500].copy()
    copies[np.random.default_rng(0).random(copies.shape) < 0.1] = np.nan
    with pytest.raises(BadInput, match=r"^chip: no sample has a genotype at 95% of the variants"):
        check_genotypes([GenotypesInMemory(copies, cohort.variants[:500])], cohort.people())


def test_a_contaminated_batch_is_no_family(cohort: Cohort) -> None:
    copies = cohort.copies.copy()
    copies[100:130] = np.where(np.arange(copies.shape[1]) % 8 == 0, copies[100:130], copies[100])
    with pytest.raises(BadInput, match="are related to each other, directly or through others"):
        check_genotypes(
            [GenotypesInMemory(copies, cohort.variants)],
            cohort.people(),
            QualityThresholds(heterozygosity_sd=50),
        )
