"""psystrata ui: log what is missing of every study that has results, then serve MLflow on this machine alone."""

import argparse
import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from experiments.strata_contents import OUTCOME as STRATA
from experiments.tracking import quiet_environment, server_command, store_uri, without_password
from pipeline.commands.track import sentence
from pipeline.errors import BadInput
from pipeline.files import read_json
from pipeline.settings.load import load_parameters
from pipeline.tracked import described, log_runs, read_runs

ARTIFACTS = Path("artifacts")
LOOPBACK = "127.0.0.1"
PATIENCE = 10.0  # seconds for the server to end by itself


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--port", type=int, default=5000, help="on 127.0.0.1; 5000 where nothing is said")
    parser.add_argument("--no-serve", action="store_true", help="log what is missing and stop")


def run(port: int, no_serve: bool) -> int:
    """Replay every study, then serve until interrupted."""
    pages = {}
    for workspace, description in sorted(_descriptions().items(), key=lambda item: item[0]):
        runs = read_runs(workspace, description, partial=True)
        missing = len(description["cells"]) - sum(run.cell.outcome != STRATA for run in runs)
        note = f"; {missing} cells have no results yet: run dvc repro" if missing else ""
        logged = log_runs(workspace, description, runs)
        pages[description["study"]] = logged.page
        print(f"{description['study']}: {sentence(logged)}{note}")
    if no_serve:
        return 0
    return _serve(port, pages)


def _descriptions() -> dict[Path, dict[str, Any]]:
    """Return what to track by workspace: of the active study from its settings, of others as they were last tracked."""
    found = {path.parent: read_json(path) for path in ARTIFACTS.glob("*/track.json")}
    if Path("params.yaml").is_file():
        study = load_parameters()
        if (ARTIFACTS / study.study).is_dir():
            found[ARTIFACTS / study.study] = described(study)
    if not found:
        raise BadInput("No study has results yet. Choose one with psystrata use <study>, then run dvc repro.")
    return found


def _serve(port: int, pages: dict[str, str]) -> int:
    uri = store_uri()
    if not uri.startswith("sqlite:"):
        print(f"The runs are at {without_password(uri)}: that server shows them.")
        return 0
    _refuse_used_port(port)
    signal.signal(signal.SIGTERM, _interrupt)
    server = subprocess.Popen(server_command(uri, port), env=quiet_environment(), start_new_session=True)
    try:
        for study, page in pages.items():
            print(f"MLflow, {study}: http://{LOOPBACK}:{port}/{page}")
        print("It is ready in a few seconds. Stop it with Ctrl-C.", flush=True)
        code = server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(server)
    raise BadInput(f"MLflow ended with code {code}; its message stands above.")


def _refuse_used_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as problem:
            raise BadInput(
                f"Port {port} cannot be used on this machine. Choose another: psystrata ui --port 5001"
            ) from problem


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server with its workers: they are a process group of their own, so that Ctrl-C reaches us first."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, ending)
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=PATIENCE)
            return
