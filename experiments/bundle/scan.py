"""The last look before anything leaves: no identifier, no date, nothing but what a schema allows."""

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping

_TOKEN = re.compile(r"[0-9A-Za-z_-]+")
_PSEUDONYM = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d([-/.])(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[1-9]|[12]\d|3[01])([-/.])(?:0[1-9]|1[0-2])\2(?:19|20)\d\d)(?!\d)"
)
_NAMESPACE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"  # every SVG has it, and it looks like a date
_EMBEDDED = re.compile(r"data:[a-z/+.-]+;base64,([A-Za-z0-9+/=]+)")


def dates_in(text: str) -> frozenset[str]:
    """Return what looks like a date in a text."""
    return frozenset(found[0] for found in _DATE.finditer(text.replace(_NAMESPACE, "")))


def disclosures(
    files: Mapping[str, bytes], identifiers: Collection[str], declared: Collection[str] = ()
) -> list[str]:
    """Return what must not leave, one sentence per file and kind; empty where nothing was found.

    Texts embedded in a page (figures) are read too. A file that is not text is refused, as it cannot be read.

    Args:
        files: name -> content.
        identifiers: prediction ids and pseudonyms of the study's patients.
        declared: dates that the study file itself declares, such as where a temporal scheme cuts.
    """
    known, free = frozenset(identifiers), frozenset(declared)
    return [
        problem for name, content in sorted(files.items()) for problem in _of_file(name, content, known, free)
    ]


def _of_file(name: str, content: bytes, known: frozenset[str], free: frozenset[str]) -> Iterator[str]:
    try:
        texts = list(_texts(content.decode("utf-8")))
    except (UnicodeDecodeError, binascii.Error):
        yield f"{name} is not text, so it cannot be read for what must not leave."
        return
    if any(not known.isdisjoint(_TOKEN.findall(text)) for text in texts):
        yield f"{name} holds an identifier of a patient or a prediction."
    if any(_PSEUDONYM.search(text) for text in texts):
        yield f"{name} holds what looks like a pseudonym (32 hexadecimal digits)."
    if any(dates_in(text) - free for text in texts):
        yield f"{name} holds what looks like a date; tell periods by year."


def _texts(text: str) -> Iterator[str]:
    yield _EMBEDDED.sub("", text)
    for embedded in _EMBEDDED.findall(text):
        yield base64.b64decode(embedded, validate=True).decode("utf-8")
