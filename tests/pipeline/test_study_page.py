"""The page on the study file: its example is a study, and no setting is left out."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from pipeline.settings import adjustment, cohort, experiment, outcome, stratification, study
from pipeline.settings.load import check_study
from tests.workplace import ROOT

STUDY_PAGE = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
PAGES = STUDY_PAGE + (ROOT / "docs" / "cohort.md").read_text(encoding="utf-8")
MODELS = [
    *[member for union in (outcome.Outcome, outcome.PredictionTime, experiment.Scheme) for member in get_args(get_args(union)[0])],
    outcome.Estimand, outcome.DecisionRange, experiment.LearnerSettings, experiment.CellSettings, experiment.Primary,
    experiment.Tuning, experiment.Probe, experiment.Examination, experiment.Reliability, experiment.Audit, experiment.Disclosure, experiment.Compute, study.Study, study.Consent,
    stratification.Stratification, stratification.OneGroupTest, stratification.NumberTest, stratification.StabilityTest,
    stratification.ReplicationTest, stratification.ValueTest, stratification.Panel, stratification.Course,
    adjustment.AdjustmentSettings, adjustment.NormSettings, adjustment.CompositeSettings,
    cohort.Source, cohort.Dialect, cohort.Variable, cohort.HarmonisationSettings,
]  # fmt: skip


def test_the_example_is_a_whole_study() -> None:
    text = re.search(r"```yaml\n(study: .*?)```", STUDY_PAGE, re.DOTALL)
    assert text is not None
    assert check_study(yaml.safe_load(text[1]), Path("docs/study.md")).primary.learner == "elastic_net"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_setting_is_explained(model: type[BaseModel]) -> None:
    names = [field.alias or name for name, field in model.model_fields.items()]
    missing = [name for name in names if not re.search(rf"(?m)(?:^|[`{{ ,]){name}[`:]", PAGES)]
    assert not missing
