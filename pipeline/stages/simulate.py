"""The stage that simulates a cohort: its source files, and its truth where no other stage looks."""

import argparse
from pathlib import Path

from pipeline.errors import BadSettings
from pipeline.files import replaced_folder
from pipeline.settings.load import load_parameters
from pipeline.simulation.cohort import simulate_cohort
from pipeline.simulation.dials import read_dials
from pipeline.simulation.sources import write_sources, write_truth


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the source files")
    parser.add_argument("--truth", type=Path, required=True, help="folder of the truth")


def run(out: Path, truth: Path) -> None:
    """Write the source files and the truth of the active study's simulated cohort."""
    study = load_parameters()
    if study.simulation is None:
        raise BadSettings(f"The study {study.study} has no simulation: its files are not ours to write.")
    dials = read_dials(study.simulation)
    cohort = simulate_cohort(dials, study.seed)
    with replaced_folder(out) as folder:
        planted = write_sources(cohort, folder)
    with replaced_folder(truth) as folder:
        write_truth(cohort, planted, folder)
