"""Stage genotypes: genotypes are checked, matched to scores and placed among a reference before a feature is made of them."""

import argparse
from pathlib import Path

from experiments.figures import save_svg
from experiments.genetics.checked import CheckedGenotypes
from experiments.genetics.schemas import (
    Families,
    GenotypeSamples,
    GenotypeVariants,
    MatchLog,
    Panel,
    PrunedVariants,
    Relatives,
    ScoreSummary,
)
from pipeline.files import replaced_folder, write_json, write_table
from pipeline.settings.load import load_parameters

TABLES = {
    "samples": GenotypeSamples,
    "variants": GenotypeVariants,
    "relatives": Relatives,
    "families": Families,
    "pruned": PrunedVariants,
    "match_log": MatchLog,
    "panel": Panel,
    "summary": ScoreSummary,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--tables", type=Path, required=True, help="folder of the canonical tables")
    parser.add_argument("--source", type=Path, required=True, help="folder of the study's source files")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checked genotypes")


def run(tables: Path, source: Path, out: Path) -> None:
    """Write what is known of the genotypes; a study without a genetic set gets the same files, empty."""
    load_parameters()
    write_checked(CheckedGenotypes(), out)


def write_checked(checked: CheckedGenotypes, out: Path) -> None:
    """Write every table, state, count and figure into one folder."""
    with replaced_folder(out) as folder:
        for name, schema in TABLES.items():
            write_table(getattr(checked, name), folder / f"{name}.parquet", schema)
        write_json(checked.normalisation, folder / "normalisation.json")
        write_json(checked.flow, folder / "flow.json")
        write_json(checked.report, folder / "report.json")
        (folder / "figures").mkdir()
        for name, figure in checked.figures.items():
            save_svg(figure, folder / "figures" / f"{name}.svg")
