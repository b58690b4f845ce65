"""No published cell is small, and none follows from the totals by subtraction."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.disclosure import (
    SUPPRESSED,
    hidden_cells,
    hidden_in_linked_tables,
    smallest_published,
    suppress_counts,
)

tables = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda c: (c[0] + c[1], c[0], c[1])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(tables)
def test_nothing_published_is_small_or_follows_by_subtraction(cells: list[tuple[int, int, int]]) -> None:
    counts = np.array(cells)
    hidden = hidden_cells(counts, 11)
    assert (counts[~hidden] >= 11).all()
    if hidden.any() and not hidden.all():
        assert hidden.sum() >= 2
        for kind in range(
            counts.shape[1]
        ):  # what subtraction gives: the sum of the hidden, itself never small
            rest = counts[:, kind].sum() - counts[~hidden, kind].sum()
            assert rest >= 11


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 25), min_size=2, max_size=4))
def test_by_brute_force_every_hidden_count_keeps_several_possible_values(cells: list[int]) -> None:
    counts = np.array(cells)[:, None]
    hidden = hidden_cells(counts, 11)[:]
    if not hidden.any() or counts.sum() < 11:
        return
    rest = int(counts[hidden].sum())
    fits = [
        some for some in itertools.product(range(rest + 1), repeat=int(hidden.sum())) if sum(some) == rest
    ]
    for place in range(int(hidden.sum())):
        assert len({some[place] for some in fits}) >= 11


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), min_size=4, max_size=4), min_size=1, max_size=3))
def test_tables_of_all_and_of_each_part_give_no_cell_away(parts: list[list[int]]) -> None:
    own = np.array(parts)
    counts = np.concatenate([own.sum(axis=0, keepdims=True), own])
    present = counts > 0
    hidden = hidden_in_linked_tables(counts[:, :, None], present, 11)
    published = present & ~hidden
    assert (counts[published] >= 11).all()
    # What linear algebra gives from the published cells and the totals of the rows: no hidden cell is determined.
    parts_of = [np.eye(present.size)[part * 4 : part * 4 + 4] for part in range(1, len(counts))]
    everybody = np.sum(parts_of, axis=0)  # each cell of all is the sum of the parts' cells
    cells = np.concatenate([everybody, *parts_of])
    known = [cells[place] for place in np.flatnonzero(published | ~present)]
    known += [rows.sum(axis=0) for rows in (everybody, *parts_of)]
    rank = np.linalg.matrix_rank(np.array(known))
    for place in np.flatnonzero(present & hidden):
        if 0 < counts.flat[place] < 11:
            assert np.linalg.matrix_rank(np.array([*known, cells[place]])) > rank or not published.any()


def test_what_one_country_shows_does_not_give_the_other_away() -> None:
    everybody, first, second = [(63, 28), (88, 39)], [(30, 10), (40, 15)], [(33, 18), (48, 24)]
    hidden = hidden_in_linked_tables(np.array([everybody, first, second]), np.ones((3, 2), dtype=bool), 11)
    assert hidden.tolist() == [[False, False], [True, True], [True, True]]


def test_a_small_cell_takes_the_next_smallest_of_its_table_with_it() -> None:
    frame = pl.DataFrame(
        {
            "variable": ["sex", "sex", "network", "network", "network"],
            "n": [500, 400, 8, 300, 592],
            "estimate": [0.7, 0.71, 0.9, 0.68, 0.72],
            "note": pl.Series([None] * 5, dtype=pl.String),
        }
    )
    found = suppress_counts(
        frame, counts=["n"], smallest_cell=11, within=["variable"], blank=["estimate"], note="note"
    )
    assert found["n"].to_list() == [500, 400, None, None, 592]
    assert found["estimate"].to_list() == [0.7, 0.71, None, None, 0.72]
    assert found["note"].to_list() == [None, None, SUPPRESSED, SUPPRESSED, None]


def test_few_events_hide_a_large_cell() -> None:
    hidden = hidden_cells(np.array([(900, 10, 890), (500, 200, 300), (800, 300, 500)]), 11)
    assert hidden.tolist() == [True, True, False]


@pytest.mark.parametrize(("level", "smallest"), [("public", 0), ("restricted", 15)])
def test_public_data_suppress_nothing(level: str, smallest: int) -> None:
    assert smallest_published(level, 15) == smallest
    frame = pl.DataFrame({"n": [3, 100]})
    kept = suppress_counts(frame, counts=["n"], smallest_cell=smallest)
    assert kept["n"].to_list() == ([3, 100] if level == "public" else [None, None])
