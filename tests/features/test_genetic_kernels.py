"""Compiled sums over genotypes beside plain ones, and what must not change them: batch, blocks, threads, order, flips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.genetics.matching import Match
from features.genetics.scoring import MissingGenotypes, score_samples, weighted_sums
from tests.features.score_genotypes import GenotypesInMemory, match_of, random_copies

Floats = NDArray[np.float64]
MODES = ["additive", "dominant", "recessive"]
EXACT = 1e-12  # of the sum of absolute weights


def random_match(
    random: np.random.Generator, variants: int, *, share: float = 1.0, stated: float = 1.0
) -> Match:
    chosen = np.flatnonzero(random.random(variants) < share)
    frequency = random.uniform(0.05, 0.95, len(chosen))
    frequency[random.random(len(chosen)) >= stated] = np.nan
    return match_of(
        chosen,
        random.normal(0, 10.0 ** random.integers(-6, 4), len(chosen)),
        effect_is_a1=random.random(len(chosen)) < 0.5,
        mode=[str(mode) for mode in random.choice(MODES, len(chosen))],
        frequency=frequency,
    )


def plain(copies: Floats, match: Match, imputation: str) -> Floats:
    """One score of every sample by loops in double precision."""
    values = []
    for sample in copies:
        total, called, weighed = 0.0, 0, 0
        for row in match.used.iter_rows(named=True):
            found, f = sample[row["variant"]], row["frequency"]
            if np.isnan(found):
                if imputation == "none" or f is None:
                    continue
                total += row["weight"] * expected(f, row["mode"], imputation)
                weighed += 1
                continue
            effect = found if row["effect_is_a1"] else 2 - found
            state = {"additive": effect, "dominant": min(1, effect), "recessive": max(0, effect - 1)}[
                row["mode"]
            ]
            total += row["weight"] * state
            called, weighed = called + 1, weighed + 1
        values.append(total * match.used.height / weighed if called else np.nan)
    return np.array(values)


def expected(f: float, mode: str, imputation: str) -> float:
    if mode == "additive":
        return 2 * f
    if imputation == "mean":
        return f
    return 1 - (1 - f) ** 2 if mode == "dominant" else f * f


@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 40), st.integers(1, 9)),
    work=st.tuples(st.integers(1, 41), st.integers(1, 3)),
    genotypes=st.tuples(st.sampled_from([0.0, 0.1, 0.8]), st.booleans()),
    imputation=st.sampled_from(["mean", "none", "hardy_weinberg"]),
)
@settings(max_examples=60, deadline=None)
def test_equal_to_loops(
    seed: int,
    shape: tuple[int, int, int],
    work: tuple[int, int],
    genotypes: tuple[float, bool],
    imputation: str,
) -> None:
    (samples, variants, scores), (block, threads), (missing, dosages) = shape, work, genotypes
    random = np.random.default_rng(seed)
    copies = random_copies(seed, samples, variants, missing=missing, dosages=dosages)
    matches = [random_match(random, variants, share=0.7, stated=0.6) for _ in range(scores)]
    file = GenotypesInMemory(copies, block=block, holds_dosages=dosages)
    chosen = np.flatnonzero(random.random(samples) < 0.8)
    found = score_samples(
        file, matches, samples=chosen, missing=MissingGenotypes(imputation), threads=threads
    )
    for place, match in enumerate(matches):
        size = float(match.used["weight"].abs().sum()) or 1.0
        reference = plain(copies[chosen], match, imputation)
        np.testing.assert_allclose(found.values[:, place], reference, rtol=0, atol=EXACT * size * variants)
        assert found.missing[place] == np.isnan(copies[chosen][:, match.used["variant"].to_numpy()]).sum()


@pytest.mark.parametrize("dosages", [False, True])
def test_batch_blocks_and_threads_change_no_bit(dosages: bool) -> None:
    random = np.random.default_rng(3)
    copies = random_copies(3, 300, 61, dosages=dosages)
    matches = [random_match(random, 61, share=share, stated=0.5) for share in (1.0, 0.3, 0.05, 1.0, 0.5, 0.9)]
    everybody = np.arange(300)
    file = GenotypesInMemory(copies, holds_dosages=dosages)
    whole = score_samples(file, matches, samples=everybody).values
    for block, threads in ((7, 1), (61, 3), (1, 2)):
        other = GenotypesInMemory(copies, block=block, holds_dosages=dosages)
        again = score_samples(other, matches, samples=everybody, threads=threads).values
        np.testing.assert_array_equal(again, whole)
    for alone in ([0], [299], [5, 6, 170]):
        few = score_samples(file, matches, samples=np.array(alone)).values
        np.testing.assert_array_equal(few, whole[alone])
    for place, match in enumerate(matches):
        one = score_samples(file, [match], samples=everybody).values[:, 0]
        np.testing.assert_array_equal(one, whole[:, place])


def test_hard_calls_as_dosages_are_the_same_score() -> None:
    random = np.random.default_rng(4)
    copies = random_copies(4, 50, 30)
    matches = [random_match(random, 30, stated=0.5) for _ in range(3)]
    calls = score_samples(GenotypesInMemory(copies), matches, samples=np.arange(50)).values
    dosages = score_samples(
        GenotypesInMemory(copies, holds_dosages=True), matches, samples=np.arange(50)
    ).values
    np.testing.assert_allclose(dosages, calls, rtol=1e-12, atol=1e-12)


@given(seed=st.integers(0, 1000), imputation=st.sampled_from(["mean", "none", "hardy_weinberg"]))
@settings(max_examples=20, deadline=None)
def test_counting_the_other_allele_throughout_changes_no_bit(seed: int, imputation: str) -> None:
    random = np.random.default_rng(seed)
    copies = random_copies(seed, 40, 25)
    match = random_match(random, 25)
    turned = match_of(
        match.used["variant"].to_numpy(),
        match.used["weight"].to_numpy(),
        effect_is_a1=~match.used["effect_is_a1"].to_numpy(),
        mode=match.used["mode"].to_list(),
        frequency=match.used["frequency"].to_numpy(),
    )
    missing = MissingGenotypes(imputation)
    everybody = np.arange(40)
    left = score_samples(GenotypesInMemory(copies), [match], samples=everybody, missing=missing).values
    right = score_samples(GenotypesInMemory(2 - copies), [turned], samples=everybody, missing=missing).values
    np.testing.assert_array_equal(left, right)


@given(seed=st.integers(0, 1000), cut=st.integers(1, 29))
@settings(max_examples=20, deadline=None)
def test_two_files_of_the_variants_add_up(seed: int, cut: int) -> None:
    random = np.random.default_rng(seed)
    copies = random_copies(seed, 20, 30, missing=0)
    weights = random.normal(size=30)
    everybody = np.arange(20)
    whole = score_samples(GenotypesInMemory(copies), [match_of(range(30), weights)], samples=everybody).values
    parts = [
        score_samples(
            GenotypesInMemory(copies[:, part]),
            [match_of(range(len(weights[part])), weights[part])],
            samples=everybody,
        ).values
        for part in (slice(0, cut), slice(cut, 30))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], whole, rtol=0, atol=1e-13)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_order_of_variants_changes_no_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    copies = random_copies(seed, 40, 30)
    weights, frequency = random.normal(size=30), random.uniform(0.1, 0.9, 30)
    order = random.permutation(30)
    everybody = np.arange(40)
    straight = match_of(range(30), weights, frequency=frequency)
    moved = match_of(range(30), weights[order], frequency=frequency[order])
    left = score_samples(GenotypesInMemory(copies), [straight], samples=everybody).values
    right = score_samples(GenotypesInMemory(copies[:, order]), [moved], samples=everybody).values
    np.testing.assert_array_equal(left, right)


def test_nobody_and_no_score() -> None:
    file = GenotypesInMemory(random_copies(1, 6, 5))
    match = match_of(range(5), np.ones(5))
    assert score_samples(file, [match], samples=np.arange(0)).values.shape == (0, 1)
    assert score_samples(file, [], samples=np.arange(6)).values.shape == (6, 0)


def test_a_sample_without_any_genotype_has_no_score() -> None:
    copies = np.array([[np.nan, np.nan, 1], [1, np.nan, np.nan]])
    match = match_of([0, 1], np.ones(2), frequency=np.full(2, 0.5))
    found = score_samples(GenotypesInMemory(copies), [match], samples=np.arange(2))
    np.testing.assert_array_equal(found.values[:, 0], [np.nan, 2.0])
    assert found.missing.tolist() == [3]


@pytest.mark.parametrize("dosages", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_weighted_sums_are_a_product_of_matrices(dosages: bool, centred: bool) -> None:
    random = np.random.default_rng(8)
    copies = random_copies(8, 90, 50, dosages=dosages)
    places = np.arange(1, 50, 2)
    weights, frequencies = random.normal(size=(25, 6)), random.uniform(size=25)
    filled = np.where(np.isnan(copies[:, places]), 2 * frequencies, copies[:, places])
    expected = (filled - 2 * frequencies * centred) @ weights
    file = GenotypesInMemory(copies, block=9, holds_dosages=dosages)
    found = weighted_sums(
        file,
        weights,
        places=places,
        frequencies=frequencies,
        samples=np.arange(90),
        centred=centred,
        threads=2,
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("weights", "frequency", "match"), [(1.0, np.nan, "between 0 and 1"), (np.inf, 0.1, "finite")]
)
def test_weighted_sums_refuse_what_is_no_number(weights: float, frequency: float, match: str) -> None:
    file = GenotypesInMemory(random_copies(1, 6, 3))
    with pytest.raises(ValueError, match=match):
        weighted_sums(
            file,
            np.full((3, 2), weights),
            places=np.arange(3),
            frequencies=np.full(3, frequency),
            samples=np.arange(6),
        )
