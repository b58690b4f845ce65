"""The command line: psystrata use, check, stage, results, freeze, validate, assign, openings, track, ui."""

import os
import sys

# One thread per process and one locale: the same bytes on every run. Set before numpy is imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("POLARS_MAX_THREADS", "2")
os.environ.setdefault("MPLBACKEND", "Agg")
if sys.argv[1:3] == [
    "stage",
    "genotypes",
]:  # tables of a million weights: memory goes back at once, not some seconds later
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")

import argparse  # noqa: E402
import errno  # noqa: E402
import gc  # noqa: E402
import signal  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from importlib import import_module  # noqa: E402
from threading import current_thread, main_thread  # noqa: E402
from types import FrameType  # noqa: E402
from typing import NoReturn  # noqa: E402

from features.errors import BadInput  # noqa: E402
from models.errors import BadTarget  # noqa: E402

COMMANDS = {
    "use": "make a study the active one: check its settings and write params.yaml",
    "check": "read a study's files and list every problem at once, writing nothing",
    "stage": "run one stage; dvc.yaml calls it",
    "results": "print the table of learners per outcome, the declared primary first",
    "openings": "print how often left-out countries' results were opened, and under which choices",
    "freeze": "write a bundle of one model, or of strata, that another site can run, without any patient's row",
    "validate": "run a bundle on a study of this site and write aggregated results only",
    "assign": "assign the patients of a study of this site by a bundle of strata",
    "track": "log the active study's results into MLflow; a second time adds nothing",
    "ui": "log what is missing and serve MLflow on this machine",
    "validity": "run a slow validity study and write its figures into the ledger",
}
STAGES = (
    "simulate",
    "tables",
    "reliability",
    "genotypes",
    "prediction_times",
    "features",
    "outcomes",
    "assemble",
    "splits",
    "signals",
    "stratify",
    "strata_outcomes",
    "strata_card",
    "train",
    "compare",
    "examine",
    "audit",
    "explain",
    "probe",
    "card",
    "index",
    "track",
)
REFUSED, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 2 refused, 130 interrupted (check: 1 with quarantine only)."""
    if current_thread() is main_thread():
        signal.signal(signal.SIGTERM, _interrupted)  # so that temporary files are removed on the way out
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except (BadInput, BadTarget) as problem:
        _say(*(problem.problems if isinstance(problem, BadInput) else (str(problem),)))
        return REFUSED
    except KeyboardInterrupt:
        _say(
            "Interrupted. Nothing half-written is kept; the same command goes on from the last finished stage."
        )
        return INTERRUPTED
    except MemoryError:
        _say(
            "The memory ran out. Close other programs, or run with fewer workers (compute in the study file)."
        )
        return REFUSED
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        _say(
            f"{problem.filename or 'A file'} cannot be written or read: {problem.strerror}. Free or open it, rerun."
        )
        return REFUSED
    finally:
        if arguments is None:
            gc.freeze()  # the process ends: looking through all that compiled loops left would take a third of a second


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="psystrata", description="Honest models of psychiatric cohorts.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, description in COMMANDS.items():
        command = commands.add_parser(name, help=description, description=description)
        if name == "stage":
            stages = command.add_subparsers(dest="stage", required=True, metavar="stage")
            for stage in STAGES:
                stages.add_parser(stage, add_help=False)
    head, _ = parser.parse_known_args(arguments[:2] if arguments[:1] == ["stage"] else arguments[:1])
    name = f"stages.{head.stage}" if head.command == "stage" else f"commands.{head.command}"
    module = import_module(f"pipeline.{name}")
    own = argparse.ArgumentParser(
        prog=f"psystrata {' '.join(arguments[:1] if head.command != 'stage' else arguments[:2])}"
    )
    module.configure(own)
    return int(module.run(**vars(own.parse_args(arguments[2 if head.command == "stage" else 1 :]))) or 0)


def _say(*sentences: str) -> None:
    for sentence in sentences:
        print(f"psystrata: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
