"""One map function for all that fans out: results are the same under each engine."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import joblib
from joblib.externals.loky import get_reusable_executor
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Compute:
    """Where work runs.

    Attributes:
        engine: "serial" in this process, "processes" in local worker processes.
        workers: number of processes.
    """

    engine: Literal["serial", "processes"] = "serial"
    workers: int = 1


def map_tasks(function: Callable[[T], R], tasks: Iterable[T], compute: Compute, label: str) -> list[R]:
    """Return function(task) for every task, in order; a bar with the time left where a terminal watches.

    Each task runs on one thread, so that results do not depend on the number of cores. Under "processes" the function
    and its tasks are sent to workers and must be defined at module level. A failed task or Ctrl-C stops the workers.
    """
    items = list(tasks)
    if compute.engine == "serial" or compute.workers == 1 or len(items) < 2:
        return list(_watched((_on_one_thread(function, item) for item in items), len(items), label))
    parallel = joblib.Parallel(n_jobs=min(compute.workers, len(items)), backend="loky", return_as="generator")
    results = parallel(joblib.delayed(_on_one_thread)(function, item) for item in items)
    try:
        return list(_watched(results, len(items), label))
    except BaseException:
        results.close()
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise


def _on_one_thread(function: Callable[[T], R], task: T) -> R:
    with threadpool_limits(limits=1):
        return function(task)


def _watched(results: Iterable[R], total: int, label: str) -> Iterator[R]:
    if not sys.stderr.isatty():
        yield from results
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        for result in results:
            progress.advance(task)
            yield result
