"""Stage: one matrix of the declared feature sets."""

import argparse
from pathlib import Path

from features.assemble import assemble
from features.schema import ColumnDescriptions, Families, Patients, PredictionTimes, Rows
from pipeline.files import read_frame, read_table, replaced_folder, write_frame, write_table
from pipeline.settings.load import load_parameters


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("--tables", type=Path, required=True, help="folder of the canonical tables")
    parser.add_argument("--times", type=Path, required=True, help="file of the prediction times")
    parser.add_argument("--features", type=Path, required=True, help="folder of the feature sets")
    parser.add_argument(
        "--genotypes", type=Path, required=True, help="folder of the checked genotypes: who is related"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the assembled tables")


def run(tables: Path, times: Path, features: Path, out: Path, genotypes: Path | None = None) -> None:
    """Write rows, matrix and column descriptions of the sets that the study names, and of no other.

    Without `genotypes`, as where a frozen model is applied and nothing is split, nobody is known to be related.
    """
    study = load_parameters()
    assembled = assemble(
        read_table(times, PredictionTimes),
        read_table(tables / "patients.parquet", Patients),
        {
            name: (
                read_frame(features / name / "features.parquet"),
                read_table(features / name / "columns.parquet", ColumnDescriptions),
            )
            for name in sorted(study.feature_sets)
        },
        time=study.cohort.time,
        families=None if genotypes is None else read_table(genotypes / "families.parquet", Families),
    )
    with replaced_folder(out) as folder:
        write_table(assembled.rows, folder / "rows.parquet", Rows)
        write_frame(assembled.matrix, folder / "matrix.parquet")
        write_frame(assembled.context, folder / "context.parquet")
        write_table(assembled.columns, folder / "columns.parquet", ColumnDescriptions)
