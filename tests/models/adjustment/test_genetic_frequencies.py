"""Missing genotypes of scores are filled by the training rows' frequencies, as plink2 fills them by a frequency file's."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from models.adjustment.adjustment import Adjustment
from models.adjustment.frequencies import expectation
from models.adjustment.genetic_plan import FrequencyPlan, GeneticPlan
from models.adjustment.genotype_counts import FEW_COPIES, count_genotypes
from models.adjustment.plan import AdjustmentPlan
from models.errors import BadTarget
from tests.models.adjustment.genetic_people import NOT_CALLED, drifted, genotype_column, packed, scored

GOLDEN = Path(__file__).parents[1] / "golden" / "plink2_training_frequencies.json"
KINDS = {"additive": (), "dominant": ("dominant",), "recessive": ("recessive",)}
TRAINED, PEOPLE, VARIANTS = 110, 140, 60
MADE_BY = (
    """plink2 --freq counts of the first 110 people, then --score with --read-freq of those, of all 140."""
)


def copies() -> NDArray[np.int64]:
    return drifted(PEOPLE, VARIANTS, 2, 0.01, seed=8, lost=0.04, rarest=0.25).copies


@cache
def weights() -> NDArray[np.float64]:
    return np.asarray(np.round(np.random.default_rng(4).normal(size=VARIANTS), 4))


def other_alleles() -> NDArray[np.int64]:
    """Every third weight is of the allele that the files do not count."""
    return np.asarray(np.arange(VARIANTS) % 3 == 0, dtype=np.int64)


@cache
def rows() -> pl.DataFrame:
    """Return each person's scores of three kinds and what is missing of them, and everybody's genotypes."""
    found = {"genetic_genotypes": genotype_column("genetic_genotypes", copies())}
    for place, kind in enumerate(KINDS):
        sums, missing = scored(copies(), np.arange(VARIANTS), weights(), 2 * place + other_alleles())
        found |= {f"genetic_{kind}": pl.Series(sums), f"genetic_{kind}_missing": missing}
    return pl.DataFrame(found)


def plan(imputation: str = "mean") -> AdjustmentPlan:
    scores = tuple(f"genetic_{kind}" for kind in KINDS)
    return AdjustmentPlan(genetics=GeneticPlan(frequencies=FrequencyPlan(scores, imputation)))


def fitted(
    X: pl.DataFrame, imputation: str = "mean", patients: NDArray[np.int64] | None = None
) -> Adjustment:
    return Adjustment.fit(
        X, plan(imputation), columns=[f"genetic_{kind}" for kind in KINDS], patients=patients
    )


def by_plink2(folder: Path) -> dict[str, list[str]]:
    """Return the sums of each kind as plink2 prints them."""
    ids = [f"p{place}" for place in range(PEOPLE)]
    variant_rows = packed(copies().T)
    (folder / "all.bed").write_bytes(bytes([0x6C, 0x1B, 1]) + variant_rows.tobytes())
    (folder / "all.fam").write_text("".join(f"0 {name} 0 0 2 -9\n" for name in ids))
    (folder / "all.bim").write_text("".join(f"1 v{place} 0 {place + 1} A C\n" for place in range(VARIANTS)))
    (folder / "train").write_text("".join(f"0 {name}\n" for name in ids[:TRAINED]))
    alleles = np.where(other_alleles() == 1, "C", "A")
    lines = [f"v{place} {alleles[place]} {weights()[place]}\n" for place in range(VARIANTS)]
    (folder / "weights").write_text("".join(lines))

    def run(*asked: str) -> None:
        command = ["plink2", "--bfile", "all", "--threads", "1", "--memory", "640", *asked]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60)

    run("--keep", "train", "--freq", "counts", "--out", "train")
    found = {}
    for kind, more in KINDS.items():
        run(
            "--read-freq", "train.acount", "--score", "weights", "1", "2", "3", *more, "cols=maybefid,scoresums",
            "--out", kind,
        )  # fmt: skip
        lines = (folder / f"{kind}.sscore").read_text().splitlines()[1:]
        found[kind] = [line.split()[-1] for line in lines]
    return found


def test_filled_scores_are_those_that_plink2_printed() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["sums"]
    out = fitted(rows()[:TRAINED]).transform(rows())
    assert sum(sum(map(len, rows()[f"genetic_{kind}_missing"])) for kind in KINDS) > 3 * 13 * 200
    for kind in KINDS:
        ours = [f"{value:.6g}" for value in out[f"genetic_{kind}"]]
        assert ours == [f"{float(text):.6g}" for text in golden[kind]]


@pytest.mark.skipif(
    shutil.which("plink2") is None, reason="plink2 is not installed; its figures are kept beside the tests"
)
def test_plink2_prints_what_is_kept_of_it(tmp_path: Path) -> None:
    assert by_plink2(tmp_path) == json.loads(GOLDEN.read_text(encoding="utf-8"))["sums"]


def test_counts_and_frequencies_are_those_of_a_plain_count() -> None:
    found = drifted(600, 37, 2, 0.1, seed=5, lost=0.1).copies
    counts = count_genotypes(packed(found))
    for copies_of, one in ((2, counts.two), (1, counts.one), (0, counts.none)):
        np.testing.assert_array_equal(one[:37], (found == copies_of).sum(axis=0))
    masked = np.ma.masked_equal(found, NOT_CALLED)
    np.testing.assert_allclose(counts.frequencies()[:37], masked.mean(axis=0) / 2, rtol=1e-14)


def test_a_count_of_ten_people_or_fewer_is_never_told() -> None:
    found = np.zeros((40, 5), dtype=np.int64)
    found[:30, 0] = NOT_CALLED  # called for ten
    found[:3, 1], found[:9, 2] = 1, 2  # three and nine carry the counted allele
    found[:36, 3] = 2  # four lack it
    found[:11, 4] = 1
    frequencies = count_genotypes(packed(found)).frequencies()[:5]
    few = FEW_COPIES / 80
    np.testing.assert_allclose(frequencies, [np.nan, few, few, 1 - few, 11 / 80])


def test_expectations_are_those_of_hardy_weinberg_or_the_expected_dosage() -> None:
    f = np.array([0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.8, np.nan])
    kinds = np.array([0, 1, 2, 3, 4, 5, 4, 0], dtype=np.uint8)
    np.testing.assert_allclose(expectation(f, kinds, "mean"), [0.6, 1.4, 0.3, 0.7, 0.3, 0.7, 0.8, 0])
    equilibrium = [0.6, 1.4, 1 - 0.49, 1 - 0.09, 0.09, 0.49, 0.64, 0]
    np.testing.assert_allclose(expectation(f, kinds, "hardy_weinberg"), equilibrium)


def test_a_patient_counts_once_and_rows_without_genotypes_not_at_all() -> None:
    X, patients = rows()[:TRAINED], np.arange(TRAINED)
    twice = np.repeat(patients, np.where(patients < 20, 4, 1))
    lacking = pl.DataFrame({name: pl.Series([None] * 5, dtype=kind) for name, kind in X.schema.items()})
    more = fitted(pl.concat([X[twice], lacking]), patients=np.append(twice, np.full(5, 999)))
    assert more.to_state() == fitted(X).to_state()
    assert more.transform(lacking)["genetic_additive"].null_count() == 5
    alone = more.transform(rows()[120:121])
    assert alone.row(0) == more.transform(rows()).row(120)


def test_a_stored_fill_gives_the_same_scores() -> None:
    made = fitted(rows()[:TRAINED], "hardy_weinberg")
    again = Adjustment.from_state(json.loads(json.dumps(made.to_state(), allow_nan=False)))
    assert again.transform(rows()).equals(made.transform(rows()))
    assert again.to_state() == made.to_state()


def test_a_variant_that_nobody_was_called_for_adds_nothing() -> None:
    lost = copies().copy()
    lost[:TRAINED, 7] = NOT_CALLED
    sums, missing = scored(lost, np.arange(VARIANTS), weights(), np.zeros(VARIANTS, dtype=np.int64))
    columns = [pl.Series("genetic_additive", sums), missing.alias("genetic_additive_missing")]
    X = pl.DataFrame([genotype_column("genetic_genotypes", lost), *columns])
    asked = AdjustmentPlan(genetics=GeneticPlan(frequencies=FrequencyPlan(("genetic_additive",))))
    made = Adjustment.fit(X[:TRAINED], asked, columns=["genetic_additive"])
    assert made.genetics is not None
    assert made.genetics.frequencies is not None
    assert made.genetics.frequencies.unknown == 1
    assert made.transform(X)["genetic_additive"].null_count() == 0


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ({"genetic_genotypes": genotype_column("g", copies(), b"elsewher")}, "of other variants"),
        ({"genetic_genotypes": genotype_column("g", copies()[:, :50])}, "of other variants"),
        ({"genetic_genotypes": pl.Series(["text"] * PEOPLE)}, "should hold genotypes as bytes"),
        ({"genetic_additive_missing": pl.Series([b"\x01" * 12] * PEOPLE)}, "does not tell missing genotypes"),
        ({"genetic_additive_missing": pl.Series([b"\xff" * 13] * PEOPLE)}, "does not tell missing genotypes"),
        ({"genetic_additive_missing": pl.Series([1.0] * PEOPLE)}, "should hold missing genotypes as bytes"),
    ],
)
def test_bytes_of_another_kind_are_refused(edit: dict[str, pl.Series], sentence: str) -> None:
    made = fitted(rows()[:TRAINED])
    with pytest.raises(BadTarget, match=sentence):
        made.transform(rows().with_columns(one.alias(name) for name, one in edit.items()))


def test_frequencies_need_eleven_patients() -> None:
    with pytest.raises(BadTarget, match="fewer than 11 patients"):
        fitted(rows()[:10])
    with pytest.raises(BadTarget, match="fewer than 11 patients"):
        fitted(rows()[:30], patients=np.arange(30) % 10)
