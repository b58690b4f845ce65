"""Is a bundle what its manifest says, and of the format that is asked for?"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from experiments.bundle.contents import (
    CARD,
    DEFINITION,
    FORMAT,
    MANIFEST,
    MODEL_FILE,
    README,
    REFERENCE,
    STRATA_FORMAT,
    VERSION,
    Head,
    canonical_json,
    read_content,
)
from features.errors import BadInput

ALLOWED = re.compile(
    "|".join(
        [MODEL_FILE, *(f"^{re.escape(name)}$" for name in (CARD, DEFINITION, MANIFEST, README, REFERENCE))]
    )
)
COMMANDS = {FORMAT: "validate", STRATA_FORMAT: "assign"}  # which command reads which
M = TypeVar("M", bound=Head)


def model_parts(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the fitted model's files by their names inside model/."""
    return {
        name.removeprefix("model/"): content
        for name, content in sorted(files.items())
        if name.startswith("model/")
    }


def checked_manifest(
    files: Mapping[str, bytes], path: str, schema: type[M], form: str, required: Sequence[str]
) -> M:
    """Return the manifest of a bundle after all its files were held against it.

    Args:
        files: of the bundle.
        path: where they come from, for messages.
        schema: of the manifest.
        form: the format that it must give.
        required: files without which the bundle is none.

    Raises:
        BadInput: one sentence on what was changed, is missing, was added, or is of another format or version.
    """
    if MANIFEST not in files:
        raise BadInput(f"{path} has no {MANIFEST}: it is not a bundle, or the file was removed.")
    _require_form(files, path, form)
    manifest = _read_manifest(files, path, schema)
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
    require_allowed(files)
    missing = sorted(set(required) - set(files))
    if missing:
        raise BadInput(f"{path} lacks {missing[0]!r}: it is not a whole bundle. Ask for it again.")
    return manifest


def _require_form(files: Mapping[str, bytes], path: str, form: str) -> None:
    """Say which command reads a bundle of the other format; what is damaged is told by the checks that follow."""
    try:
        told = json.loads(files[MANIFEST].decode("utf-8"))
    except (ValueError, RecursionError):
        return
    given = told.get("format") if isinstance(told, dict) else None
    if isinstance(given, str) and given in COMMANDS and given != form:
        raise BadInput(f"{path} is a {given}: psystrata {COMMANDS[given]} reads it.")


def _read_manifest(files: Mapping[str, bytes], path: str, schema: type[M]) -> M:
    manifest = read_content(files, MANIFEST, schema)
    if manifest.version != VERSION:
        raise BadInput(
            f"{path} is a bundle of version {manifest.version}, this psystrata reads version {VERSION}. Use the psystrata "
            f"that wrote it ({manifest.psystrata}), or freeze the model again."
        )
    values = manifest.model_dump(mode="json")
    sealed = values.pop("seal")
    if sealed != seal_of(values) or files[MANIFEST] != canonical_json({**values, "seal": sealed}):
        raise BadInput(
            f"{path}: {MANIFEST} was changed since the model was frozen. Ask for the bundle again."
        )
    return manifest


def seal_of(values: Mapping[str, Any]) -> str:
    """Return the hash of a manifest without its seal."""
    return hashlib.sha256(canonical_json(dict(values))).hexdigest()


def require_allowed(files: Mapping[str, bytes]) -> None:
    """Refuse files that no bundle may hold."""
    strange = sorted(name for name in files if not ALLOWED.search(name))
    if strange:
        raise BadInput(
            f"{strange[0]!r} is not a file that a bundle may hold: nothing of it was written or read."
        )
