"""Which rows of a score match which variants of a genotype file, and what is counted for the others."""

from collections.abc import Sequence
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BadInput
from features.genetics.allele_pairs import complement
from features.genetics.matching import UNUSED, Match, common_lines, match_variants, reasons
from tests.features.matching_frames import Held, Row, held_variants, score_of

VARIANTS = [
    ("1", 100, "A", "G"),
    ("1", 200, "A", "T"),
    ("1", 300, "C", "CAG"),
    ("1", 400, "0", "C"),
    ("1", 500, "A", "G"),
    ("1", 500, "A", "T"),
    ("1", 600, "A", "C"),
    ("1", 600, "C", "A"),
    ("X", 700, "A", "C"),
]


def match(rows: Sequence[Row], *, palindromic: str = "drop") -> Match:
    return match_variants(score_of(rows), held_variants(VARIANTS), palindromic=palindromic)


@pytest.mark.parametrize(
    ("row", "variant", "effect_is_a1", "strand_flipped"),
    [
        (("1", 100, "A", "G"), 0, True, 0),
        (("1", 100, "G", "A"), 0, False, 0),
        (("1", 100, "T", "C"), 0, True, 1),
        (("1", 100, "C", "T"), 0, False, 1),
        (("1", 100, "G", None), 0, False, 0),
        (("1", 100, "C", None), 0, False, 1),
        (("1", 300, "CAG", "C"), 2, False, 0),
        (("1", 300, "CTG", "G"), 2, False, 1),
        (("1", 400, "C", "T"), 3, False, 0),
        (("1", 400, "T", "C"), 3, True, 0),
        (("1", 400, "C", None), 3, False, 0),
        (("1", 500, "G", "A"), 4, False, 0),
        (("1", 500, "G", None), 4, False, 0),
        (("X", 700, "A", "C"), 8, True, 0),
    ],
)
def test_matched(row: Row, variant: int, effect_is_a1: bool, strand_flipped: int) -> None:
    found = match([row])
    assert found.used.select("variant", "effect_is_a1").rows() == [(variant, effect_is_a1)]
    assert found.counts["strand_flipped"] == strand_flipped
    assert found.counts["alleles_flipped"] == (not effect_is_a1)
    assert found.rate == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("1", 200, "A", "T"), "palindromic_dropped"),
        (("1", 200, "T", None), "palindromic_dropped"),
        (("1", 101, "A", "G"), "absent"),
        (("2", 100, "A", "G"), "absent"),
        (("1", 100, "A", "C"), "allele_mismatch"),
        (("1", 100, "A", "AG"), "allele_mismatch"),
        (("1", 400, "A", "T"), "allele_mismatch"),
        (("1", 500, "A", None), "duplicate"),
        (("1", 600, "A", "C"), "duplicate"),
        (("1", None, "A", "G"), "without_position"),
        ((None, 100, "A", "G"), "without_position"),
        (("MT", 100, "A", "G"), "not_diploid"),
        (("Y", 100, "A", "G"), "not_diploid"),
    ],
)
def test_not_used(row: Row, reason: str) -> None:
    found = match([row])
    assert found.used.is_empty()
    assert {name for name in UNUSED if found.counts[name]} == {reason}


@pytest.mark.parametrize(("effect", "is_a1"), [("A", True), ("T", False)])
def test_kept_palindromic_variants_are_taken_as_written(effect: str, is_a1: bool) -> None:
    found = match([("1", 200, effect, "A" if effect == "T" else "T")], palindromic="keep")
    assert found.used["effect_is_a1"].to_list() == [is_a1]
    assert found.counts["strand_flipped"] == 0


def test_a_second_row_for_the_same_allele_of_a_variant_is_a_duplicate() -> None:
    found = match([("1", 100, "A", "G"), ("1", 100, "T", "C"), ("1", 100, "A", None)])
    assert found.used["line"].to_list() == [2]
    assert found.counts["duplicate"] == 2


def test_both_alleles_of_a_variant_may_have_a_weight() -> None:
    assert match([("1", 100, "A", "G"), ("1", 100, "G", "A")]).counts["matched"] == 2


SITE: list[Held] = [("2", 50, "A", "G,T"), ("2", 50, "G", "A,T"), ("2", 50, "T", "A,G")]


@pytest.mark.parametrize(
    ("effect", "other", "verdict", "variant"),
    [
        ("G", "A", "matched", 1),
        ("G", "T", "matched", 1),
        ("C", "A", "matched_strand", 1),
        ("C", "T", "matched_strand", 1),
        ("G", None, "matched", 1),
        ("A", "T", "palindromic_dropped", None),
        ("A", None, "palindromic_dropped", None),
        ("A", "G", "matched", 0),
        ("A", "AT", "allele_mismatch", None),
    ],
)
def test_more_than_two_alleles(effect: str, other: str | None, verdict: str, variant: int | None) -> None:
    """The effect allele is the counted one and the other among the rest; C/A complemented is G/T, which is there as well."""
    found = match_variants(score_of([("2", 50, effect, other)]), held_variants(SITE), palindromic="drop")
    assert found.verdicts.select("verdict", "variant").row(0) == (verdict, variant)
    assert found.used["effect_is_a1"].all()


def test_of_more_than_two_alleles_each_may_have_a_weight() -> None:
    rows: list[Row] = [("2", 50, "G", "A"), ("2", 50, "T", "G"), ("2", 50, "G", "T")]
    found = match_variants(score_of(rows), held_variants(SITE), palindromic="drop")
    assert found.verdicts["verdict"].to_list() == ["matched", "matched", "duplicate"]


def test_a_score_without_positions_is_matched_by_id() -> None:
    rows: list[Row] = [
        (None, None, "A", "G"),
        (None, None, "G", "T"),
        (None, None, "C", None),
        (None, None, "A", "C"),
    ]
    score = score_of(rows, ids=["rs1", "rs2", "rs3", "rs4"])
    held: list[Held] = [
        ("1", 5, "G", "A"),
        ("1", 6, "C", "A"),
        ("Y", 7, "C", "T"),
        ("1", 8, "A", "C"),
        ("1", 9, "A", "C"),
    ]
    ids = ["rs1", "rs2", "rs3", "rs4", "rs4"]
    found = match_variants(score, held_variants(held, ids), palindromic="drop")
    assert found.verdicts["verdict"].to_list() == [
        "matched_flipped",
        "matched_strand",
        "not_diploid",
        "duplicate",
    ]
    assert (found.counts["by_id"], found.counts["strand_flipped"]) == (2, 1)
    assert reasons(found) == "1 duplicate, 1 not diploid (looked for by id: the score gives no positions)"


@pytest.mark.parametrize(
    ("in_score", "of_a1", "verdict"),
    [
        (0.2, 0.25, "matched"),
        (0.8, 0.9, "matched"),
        (0.2, 0.75, "matched_strand_flipped"),
        (0.9, 0.4, "matched_strand_flipped"),
        (0.2, 0.41, "palindromic_ambiguous"),
        (0.45, 0.1, "palindromic_ambiguous"),
        (None, 0.1, "palindromic_ambiguous"),
        (0.1, None, "palindromic_ambiguous"),
        (0.1, float("nan"), "palindromic_ambiguous"),
    ],
)
def test_palindromic_variants_by_frequency(in_score: float | None, of_a1: float | None, verdict: str) -> None:
    """An A that is rare in the score and common in the genotypes is a T read from the other strand."""
    rows: list[Row] = [("1", 200, "A", "T"), ("1", 100, "A", "G")]
    table = pl.DataFrame(
        {"variant": [1], "frequency": [of_a1]}, schema={"variant": pl.Int64, "frequency": pl.Float64}
    )
    found = match_variants(
        score_of(rows, frequencies=[in_score, None]),
        held_variants(VARIANTS),
        palindromic="frequency",
        frequencies=table,
    )
    assert found.verdicts["verdict"].to_list() == [verdict, "matched"]
    assert found.counts["palindromic"] == verdict.startswith("matched")


def test_reading_by_frequency_needs_frequencies() -> None:
    with pytest.raises(BadInput, match=r"missing\.frequencies"):
        match([("1", 200, "A", "T")], palindromic="frequency")


def test_rows_matched_in_every_file() -> None:
    rows: list[Row] = [("1", 100, "A", "G"), ("1", 300, "C", "CAG"), ("1", 101, "A", "G")]
    score = score_of(rows, weights=[1.0, -3.0, 4.0])
    both = match_variants(score, held_variants(VARIANTS), palindromic="drop")
    one = match_variants(score, held_variants(VARIANTS[2:]), palindromic="drop")
    lines = common_lines([both, one])
    assert lines.to_list() == [3]
    assert one.restricted(lines) is one
    kept = both.restricted(lines)
    assert kept.used["line"].to_list() == [3]
    assert kept.verdicts["verdict"].to_list() == ["not_in_every_file", "matched", "absent"]
    assert kept.verdicts["variant"].to_list() == [None, 2, None]
    assert (kept.counts["matched"], kept.counts["not_in_every_file"], kept.rate) == (1, 1, 1 / 3)
    assert (both.weight_share, kept.weight_share) == (0.5, 0.375)
    assert reasons(kept) == "1 absent, 1 not in every file"


ALLELES = st.sampled_from(["A", "C", "G", "T", "CA", "CAG"])
ROWS = st.tuples(
    st.sampled_from(["1", "X", "Y", None]),
    st.sampled_from([100, 200, 300, 400, 500, 600, 700, None]),
    ALLELES,
    st.one_of(st.none(), ALLELES),
)


@given(st.lists(ROWS, min_size=1, max_size=12), st.sampled_from(["drop", "keep"]))
@settings(max_examples=50)
def test_every_row_is_counted_once(rows: list[Row], palindromic: str) -> None:
    counts = match(rows, palindromic=palindromic).counts
    assert counts["matched"] + sum(counts[reason] for reason in UNUSED) == counts["rows"] == len(rows)


SNPS = st.permutations("ACGT").map(lambda alleles: (alleles[0], alleles[1]))
PLACED = st.lists(st.tuples(SNPS, SNPS), min_size=1, max_size=8)


def verdict_by_hand(effect: str, other: str, held: tuple[str, str]) -> str:
    """What becomes of one row at a place with one variant of two letters."""
    turned = (str(complement(effect)), str(complement(other)))
    if (effect, other) not in (held, held[::-1]) and turned not in (held, held[::-1]):
        return "allele_mismatch"
    if turned == (other, effect):
        return "palindromic_dropped"
    strand, pair = ("", (effect, other)) if (effect, other) in (held, held[::-1]) else ("_strand", turned)
    return f"matched{strand}{'' if pair == held else '_flipped'}"


@given(PLACED, st.randoms())
@settings(max_examples=25)
def test_single_letters_by_hand_in_any_order_of_the_variants(
    pairs: list[tuple[tuple[str, str], tuple[str, str]]], random: Random
) -> None:
    score = score_of([("1", place + 1, *row) for place, (row, _) in enumerate(pairs)])
    held = held_variants([("1", place + 1, *alleles) for place, (_, alleles) in enumerate(pairs)])
    found = match_variants(score, held, palindromic="drop")
    assert found.verdicts["verdict"].to_list() == [verdict_by_hand(*row, alleles) for row, alleles in pairs]
    order = list(range(held.height))
    random.shuffle(order)
    again = match_variants(score, held[order], palindromic="drop")
    assert again.used.equals(found.used)
    assert again.counts == found.counts


@given(PLACED)
@settings(max_examples=25)
def test_swapped_and_complemented_files_match_the_same_rows(
    pairs: list[tuple[tuple[str, str], tuple[str, str]]],
) -> None:
    score = score_of([("1", place + 1, *row) for place, (row, _) in enumerate(pairs)])
    files = [
        held_variants([("1", place + 1, *write(*alleles)) for place, (_, alleles) in enumerate(pairs)])
        for write in (
            lambda a1, a2: (a1, a2),
            lambda a1, a2: (a2, a1),
            lambda a1, a2: (complement(a1), complement(a2)),
        )
    ]
    found, swapped, turned = (match_variants(score, file, palindromic="drop").used for file in files)
    columns = ["line", "variant", "weight"]
    assert swapped.select(columns).equals(found.select(columns))
    assert (swapped["effect_is_a1"] != found["effect_is_a1"]).all()
    assert turned.equals(found)


@given(st.text("ACGT", min_size=1))
def test_the_complement_of_the_complement_is_the_allele(allele: str) -> None:
    turned = complement(allele)
    assert turned is not None
    assert complement(turned) == allele


def test_what_is_no_sequence_has_no_complement() -> None:
    assert [complement(allele) for allele in ("", "0", "<DEL>", "N")] == [None] * 4
