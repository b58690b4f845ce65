"""Laws of a polygenic score: a plain loop, flips, splits, order, batches, missing genotypes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.genetics.matching import match_variants
from features.genetics.opening import open_genotypes
from features.genetics.scoring import score_samples
from features.genetics.scoring_files import read_scoring_file
from tests.features.genetic_files import (
    ScoreRow,
    Variant,
    plain_score,
    score_row,
    write_genotypes,
    write_score,
)

OTHER_STRAND = {"A": "T", "C": "G", "G": "C", "T": "A"}
UNAMBIGUOUS = [(a, b) for a in "ACGT" for b in "ACGT" if a != b and OTHER_STRAND[a] != b]
Cohort = tuple[NDArray[np.float64], list[Variant], list[dict[str, object]]]


def random_cohort(
    seed: int, *, samples: int = 13, variants: int = 30, missing: float = 0.1, frequencies: str = "none"
) -> Cohort:
    """Genotypes and a score over all variants, effect alleles on either side."""
    random = np.random.default_rng(seed)
    copies = random.binomial(2, random.uniform(0.05, 0.95, variants), (samples, variants)).astype(float)
    copies[random.random(copies.shape) < missing] = np.nan
    alleles = [UNAMBIGUOUS[number] for number in random.integers(0, len(UNAMBIGUOUS), variants)]
    places: list[Variant] = [("1", 1000 + 10 * number, a, b) for number, (a, b) in enumerate(alleles)]
    rows = []
    for number, (_, place, a, b) in enumerate(places):
        effect, other = (a, b) if random.random() < 0.5 else (b, a)
        row = score_row(place, effect, other, random.normal())
        if frequencies != "none":
            stated = frequencies == "all" or number % 2
            row["allelefrequency_effect"] = round(float(random.uniform(0.05, 0.95)), 3) if stated else None
        rows.append(row)
    return copies, places, rows


def scores(
    folder: Path,
    copies: NDArray[np.float64],
    variants: Sequence[Variant],
    rows: Sequence[ScoreRow],
    *,
    samples: Sequence[str] | None = None,
) -> list[float | None]:
    names = samples or [f"s{number}" for number in range(len(copies))]
    write_genotypes(folder / "chip", copies, variants, names)
    write_score(folder / "score.txt", rows)
    file = open_genotypes(folder, "chip")
    scoring = read_scoring_file(folder / "score.txt", name="x", shown="score.txt")
    match = match_variants(scoring, file.variants, palindromic="drop")
    values = score_samples(file, [match], samples=np.arange(len(names))).values[:, 0]
    return [None if np.isnan(value) else float(value) for value in values]


def close(left: Sequence[float | None], right: Sequence[float | None]) -> bool:
    def numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if value is None else value for value in values])

    return bool(np.allclose(numbers(left), numbers(right), rtol=0, atol=1e-9, equal_nan=True))


@given(
    seed=st.integers(0, 10_000),
    missing=st.sampled_from([0.0, 0.1, 0.9]),
    frequencies=st.sampled_from(["none", "half", "all"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_a_plain_loop(tmp_path: Path, seed: int, missing: float, frequencies: str) -> None:
    cohort = random_cohort(seed, missing=missing, frequencies=frequencies)
    assert close(scores(tmp_path, *cohort), plain_score(*cohort))


def test_naming_the_other_allele_a1_changes_nothing(tmp_path: Path) -> None:
    copies, variants, rows = random_cohort(1)
    turned: list[Variant] = [(chromosome, place, b, a) for chromosome, place, a, b in variants]
    assert close(
        scores(tmp_path / "a", copies, variants, rows), scores(tmp_path / "b", 2 - copies, turned, rows)
    )


def test_the_other_strand_changes_nothing(tmp_path: Path) -> None:
    copies, variants, rows = random_cohort(2)
    turned: list[Variant] = [(c, place, OTHER_STRAND[a], OTHER_STRAND[b]) for c, place, a, b in variants]
    assert scores(tmp_path / "a", copies, variants, rows) == scores(tmp_path / "b", copies, turned, rows)


def test_counting_the_other_alleles_with_negative_weights_shifts_everybody_by_the_same(
    tmp_path: Path,
) -> None:
    copies, variants, rows = random_cohort(3, missing=0)
    turned = [
        {
            **row,
            "effect_allele": row["other_allele"],
            "other_allele": row["effect_allele"],
            "effect_weight": repr(-float(str(row["effect_weight"]))),
        }
        for row in rows
    ]
    constant = 2 * sum(float(str(row["effect_weight"])) for row in rows)
    expected = [
        value + constant for value in scores(tmp_path / "b", copies, variants, turned) if value is not None
    ]
    assert close(scores(tmp_path / "a", copies, variants, rows), expected)


@pytest.mark.parametrize(("missing", "frequencies"), [(0.0, "none"), (0.1, "all")])
def test_two_halves_of_the_variants_add_up(tmp_path: Path, missing: float, frequencies: str) -> None:
    copies, variants, rows = random_cohort(4, missing=missing, frequencies=frequencies)
    whole = scores(tmp_path / "a", copies, variants, rows)
    first = scores(tmp_path / "b", copies[:, :11], variants[:11], rows[:11])
    second = scores(tmp_path / "c", copies[:, 11:], variants[11:], rows[11:])
    assert close(
        whole, [a + b for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    )


def test_the_order_of_samples_variants_and_rows_does_not_matter(tmp_path: Path) -> None:
    copies, variants, rows = random_cohort(5)
    names = [f"s{number}" for number in range(len(copies))]
    order = np.random.default_rng(0).permutation(len(names))
    moved = np.random.default_rng(1).permutation(len(variants))
    straight = dict(zip(names, scores(tmp_path / "a", copies, variants, rows, samples=names), strict=True))
    shuffled_names = [names[place] for place in order]
    shuffled = scores(tmp_path / "b", copies[order], variants, rows[::-1], samples=shuffled_names)
    assert shuffled == [straight[name] for name in shuffled_names]
    reordered = scores(tmp_path / "c", copies[:, moved], [variants[place] for place in moved], rows)
    assert close(reordered, [straight[name] for name in names])


def test_a_new_sample_alone_has_the_score_it_has_in_a_batch(tmp_path: Path) -> None:
    copies, variants, rows = random_cohort(6, frequencies="half")
    batch = scores(tmp_path / "batch", copies, variants, rows)
    alone = [scores(tmp_path / str(n), copies[[n]], variants, rows)[0] for n in range(len(copies))]
    assert alone == batch


def test_blocks_of_variants_give_what_one_block_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = random_cohort(7, frequencies="half")
    at_once = scores(tmp_path / "a", *cohort)
    monkeypatch.setattr("features.genetics.bed._BLOCK_BYTES", 4 * 7)
    assert scores(tmp_path / "b", *cohort) == at_once


@pytest.mark.parametrize(
    ("flag", "expected"), [("is_dominant", [0.0, 1.0, 1.0, 0.64]), ("is_recessive", [0.0, 0.0, 1.0, 0.16])]
)
def test_dominant_and_recessive_weights(tmp_path: Path, flag: str, expected: list[float]) -> None:
    """Carried at all, carried twice; a missing genotype by Hardy-Weinberg with the stated frequency of 0.4."""
    copies = np.array([[0, 0], [1, 0], [2, 0], [np.nan, 0]], dtype=float)
    variants: list[Variant] = [("1", 10, "A", "G"), ("1", 20, "A", "G")]
    rows = [score_row(place, "A", "G", 1, allelefrequency_effect=0.4, **{flag: "True"}) for place in (10, 20)]
    assert close(scores(tmp_path, copies, variants, rows), expected)


def test_a_sample_without_any_genotype_has_no_score(tmp_path: Path) -> None:
    copies = np.array([[np.nan], [1]])
    rows = [score_row(10, "A", "G", 1, allelefrequency_effect=0.4)]
    assert scores(tmp_path, copies, [("1", 10, "A", "G")], rows) == [None, 1.0]
