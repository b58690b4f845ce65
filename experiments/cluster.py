"""The dask cluster behind the compute setting: workers on this machine, as SLURM jobs, or of a running scheduler."""

import atexit
import logging
import shlex
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from experiments.compute import Compute
from features.errors import BadInput

# No web page, nothing of a patient in a log (a failed task is logged with its arguments) or spilled to disk.
SETTINGS: dict[str, Any] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.admin.large-graph-warning-threshold": "1TB",
    "logging.distributed": "critical",
}
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
ANSWER_WITHIN = 10.0  # seconds
NO_PAGE = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}


class _Cluster:
    """The one dask cluster of this process: started by the first work, ended with the process or where work fails."""

    def __init__(self) -> None:
        self._compute: Compute | None = None
        self._client: Any = None
        self._ending = ExitStack()

    def client(self, compute: Compute) -> Any:
        """Return the client of a running cluster."""
        if self._compute != compute:
            self.close()
            with ExitStack() as starting:
                self._client = _started(compute, starting)
                self._ending = starting.pop_all()
            self._compute = compute
        return self._client

    def close(self) -> None:
        """End the workers that were started here and remove their temporary files."""
        self._compute = self._client = None
        self._ending.close()


_cluster = _Cluster()
atexit.register(_cluster.close)


def client_of(compute: Compute) -> Any:
    """Return a client of the workers that a compute setting names; they stay until another is named or the process ends.

    Raises:
        BadInput: dask is not installed, or the scheduler cannot be used.
    """
    return _cluster.client(compute)


def close_workers() -> None:
    """End the workers now; the next work starts new ones."""
    _cluster.close()


def was_killed(problem: BaseException) -> bool:
    """Return whether a task failed because its worker was ended again and again."""
    from distributed import KilledWorker

    return isinstance(problem, KilledWorker)


def _started(compute: Compute, ending: ExitStack) -> Any:
    """Return a client whose cluster and folder go with `ending`."""
    try:
        import dask

        dask.config.set(SETTINGS)  # for good, and before distributed sets up its logging
        from distributed import Client
    except ModuleNotFoundError as problem:
        raise _absent(problem) from problem
    if compute.scheduler is not None:
        return ending.enter_context(_connected(compute.scheduler))
    compute.folder.mkdir(parents=True, exist_ok=True)
    ending.callback(_remove_if_empty, compute.folder)
    folder = Path(tempfile.mkdtemp(prefix="dask-", dir=compute.folder.resolve()))
    ending.callback(shutil.rmtree, folder, ignore_errors=True)
    cluster = ending.enter_context(
        _local(compute, folder) if compute.slurm is None else _slurm(compute, folder)
    )
    return ending.enter_context(Client(cluster, set_as_default=False))


def _local(compute: Compute, folder: Path) -> Any:
    """Start workers on this machine; encrypted with keys of this run, so that no other user's process can join."""
    from distributed import LocalCluster, Security

    return LocalCluster(
        n_workers=compute.workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        security=Security.temporary(),
        scheduler_kwargs=NO_PAGE,
        memory_limit=0,
        local_directory=str(folder),
        silence_logs=logging.CRITICAL,
    )


def _slurm(compute: Compute, folder: Path) -> Any:
    """Ask SLURM for the jobs that hold the workers; the code and `folder` must lie where nodes can read them."""
    from distributed import Security

    try:
        from dask_jobqueue import SLURMCluster
    except ModuleNotFoundError as problem:
        raise _absent(problem) from problem
    asked = compute.slurm
    assert asked is not None
    cluster = SLURMCluster(
        queue=asked.queue,
        account=asked.account,
        cores=asked.cores,
        processes=asked.cores,
        memory=asked.memory,
        walltime=asked.walltime,
        interface=asked.interface,
        job_name="psystrata",
        job_extra_directives=list(asked.job_extra),
        job_script_prologue=[*asked.before, *_exports()],
        worker_extra_args=["--no-dashboard"],
        local_directory=str(folder),
        log_directory=str(compute.folder.resolve() / "slurm"),
        security=_written(Security.temporary(), folder),
        scheduler_options=NO_PAGE,
        silence_logs=logging.CRITICAL,
    )
    cluster.scale(n=compute.workers)
    return cluster


def _written(keys: Any, folder: Path) -> Any:
    """Return keys of one run as files that jobs can read, in a folder that no other user can enter."""
    from distributed import Security

    found = keys.get_tls_config_for_role("scheduler")
    places = {name: folder / f"{name}.pem" for name in ("ca_file", "cert", "key")}
    for name, place in places.items():
        place.touch(mode=0o600)
        place.write_text(found[name], encoding="ascii")
    roles = {
        f"tls_{role}_{part}": str(places[part])
        for role in ("client", "scheduler", "worker")
        for part in ("cert", "key")
    }
    return Security(require_encryption=True, tls_ca_file=str(places["ca_file"]), **roles)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _exports() -> list[str]:
    """Return the shell lines that give the workers of a job the settings of this process."""
    variables = {
        f"DASK_{key.replace('.', '__').replace('-', '_').upper()}": str(value)
        for key, value in SETTINGS.items()
    }
    return [
        f"export {name}={shlex.quote(value)}"
        for name, value in (variables | dict.fromkeys(ONE_THREAD, "1")).items()
    ]


def _connected(address: str) -> Any:
    """Return a client of a scheduler that runs already; refused where its workers would run tasks side by side."""
    from distributed import Client

    try:
        client = Client(address, set_as_default=False, timeout=ANSWER_WITHIN)
    except (OSError, ValueError) as problem:
        raise BadInput(
            f"compute.scheduler: no dask scheduler answers at {address}. Start one there, or leave the setting out."
        ) from problem
    if any(worker["nthreads"] > 1 for worker in client.scheduler_info(n_workers=-1)["workers"].values()):
        client.close()
        raise BadInput(
            f"compute.scheduler: workers at {address} run several threads each. Start them with --nthreads 1, so that "
            "each task has one."
        )
    return client


def _absent(problem: ModuleNotFoundError) -> BadInput:
    return BadInput(
        f"compute.engine is dask, but the package {problem.name} is not installed. Install the extra that holds it, "
        "pip install -e '.[cluster]', or take engine: processes."
    )
