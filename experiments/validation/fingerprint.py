"""What a tuning journal belongs to: data, settings, seed, our code and the libraries that fit."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

import models
from experiments.validation.cell import CellData, Fold, Integers, Procedure

FITTING_LIBRARIES = ("lightgbm", "numpy", "optuna", "polars", "scikit-learn", "scipy", "xgboost-cpu")


def journal_fingerprint(part: CellData, inner: Integers, fold: Fold, procedure: Procedure) -> str:
    """Return 16 hex digits that change with the training rows, the settings, the seed, our code or a library.

    The number of trials is left out: a longer search goes on from a shorter one.
    """
    digest = hashlib.sha256()
    for name in sorted(part.X.columns):
        column = part.X[name]
        digest.update(f"{name}\x1f{column.dtype}\x1f".encode())
        digest.update(_column_bytes(column))
    target = part.target
    for values in (target.cause, target.time, target.groups, target.known, target.strata, inner):
        digest.update(b"none" if values is None else np.ascontiguousarray(values).tobytes())
        digest.update(b"\x1f")
    settings = (
        target.horizons,
        target.causes,
        target.main,
        sorted(procedure.modalities.items()) if procedure.kind.uses_modalities else None,
        sorted(procedure.fixed.items()),
        procedure.predictors,
        procedure.kind_name,
        sorted(procedure.kind.defaults.items()),
        procedure.kind.identity,
        procedure.kind.starts,
        procedure.seed_for("trial", fold),
        _code(),
    )
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


def _column_bytes(column: pl.Series) -> bytes:
    if column.dtype.is_numeric():
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().tobytes()
    if column.dtype == pl.Binary:
        return b"".join(b"-" if value is None else b"%d:%b" % (len(value), value) for value in column)
    return "\x1f".join("\x1e" if value is None else str(value) for value in column).encode()


@cache
def _code() -> str:
    """Return a fingerprint of everything that decides a trial's score beside data and settings."""
    digest = hashlib.sha256()
    for folder in (Path(models.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    digest.update(repr([(name, version(name)) for name in FITTING_LIBRARIES]).encode())
    return digest.hexdigest()
