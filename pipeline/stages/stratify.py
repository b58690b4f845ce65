"""Stage: look for strata of patients, by what they are or by how they change, and freeze what was found."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from experiments.disclosure import smallest_published
from experiments.figures import save_svg
from experiments.stratification import schemas
from experiments.stratification.chain import model_seed
from experiments.stratification.course import CourseSource
from experiments.stratification.course_dropout import dropout_comparison
from experiments.stratification.course_state import COURSE_FILE, FrozenCourse
from experiments.stratification.course_tables import Courses, Staying, course_figure, course_tables
from experiments.stratification.features_source import FeatureSource
from experiments.stratification.panel import PanelSettings
from experiments.stratification.source import Source
from experiments.stratification.stratify import Stratified, stratify
from pipeline.files import replaced_folder, write_bytes, write_frame, write_json, write_table
from pipeline.settings.compute import compute_of
from pipeline.settings.load import load_parameters
from pipeline.settings.study import Study
from pipeline.strata_course import course_patients
from pipeline.strata_inputs import (
    Assembled,
    Patients,
    feature_patients,
    read_assembled,
    require_beside,
    search_settings,
    stratification_of,
)

COURSE_TABLES = {"courses": Courses, "staying": Staying, "dropout_comparison": schemas.DropoutComparison}
TABLES = {
    "strata": schemas.Strata,
    "memberships": schemas.Memberships,
    "dimensions": schemas.Dimensions,
    "loadings": schemas.Loadings,
    "selection": schemas.Selection,
    "tests": schemas.Tests,
    "draws": schemas.Draws,
    "stability": schemas.Stability,
    "replication": schemas.Replication,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("name")
    for name in ("assembled", "tables", "journals", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)


def run(name: str, assembled: Path, tables: Path, journals: Path, out: Path) -> None:
    """Run one stratification of the active study."""
    study = load_parameters()
    asked = stratification_of(study, name)
    files = read_assembled(assembled)
    require_beside(asked, files, name)
    patients, source, described = _patients(study, name, files, tables)
    found = stratify(
        patients.rows,
        source,
        patients.recipe,
        search_settings(asked),
        PanelSettings(asked.panel.accuracy, asked.panel.most, asked.panel.folds),
        columns=source.described if isinstance(source, CourseSource) else None,
        described={"name": name, "title": asked.title or name, **described},
        smallest_cell=smallest_published(study.disclosure.level, study.disclosure.smallest_cell),
        public=study.disclosure.level == "public",
        seed=study.seed,
        compute=compute_of(study),
        journal=journals / name,
    )
    made = patients.X.select(found.summary["columns"]).insert_column(0, patients.rows["prediction_id"])
    _write(found, made.sort("prediction_id"), _course(source, found, study, name), out)


@dataclass(frozen=True)
class _Course:
    """What is written of strata of change alone.

    Attributes:
        tables: by name, of COURSE_TABLES.
        figure: of the mean courses; None where strata are of features.
        model: files beside those of the frozen strata.
    """

    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    figure: Any = None
    model: Mapping[str, bytes] = field(default_factory=dict)


def _course(source: Source, found: Stratified, study: Study, name: str) -> _Course:
    """Return the mean course of each stratum, what drop-out changes, and the mixed models; nothing for strata of features."""
    asked = study.stratifications[name].course
    if not isinstance(source, CourseSource) or asked is None:
        return _Course()
    k = found.searched.verdict.k
    courses, staying = course_tables(
        source,
        found.searched.model.predict_probability(source.X),
        smallest_cell=smallest_published(study.disclosure.level, study.disclosure.smallest_cell),
    )
    tables = {"courses": courses, "staying": staying}
    if k > 1 and source.plan.method == "growth_mixture" and source.plan.dropout:
        tables["dropout_comparison"] = dropout_comparison(source, k, model_seed(study.seed, k))
    title = "Mean course of each stratum" if k > 1 else "Mean course of all patients"
    frozen = FrozenCourse(source.plan, asked.logarithm, source.columns, source.latest)
    return _Course(tables, course_figure(courses, staying, title), {COURSE_FILE: frozen.to_bytes()})


def _patients(
    study: Study, name: str, files: Assembled, tables: Path
) -> tuple[Patients, Source, dict[str, Any]]:
    if study.stratifications[name].course is not None:
        return course_patients(study, name, files, tables)
    patients = feature_patients(study, name, files)
    source = FeatureSource(patients.X, patients.centres, patients.recipe, study.seed)
    return patients, source, {"kind": "features"}


def _write(found: Stratified, made: pl.DataFrame, course: _Course, out: Path) -> None:
    with replaced_folder(out) as folder:
        write_frame(made, folder / "made.parquet")  # row-level, as strata, memberships and dimensions are
        for name, table in course.tables.items():
            write_table(table, folder / f"{name}.parquet", COURSE_TABLES[name])
        if course.figure is not None:
            save_svg(course.figure, folder / "figures" / "courses.svg")
        for name, schema in TABLES.items():
            write_table(getattr(found.searched, name), folder / f"{name}.parquet", schema)
        for name, schema in found.explained.schemas.items():
            write_table(found.explained.tables[name], folder / f"{name}.parquet", schema)
        for name, figure in found.explained.figures.items():
            save_svg(figure, folder / "figures" / f"{name}.svg")
        for name, content in {**found.searched.model.to_parts(), **course.model}.items():
            write_bytes(content, folder / "model" / name)
        write_json(found.summary, folder / "summary.json")
