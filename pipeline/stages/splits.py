"""Stage: draw the outer folds of one outcome."""

import argparse
from pathlib import Path

from experiments.results import Splits
from experiments.validation.splits import SplitScheme, make_splits
from features.schema import Outcomes, Rows
from pipeline.files import read_table, replaced_folder, write_json, write_table
from pipeline.settings.load import load_parameters


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("outcome")
    parser.add_argument("--assembled", type=Path, required=True)
    parser.add_argument("--outcomes", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(outcome: str, assembled: Path, outcomes: Path, out: Path) -> None:
    """Write splits.parquet and folds.json."""
    study = load_parameters()
    splits, folds = make_splits(
        {
            name: SplitScheme(
                **{key: value for key, value in scheme.model_dump().items() if value is not None}
            )
            for name, scheme in study.validation.items()
        },
        read_table(assembled / "rows.parquet", Rows),
        read_table(outcomes / "outcomes.parquet", Outcomes),
        study.seed,
        horizon=study.outcomes[outcome].main_horizon,
        seen_after=study.outcomes[outcome].known_after,
    )
    with replaced_folder(out) as folder:
        write_table(splits, folder / "splits.parquet", Splits)
        write_json(folds, folder / "folds.json")
