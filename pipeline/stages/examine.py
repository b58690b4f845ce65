"""Stage examine: sensitivity, recalibration, label sets, patterns and subgroup differences of an outcome's lead learner."""

import argparse
from pathlib import Path

import polars as pl

from experiments.disclosure import smallest_published
from experiments.evaluation.decision import LOWER, UPPER
from experiments.examination.report import (
    TABLES,
    Data,
    ExaminationSettings,
    Examined,
    examine,
    not_examined,
)
from experiments.examination.sensitivity import SensitivitySettings
from experiments.examination.setting import Examination
from experiments.figures import save_svg
from experiments.results import Predictions, Splits
from features.schema import ColumnDescriptions, Outcomes, Rows
from models.modalities import modality_patterns
from pipeline.errors import BadSettings
from pipeline.files import read_frame, read_table, replaced_folder, write_json, write_table
from pipeline.settings.load import load_parameters
from pipeline.settings.study import Study


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("outcome")
    for name in ("assembled", "outcomes", "splits", "train", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)


def run(*, outcome: str, assembled: Path, outcomes: Path, splits: Path, train: Path, out: Path) -> None:
    """Examine the lead learner of an outcome; an outcome that no cell predicts has empty tables."""
    study = load_parameters()
    if outcome not in study.outcomes:
        raise BadSettings(
            f"The outcome {outcome!r} is not known; known: {', '.join(sorted(study.outcomes))}. Name one of them."
        )
    cell = next((cell for cell in study.cells if cell.outcome == outcome), None)
    if cell is None:
        _write(not_examined(outcome, "no cell of the study predicts this outcome"), out)
        return
    examination = _examination(study, outcome, cell.learners)
    reference = examination.reference
    data = Data(
        rows=read_table(assembled / "rows.parquet", Rows),
        outcomes=read_table(outcomes / "outcomes.parquet", Outcomes),
        splits=read_table(splits / "splits.parquet", Splits),
        predictions=read_table(train / examination.learner / "predictions.parquet", Predictions),
        reference=read_table(train / reference / "predictions.parquet", Predictions) if reference else None,
        patterns=_patterns(assembled),
        covariates=study.censoring_covariates,
    )
    schemes = {name: study.validation[name].kind for name in cell.schemes}
    _write(examine(examination, data, schemes, _settings(study)), out)


def _examination(study: Study, outcome: str, learners: tuple[str, ...]) -> Examination:
    lead, clinical = study.lead_learner(outcome), study.tuning.clinical_reference
    declared = study.outcomes[outcome].thresholds
    lower, upper = (LOWER, UPPER) if declared is None else (declared.lower, declared.upper)
    return Examination(
        study=study.study,
        outcome=outcome,
        learner=lead,
        reference=clinical if clinical in learners and clinical != lead else None,
        seed=study.seed,
        smallest_cell=smallest_published(study.disclosure.level, study.disclosure.smallest_cell),
        horizon=study.outcomes[outcome].main_horizon or 0.0,
        threshold=(lower + upper) / 2,
    )


def _settings(study: Study) -> ExaminationSettings:
    asked = study.examination
    return ExaminationSettings(
        SensitivitySettings(
            asked.hazard_after_censoring,
            asked.tipping_up_to,
            asked.censor_at_treatment,
            asked.first_only,
            asked.complete_cases,
        ),
        asked.local_patients,
        asked.local_draws,
        asked.set_levels,
        asked.abstain_within,
        study.subgroups,
    )


def _patterns(assembled: Path) -> dict[str, str]:
    """Return the modalities that each prediction has, in words."""
    matrix = read_frame(assembled / "matrix.parquet")
    columns = read_table(assembled / "columns.parquet", ColumnDescriptions)
    modalities = dict(columns.select("column", "feature_set").iter_rows())
    names = modality_patterns(matrix.select(pl.exclude("prediction_id")), modalities)
    return dict(zip(matrix["prediction_id"], names, strict=True))


def _write(found: Examined, out: Path) -> None:
    with replaced_folder(out) as folder:
        for name, schema in TABLES.items():
            write_table(found.tables[name], folder / f"{name}.parquet", schema)
        write_json(found.summary, folder / "summary.json")
        for name, figure in found.figures.items():
            save_svg(figure, folder / "figures" / f"{name}.svg")
