"""A map over tasks that is taken up where it was interrupted."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from experiments import seeds
from experiments.compute import Compute, map_tasks
from models.fingerprint import code_fingerprint, frame_bytes
from models.strata_model import Recipe

T = TypeVar("T")

HEADER = "fingerprint"


def resumed_map(
    function: Callable[[T], Any],
    tasks: Sequence[T],
    keys: Sequence[str],
    compute: Compute,
    label: str,
    *,
    path: Path | None,
    fingerprint: str,
) -> list[Any]:
    """Return function(task) for every task, in order; results that the journal holds are not made again.

    Every result is written as one JSON line as soon as it is there, so an interrupted run loses the tasks under way alone. What
    comes back has been through JSON whether or not it was read from the journal, so that results are the same either way.

    Args:
        function: at module level; its results are numbers, strings, lists and mappings of strings to these.
        tasks: what is worked on.
        keys: one name per task, all different.
        compute: where the work runs.
        label: of the progress bar.
        path: the journal, outside the outputs of DVC (which are removed before a stage runs); None: nothing is kept.
        fingerprint: of everything that results depend on, see `fingerprint_of`; a journal of another one is begun anew.

    Raises:
        ValueError: keys are not as many as tasks, or not all different.
    """
    if len(keys) != len(tasks) or len(set(keys)) != len(keys):
        raise ValueError("every task needs a key of its own")
    done = {} if path is None else _opened(path, fingerprint)
    missing = [(key, task) for key, task in zip(keys, tasks, strict=True) if key not in done]
    names = iter([key for key, _ in missing])

    def keep(result: Any) -> None:
        key, line = next(names), json.dumps(result)
        done[key] = json.loads(line)
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(f'{{"key": {json.dumps(key)}, "result": {line}}}\n')

    if missing:
        map_tasks(function, [task for _, task in missing], compute, label, each=keep)
    return [done[key] for key in keys]


def fingerprint_of(X: pl.DataFrame, recipe: Recipe, *settings: Any) -> str:
    """Return 16 hex digits that change with the patients' columns, the recipe, the settings, our code or a library.

    Args:
        X: one row per patient.
        recipe: what is done to them.
        settings: whatever else results depend on, such as the seed; told apart by their repr.
    """
    digest = hashlib.sha256()
    for some in frame_bytes(X, X.columns):
        digest.update(some)
    code = code_fingerprint(Path(__file__).parent, Path(seeds.__file__))
    digest.update(repr((_plain(recipe), settings, code)).encode())
    return digest.hexdigest()[:16]


def _plain(recipe: Recipe) -> tuple[Any, ...]:
    options = recipe.options
    tables = [sorted(table.items()) for table in (options.modalities, options.weights, options.parameters)]
    return (recipe.clusterer, recipe.columns, tables, None if recipe.plan is None else recipe.plan)


def _opened(path: Path, fingerprint: str) -> dict[str, Any]:
    """Return the finished results of a journal of that fingerprint; any other file is begun anew."""
    lines = _whole_lines(path)
    if not lines or lines[0] != {HEADER: fingerprint}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({HEADER: fingerprint}) + "\n", encoding="utf-8")
        return {}
    kept = [line for line in lines[1:] if set(line) == {"key", "result"}]
    return {str(line["key"]): line["result"] for line in kept}


def _whole_lines(path: Path) -> list[Mapping[str, Any]]:
    """Return the lines before the first damaged one, and cut the file there: a crash leaves half a line at the end."""
    if not path.is_file():
        return []
    raw = path.read_bytes()
    found: list[Mapping[str, Any]] = []
    place = 0
    for line in raw.splitlines(keepends=True):
        try:
            read = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            read = None
        if not isinstance(read, dict):
            break
        found.append(read)
        place += len(line)
    if place < len(raw):
        with path.open("r+b") as file:
            file.truncate(place)
    return found
