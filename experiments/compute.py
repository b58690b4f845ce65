"""One map function for all that fans out: results are the same under each engine."""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import joblib
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
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
Engine = Literal["serial", "processes", "dask"]


@dataclass(frozen=True)
class Slurm:
    """What one SLURM job of workers asks for.

    Attributes:
        queue: the partition; None: the cluster's own default.
        cores: worker processes of a job, each on one thread.
        memory: of a job, such as "16GB".
        walltime: after which SLURM ends a job, such as "04:00:00".
        account: what the time is charged to.
        interface: network interface by which nodes reach each other, such as "ib0".
        job_extra: further #SBATCH lines, such as "--qos=long".
        before: shell lines run before the workers start, such as "module load python".
    """

    queue: str | None
    cores: int
    memory: str
    walltime: str
    account: str | None = None
    interface: str | None = None
    job_extra: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compute:
    """Where work runs.

    Attributes:
        engine: "serial" in this process, "processes" in local worker processes, "dask" in workers of a dask cluster.
        workers: number of worker processes.
        slurm: dask's workers as SLURM jobs; None: on this machine.
        scheduler: address of a dask scheduler that runs already; its workers are used, however many there are.
        folder: where dask's workers keep their temporary files, removed when they end.
    """

    engine: Engine = "serial"
    workers: int = 1
    slurm: Slurm | None = None
    scheduler: str | None = None
    folder: Path = Path("artifacts/tmp")


def map_tasks(
    function: Callable[[T], R],
    tasks: Iterable[T],
    compute: Compute,
    label: str,
    each: Callable[[R], None] | None = None,
) -> list[R]:
    """Return function(task) for every task, in order; a bar with the time left where a terminal watches.

    Each task runs on one thread, so that results do not depend on the number of cores. Under "processes" and "dask" the
    function and its tasks are sent to workers and must be defined at module level. A failed task or Ctrl-C stops the
    workers. `each` is called here with every result, in order, as soon as it and those before it are there.

    Raises:
        BadInput: the engine's package is missing, or its scheduler cannot be used.
        MemoryError: a worker was ended from outside, as systems do when the memory runs out.
    """
    items = list(tasks)
    here = compute.slurm is None and compute.scheduler is None
    if compute.engine == "serial" or (here and (compute.workers == 1 or len(items) < 2)):
        return _told(_watched((_on_one_thread(function, item) for item in items), len(items), label), each)
    run = _on_dask if compute.engine == "dask" else _on_processes
    results = run(partial(_on_one_thread, function), items, compute)
    with closing(results):
        return _told(_watched(results, len(items), label), each)


def _told(results: Iterable[R], each: Callable[[R], None] | None) -> list[R]:
    kept = []
    for result in results:
        if each is not None:
            each(result)
        kept.append(result)
    return kept


def _on_one_thread(function: Callable[[T], R], task: T) -> R:
    with threadpool_limits(limits=1):
        return function(task)


def _on_processes(function: Callable[[T], R], items: list[T], compute: Compute) -> Generator[R, None, None]:
    parallel = joblib.Parallel(n_jobs=min(compute.workers, len(items)), backend="loky", return_as="generator")
    results = parallel(joblib.delayed(function)(item) for item in items)
    try:
        yield from results
    except BaseException as problem:
        results.close()
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        if isinstance(problem, TerminatedWorkerError):
            raise MemoryError("a worker process was ended") from problem
        raise


def _on_dask(function: Callable[[T], R], items: list[T], compute: Compute) -> Generator[R, None, None]:
    from experiments import cluster  # dask is imported by the engine that uses it alone

    client = cluster.client_of(compute)
    futures = client.map(function, items, pure=False)
    try:
        while futures:  # a result that was handed on is kept nowhere else
            yield futures.pop(0).result()
    except BaseException as problem:
        client.cancel(futures, force=True)
        cluster.close_workers()
        if cluster.was_killed(problem):
            raise MemoryError("a worker process was ended") from problem
        raise


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
