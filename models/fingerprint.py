"""What fitted results depend on beside settings: the bytes of columns, our code and the libraries that fit."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import polars as pl

FITTING_LIBRARIES = (
    "lightgbm",
    "numpy",
    "optuna",
    "polars",
    "scikit-learn",
    "scipy",
    "stepmix",
    "xgboost-cpu",
)
MISSING = b"-"


def frame_bytes(X: pl.DataFrame, names: Iterable[str]) -> Iterable[bytes]:
    """Yield bytes that change with the name, kind or any value of the named columns; the order of names counts."""
    for name in names:
        column = X[name]
        yield f"{name}\x1f{column.dtype}\x1f".encode()
        yield column_bytes(column)


def column_bytes(column: pl.Series) -> bytes:
    """Return bytes that two columns of one kind share only where every value is the same; missing and NaN are alike.

    Values that are no numbers stand behind their lengths, so that none can pass for two.
    """
    if column.dtype.is_float() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().tobytes()
    if column.dtype.is_integer():
        return column.is_null().to_numpy().tobytes() + column.fill_null(0).to_numpy().tobytes()
    values = (None if value is None else _bytes_of(value) for value in column)
    return b"".join(MISSING if value is None else b"%d:%b" % (len(value), value) for value in values)


def _bytes_of(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@cache
def code_fingerprint(*places: Path) -> str:
    """Return 64 hex digits that change with our files at these places and in `models`, or with a library that fits.

    Args:
        places: folders, whose files of Python count, or files.
    """
    digest = hashlib.sha256()
    for place in (Path(__file__).parent, *places):
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(place.parent).as_posix()}\x1f{len(content)}\x1f".encode())
            digest.update(content)
    digest.update(repr([(name, version(name)) for name in FITTING_LIBRARIES]).encode())
    return digest.hexdigest()
