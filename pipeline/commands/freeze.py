"""psystrata freeze: a bundle of one model that another site can run, without any patient's row."""

import argparse
import hashlib
from pathlib import Path

from experiments.bundle.contents import MANIFEST
from experiments.bundle.packing import zipped
from features.registry import FEATURE_SETS
from pipeline.carry.gather import Frozen, bundle_files
from pipeline.carry.strata_freeze import strata_files
from pipeline.commands.check import source_folder
from pipeline.commands.use import STUDIES
from pipeline.errors import BadSettings
from pipeline.files import replaced_folder, write_bytes
from pipeline.openings import REGISTER, read_openings
from pipeline.settings.load import load_parameters


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("outcome", nargs="?")
    parser.add_argument("learner", nargs="?")
    parser.add_argument(
        "--strata", metavar="NAME", help="instead of an outcome and a learner: a stratification"
    )
    parser.add_argument("--scheme", default="final", help="final, or a scheme that leaves a place out")
    parser.add_argument("--left-out", help="which place the model has not seen, e.g. DE")
    parser.add_argument("--out", type=Path, required=True, help="a new folder, or a file ending in .zip")


def run(
    outcome: str | None,
    learner: str | None,
    *,
    scheme: str,
    left_out: str | None,
    out: Path,
    strata: str | None = None,
) -> int:
    """Write a bundle of the active study's model, or of its strata, and print its fingerprint."""
    study = load_parameters()
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise BadSettings(
            f"{out} is a folder that holds other files. Name a new folder, or a file ending in .zip."
        )
    reads_files = any(FEATURE_SETS[name].reads(own) for name, own in study.feature_sets.items())
    workspace = Path("artifacts") / study.study
    source = source_folder(study) if reads_files else None
    if strata is not None:
        if outcome is not None or left_out is not None or scheme != "final":
            raise BadSettings(
                "--strata stands alone: strata have no outcome, learner, scheme or left-out place."
            )
        files = strata_files(study, strata, workspace, source)
    elif outcome is None or learner is None:
        raise BadSettings("Name an outcome and a learner, or a stratification with --strata.")
    else:
        files = bundle_files(
            study,
            Frozen(outcome, learner, scheme, left_out),
            workspace,
            source,
            read_openings(STUDIES / study.study / REGISTER),
        )
    if out.suffix == ".zip":
        write_bytes(zipped(files), out)
    else:
        with replaced_folder(out) as folder:
            for name, content in files.items():
                write_bytes(content, folder / name)
    print(f"{out}: {len(files)} files, fingerprint {hashlib.sha256(files[MANIFEST]).hexdigest()}")
    print("Tell the fingerprint on another way than the bundle: who receives both can see that it is yours.")
    return 0
