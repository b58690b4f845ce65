"""Everything that stage examine writes of one outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dataframely as dy
import polars as pl

from experiments.evaluation.sample import Sample, evaluated_sample
from experiments.examination.abstaining import abstaining_rows
from experiments.examination.conformal import set_rows
from experiments.examination.figures import (
    abstaining_figure,
    differences_figure,
    recalibration_figure,
    sensitivity_figure,
    sets_figure,
)
from experiments.examination.patterns import pattern_rows
from experiments.examination.recalibration import recalibrated
from experiments.examination.schemas import (
    Abstaining,
    LabelSets,
    Patterns,
    Recalibration,
    Sensitivity,
    SubgroupDifferences,
)
from experiments.examination.sensitivity import SensitivitySettings, sensitivity
from experiments.examination.setting import Evaluated, Examination, Row, evaluated_of, shown_groups
from experiments.examination.subgroup_differences import subgroup_differences

TABLES: dict[str, type[dy.Schema]] = {
    "sensitivity": Sensitivity,
    "recalibration": Recalibration,
    "conformal": LabelSets,
    "abstaining": Abstaining,
    "patterns": Patterns,
    "subgroup_differences": SubgroupDifferences,
}


@dataclass(frozen=True)
class ExaminationSettings:
    """What is tried out; as in pipeline.settings.experiment.Examination, and the declared subgroups."""

    sensitivity: SensitivitySettings = field(default_factory=SensitivitySettings)
    local_patients: tuple[int, ...] = (0, 10, 20, 50, 100, 200, 500)
    local_draws: int = 50
    set_levels: tuple[float, ...] = (0.9, 0.8)
    abstain_within: tuple[float, ...] = (0.02, 0.05, 0.1)
    subgroups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examined:
    """What stage examine writes.

    Attributes:
        tables: by file name; see TABLES.
        summary: what was examined, the figures in words, and why a table is empty.
        figures: matplotlib figures by name.
    """

    tables: dict[str, pl.DataFrame]
    summary: dict[str, Any]
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """What an outcome's examination reads.

    Attributes:
        rows, outcomes, splits: schemas Rows, Outcomes and Splits.
        predictions: schema Predictions, of the lead learner.
        reference: the same of the clinical model; None without one.
        patterns: pattern of modalities by prediction_id.
        covariates: columns of `rows` that censoring may depend on.
    """

    rows: pl.DataFrame
    outcomes: pl.DataFrame
    splits: pl.DataFrame
    predictions: pl.DataFrame
    reference: pl.DataFrame | None
    patterns: Mapping[str, str]
    covariates: tuple[str, ...] = ()


def not_examined(outcome: str, reason: str) -> Examined:
    """Return empty tables with the reason."""
    tables: dict[str, pl.DataFrame] = {name: schema.create_empty() for name, schema in TABLES.items()}
    return Examined(tables, {"outcome": outcome, "learner": None, "reason": reason})


def examine(
    examination: Examination, data: Data, schemes: Mapping[str, str], settings: ExaminationSettings
) -> Examined:
    """Examine the lead learner of one outcome under every declared scheme.

    Args:
        examination: names, seed, disclosure, horizon and threshold.
        data: what is read.
        schemes: kind by scheme name.
        settings: what is tried out.
    """
    rows: dict[str, list[Row]] = {name: [] for name in TABLES}
    by_scheme = {}
    for scheme, kind in schemes.items():
        found, by_scheme[scheme] = _of_scheme(examination, data, (scheme, kind), settings)
        for name, own in found.items():
            rows[name] += own
    tables = {name: examination.table(schema, rows[name]) for name, schema in TABLES.items()}
    summary = {
        "outcome": examination.outcome,
        "learner": examination.learner,
        "reference": examination.reference,
        "horizon": examination.horizon,
        "threshold": examination.threshold,
        "schemes": by_scheme,
        "reason": None,
    }
    return Examined(tables, summary, _figures(tables, list(schemes)))


def _of_scheme(
    examination: Examination, data: Data, scheme: tuple[str, str], settings: ExaminationSettings
) -> tuple[dict[str, list[Row]], dict[str, Any]]:
    """Return the rows of each table under one scheme, and its part of the summary."""

    def again(outcomes: pl.DataFrame, chosen: pl.Series | None) -> Evaluated:
        sample = _sample(examination, data, scheme, outcomes, chosen)
        return evaluated_of(sample, data.predictions, data.reference, examination.learner)

    tested = again(data.outcomes, None)
    if not shown_groups(tested.parts, examination.smallest_cell)[None]:
        return {}, {"not_applicable": {"all": "too few patients, with or without an event, to be published"}}
    reasons = {}
    rows: dict[str, list[Row]] = {}
    rows["sensitivity"], of_sensitivity = sensitivity(
        examination, tested, data.outcomes, again, settings.sensitivity
    )
    rows["recalibration"], recalibration, reasons["recalibration"] = recalibrated(
        examination, tested, settings.local_patients, settings.local_draws
    )
    rows["conformal"], sets, reasons["conformal"] = set_rows(examination, tested, settings.set_levels)
    rows["abstaining"] = abstaining_rows(examination, tested, settings.set_levels, settings.abstain_within)
    rows["patterns"], reasons["patterns"] = pattern_rows(examination, tested, data.patterns)
    rows["subgroup_differences"] = subgroup_differences(examination, tested, settings.subgroups)
    if not rows["subgroup_differences"]:
        reasons["subgroup_differences"] = "no subgroup is declared that has two levels"
    why = {**of_sensitivity, **{name: reason for name, reason in reasons.items() if reason}}
    return rows, {
        "not_applicable": why,
        "recalibration": recalibration or None,
        "conformal": sets or None,
    }


def _sample(
    examination: Examination,
    data: Data,
    scheme: tuple[str, str],
    outcomes: pl.DataFrame,
    chosen: pl.Series | None,
) -> Sample:
    name, kind = scheme
    splits = data.splits.filter(pl.col("scheme") == name)
    if chosen is not None:
        splits = splits.filter(pl.col("prediction_id").is_in(chosen.to_list()))
    return evaluated_sample(
        data.rows,
        outcomes,
        splits,
        scheme=name,
        kind=kind,
        horizon=examination.horizon,
        covariates=data.covariates,
    )


def _figures(tables: Mapping[str, pl.DataFrame], schemes: Sequence[str]) -> dict[str, Any]:
    drawn = {
        "sensitivity": (sensitivity_figure, tables["sensitivity"]),
        "recalibration": (recalibration_figure, tables["recalibration"]),
        "label_sets": (sets_figure, tables["conformal"]),
        "abstaining": (abstaining_figure, tables["abstaining"]),
        "subgroup_differences": (differences_figure, tables["subgroup_differences"]),
    }
    return {
        name: draw(table, [scheme for scheme in schemes if scheme in set(table["scheme"])])
        for name, (draw, table) in drawn.items()
        if not table.is_empty()
    }
