"""Sealing, writing and reading of bundles: the same bytes each time, and nothing changed, missing or added."""

import hashlib
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from experiments.bundle.contents import (
    CARD,
    DEFINITION,
    FORMAT,
    MANIFEST,
    MODEL_FILE,
    README,
    REFERENCE,
    VERSION,
    Definition,
    Manifest,
    Reference,
    canonical_json,
    read_content,
)
from features.errors import BadInput

ALLOWED = re.compile(
    "|".join(
        [MODEL_FILE, *(f"^{re.escape(name)}$" for name in (CARD, DEFINITION, MANIFEST, README, REFERENCE))]
    )
)
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


def seal(files: Mapping[str, bytes], head: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files with their manifest.

    Args:
        files: all files of the bundle but the manifest.
        head: what the manifest says beside format, version, files and seal.

    Raises:
        BadInput: a file that no bundle may hold.
    """
    _require_allowed(files)
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    values = {**head, "format": FORMAT, "version": VERSION, "files": listed}
    values["seal"] = _seal_of(values)
    return {**files, MANIFEST: canonical_json(Manifest.model_validate(values).model_dump(mode="json"))}


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
    if MANIFEST not in files:
        raise BadInput(f"{path} has no {MANIFEST}: it is not a bundle, or the file was removed.")
    manifest = _read_manifest(files, path)
    present = set(files) - {MANIFEST}
    for names, verb in (
        (set(manifest.files) - present, "lacks"),
        (present - set(manifest.files), "has besides"),
    ):
        if names:
            raise BadInput(f"{path} {verb} {min(names)!r}: it is not as it was frozen. Ask for it again.")
    changed = [
        name
        for name, listed in sorted(manifest.files.items())
        if hashlib.sha256(files[name]).hexdigest() != listed
    ]
    if changed:
        raise BadInput(
            f"{path}: {changed[0]} was changed since the model was frozen. Ask for the bundle again."
        )
    _require_allowed(files)
    missing = sorted(set(REQUIRED) - set(files))
    if missing:
        raise BadInput(f"{path} lacks {missing[0]!r}: it is not a whole bundle. Ask for it again.")
    return Bundle(
        manifest=manifest,
        definition=read_content(files, DEFINITION, Definition),
        reference=read_content(files, REFERENCE, Reference),
        parts={
            name.removeprefix("model/"): content
            for name, content in sorted(files.items())
            if name.startswith("model/")
        },
        fingerprint=hashlib.sha256(files[MANIFEST]).hexdigest(),
    )


def _read_manifest(files: Mapping[str, bytes], path: str) -> Manifest:
    manifest = read_content(files, MANIFEST, Manifest)
    if manifest.version != VERSION:
        raise BadInput(
            f"{path} is a bundle of version {manifest.version}, this psystrata reads version {VERSION}. Use the psystrata "
            f"that wrote it ({manifest.psystrata}), or freeze the model again."
        )
    values = manifest.model_dump(mode="json")
    sealed = values.pop("seal")
    if sealed != _seal_of(values) or files[MANIFEST] != canonical_json({**values, "seal": sealed}):
        raise BadInput(
            f"{path}: {MANIFEST} was changed since the model was frozen. Ask for the bundle again."
        )
    return manifest


def _seal_of(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(dict(values))).hexdigest()


def _require_allowed(files: Mapping[str, bytes]) -> None:
    strange = sorted(name for name in files if not ALLOWED.search(name))
    if strange:
        raise BadInput(
            f"{strange[0]!r} is not a file that a bundle may hold: nothing of it was written or read."
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
