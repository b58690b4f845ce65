"""psystrata use: check a study's settings, write params.yaml, link its data, remove outputs it no longer names."""

import argparse
import os
from pathlib import Path
from typing import Any

from pipeline.errors import BadSettings
from pipeline.files import remove_folder, write_text
from pipeline.settings.load import check_study, parameters
from pipeline.settings.plain_yaml import dump_yaml, parse_yaml, read_yaml
from pipeline.settings.study import Study

STUDIES = Path("experiments/studies")
STRATA_FOLDERS = ("strata", "strata_outcomes", "strata_cards")
HEADER = "# Written by `psystrata use`; edit experiments/studies/<name>/study.yaml instead.\n"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("study", help="a folder of experiments/studies")
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one setting, e.g. simulation.patients=300",
    )


def run(study: str, changes: list[str]) -> int:
    """Make a study the active one."""
    settings = read_study(study, changes)
    link_source(settings)
    write_text(parameters_text(settings), Path("params.yaml"))
    for (
        folder
    ) in STRATA_FOLDERS:  # stages that read all of them need the folder where a study asks for none, too
        (Path("artifacts") / settings.study / folder).mkdir(parents=True, exist_ok=True)
    for path in remove_unnamed(settings):
        print(f"removed {path}: the study no longer names it")
    print(f"{settings.study} is the active study. Run it with: make repro")
    return 0


def parameters_text(study: Study) -> str:
    """Return what params.yaml holds for a study."""
    return HEADER + dump_yaml(parameters(study))


def read_study(name: str, changes: list[str] | None = None) -> Study:
    """Read a study by name, with single settings overridden; an unknown name is answered with the known ones."""
    folder = STUDIES / name
    if not (folder / "study.yaml").is_file():
        known = sorted(path.parent.name for path in STUDIES.glob("*/study.yaml"))
        raise BadSettings(
            f"The study {name!r} is not known; known: {', '.join(known)}. A study is a folder of {STUDIES}."
        )
    values = read_yaml(folder / "study.yaml")
    for change in changes or []:
        _override(values, change)
    settings = check_study(values, folder / "study.yaml")
    if settings.study != name:
        raise BadSettings(
            f"{folder}/study.yaml says study: {settings.study}, but its folder is {name}. Make them equal."
        )
    return settings


def link_source(study: Study) -> None:
    """Link data/<study> to the folder that the study names under PSYSTRATA_DATA, where it is not there yet."""
    place = Path("data") / study.study
    if study.simulation is not None or place.is_dir():
        return
    root = os.environ.get("PSYSTRATA_DATA")
    source = Path(root).expanduser() / (study.source or study.study) if root else None
    if source is None or not source.is_dir():
        found = f"{source} is not a folder" if source else "PSYSTRATA_DATA is not set"
        raise BadSettings(
            f"The files of {study.study} are missing: {place} is not there and {found}. Put the files into {place}, or "
            "set PSYSTRATA_DATA to the folder that holds them; the study's README says where to get them."
        )
    place.parent.mkdir(exist_ok=True)
    if place.is_symlink():
        place.unlink()
    place.symlink_to(source.resolve(), target_is_directory=True)


def remove_unnamed(study: Study) -> list[Path]:
    """Remove outputs of this study that its settings no longer name, so that no stage reads a stale file."""
    workspace = Path("artifacts") / study.study
    cells = {(cell.outcome, learner) for cell in study.cells for learner in cell.learners}
    stratified = {folder: set(study.stratifications) for folder in STRATA_FOLDERS}
    keep = {
        **stratified,
        "features": set(study.feature_sets),
        **{
            kind: set(study.outcomes)
            for kind in ("outcomes", "splits", "signals", "compare", "examine", "explain", "probe", "cards")
        },
        "train": {outcome for outcome, _ in cells},
    }
    stale = [
        path for kind, names in keep.items() for path in _children(workspace / kind) if path.name not in names
    ]
    for outcome in keep["train"]:
        learners = {learner for name, learner in cells if name == outcome}
        stale += [path for path in _children(workspace / "train" / outcome) if path.name not in learners]
    for path in stale:
        remove_folder(path)
    return stale


def _children(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _override(values: dict[str, Any], change: str) -> None:
    key, sign, text = change.partition("=")
    if not sign:
        raise BadSettings(f"--set {change}: write it as key=value, for example simulation.patients=300.")
    place: Any = values
    *parents, last = key.split(".")
    for parent in parents:
        if isinstance(place, list):
            raise BadSettings(
                f"--set {change}: what stands in a list is changed in the study file, not here."
            )
        if not isinstance(place, dict) or parent not in place:
            raise BadSettings(
                f"--set {change}: {parent!r} is not a key there; known: {', '.join(map(str, place))}."
            )
        place = place[parent]
    if not isinstance(place, dict):
        raise BadSettings(f"--set {change}: {'.'.join(parents)} has no keys of its own; it holds one value.")
    place[last] = parse_yaml(f"value: {text}", f"--set {change}")["value"]
