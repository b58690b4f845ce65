"""Which rows of a score match which variants of a genotype file, and what is counted for the others."""

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.genetics.allele_pairs import complement
from features.genetics.genotypes import VARIANTS as COLUMNS
from features.genetics.matching import UNUSED, Match, match_variants
from features.genetics.scoring_files import SCORING_VARIANTS, ScoringFile

Row = tuple[str | None, int | None, str, str | None]
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
    table = [(n, c, p, e, o, 1.0, "additive", None, None) for n, (c, p, e, o) in enumerate(rows, start=2)]
    scoring = ScoringFile("x", "x.txt", {}, pl.DataFrame(table, schema=SCORING_VARIANTS, orient="row"), 0)
    held = [(n, c, p, None, a1, a2, False) for n, (c, p, a1, a2) in enumerate(VARIANTS)]
    variants = pl.DataFrame(held, schema=COLUMNS, orient="row")
    return match_variants(scoring, variants, palindromic=palindromic)


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


ALLELES = st.sampled_from(["A", "C", "G", "T", "CA", "CAG"])
ROWS = st.tuples(
    st.sampled_from(["1", "X", "Y", None]),
    st.sampled_from([100, 200, 300, 400, 500, 600, 700, None]),
    ALLELES,
    st.one_of(st.none(), ALLELES),
)


@given(st.lists(ROWS, min_size=1, max_size=12), st.sampled_from(["drop", "keep"]))
def test_every_row_is_counted_once(rows: list[Row], palindromic: str) -> None:
    counts = match(rows, palindromic=palindromic).counts
    assert counts["matched"] + sum(counts[reason] for reason in UNUSED) == counts["rows"] == len(rows)


@given(st.text("ACGT", min_size=1))
def test_the_complement_of_the_complement_is_the_allele(allele: str) -> None:
    turned = complement(allele)
    assert turned is not None
    assert complement(turned) == allele


def test_what_is_no_sequence_has_no_complement() -> None:
    assert [complement(allele) for allele in ("", "0", "<DEL>", "N")] == [None] * 4
