"""What a card says, read from the result files: a number that stands in none of them cannot get onto a card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from experiments.results import Comparisons, Metrics, at_horizon
from features.schema import ColumnDescriptions
from pipeline.cards.advice import limits_found, next_steps
from pipeline.cards.flow import Table, file_flow, outcome_counts, patient_flow, prediction_flow, worded_count
from pipeline.cards.headlines import headlines, rungs_of
from pipeline.cards.section import Section, without_empty_columns
from pipeline.cards.sections import closer_sections, ladder_table
from pipeline.cards.tables import feature_table, in_brackets, subgroup_table
from pipeline.cards.tripod import TripodItem, tripod_items
from pipeline.cards.wording import INTERVALS, METRICS, interval, number
from pipeline.errors import BadInput
from pipeline.files import read_json, read_table
from pipeline.settings.adjustment import plan_of, with_composites
from pipeline.settings.study import Study


@dataclass(frozen=True)
class Card:
    """Everything on one card: text and tables already worded, figures as SVG text."""

    study: str
    study_title: str
    outcome: str
    outcome_title: str
    learner: str
    learner_description: str
    primary: bool
    public: bool
    intended_use: str
    consent: str
    estimand: Table
    patients: Table
    files: Table
    predictions: Table
    eligible: str
    events: str
    headlines: Table
    ladder: Table
    figures_by_rung: Table
    metrics: Table
    comparisons: Table
    subgroups: Table
    features: Table
    feature_sets: Table
    certificate: Table
    planted: Table
    weights: Table
    strata: str
    model: Table
    limits: tuple[str, ...]
    next_steps: tuple[str, ...]
    tripod: tuple[TripodItem, ...]
    figures: Mapping[str, str]
    intervals: Table
    sections: tuple[Section, ...]


def read_card(study: Study, outcome: str, learner: str, description: str, workspace: Path) -> Card:
    """Read the result files of one cell and word them.

    Args:
        study: the settings.
        outcome: name of the outcome.
        learner: name of the learner in the study.
        description: one line on the kind of learner.
        workspace: artifacts/<study>.
    """
    settings = study.outcomes[outcome]
    cell = workspace / "train" / outcome / learner
    metrics = read_table(workspace / "compare" / outcome / "metrics.parquet", Metrics)
    metrics = at_horizon(metrics.filter(pl.col("learner") == learner), settings.main_horizon)
    if metrics.is_empty():
        raise BadInput(
            f"{workspace}/compare/{outcome}/metrics.parquet has no row of {learner}: run dvc repro."
        )
    certificate = read_json(cell / "certificate.json")
    flow = read_json(workspace / "outcomes" / outcome / "flow.json")
    smallest = 0 if study.disclosure.level == "public" else study.disclosure.smallest_cell
    intake = read_json(workspace / "tables" / "flow.json")
    comparisons = read_table(workspace / "compare" / outcome / "comparisons.parquet", Comparisons)
    comparisons = at_horizon(comparisons.filter(pl.col("learner") == learner), settings.main_horizon)
    final = read_json(cell / "final.json")
    columns = with_composites(
        read_table(workspace / "assembled" / "columns.parquet", ColumnDescriptions), plan_of(study, learner)
    )
    return Card(
        study=study.study,
        study_title=study.title,
        outcome=outcome,
        outcome_title=settings.title,
        learner=learner,
        learner_description=description,
        primary=(study.primary.outcome, study.primary.learner) == (outcome, learner),
        public=study.disclosure.level == "public",
        intended_use=study.intended_use,
        consent=study.consent.basis,
        estimand=_estimand(settings.estimand.model_dump()),
        patients=patient_flow(intake, smallest),
        files=file_flow(intake, smallest),
        predictions=prediction_flow(flow, smallest),
        eligible=worded_count(flow["eligible"], smallest),
        events=outcome_counts(flow, smallest),
        headlines=headlines(study, metrics),
        ladder=ladder_table(study, outcome, learner, workspace),
        figures_by_rung=without_empty_columns(_all_figures(study, metrics)),
        metrics=_group_metrics(metrics),
        comparisons=_comparisons(comparisons),
        subgroups=subgroup_table(metrics),
        features=feature_table(
            workspace / "explain" / outcome / "shap.parquet", learner, columns, study.dictionary
        ),
        feature_sets=_feature_sets(columns.filter(pl.col("column").is_in(final["columns"]))),
        certificate=[
            {
                "check": item["check"],
                "result": "passed" if item["passed"] else "FAILED",
                "detail": item["detail"],
            }
            for item in certificate["checks"]
        ],
        planted=[
            {
                "planted leak": item["leak"],
                "result": "caught" if item["caught"] else "MISSED",
                "by": "; ".join(item["by"]),
            }
            for item in certificate["planted"]
        ],
        weights=_weights(read_json(workspace / "compare" / outcome / "weights.json")),
        strata=strata_sentence(study, workspace),
        model=_model(study, outcome, learner, final),
        limits=(*study.limits, *limits_found(study, outcome, flow["events"])),
        next_steps=next_steps(study, outcome, learner, comparisons),
        tripod=tripod_items(study, outcome, learner),
        figures=_figures(workspace, outcome, learner),
        intervals=[
            {"interval": name, "what it is of": text} for name, text in INTERVALS.items() if name != "none"
        ],
        sections=closer_sections(study, outcome, learner, workspace),
    )


def _estimand(values: Mapping[str, str]) -> Table:
    words = {
        "eligible": "who is eligible and at risk",
        "time_zero": "time zero",
        "available": "what is known by then",
        "horizon": "horizon",
        "cause": "event and competing events",
        "treatment": "treatment",
        "target": "target population",
    }
    return [{"part": words[key], "declared": values[key]} for key in words]


def _all_figures(study: Study, metrics: pl.DataFrame) -> Table:
    table = []
    for rung, figures in rungs_of(study, metrics):
        cells = dict.fromkeys(METRICS.values(), "")
        shown = figures.filter(
            (pl.col("interval_kind") != "prediction_interval") & pl.col("metric").is_in(list(METRICS))
        )
        for row in shown.iter_rows(named=True):
            cells[METRICS[row["metric"]]] = number(row["estimate"]) + in_brackets(row["lower"], row["upper"])
        sizes = figures.filter(pl.col("metric") == "auroc").head(1).to_dicts()
        size = sizes[0] if sizes else {"n": None, "events": None}
        table.append(
            {
                "validation": rung,
                **cells,
                "n": "" if size["n"] is None else f"{size['n']:,}",
                "events": "" if size["events"] is None else f"{size['events']:,}",
            }
        )
    return table


def _group_metrics(metrics: pl.DataFrame) -> Table:
    rows = metrics.filter(
        pl.col("subgroup").is_null() & pl.col("fold").is_not_null() & (pl.col("metric") == "auroc")
    ).sort("scheme", "repeat", "fold")
    repeated = rows["repeat"].n_unique() > 1
    return [
        {
            "scheme": row["scheme"],
            "left out": row["group"] or _fold(row["fold"], row["repeat"] if repeated else None),
            "AUROC": number(row["estimate"]),
            "95 % interval": interval(row["lower"], row["upper"]),
            "n": "" if row["n"] is None else f"{row['n']:,}",
            "events": "" if row["events"] is None else f"{row['events']:,}",
            "note": row["note"] or "",
        }
        for row in rows.iter_rows(named=True)
    ]


def _fold(fold: int, repeat: int | None) -> str:
    return f"fold {fold + 1}" if repeat is None else f"fold {fold + 1} of repeat {repeat + 1}"


def _comparisons(rows: pl.DataFrame) -> Table:
    table = []
    for (scheme, group, reference), part in rows.group_by(
        ["scheme", "group", "reference"], maintain_order=True
    ):
        cells = {
            f"difference in {METRICS.get(row['metric'], row['metric'])}": number(
                row["difference"], signed=True
            )
            + in_brackets(row["lower"], row["upper"])
            for row in part.iter_rows(named=True)
        }
        first = part.row(0, named=True)
        table.append(
            {
                "scheme": str(scheme),
                "left out": str(group or "combined"),
                "against": str(reference),
                **cells,
                "interval is of": INTERVALS[first["interval_kind"]],
                "folds": str(first["folds"]),
            }
        )
    return table


def _feature_sets(columns: pl.DataFrame) -> Table:
    counted = columns.group_by("feature_set", maintain_order=True).agg(
        pl.len().alias("columns"), pl.col("source").unique(maintain_order=True).head(6)
    )
    return [
        {
            "feature set": row["feature_set"],
            "columns": str(row["columns"]),
            "sources": "; ".join(row["source"]),
        }
        for row in counted.sort("feature_set").iter_rows(named=True)
    ]


def _weights(weights: Mapping[str, Any]) -> Table:
    return [
        {
            "scheme": scheme,
            "weights come from": item["population"],
            "covariates": ", ".join(item["covariates"]) or "none",
            "largest weight": number(item["largest_weight"], digits=2),
            "effective n": number(None if item["effective_n"] is None else round(item["effective_n"])),
            "share of unknown status": number(item["unknown_status_share"]),
        }
        for scheme, item in weights.items()
    ]


def strata_sentence(study: Study, workspace: Path) -> str:
    """Word what each stratification of the study claims, from the results of the whole chain of tests."""
    if not study.stratifications:
        return "This study asks for no strata."
    found = {
        name: read_json(workspace / "strata_outcomes" / name / "summary.json")
        for name in study.stratifications
    }
    return " ".join(f"{item['title'].rstrip('.')}: {item['claim']}." for item in found.values())


def _model(study: Study, outcome: str, learner: str, final: Mapping[str, Any]) -> Table:
    chosen = (
        ", ".join(f"{key} {value}" for key, value in sorted(final["parameters"].items())) or "nothing tuned"
    )
    return [
        {"item": "kind of learner", "value": str(final["kind"])},
        {"item": "parameters chosen by the inner procedure on all patients", "value": chosen},
        {"item": "columns used", "value": str(len(final["columns"]))},
        {"item": "tuning trials in each fold", "value": str(study.learners[learner].trials)},
        {"item": "inner folds", "value": str(study.tuning.inner_folds)},
        {"item": "seed", "value": str(study.seed)},
        {"item": "fingerprint of the final model (SHA-256)", "value": str(final["fingerprint"])},
        {"item": "files", "value": f"artifacts/{study.study}/train/{outcome}/{learner}/final"},
    ]


def _figures(workspace: Path, outcome: str, learner: str) -> dict[str, str]:
    places: Sequence[tuple[str, Path]] = (
        ("calibration", workspace / "compare" / outcome / "figures" / f"{learner}_calibration.svg"),
        ("decision", workspace / "compare" / outcome / "figures" / f"{learner}_decision.svg"),
        ("groups", workspace / "compare" / outcome / "figures" / f"{learner}_groups.svg"),
        ("shap", workspace / "explain" / outcome / "figures" / f"{learner}_shap.svg"),
        ("beeswarm", workspace / "explain" / outcome / "figures" / f"{learner}_beeswarm.svg"),
    )
    return {name: path.read_text(encoding="utf-8") for name, path in places if path.is_file()}
