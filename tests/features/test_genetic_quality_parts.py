"""The parts of quality control: counts, the exact test, pruning, kinship, heterozygosity by ancestry, families."""

from fractions import Fraction
from math import comb

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.common import locate_variants, pool_genotypes, shared_variants
from features.genetics.counting import GROUPS, People, count_genotypes
from features.genetics.families import families_of
from features.genetics.genotypes import NO_COPY, NOT_CALLED, ONE_COPY, TWO_COPIES
from features.genetics.hardy_weinberg import hardy_weinberg_p
from features.genetics.heterozygosity import ancestry_components, distances, inbreeding
from features.genetics.pruning import in_long_range, pruned_variants, spread
from features.genetics.quality import check_genotypes
from features.genetics.relatedness import bit_planes, kinship_of, kinship_standard_error, related_pairs
from features.genetics.sample_pairs import DUPLICATE, sample_pairs
from features.genetics.sample_quality import HETEROZYGOSITY, LOW_CALL_RATE
from features.genetics.sex_check import x_variants
from features.genetics.thresholds import QualityThresholds
from tests.features.genotypes_in_memory import GenotypesInMemory

Floats = NDArray[np.float64]


def plain(places: int, chromosome: str = "1") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "chromosome": [chromosome] * places,
            "position": range(1, places + 1),
            "a1": ["A"] * places,
            "a2": ["G"] * places,
        },
        schema={"chromosome": pl.String, "position": pl.Int64, "a1": pl.String, "a2": pl.String},
    )


def drawn(random: np.random.Generator, people: int, frequencies: Floats, missing: float = 0.02) -> Floats:
    copies = random.binomial(2, frequencies, (people, len(frequencies))).astype(np.float64)
    copies[random.random(copies.shape) < missing] = np.nan
    return copies


def everybody(file: GenotypesInMemory) -> NDArray[np.int64]:
    return np.arange(len(file.samples))


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=60)
def test_exact_test_is_the_sum_of_what_is_as_rare(two: int, one: int, none: int) -> None:
    found = hardy_weinberg_p(np.array([[two, one, none], [none, one, two]]))
    people, alleles = two + one + none, 2 * two + one
    if not people:
        assert np.isnan(found).all()
        return
    ways = {
        het: Fraction(comb(people, het) * comb(people - het, (alleles - het) // 2) * 2**het)
        for het in range(alleles % 2, min(alleles, 2 * people - alleles) + 1, 2)
    }
    expected = sum(way for way in ways.values() if way <= ways[one]) / sum(ways.values())
    np.testing.assert_allclose(found, float(expected), rtol=1e-12)


def test_exact_test_of_many_people_neither_fails_nor_lingers() -> None:
    counts = np.array(
        [[500_000, 0, 500_000], [0, 1_000_000, 0], [250_000, 500_000, 250_000], [1_000_000, 0, 0]]
    )
    p = hardy_weinberg_p(counts, threads=2)
    np.testing.assert_array_equal(p[:2], 0.0)
    np.testing.assert_allclose(p[2:], 1.0)


@pytest.mark.parametrize("people", [1, 31, 70])
def test_counts_are_those_of_a_plain_loop(people: int) -> None:
    random = np.random.default_rng(people)
    copies = drawn(random, people, random.uniform(0.1, 0.9, 40), missing=0.15)
    file = GenotypesInMemory(copies, plain(40).with_columns(chromosome=pl.lit("X")), block=9)
    known = pl.DataFrame(
        {
            "place": range(people),
            "sex": [("female", "male", None)[place % 3] for place in range(people)],
            "control": [place % 2 == 0 for place in range(people)],
        }
    )
    groups = People.of(known)
    counts = count_genotypes(file, groups, threads=2)
    for group in range(len(GROUPS)):
        member = copies[groups.groups[group]]
        for code, value in ((TWO_COPIES, 2), (ONE_COPY, 1), (NO_COPY, 0)):
            np.testing.assert_array_equal(counts.codes[:, group, code], (member == value).sum(axis=0))
        np.testing.assert_array_equal(counts.codes[:, group, NOT_CALLED], np.isnan(member).sum(axis=0))
    often = np.isnan(copies).mean(axis=0) <= 0.2
    np.testing.assert_array_equal(counts.sample_missing, np.isnan(copies[:, often]).sum(axis=1))
    assert counts.looked_at == often.sum()


def test_no_two_pruned_variants_of_a_window_are_correlated() -> None:
    random = np.random.default_rng(0)
    first = drawn(random, 150, random.uniform(0.2, 0.8, 120), missing=0)
    copies = np.repeat(first, 3, axis=1)
    fresh = random.random(copies.shape) < 0.25
    copies[fresh] = random.binomial(2, 0.5, fresh.sum())
    file = GenotypesInMemory(copies, plain(360))
    shared = shared_variants([file.variants])
    pooled = pool_genotypes([file], [everybody(file)], shared)
    limits = QualityThresholds(pruning_window=12, pruning_step=1, pruning_r2=0.3)
    kept = pruned_variants(pooled, shared.variants["chromosome"], limits)
    r2 = np.asarray(np.corrcoef(copies, rowvar=False)) ** 2
    rows = np.flatnonzero(kept)
    near = np.abs(rows[:, None] - rows) < 12
    np.fill_diagonal(near, False)
    assert (r2[np.ix_(rows, rows)][near] <= 0.3).all()
    assert 100 < kept.sum() < 300


def test_kinship_is_the_formula_of_a_plain_loop() -> None:
    random = np.random.default_rng(1)
    copies = drawn(random, 130, random.uniform(0.1, 0.9, 150), missing=0.1)
    file = GenotypesInMemory(copies, plain(150))
    shared = shared_variants([file.variants])
    pooled = pool_genotypes([file], [everybody(file)], shared)
    chosen = np.arange(3, 150, dtype=np.int64)
    planes = bit_planes(pooled, chosen, threads=2)
    found = related_pairs(planes, -0.05, threads=2)
    expected = {}
    for one in range(130):
        for other in range(one + 1, 130):
            both = copies[[one, other]][:, chosen]
            both = both[:, ~np.isnan(both).any(axis=0)]
            least = (both == 1).sum(axis=1).min()
            kinship = 0.5 - ((both[0] - both[1]) ** 2).sum() / (4 * least)
            if kinship > -0.05:
                expected[one, other] = (kinship, both.shape[1])
    assert list(map(tuple, found.samples.tolist())) == sorted(expected)
    np.testing.assert_allclose(found.kinship, [expected[pair][0] for pair in sorted(expected)])
    np.testing.assert_array_equal(found.variants, [expected[pair][1] for pair in sorted(expected)])
    assert 500 < len(expected) < 8000


def test_the_standard_error_of_kinship_is_that_of_unrelated_people() -> None:
    random = np.random.default_rng(2)
    frequencies = random.uniform(0.05, 0.95, 1500)
    file = GenotypesInMemory(drawn(random, 60, frequencies, missing=0), plain(1500))
    pooled = pool_genotypes([file], [everybody(file)], shared_variants([file.variants]))
    planes = bit_planes(pooled, np.arange(1500, dtype=np.int64))
    pairs = np.array(
        [(2 * pair, 2 * pair + 1) for pair in range(30)] + [(pair, pair + 30) for pair in range(30)]
    )
    kinship = kinship_of(planes, pairs).kinship
    assert np.abs(kinship).max() < 5 * kinship_standard_error(frequencies)
    assert kinship.std() == pytest.approx(kinship_standard_error(frequencies), rel=0.35)


def test_heterozygosity_is_judged_by_ancestry() -> None:
    """A rarer ancestry has a higher F in the pooled cohort; its people must not fail for it, but faulty samples must."""
    random = np.random.default_rng(4)
    common = random.uniform(0.1, 0.9, 1200)
    rare = random.beta(common * 5, (1 - common) * 5)  # Fst 1 / 6
    copies = np.vstack([drawn(random, 360, common), drawn(random, 40, rare)])
    admixed = drawn(random, 20, (common + rare) / 2)
    copies = np.vstack([copies, admixed])
    faulty = [5, 370]
    for place in faulty:
        other = copies[place + 1]
        copies[place] = np.where(copies[place] == other, copies[place], 1)
    file = GenotypesInMemory(copies, plain(1200))
    shared = shared_variants([file.variants])
    pooled = pool_genotypes([file], [everybody(file)], shared)
    chosen = np.arange(1200, dtype=np.int64)
    frequencies = np.nanmean(copies, axis=0) / 2
    f = inbreeding(bit_planes(pooled, chosen), frequencies, slice(None), threads=2)
    plain_distance = distances(f, np.zeros((len(f), 0)))
    adjusted = distances(f, ancestry_components(pooled, chosen))
    minority = np.setdiff1d(np.arange(360, 420), faulty)
    assert (np.abs(plain_distance[minority]) > 3).mean() > 0.3
    assert (np.abs(adjusted[minority]) > 3).mean() < 0.05
    assert (adjusted[faulty] < -4.5).all()
    assert (np.abs(np.delete(adjusted, faulty)) > 4.5).sum() == 0


def test_files_are_aligned_by_position_and_alleles() -> None:
    first = pl.DataFrame(
        {
            "chromosome": ["2", "1", "1", "1", "1", "X", "1", "1", "3"],
            "position": [5, 9, 10, 11, 12, 13, 14, 14, 20],
            "a1": ["A", "A", "C", "A", "T", "A", "A", "A", "AT"],
            "a2": ["G", "C", "T", "T", "C", "G", "G", "C", "A"],
        }
    )
    second = pl.DataFrame(
        {
            "chromosome": ["1", "1", "1", "1", "2", "3"],
            "position": [9, 10, 11, 12, 5, 20],
            "a1": ["T", "T", "A", "A", "G", "AT"],
            "a2": ["G", "C", "T", "C", "A", "A"],
        }
    )
    none = np.empty((0, 9))
    files = [GenotypesInMemory(none, first), GenotypesInMemory(none[:, :6], second)]
    shared = shared_variants([file.variants for file in files])
    # 1:9 A/C is T/G on the other strand; 1:10 is turned; 1:11 palindromic; 1:12 T/C is not A/C; 1:14 stands twice.
    assert shared.variants.rows() == [("1", 9, "A", "C"), ("1", 10, "C", "T"), ("2", 5, "A", "G")]
    np.testing.assert_array_equal(shared.places, [[1, 2, 0], [0, 1, 4]])
    np.testing.assert_array_equal(shared.turned, [[False] * 3, [False, True, True]])
    located = locate_variants(shared.variants[1:], files[1].variants)
    np.testing.assert_array_equal(located.places, [[1, 4]])
    np.testing.assert_array_equal(located.turned, [[True, True]])


def test_long_range_linkage_and_pseudo_autosomes_are_left_out() -> None:
    places = pl.DataFrame(
        {"chromosome": ["6", "6", "8", "20"], "position": [30_000_000, 70_000_000, 9_000_000, 33_000_000]}
    )
    np.testing.assert_array_equal(in_long_range(places, "GRCh37"), [True, False, True, True])
    np.testing.assert_array_equal(in_long_range(places, "GRCh38"), [True, False, True, False])
    np.testing.assert_array_equal(in_long_range(places, None), [True, False, True, True])
    quality = pl.DataFrame(
        {
            "variant": range(4),
            "chromosome": ["X", "X", "X", "1"],
            "position": [2_750_000, 20_000_000, 155_000_000, 20_000_000],
            "call_rate": [1.0] * 4,
            "minor_allele_frequency": [0.3] * 4,
            "kept": [True] * 4,
        }
    )
    limits = QualityThresholds()
    assert x_variants(quality, limits, "GRCh37").tolist() == [0, 1]
    assert x_variants(quality, limits, "GRCh38").tolist() == [1, 2]
    assert x_variants(quality, limits, None).tolist() == [1]


def test_families_are_named_by_position_and_not_by_pseudonym() -> None:
    pairs = [("a", "b"), ("c", "b"), ("d", "e"), ("f", "f")]
    positions = {"a": 7, "b": 3, "c": 9, "d": 1, "e": 2, "f": 0, "g": 4}
    found = families(pairs, positions)
    assert found == [("d", 1), ("e", 1), ("b", 3), ("a", 3), ("c", 3)]
    renamed = {name: chr(219 - ord(name)) for name in positions}
    again = families(
        [(renamed[two], renamed[one]) for one, two in pairs],
        {renamed[name]: place for name, place in positions.items()},
    )
    assert again == [(renamed[name], family) for name, family in found]
    assert families([], positions) == []


def families(pairs: list[tuple[str, str]], positions: dict[str, int]) -> list[tuple[str, int]]:
    frame = pl.DataFrame(pairs, schema={"patient_1": pl.String, "patient_2": pl.String}, orient="row")
    patients = pl.DataFrame({"patient_id": list(positions), "position": list(positions.values())})
    return families_of(frame, patients, largest=0.05).rows()


def test_a_giant_family_is_refused() -> None:
    chain = [(f"p{place}", f"p{place + 1}") for place in range(24)]
    many = {f"p{place}": place for place in range(400)}
    with pytest.raises(BadInput, match=r"25 of 400 patients .* raise quality\.kinship_relative"):
        families(chain, many)
    assert len(families(chain, {f"p{place}": place for place in range(600)})) == 25
    assert len(families(chain[:19], many)) == 20


def test_thresholds_out_of_range_are_refused() -> None:
    made = QualityThresholds.from_settings({"heterozygosity_sd": 4, "pruning_window": 100.0})
    assert made.heterozygosity_sd == 4
    assert made.pruning_window == 100
    with pytest.raises(BadInput) as refused:
        QualityThresholds.from_settings({"call_rate": 0.9, "variant_call_rate": 1.2, "pruning_step": 0.5})
    assert [problem.split(" must ")[0].split(" is not")[0] for problem in refused.value.problems] == [
        "genetic: quality.call_rate",
        "genetic: quality.variant_call_rate",
        "genetic: quality.pruning_step",
    ]
    with pytest.raises(BadInput, match="must rise"):
        QualityThresholds.from_settings({"kinship_relative": 0.2})


def test_spread_takes_the_ends_and_is_even() -> None:
    assert spread(np.arange(10), 20).tolist() == list(range(10))
    assert spread(np.arange(0, 1000, 10), 4).tolist() == [0, 330, 660, 990]


def test_outlying_heterozygosity_hides_no_relative_unless_it_is_gross() -> None:
    random = np.random.default_rng(8)
    copies = drawn(random, 12, random.uniform(0.2, 0.8, 3000))
    copies[1], copies[3] = copies[0], copies[2]
    file = GenotypesInMemory(copies, plain(3000))
    pooled = pool_genotypes([file], [everybody(file)], shared_variants([file.variants]))
    planes = bit_planes(pooled, np.arange(3000, dtype=np.int64))
    samples = pl.DataFrame(
        {
            "file": ["chip"] * 13,
            "sample_id": [*file.samples[:5], "seldom", *file.samples[5:]],
            "patient_id": [f"p{place}" for place in range(13)],
            "heterozygosity_f": [0.0, -0.25, 0.0, -0.5, 0.0, None, *[0.0] * 7],
            "heterozygosity_distance": [0.0, -4.0, 0.0, -9.0, 0.0, None, *[0.0] * 7],
            "reason": [None, HETEROZYGOSITY, None, HETEROZYGOSITY, None, LOW_CALL_RATE, *[None] * 7],
        }
    )
    pairs = sample_pairs(samples, planes, kinship_standard_error(np.full(3000, 0.5)), QualityThresholds())
    assert pairs.select("patient_1", "patient_2", "relation").rows() == [("p0", "p1", DUPLICATE)]


@pytest.mark.parametrize("alleles", [("A", "T"), ("A", "G")])
@pytest.mark.parametrize("variants", [0, 1])
def test_hardly_any_variant_is_judged_by_what_there_is(alleles: tuple[str, str], variants: int) -> None:
    copies = drawn(np.random.default_rng(1), 60, np.full(variants, 0.4), missing=0)
    places = plain(variants).with_columns(a1=pl.lit(alleles[0]), a2=pl.lit(alleles[1]))
    file = GenotypesInMemory(copies, places)
    people = pl.DataFrame({"sample_id": file.samples, "patient_id": file.samples}).with_columns(
        sex=pl.lit("female"), control=pl.lit(True)
    )
    if variants == 0:
        with pytest.raises(BadInput, match="no sample has a genotype"):
            check_genotypes([file], people)
        return
    found = check_genotypes([file], people)
    assert found.variants["kept"].to_list() == [True]
    assert found.samples["kept"].all()
    assert found.pruned.height == (0 if alleles == ("A", "T") else 1)
