"""A scratch copy of the project in which whole pipelines run, for tests and benchmarks."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = ("features", "models", "experiments", "pipeline")


def make_workplace(folder: Path, studies: Mapping[str, Mapping[str, Any]]) -> Path:
    """Copy the code and the stages into an empty folder, with these studies, under git and without any result."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.part")
        )
    (folder / ".dvc").mkdir()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv", target_is_directory=True)
    with (folder / ".gitignore").open("a", encoding="utf-8") as ignored:
        ignored.write("/.venv\n")
    for name, study in studies.items():
        place = folder / "experiments" / "studies" / name / "study.yaml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(yaml.safe_dump(dict(study), sort_keys=False, allow_unicode=True), encoding="utf-8")
    run(folder, "git", "init", "-q", "-b", "main")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    """Commit everything that git does not ignore."""
    run(folder, "git", "add", "-A")
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    run(folder, "git", *who, "commit", "-q", "--allow-empty", "-m", "state")


def run(folder: Path, *command: str, check: bool = True, **variables: str) -> str:
    """Run a command in the workplace and return what it printed; a failure shows it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "DVC_"))}
    environment |= {
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "default",
        "DVC_NO_ANALYTICS": "1",
        **variables,
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    printed = done.stdout + done.stderr
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{printed[-4000:]}")
    return printed


def stages_run(printed: str) -> list[str]:
    """Return the stages that a `dvc repro` really ran."""
    return re.findall(r"Running stage '([^']+)'", printed)


def demo_study(name: str, **changes: Any) -> dict[str, Any]:
    """Return the demo's study file under another name, with top-level keys replaced."""
    path = ROOT / "experiments" / "studies" / "demo" / "study.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {**study, "study": name, **changes}


def small_study(name: str, **changes: Any) -> dict[str, Any]:
    """Return a study that runs in half a minute: one outcome, two feature sets, three learners, one scheme."""
    demo = demo_study(name)
    learners = {
        "base_rate": demo["learners"]["base_rate"],
        "clinical": demo["learners"]["clinical"],
        "elastic_net": {"trials": 1},
    }
    small = {
        "simulation": {**demo["simulation"], "patients": 200},
        "feature_sets": {key: demo["feature_sets"][key] for key in ("clinical", "inflammatory")},
        "outcomes": {"relapse_1y": demo["outcomes"]["relapse_1y"]},
        "validation": {"random": {"kind": "stratified_kfold", "folds": 2}},
        "learners": learners,
        "cells": [{"outcome": "relapse_1y", "learners": list(learners), "schemes": ["random"]}],
        "primary": {"outcome": "relapse_1y", "learner": "elastic_net", "scheme": "random", "metric": "auroc"},
        "stratifications": {
            "blood": {
                "index": "baseline",
                "feature_sets": ["inflammatory"],
                "most_strata": 2,
                "one_group": {"draws": 19},
                "number": {"splits": 2, "resamples": 10},
                "stability": {"bootstraps": 10},
                "panel": {"most": 2, "folds": 2},
            }
        },
        "subgroups": ["sex"],
        "probe": {"instability": 2, "permutations": 1, "learning_curve": [1.0], "folds": 2, "trials": 1},
        "audit": {
            "harmonise": ["none"],
            "impute": ["none"],
            "context": [],
            "local_patients": [0],
            "local_draws": 2,
        },
    }
    return {**demo, **small, **changes}
