"""The compute setting: dask beside the others, its workers on this machine, as SLURM jobs and of a running scheduler."""

import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from distributed import LocalCluster

from experiments import cluster
from experiments.compute import Compute, Slurm, map_tasks
from features.errors import BadInput
from models.errors import BadTarget

JOB = Slurm(
    queue="psychiatry",
    cores=2,
    memory="4GB",
    walltime="01:30:00",
    account="cohort",
    job_extra=("--qos=long",),
    before=("export FROM_STUDY=yes",),
)


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compute]:
    folder = tmp_path_factory.mktemp("workspace") / "tmp"
    yield Compute("dask", 2, folder=folder)
    cluster.close_workers()
    assert not folder.exists()


def square(value: tuple[str, int]) -> tuple[str, int, int]:
    return value[0], value[1] ** 2, os.getpid()


def refuse(value: int) -> int:
    if value == 3:
        raise BadTarget("the third is not a target")
    time.sleep(0.2)
    return value


def vanish(value: int) -> int:
    if value == 2:
        os.kill(os.getpid(), signal.SIGKILL)  # as a system does that runs out of memory
    return value


def environment(_: int) -> dict[str, str]:
    return dict(os.environ)


def test_dask_gives_results_in_order_from_its_own_processes(dask: Compute) -> None:
    found = map_tasks(square, [("a", number) for number in range(12)], dask, "squares")
    assert [(name, value) for name, value, _ in found] == [("a", number**2) for number in range(12)]
    workers = {process for _, _, process in found}
    assert os.getpid() not in workers
    again = map_tasks(square, [("b", 1), ("b", 2)], dask, "squares")
    assert {process for _, _, process in again} <= workers, "the cluster is started once"
    assert list(dask.folder.glob("dask-*"))


def test_workers_listen_on_this_machine_alone_with_keys_and_without_a_page(dask: Compute) -> None:
    client = cluster.client_of(dask)
    information = client.scheduler_info(n_workers=-1)
    addresses = [information["address"], *information["workers"]]
    assert len(addresses) == 3
    assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
    assert [worker["nthreads"] for worker in information["workers"].values()] == [1, 1]
    (listening,) = client.cluster.scheduler.http_server._sockets.values()
    host, port = listening.getsockname()
    assert host == "127.0.0.1"
    for page in ("status", "info/main/workers.html", "json/identity.json"):
        with pytest.raises(HTTPError, match="404") as refused:
            urlopen(f"http://{host}:{port}/{page}")
        refused.value.close()


def test_a_failed_task_is_told_as_it_is_and_ends_the_workers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = Compute("dask", 2, folder=tmp_path / "tmp")
    with pytest.raises(BadTarget, match="the third is not a target"):
        map_tasks(refuse, range(8), own, "refused")
    assert not own.folder.exists()
    assert capfd.readouterr().err == "", "a worker's log of a failed task would hold its arguments"


def test_a_worker_that_the_system_ended_is_told_as_memory_that_ran_out() -> None:
    with pytest.raises(MemoryError):
        map_tasks(vanish, range(4), Compute("processes", 2), "ended")
    assert map_tasks(abs, [-1, -2], Compute("processes", 2), "after") == [1, 2]


def test_one_task_or_one_worker_starts_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "client_of", lambda _: pytest.fail("a cluster for one task"))
    assert map_tasks(square, [("a", 3)], Compute("dask", 4), "one")[0][1] == 9
    assert map_tasks(square, [("a", 3), ("a", 4)], Compute("dask", 1), "one")[1][2] == os.getpid()


def test_an_engine_whose_package_is_absent_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(BadInput, match=r"package dask is not installed.*\.\[cluster\]"):
        map_tasks(square, [("a", 1), ("a", 2)], Compute("dask", 3, folder=tmp_path), "absent")


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER_WITHIN", 0.2)
    with pytest.raises(BadInput, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9"):
        map_tasks(square, [("a", 1)], Compute("dask", scheduler="tcp://127.0.0.1:9"), "nobody")


def test_a_running_scheduler_is_used_and_left_running_but_not_with_several_threads(tmp_path: Path) -> None:
    page = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    for threads in (1, 2):
        with LocalCluster(
            n_workers=1,
            threads_per_worker=threads,
            processes=False,
            protocol="tcp://",
            scheduler_kwargs=page,
            memory_limit=0,
            local_directory=str(tmp_path),
            silence_logs=logging.CRITICAL,
        ) as running:
            own = Compute("dask", scheduler=running.scheduler_address)
            if threads == 2:
                with pytest.raises(BadInput, match="several threads each"):
                    map_tasks(square, [("a", 1)], own, "threads")
                continue
            assert map_tasks(square, [("a", 7)], own, "one") == [("a", 49, os.getpid())]
            cluster.close_workers()
            assert running.status.name == "running"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for sbatch and scancel that run a job's script on this machine and end it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    sbatch = f"""#!/usr/bin/env bash
cp "$1" {jobs}/script
setsid bash {jobs}/script > {jobs}/output 2>&1 < /dev/null &
echo $! > {jobs}/process
echo "Submitted batch job 17"
"""
    scancel = f"""#!/usr/bin/env bash
echo "$1" > {jobs}/cancelled
kill -TERM -- "-$(cat {jobs}/process)"
"""
    for name, text in (("sbatch", sbatch), ("scancel", scancel)):
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    )
    return jobs


def test_slurm_runs_the_script_that_the_setting_asks_for(slurm: Path, tmp_path: Path) -> None:
    own = Compute("dask", 2, slurm=JOB, folder=tmp_path / "tmp")
    (found,) = map_tasks(environment, [1], own, "one job")
    script = (slurm / "script").read_text()
    asked = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    for line in (
        "-J psystrata",
        "-p psychiatry",
        "-A cohort",
        "-t 01:30:00",
        "--cpus-per-task=2",
        "--mem=4G",
    ):
        assert f"#SBATCH {line}" in asked
    assert "#SBATCH --qos=long" in asked
    command = next(line for line in script.splitlines() if "dask_worker" in line)
    assert command.startswith(f"{sys.executable} -m ")
    for part in ("--nworkers 2", "--nthreads 1", "--no-dashboard", f"--local-directory {own.folder}/dask-"):
        assert part in command
    assert " tls://" in command
    assert found["FROM_STUDY"] == "yes"
    assert found["DASK_DISTRIBUTED__WORKER__MEMORY__SPILL"] == "False"
    assert {found[name] for name in cluster.ONE_THREAD} == {"1"}
    cluster.close_workers()
    assert (slurm / "cancelled").read_text() == "17\n"
    assert not list(own.folder.glob("dask-*"))
