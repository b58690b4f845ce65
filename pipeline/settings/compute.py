"""From the study's compute setting to where work runs: every stage that fans out asks here."""

from pathlib import Path

from experiments.compute import Compute, Slurm
from pipeline.settings.study import Study


def compute_of(study: Study) -> Compute:
    """Return where the work of a study's stages runs."""
    asked = study.compute
    slurm = None if asked.slurm is None else Slurm(**asked.slurm.model_dump())
    folder = Path("artifacts") / study.study / "tmp"
    return Compute(asked.engine, asked.workers, slurm, asked.scheduler, folder)
