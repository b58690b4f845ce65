"""Reading and writing of the pipeline's own files: whole or not at all."""

import errno
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import dataframely as dy
import polars as pl

from pipeline.errors import BadInput

S = TypeVar("S", bound=dy.Schema)
SUFFIX = ".part"  # of temporary files; .dvcignore names it


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a temporary file beside `path` that takes its name once the block has succeeded.

    The content is synchronised to disk before the name changes, so an interrupted run leaves the old file or none,
    never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=SUFFIX)
    os.close(handle)
    temporary = Path(name)
    try:
        with _full_disk_named(path):
            yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _synchronise_folder(path.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def _full_disk_named(path: Path) -> Iterator[None]:
    """Turn the writer's own words for a full disk into the system's, so that the command line can explain them."""
    try:
        yield
    except pl.exceptions.PolarsError as problem:
        if f"os error {errno.ENOSPC}" not in str(problem):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from problem


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder that takes the name of `path` once the block has succeeded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path), suffix=SUFFIX))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
        temporary.chmod(0o755)
        if path.exists():
            remove_folder(path)
        temporary.replace(path)
        _synchronise_folder(path.parent)
    finally:
        if temporary.exists():
            remove_folder(temporary)


def _prefix(path: Path) -> str:
    return f".{path.name}.{os.getpid()}."


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose writer was killed: they hold patients' rows."""
    name = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.\w+{re.escape(SUFFIX)}")
    for item in list(path.parent.iterdir()):
        found = name.fullmatch(item.name)
        if found and not _runs(int(found[1])):
            with suppress(FileNotFoundError):
                remove_folder(item) if item.is_dir() and not item.is_symlink() else item.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it; links are removed, never followed."""
    for item in sorted(path.rglob("*"), reverse=True):
        if item.is_dir() and not item.is_symlink():
            item.rmdir()
        else:
            item.unlink()
    path.rmdir()


def write_table(frame: pl.DataFrame, path: Path, schema: type[S]) -> None:
    """Check a frame against its schema (dtypes cast, columns put in order) and write it as Parquet."""
    checked = schema.validate(frame.select(schema.column_names()), cast=True)
    with replaced(path) as temporary:
        checked.write_parquet(temporary, compression="zstd", statistics=False)


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame whose columns are not fixed, such as a feature set."""
    with replaced(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", statistics=False)


def read_table(path: Path, schema: type[S]) -> pl.DataFrame:
    """Read a table and check it against its schema."""
    frame = read_frame(path)
    missing = [name for name in schema.column_names() if name not in frame.columns]
    if missing:
        raise BadInput(
            f"{path} lacks the column {missing[0]}: it was written by another version. Run dvc repro."
        )
    return schema.validate(frame.select(schema.column_names()), cast=True)


def read_frame(path: Path) -> pl.DataFrame:
    """Read a Parquet file that an earlier stage wrote."""
    frame: pl.DataFrame = _read(path, lambda: pl.read_parquet(path))
    return frame


def write_json(value: Any, path: Path) -> None:
    """Write JSON with sorted keys, so that equal values give equal bytes."""
    write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", path)


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote."""
    return _read(path, lambda: json.loads(path.read_text(encoding="utf-8")))


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(content: bytes, path: Path) -> None:
    """Write bytes."""
    with replaced(path) as temporary:
        temporary.write_bytes(content)


def _read(path: Path, read: Callable[[], Any]) -> Any:
    if not path.is_file():
        raise BadInput(f"{path} is not there: an earlier stage writes it. Run dvc repro.")
    try:
        return read()
    except (pl.exceptions.PolarsError, ValueError, OSError) as problem:
        raise BadInput(
            f"{path} cannot be read: it is damaged or not ours. Remove it and run dvc repro."
        ) from problem


def _synchronise_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
