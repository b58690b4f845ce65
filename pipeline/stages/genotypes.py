"""Stage genotypes: genotypes are checked, matched to scores and placed among a reference before a feature is made of them."""

import argparse
from pathlib import Path

from experiments.disclosure import smallest_published
from experiments.figures import save_svg
from experiments.genetics.checked import CheckedGenotypes
from experiments.genetics.schemas import (
    GenotypeSamples,
    GenotypeVariants,
    MatchLog,
    Panel,
    PrunedVariants,
    Relatives,
    ScoreSummary,
)
from features.genetics.settings import GeneticSettings
from features.schema import ColumnDescriptions, Families, Genotypes, Measurements, Patients
from pipeline.files import read_table, replaced_folder, write_frame, write_json, write_table
from pipeline.settings.load import load_parameters
from pipeline.settings.study import Study

GENETIC = "genetic"
TABLES = {
    "samples": GenotypeSamples,
    "variants": GenotypeVariants,
    "relatives": Relatives,
    "families": Families,
    "pruned": PrunedVariants,
    "match_log": MatchLog,
    "panel": Panel,
    "columns": ColumnDescriptions,
    "summary": ScoreSummary,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--tables", type=Path, required=True, help="folder of the canonical tables")
    parser.add_argument("--source", type=Path, required=True, help="folder of the study's source files")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checked genotypes")


def run(tables: Path, source: Path, out: Path) -> None:
    """Write what is known of the genotypes; a study without a genetic set gets the same files, empty."""
    study = load_parameters()
    write_checked(_checked(study, tables, source), out)


def _checked(study: Study, tables: Path, source: Path) -> CheckedGenotypes:
    if GENETIC not in study.feature_sets:
        return CheckedGenotypes()
    from experiments.genetics.prepare import Plan, genotyped_people, prepare_genotypes
    from features.genetics.inputs import read_declared_frequencies, read_inputs

    settings = GeneticSettings.from_study(study.feature_sets[GENETIC])
    inputs = read_inputs(source, settings, threads=_threads(study))
    people = genotyped_people(
        read_table(tables / "genotypes.parquet", Genotypes),
        read_table(tables / "patients.parquet", Patients),
        read_table(tables / "measurements.parquet", Measurements),
        settings.controls,
    )
    plan = Plan(
        study=study.study,
        title=study.title,
        settings=settings,
        smallest_cell=smallest_published(study.disclosure.level, study.disclosure.smallest_cell),
        seed=study.seed,
        threads=_threads(study),
    )
    return prepare_genotypes(inputs, people, plan, read_declared_frequencies(source, settings, inputs))


def write_checked(checked: CheckedGenotypes, out: Path) -> None:
    """Write every table, state, count and figure into one folder."""
    with replaced_folder(out) as folder:
        for name, schema in TABLES.items():
            write_table(getattr(checked, name), folder / f"{name}.parquet", schema)
        write_frame(checked.scores, folder / "scores.parquet")
        write_json(checked.normalisation, folder / "normalisation.json")
        write_json(checked.flow, folder / "flow.json")
        write_json(checked.report, folder / "report.json")
        (folder / "figures").mkdir()
        for name, figure in checked.figures.items():
            save_svg(figure, folder / "figures" / f"{name}.svg")


def _threads(study: Study) -> int:
    """At work at once; they change no result."""
    return study.compute.workers if study.compute.engine == "processes" else 1
