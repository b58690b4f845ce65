"""The people of a PLINK file: their ids and who is male."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import BadInput
from features.genetics.delimited import read_text_file, table

_FAM = ("FID", "IID", "PAT", "MAT", "SEX", "PHENO1")
_MALE = ("1", "M")
_FEMALE = ("2", "F")

People = tuple[tuple[str, ...], NDArray[np.bool_] | None]


def read_fam(path: Path, shown: str) -> People:
    """Read a .fam file.

    Returns:
        individual ids in the file's order; who is male, shape (samples,), None where the file tells no one's sex.

    Raises:
        BadInput: the file cannot be read, a row has another number of fields than six, or ids repeat.
    """
    return _people(table(read_text_file(path, shown), _FAM, ("IID", "SEX")), shown)


def read_psam(path: Path, shown: str) -> People:
    """Read a .psam file; without a header it has the columns of a .fam file. Returns and raises as read_fam."""
    text = read_text_file(path, shown)
    names = text.header or _FAM[: text.rows[: text.rows.index(b"\n")].count(b"\t") + 1]
    if "IID" not in names or len(set(names)) < len(names):
        raise BadInput(
            f"{shown}: the header must name IID and each column once; write the files with PLINK again."
        )
    return _people(table(text, names, [name for name in ("IID", "SEX") if name in names]), shown)


def unique_samples(samples: tuple[str, ...], shown: str) -> tuple[str, ...]:
    """Give the ids back.

    Raises:
        BadInput: an id is empty or stands twice.
    """
    if not all(samples):
        raise BadInput(f"{shown}: a sample has no id; complete the file.")
    if len(set(samples)) < len(samples):
        raise BadInput(
            f"{shown}: {len(samples) - len(set(samples))} individual id(s) stand more than once; make them unique."
        )
    return samples


def _people(rows: pl.DataFrame, shown: str) -> People:
    samples = unique_samples(tuple(rows["IID"].fill_null("")), shown)
    if "SEX" not in rows.columns:
        return samples, None
    sex = rows["SEX"].str.to_uppercase()
    if not sex.is_in([*_MALE, *_FEMALE]).any():
        return samples, None
    return samples, np.asarray(sex.is_in(_MALE).fill_null(value=False).to_numpy(), dtype=np.bool_)
