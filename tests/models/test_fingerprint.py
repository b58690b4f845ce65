"""Bytes that stand for data and code: nothing that could change a fit leaves them as they were."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.fingerprint import code_fingerprint, column_bytes, frame_bytes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1.0, None], [1.0, 0.0]),
        ([1, None], [1, 0]),
        ([2**53, 1], [2**53 + 1, 1]),  # the same number as a float
        (["a\x1fb", "c"], ["a", "b\x1fc"]),
        (["", None], [None, ""]),
        (["-", None], [None, "-"]),
        (["1:a", "b"], ["1:a1:b", ""]),
        ([b"ab", b""], [b"a", b"b"]),
        ([True, None], [True, False]),
        ([date(2020, 1, 1)], [date(2020, 1, 2)]),
    ],
    ids=repr,
)
def test_other_values_are_other_bytes(one: list[Any], other: list[Any]) -> None:
    assert column_bytes(pl.Series(one)) != column_bytes(pl.Series(other))
    assert column_bytes(pl.Series(one)) == column_bytes(pl.Series(list(one)))


def test_missing_is_missing_however_it_is_written() -> None:
    assert column_bytes(pl.Series([1.0, None])) == column_bytes(pl.Series([1.0, float("nan")]))


def test_names_kinds_and_their_order_count() -> None:
    X = pl.DataFrame({"a": [1.0], "b": [1.0]})
    found = [
        b"".join(frame_bytes(X, ["a", "b"])),
        b"".join(frame_bytes(X, ["b", "a"])),
        b"".join(frame_bytes(X.rename({"a": "c"}), ["c", "b"])),
        b"".join(frame_bytes(X.with_columns(pl.col("a").cast(pl.Int8)), ["a", "b"])),
    ]
    assert len(set(found)) == 4


def test_a_line_of_code_or_a_file_moved_is_other_code(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    found = set()
    for name, text in (("a.py", "x = 1\n"), ("a.py", "x = 2\n"), ("b.py", "x = 2\n"), ("b.txt", "x = 3\n")):
        for path in folder.iterdir():
            path.unlink()
        (folder / name).write_text(text)
        code_fingerprint.cache_clear()
        found.add(code_fingerprint(folder))
    code_fingerprint.cache_clear()
    assert code_fingerprint() in found  # a text beside the code is none
    assert len(found) == 4
