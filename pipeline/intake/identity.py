"""Who is who: ids as text, the pseudonym key, keyed pseudonyms and the canonical order of patients."""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from pipeline.errors import BadSettings
from pipeline.intake.ledger import ROW, Ledger
from pipeline.intake.values import SPACES, UNDECLARED_MISSING
from pipeline.settings.cohort import PseudonymKey

SHORTEST_KEY = 32  # bytes
_FLOAT = re.compile(r"^[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+$")
_MAKE_ONE = "Make one with: (umask 077; head -c 32 /dev/urandom > ~/psystrata.key)"


def read_key(key: PseudonymKey, *, seed: int, open_data: bool, repository: Path) -> bytes:
    """Return the key of the pseudonyms.

    Args:
        key: where the key is.
        seed: the study's seed.
        open_data: the study is simulated or its disclosure level public; only then may a key derive from the seed.
        repository: a key inside it would be shared with the code.

    Raises:
        BadSettings: the key cannot be used.
    """
    if key.derive_from_seed:
        if not open_data:
            raise BadSettings(
                "cohort.key.derive_from_seed: anyone with the study file could undo the pseudonyms. It is for "
                f"simulated or public data. Declare cohort.key.file instead. {_MAKE_ONE}."
            )
        return hashlib.sha256(f"psystrata pseudonyms|{seed}".encode()).digest()
    if key.file is None:
        raise BadSettings(
            f"cohort.key.file is not declared. {_MAKE_ONE}, and declare its path and fingerprint."
        )
    place = Path(key.file).expanduser()
    content = _key_bytes(place, repository)
    fingerprint = hashlib.sha256(content).hexdigest()[:16]
    if key.fingerprint is None:
        raise BadSettings(
            f"cohort.key.fingerprint is not declared. Add it: fingerprint: {fingerprint!r} belongs to {place}."
        )
    if not hmac.compare_digest(key.fingerprint, fingerprint):
        raise BadSettings(
            f"The key in {place} is not the one that cohort.key.fingerprint declares: pseudonyms would change. "
            "Name the right key, or declare the new fingerprint after deciding so."
        )
    return content


def _key_bytes(place: Path, repository: Path) -> bytes:
    if not place.is_absolute():
        raise BadSettings(
            f"cohort.key.file {place} must be an absolute path outside the repository, or begin with ~/."
        )
    if not place.is_file():
        raise BadSettings(f"The key file {place} is missing. {_MAKE_ONE}.")
    if place.resolve().is_relative_to(repository.resolve()):
        raise BadSettings(
            f"The key file {place} lies inside the repository. Move it out, and make a new key."
        )
    if place.stat().st_mode & 0o077:
        raise BadSettings(f"The key file {place} can be read by others. Run: chmod 600 {place}")
    content = place.read_bytes()
    if len(content) < SHORTEST_KEY:
        raise BadSettings(f"The key file {place} holds fewer than {SHORTEST_KEY} bytes. {_MAKE_ONE}.")
    return content


def pseudonyms(ids: Iterable[str], key: bytes) -> dict[str, str]:
    """Return HMAC-SHA256(key, id) of each id, truncated to 128 bits, in hexadecimal."""
    return {value: hmac.digest(key, value.encode(), "sha256").hex()[:32] for value in ids}


def positions(ids: Iterable[str], seed: int) -> dict[str, int]:
    """Rank ids by SHA-256 of seed and id: an order that depends on neither the key nor the order of the files."""
    ordered = sorted(ids, key=lambda value: (hashlib.sha256(f"{seed}|{value}".encode()).digest(), value))
    return {value: rank for rank, value in enumerate(ordered)}


def clean_ids(
    frame: pl.DataFrame,
    column: str,
    *,
    path: str,
    namespace: str,
    ledger: Ledger,
    missing: Iterable[str] = (),
) -> pl.Series:
    """Return ids as text, white space stripped and in Unicode's composed form; null where there is none.

    A missing mark, declared in `missing` or a usual one such as NA, is no id: all rows that bear it would become one
    patient. Ids that a spreadsheet turned into floats, and two ids that only white space keeps apart, are refused.
    """
    raw = frame.get_column(column)
    cleaned = {
        value: unicodedata.normalize("NFC", value.strip(SPACES)) for value in raw.drop_nulls().unique()
    }
    rows = frame.get_column(ROW)
    floats = [value for value, text in cleaned.items() if _FLOAT.match(text)]
    if floats:
        ledger.refuse(
            path,
            "ids in floating-point form: digits were lost",
            "Export the column as text",
            rows=rows.filter(raw.is_in(floats)),
            variable=column,
        )
    changed = [value for value, text in cleaned.items() if value != text and text]
    if changed:
        _report_changed(raw, rows, cleaned, changed, path=path, column=column, ledger=ledger)
    _warn_of_case(cleaned, path, column, ledger)
    prefix = f"{namespace}\x1f" if namespace else ""
    none = {mark.strip(SPACES).casefold() for mark in missing} | UNDECLARED_MISSING | {""}
    names = {value: None if text.casefold() in none else prefix + text for value, text in cleaned.items()}
    return raw.replace_strict(list(names), list(names.values()), default=None, return_dtype=pl.String)


def _report_changed(
    raw: pl.Series,
    rows: pl.Series,
    cleaned: dict[str, str],
    changed: list[str],
    *,
    path: str,
    column: str,
    ledger: Ledger,
) -> None:
    clash = [value for value in changed if cleaned[value] in cleaned]
    if clash:
        ledger.refuse(
            path,
            "ids that differ only by white space or Unicode form",
            "Decide whether they are one patient, and write the id in one way",
            rows=rows.filter(raw.is_in(clash)),
            variable=column,
        )
    ledger.add(
        "fixed",
        path,
        "white space or another Unicode form in ids",
        "It was normalised",
        rows=rows.filter(raw.is_in(changed)),
        variable=column,
    )


def _warn_of_case(cleaned: dict[str, str], path: str, column: str, ledger: Ledger) -> None:
    unique = set(cleaned.values())
    if len({value.casefold() for value in unique}) < len(unique):
        ledger.add(
            "warning",
            path,
            "ids that differ only by case",
            "Check that they are two patients",
            variable=column,
        )
