"""From the study's compute setting to where work runs: every stage that fans out asks here."""

from experiments.compute import Compute
from pipeline.settings.study import Study


def compute_of(study: Study) -> Compute:
    """Return where the work of a study's stages runs."""
    asked = study.compute
    return Compute(asked.engine, asked.workers)
