"""Stage: nested validation, the final model and the leakage certificate of one outcome and learner."""

import argparse
from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np
import polars as pl

from experiments.results import Predictions, Splits, Trials
from experiments.validation.cell import CellData, Procedure
from experiments.validation.draws import units
from experiments.validation.nested import CellResult, validate_cell
from experiments.validation.proxies import ProxyLimits
from experiments.validation.splits import eligible_rows
from experiments.validation.temporal import cuts_of
from features.errors import BadInput
from features.schema import ColumnDescriptions, Outcomes, Rows
from models.target import Target
from pipeline.files import (
    read_frame,
    read_json,
    read_table,
    replaced_folder,
    write_bytes,
    write_json,
    write_table,
)
from pipeline.settings.adjustment import kind_of
from pipeline.settings.compute import compute_of
from pipeline.settings.experiment import LearnerSettings
from pipeline.settings.load import load_parameters
from pipeline.settings.study import Study


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("outcome")
    parser.add_argument("learner")
    parser.add_argument("--assembled", type=Path, required=True)
    parser.add_argument("--outcomes", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--journals", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(
    outcome: str, learner: str, *, assembled: Path, outcomes: Path, splits: Path, journals: Path, out: Path
) -> None:
    """Write predictions, trials, certificate, the outer folds' models and the final model."""
    study = load_parameters()
    settings, asked = study.learners[learner], study.outcomes[outcome]
    matrix = read_frame(assembled / "matrix.parquet")
    columns = read_table(assembled / "columns.parquet", ColumnDescriptions)
    predictors = choose_predictors(settings, columns, matrix.columns, learner)
    procedure = procedure_of(study, outcome, learner, columns, predictors)
    data = cell_data(
        read_table(assembled / "rows.parquet", Rows),
        beside(matrix, assembled, predictors, procedure.kind.context, learner),
        read_table(outcomes / "outcomes.parquet", Outcomes),
        horizons=asked.horizons,
        main=asked.main_horizon,
        causes=asked.causes,
        seen_after=asked.known_after,
    )
    schemes = next(cell.schemes for cell in study.cells if cell.outcome == outcome)
    frame = read_table(splits / "splits.parquet", Splits).filter(pl.col("scheme").is_in(schemes))
    place = journals / outcome / learner
    folds = read_json(splits / "folds.json")
    result = validate_cell(
        data,
        frame,
        {entry["scheme"]: entry["kind"] for entry in folds},
        procedure,
        cuts=cuts_of(folds),
        whole_in_final=asked.estimand.target != "new patients of the same centres",
        signed_off=asked.signed_off,
        limits=ProxyLimits(asked.proxy_limit, asked.follow_up_limit),
        journals=place,
        # Without tuning a worker's start would take longer than its fits.
        compute=compute_of(study) if procedure.kind.space else None,
    )
    write_result(result, out)
    remove_stale_journals(place, result.journals)


def procedure_of(
    study: Study, outcome: str, learner: str, columns: pl.DataFrame, predictors: tuple[str, ...]
) -> Procedure:
    """Return what is done with a learner in each training set of an outcome; `columns` is ColumnDescriptions."""
    settings = study.learners[learner]
    kind_name = settings.kind or learner
    return Procedure(
        kind=kind_of(study, learner),
        kind_name=kind_name,
        fixed=settings.fixed,
        predictors=predictors,
        trials=settings.trials,
        inner_folds=study.tuning.inner_folds,
        seed=study.seed,
        names=(outcome, learner),
        modalities=dict(columns.select("column", "feature_set").iter_rows()),
    )


def beside(
    matrix: pl.DataFrame, assembled: Path, predictors: Sequence[str], context: Sequence[str], learner: str
) -> pl.DataFrame:
    """Return prediction_id, a learner's predictors, and what its adjustment needs beside them.

    Args:
        matrix: of the assembled columns.
        assembled: the folder of the assembled files, for context.parquet.
        predictors: the learner's.
        context: columns that its kind needs beside them: context columns, covariates.
        learner: its name, for the message.
    """
    more = sorted(set(context) - set(predictors))
    if not more:
        return matrix.select("prediction_id", *predictors)
    places = read_frame(assembled / "context.parquet")
    absent = sorted(set(more) - {*matrix.columns, *places.columns})
    if absent:
        raise BadInput(
            f"learners.{learner}.adjustment needs {', '.join(absent)}, which no feature set of the study gives; context columns "
            f"known: {', '.join(sorted(set(places.columns) - {'prediction_id'}))}. Mend the adjustment, or add the set."
        )
    own = matrix.select("prediction_id", *predictors, *(name for name in more if name in matrix.columns))
    rest = places.select("prediction_id", *(name for name in more if name not in matrix.columns))
    return own.join(rest, on="prediction_id", how="left", validate="1:1", maintain_order="left")


def choose_predictors(
    settings: LearnerSettings, columns: pl.DataFrame, available: Sequence[str], learner: str
) -> tuple[str, ...]:
    """Return the columns that a learner may use: those named, those of its feature sets, or all; sorted by name."""
    known = [name for name in available if name != "prediction_id"]
    if settings.predictors is not None:
        absent = sorted(set(settings.predictors) - set(known))
        if absent:
            raise BadInput(
                f"learners.{learner}.predictors: {', '.join(absent)} are not feature columns; known: "
                f"{', '.join(sorted(known))}."
            )
        return tuple(sorted(settings.predictors))
    if settings.feature_sets is None:
        return tuple(sorted(known))
    own = columns.filter(pl.col("feature_set").is_in(settings.feature_sets))["column"].to_list()
    return tuple(sorted(set(own) & set(known)))


def cell_data(
    rows: pl.DataFrame,
    matrix: pl.DataFrame,
    outcomes: pl.DataFrame,
    *,
    horizons: Sequence[float],
    main: float | None,
    causes: int,
    seen_after: float = 0.0,
) -> CellData:
    """Return the eligible rows with their predictors and target, in canonical order; a label has no horizons.

    `seen_after` is the number of days after which a label seen at visits is known.
    """
    eligible, _ = eligible_rows(rows, outcomes, main, seen_after=seen_after)
    X = eligible.select("prediction_id").join(
        matrix, on="prediction_id", how="left", validate="1:1", maintain_order="left"
    )
    cause = eligible["cause"].fill_null(0).to_numpy().astype(np.int64)
    # Relatives count as one: what is dealt inside a learner keeps them together, and leaves count families.
    patients = units(eligible)
    if main is None:
        known = eligible["cause"].is_not_null().to_numpy()
        strata = eligible["attendance"].fill_null("").rank("dense").to_numpy().astype(np.int64)
        target = Target.from_labels(cause, known=known, strata=strata, groups=patients)
    else:
        times = eligible["time_to_event"].to_numpy()
        target = Target.from_times(times, cause, horizons, causes=causes, main=main, groups=patients)
    return CellData(rows=eligible, X=X.drop("prediction_id"), target=target)


def write_result(result: CellResult, out: Path) -> None:
    """Write a cell's folder, whole or not at all."""
    with replaced_folder(out) as folder:
        write_table(result.predictions, folder / "predictions.parquet", Predictions)
        write_table(result.trials, folder / "trials.parquet", Trials)
        write_json(result.certificate, folder / "certificate.json")
        for name, parts in result.models.items():
            for part, content in parts.items():
                write_bytes(content, folder / "models" / name / part)
        for part, content in result.final.items():
            write_bytes(content, folder / "final" / part)
        write_json(result.description, folder / "final.json")


def remove_stale_journals(folder: Path, current: Set[str]) -> None:
    """Remove journals of other data, settings or code: nothing resumes from them any more."""
    for journal in sorted(folder.glob("*.log")) if folder.is_dir() else []:
        if journal.name not in current:
            journal.unlink()
