"""A bundle at another site: build its columns and outcome there, predict, and evaluate under the site's disclosure."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.bundle.contents import Definition
from experiments.bundle.matching import Match, compare_columns, match_definitions, missable
from experiments.bundle.packing import Bundle
from experiments.bundle.summaries import drift_of, summaries_of
from experiments.disclosure import smallest_published
from experiments.results import Comparisons, Curves, Metrics, Predictions, Splits
from experiments.validation.cell import CellData
from features.schema import ColumnDescriptions, Outcomes, Rows
from models.adjustment.learner import ADJUSTMENT_FILE, AdjustedLearner
from models.contract import Learner
from models.errors import BadTarget
from models.fixed_horizon import read_state
from models.registry import LEARNERS
from models.storage import load_learner
from pipeline.commands.use import parameters_text
from pipeline.errors import BadInput, BadSettings
from pipeline.files import read_frame, read_json, read_table, write_table, write_text
from pipeline.settings.load import check_study
from pipeline.settings.study import Study
from pipeline.stages import assemble, compare, features, genotypes, outcomes, prediction_times, tables
from pipeline.stages.train import cell_data

SCHEME = "carried"
KIND = (
    "leave_country_out"  # evaluated as a left-out country is: each on its own, weights from its own patients
)
NULL = "base_rate"
NOT_RECORDED = "not recorded"
KEPT = ("study", "title", "seed", "disclosure", "consent", "simulation", "source", "cohort", "dictionary",
        "censoring_covariates", "intended_use", "limits")  # fmt: skip


@dataclass(frozen=True)
class SiteResult:
    """What leaves a site: aggregates alone, small cells suppressed.

    Attributes:
        metrics, curves, comparisons: schemas Metrics, Curves and Comparisons, of the frozen model beside the base rate.
        drift: schema Drift.
        weights: how large the censoring weights are and where they come from.
        figures: SVG text by name.
        absent: columns that the model had to do without.
        identifiers: ids that must not stand in any of it; for the scan alone.
    """

    metrics: pl.DataFrame
    curves: pl.DataFrame
    comparisons: pl.DataFrame
    drift: pl.DataFrame
    weights: dict[str, Any]
    figures: dict[str, str]
    absent: tuple[str, ...]
    identifiers: frozenset[str]


def matched(bundle: Bundle, site: Definition) -> Match:
    """Compare what a bundle defines with what the site declares."""
    return match_definitions(bundle.definition, site, can_miss=_can_miss(bundle, site.feature_sets))


def site_study(study: Study, bundle: Bundle, outcome: str, horizons: Sequence[float]) -> Study:
    """Return the site's settings with only what the frozen model needs, checked as any study file is.

    The learners stand for predictions that are there already: nothing is fitted at a site.
    """
    values = study.model_dump(mode="json", by_alias=True)
    needed = {column.feature_set for column in bundle.definition.columns} & set(study.feature_sets)
    sets = sorted(needed) or sorted(study.feature_sets)[:1]
    index = study.outcomes[outcome].index
    nulls = (NULL,) if null_risks(bundle, horizons) is not None else ()
    learners = tuple(dict.fromkeys((bundle.manifest.learner, *nulls)))
    values = {key: values[key] for key in KEPT} | {
        "feature_sets": {name: values["feature_sets"][name] for name in sets},
        "prediction_times": {index: values["prediction_times"][index]},
        "outcomes": {outcome: _at_horizons(values["outcomes"][outcome], horizons)},
        "validation": {SCHEME: {"kind": KIND}},
        "learners": {name: {"kind": NULL} for name in learners},
        "cells": [{"outcome": outcome, "learners": list(learners), "schemes": [SCHEME]}],
        "primary": {"outcome": outcome, "learner": learners[0], "scheme": SCHEME, "metric": "auroc"},
        "tuning": {"clinical_reference": learners[-1]},
        "subgroups": sorted({*study.subgroups, "centre"}),
        "compute": {"engine": "serial", "workers": 1},
    }
    return check_study(values, Path(f"{study.study}/study.yaml"))


def carried(study: Study, bundle: Bundle, outcome: str, *, source: Path, scratch: Path) -> SiteResult:
    """Build, predict and evaluate in a scratch folder, whose rows the caller removes.

    Args:
        study: as from `site_study`.
        bundle: the frozen model.
        outcome: of the site's study.
        source: the site's source files.
        scratch: an empty folder inside the site's workspace.

    Raises:
        BadInput: columns that are not as the bundle defines them, each by name.
    """
    with unusable_named():
        learner = load_learner(bundle.parts)
    write_text(parameters_text(study), scratch / "params.yaml")
    files = source.resolve()
    with contextlib.chdir(scratch):  # stages read params.yaml where they run; the site's own stays as it is
        data, absent = _built(study, bundle, outcome, files)
        _predict(bundle, learner, data, absent)
        compare.run(
            outcome=outcome,
            assembled=Path("assembled"),
            outcomes=Path("outcome"),
            splits=Path("splits"),
            train=Path("train"),
            out=Path("compare"),
        )
        return _result(study, bundle, data, absent)


def _built(study: Study, bundle: Bundle, outcome: str, source: Path) -> tuple[CellData, tuple[str, ...]]:
    place, times = Path("tables"), Path("times.parquet")
    tables.run(source=source, out=place)
    prediction_times.run(tables=place, out=times)
    checked = Path("genotypes")
    genotypes.run(tables=place, source=source, out=checked)
    for name in study.feature_sets:
        features.run(
            name, tables=place, source=source, genotypes=checked, times=times, out=Path("features") / name
        )
    outcomes.run(outcome, tables=place, times=times, out=Path("outcome"))
    assemble.run(
        tables=place, times=times, features=Path("features"), genotypes=checked, out=Path("assembled")
    )
    built = read_table(Path("assembled/columns.parquet"), ColumnDescriptions)
    problems, absent = compare_columns(
        bundle.definition.columns, built, _can_miss(bundle, set(built["feature_set"]))
    )
    if problems:
        raise BadInput(*[f"{study.study}: {problem}." for problem in problems])
    matrix = read_frame(Path("assembled/matrix.parquet"))
    kinds = {
        column.column: pl.Float64 if column.kind == "number" else pl.String
        for column in bundle.definition.columns
    }
    whole = matrix.with_columns(pl.lit(None, dtype=kinds[name]).alias(name) for name in absent)
    asked = study.outcomes[outcome]
    data = cell_data(
        read_table(Path("assembled/rows.parquet"), Rows),
        _with_places(whole.select("prediction_id", *sorted(kinds)), bundle),
        read_table(Path("outcome/outcomes.parquet"), Outcomes),
        horizons=asked.horizons,
        main=asked.main_horizon,
        causes=asked.causes,
    )
    return data, tuple(absent)


def _with_places(matrix: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    """Return the columns with the places (centre, plate) that an adjusted model looks at, unknown where the site has none."""
    with unusable_named():
        learner = load_learner(bundle.parts)
    if not isinstance(learner, AdjustedLearner):
        return matrix
    places = sorted(set(learner.adjustment.plan.places) - set(matrix.columns))
    known = read_frame(Path("assembled/context.parquet"))
    nowhere = [pl.lit(None, dtype=pl.String).alias(name) for name in places if name not in known.columns]
    return matrix.join(
        known.with_columns(nowhere).select("prediction_id", *places),
        on="prediction_id",
        how="left",
        validate="1:1",
        maintain_order="left",
    )


def _predict(bundle: Bundle, learner: Learner, data: CellData, absent: Sequence[str]) -> None:
    """Write folds, one per country, and the risks of the frozen model and of its base rate."""
    group = data.rows["country"].cast(pl.String).fill_null(NOT_RECORDED)
    fold = (group.rank("dense") - 1).cast(pl.Int32)
    rows = data.rows.select("prediction_id").with_columns(
        scheme=pl.lit(SCHEME), repeat=pl.lit(0), fold=fold, group=group
    )
    write_table(rows, Path("splits/splits.parquet"), Splits)
    horizons = data.target.horizons
    with unusable_named():
        risk = learner.predict_risk(data.X, horizons)
        if not (np.isfinite(risk).all() and (risk >= 0).all() and (risk <= 1).all()):
            raise ValueError("risks outside 0 to 1")
    risks = {bundle.manifest.learner: risk}
    null = null_risks(bundle, horizons)
    if null is not None and NULL not in risks:
        risks[NULL] = np.broadcast_to(null, (data.rows.height, *null.shape))
    for name, values in risks.items():
        write_table(
            _predictions(rows, values, horizons), Path("train") / name / "predictions.parquet", Predictions
        )


@contextlib.contextmanager
def unusable_named() -> Iterator[None]:
    """Say in one sentence that a bundle's model cannot be run: its files come from elsewhere and may hold anything."""
    try:
        yield
    except (BadInput, BadTarget, MemoryError, OSError):
        raise
    except Exception as problem:
        raise BadInput(
            "The model in the bundle cannot be run: its files are not as psystrata freeze writes them. Ask its sender."
        ) from problem


def null_risks(bundle: Bundle, horizons: Sequence[float]) -> NDArray[np.float64] | None:
    """Return the event's risk for everybody at each horizon, shape (1, horizons), or None where the bundle does not tell it."""
    told = {one.horizon: one.risk for one in bundle.reference.base_rates if one.cause == 1}
    risks = [told.get(horizon) for horizon in horizons or (0.0,)]
    return None if None in risks else np.array([risks], dtype=np.float64)


def _predictions(rows: pl.DataFrame, risk: Any, horizons: Sequence[float]) -> pl.DataFrame:
    """Return risks of shape (rows, causes, horizons) as schema Predictions."""
    return pl.concat(
        [
            rows.drop("group").with_columns(
                cause=pl.lit(cause + 1, dtype=pl.Int8),
                horizon=pl.lit(float(horizon)),
                risk=pl.Series(np.ascontiguousarray(risk[:, cause, place])),
            )
            for cause in range(risk.shape[1])
            for place, horizon in enumerate(horizons)
        ]
    )


def _result(study: Study, bundle: Bundle, data: CellData, absent: tuple[str, ...]) -> SiteResult:
    smallest = smallest_published(study.disclosure.level, study.disclosure.smallest_cell)
    here = summaries_of(
        data.X.select(_defined(bundle, absent)), data.rows["position"].to_numpy().astype(np.int64), smallest
    )
    folder = Path("compare")
    rows = read_table(Path("assembled/rows.parquet"), Rows)
    return SiteResult(
        metrics=read_table(folder / "metrics.parquet", Metrics).filter(pl.col("fold").is_not_null()),
        curves=read_table(folder / "curves.parquet", Curves),
        comparisons=read_table(folder / "comparisons.parquet", Comparisons),
        drift=drift_of(bundle.reference.summaries, here),
        weights=read_json(folder / "weights.json"),
        figures={
            path.stem: path.read_text(encoding="utf-8")
            for path in sorted((folder / "figures").glob(f"{bundle.manifest.learner}_*.svg"))
        },
        absent=absent,
        identifiers=frozenset({*rows["prediction_id"], *rows["patient_id"]}),
    )


def _can_miss(bundle: Bundle, present: Collection[str]) -> frozenset[str]:
    state = read_state(bundle.parts, bundle.manifest.kind)
    with unusable_named():
        found = missable(
            state,
            bundle.definition.columns,
            present,
            by_modality=LEARNERS[bundle.manifest.kind].uses_modalities,
        )
        if ADJUSTMENT_FILE not in bundle.parts:
            return found
        learner = load_learner(bundle.parts)
        assert isinstance(learner, AdjustedLearner)
        return (found | learner.spare) - set(learner.adjustment.plan.needed)


def _defined(bundle: Bundle, absent: Collection[str]) -> list[str]:
    return sorted(column.column for column in bundle.definition.columns if column.column not in absent)


def _at_horizons(outcome: dict[str, Any], horizons: Sequence[float]) -> dict[str, Any]:
    """Return an outcome's settings at the horizons that the model and the site share."""
    if "horizons_days" not in outcome:
        return outcome
    main = outcome["main_horizon_days"]
    return {
        **outcome,
        "horizons_days": list(horizons),
        "main_horizon_days": main if main in horizons else None,
    }


def require_kind(bundle: Bundle) -> None:
    """Refuse a model of a kind that this psystrata does not know."""
    if bundle.manifest.kind not in LEARNERS:
        raise BadSettings(
            f"The bundle holds a model of kind {bundle.manifest.kind!r}, which this psystrata does not know; known: "
            f"{', '.join(sorted(LEARNERS))}. Use psystrata {bundle.manifest.psystrata}."
        )
