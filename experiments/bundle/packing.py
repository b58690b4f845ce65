"""Sealing, writing and reading of bundles: the same bytes each time, and nothing changed, missing or added."""

import hashlib
import io
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from experiments.bundle.checking import checked_manifest, model_parts, require_allowed, seal_of
from experiments.bundle.contents import (
    CARD,
    DEFINITION,
    FORMAT,
    MANIFEST,
    README,
    REFERENCE,
    VERSION,
    Content,
    Definition,
    Manifest,
    Reference,
    canonical_json,
    read_content,
)
from features.errors import BadInput

REQUIRED = (CARD, DEFINITION, MANIFEST, README, REFERENCE, "model/learner.json")
MOST_FILES = 200
LARGEST = 256 * 1024 * 1024  # bytes of all files together, unpacked
DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, OSError, RuntimeError)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_REGULAR = (stat.S_IFREG | 0o644) << 16


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every byte was checked.

    Attributes:
        manifest, definition, reference: its contents.
        parts: the fitted model as named files, for models.storage.load_learner.
        fingerprint: SHA-256 of the manifest: names the bundle and all in it.
    """

    manifest: Manifest
    definition: Definition
    reference: Reference
    parts: Mapping[str, bytes]
    fingerprint: str


def seal(
    files: Mapping[str, bytes],
    head: Mapping[str, Any],
    *,
    form: str = FORMAT,
    schema: type[Content] = Manifest,
) -> dict[str, bytes]:
    """Return the files with their manifest.

    Args:
        files: all files of the bundle but the manifest.
        head: what the manifest says beside format, version, files and seal.
        form: what the manifest gives as its format.
        schema: of the manifest.

    Raises:
        BadInput: a file that no bundle may hold.
    """
    require_allowed(files)
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    values = {**head, "format": form, "version": VERSION, "files": listed}
    values["seal"] = seal_of(values)
    return {**files, MANIFEST: canonical_json(schema.model_validate(values).model_dump(mode="json"))}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return the files as a zip, the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.external_attr = _REGULAR
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name], compresslevel=9)
    return buffer.getvalue()


def read_files(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle, a zip or a folder, unchecked but for what could do harm.

    Raises:
        BadInput: links, names that lead elsewhere, too many or too large files, what is neither zip nor folder.
    """
    if path.is_symlink():
        raise BadInput(f"{path} is a link; name the bundle itself.")
    if path.is_dir():
        return _from_folder(path)
    if not path.is_file():
        raise BadInput(f"{path} is not there: name a bundle, a zip or a folder that psystrata freeze wrote.")
    return _from_zip(path)


def open_bundle(files: Mapping[str, bytes], path: str) -> Bundle:
    """Check a bundle's files against its manifest and read them.

    Raises:
        BadInput: one sentence on what was changed, is missing, was added or is of an unknown version.
    """
    manifest = checked_manifest(files, path, Manifest, FORMAT, REQUIRED)
    return Bundle(
        manifest=manifest,
        definition=read_content(files, DEFINITION, Definition),
        reference=read_content(files, REFERENCE, Reference),
        parts=model_parts(files),
        fingerprint=hashlib.sha256(files[MANIFEST]).hexdigest(),
    )


def _from_folder(path: Path) -> dict[str, bytes]:
    found = sorted(path.rglob("*"))
    files: dict[str, bytes] = {}
    if len(found) > 2 * MOST_FILES:
        raise BadInput(f"{path} holds more than {MOST_FILES} files: it is not a bundle.")
    room = LARGEST
    for item in found:
        name = item.relative_to(path).as_posix()
        if item.is_symlink() or not (item.is_dir() or item.is_file()):
            raise BadInput(f"{path}: {name!r} is a link or a device; a bundle holds plain files alone.")
        if item.is_file():
            room = _room_after(room, item.stat().st_size, path)
            files[name] = item.read_bytes()
    return files


def _from_zip(path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES:
                raise BadInput(f"{path} holds more than {MOST_FILES} files: it is not a bundle.")
            room = LARGEST
            for entry in entries:
                _require_plain(entry, path)
                if entry.filename in files:
                    raise BadInput(f"{path} holds {entry.filename!r} twice. Ask for the bundle again.")
                room = _room_after(room, entry.file_size, path)
                with archive.open(entry) as stream:
                    files[entry.filename] = stream.read(entry.file_size + 1)
                if len(files[entry.filename]) != entry.file_size:
                    raise BadInput(
                        f"{path}: {entry.filename!r} is not of the size that it says. Ask for it again."
                    )
    except DAMAGED as problem:
        raise BadInput(
            f"{path} is not a zip that can be read: it was damaged on its way. Ask for it again."
        ) from problem
    return files


def _require_plain(entry: zipfile.ZipInfo, path: Path) -> None:
    name = PurePosixPath(entry.filename)
    leads_away = name.is_absolute() or ".." in name.parts or "\\" in entry.filename or ":" in entry.filename
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if leads_away or entry.is_dir() or kind not in (0, stat.S_IFREG) or str(name) != entry.filename:
        raise BadInput(
            f"{path}: the entry {entry.filename!r} is no plain file of a bundle; nothing was unpacked."
        )
    if entry.flag_bits & 0x1:
        raise BadInput(f"{path}: the entry {entry.filename!r} is encrypted; a bundle is not.")


def _room_after(room: int, size: int, path: Path) -> int:
    if size > room:
        raise BadInput(f"{path} holds more than {LARGEST // 1024**2} MB unpacked: it is not a bundle.")
    return room - size
