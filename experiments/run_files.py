"""Result files as tracked runs read them, and the hash by which a run is known."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from features.errors import BadInput


def digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of files by name."""
    lines = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in sorted(files.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def result_bytes(path: Path) -> bytes:
    """Return a result file; raises BadInput where it is not there."""
    if not path.is_file():
        raise BadInput(f"{path} is not there: an earlier stage writes it. Run dvc repro.")
    return path.read_bytes()


def result_frame(path: Path) -> pl.DataFrame:
    """Return a result table; raises BadInput where it is not there or cannot be read."""
    try:
        return pl.read_parquet(io.BytesIO(result_bytes(path)))
    except pl.exceptions.PolarsError as problem:
        raise BadInput(
            f"{path} cannot be read: it is damaged or not ours. Remove it and run dvc repro."
        ) from problem
