"""psystrata track: log the active study's results into MLflow; a second time adds nothing."""

import argparse
from pathlib import Path

from experiments.tracking import Logged, store_uri, without_password
from pipeline.settings.load import load_parameters
from pipeline.tracked import described, log_runs, read_runs


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run() -> int:
    """Log the active study and say what was added."""
    study = load_parameters()
    workspace, description = Path("artifacts") / study.study, described(study)
    runs = read_runs(workspace, description, partial=False)
    print(
        f"{study.study}: {sentence(log_runs(workspace, description, runs))} in {without_password(store_uri())}"
    )
    return 0


def sentence(logged: Logged) -> str:
    """Return the counts of a replay in words."""
    parts = [f"{logged.added} runs added", f"{logged.present} there already"]
    parts += [f"{logged.renewed} cards renewed"] if logged.renewed else []
    parts += [f"{logged.superseded} superseded"] if logged.superseded else []
    return ", ".join(parts)
