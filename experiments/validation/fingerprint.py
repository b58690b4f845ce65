"""What a tuning journal belongs to: data, settings, seed, our code and the libraries that fit."""

import hashlib
from pathlib import Path

import numpy as np

from experiments import seeds
from experiments.validation.cell import CellData, Fold, Integers, Procedure
from models.fingerprint import code_fingerprint, frame_bytes


def journal_fingerprint(part: CellData, inner: Integers, fold: Fold, procedure: Procedure) -> str:
    """Return 16 hex digits that change with the training rows, the settings, the seed, our code or a library.

    The number of trials is left out: a longer search goes on from a shorter one.
    """
    digest = hashlib.sha256()
    for some in frame_bytes(part.X, sorted(part.X.columns)):
        digest.update(some)
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
        code_fingerprint(Path(__file__).parent, Path(seeds.__file__)),
    )
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]
