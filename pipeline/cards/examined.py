"""Sections of the lead learner's card: assumptions, a new centre, label sets, patterns, subgroups, refits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.examination.schemas import (
    Abstaining,
    LabelSets,
    Patterns,
    Recalibration,
    Sensitivity,
    SubgroupDifferences,
)
from pipeline.cards.flow import Table
from pipeline.cards.section import Section, by_metric, count, drawn, same_columns
from pipeline.cards.tables import in_brackets
from pipeline.cards.wording import METRICS, number
from pipeline.files import read_json, read_table


def examined_sections(outcome: str, workspace: Path) -> list[Section | None]:
    """Return what stages examine and probe found; None where something does not apply.

    Args:
        outcome: name of the outcome.
        workspace: artifacts/<study>.
    """
    return [
        _assumptions(outcome, workspace),
        _new_centre(outcome, workspace),
        _sets(outcome, workspace),
        _patterns(outcome, workspace),
        _differences(outcome, workspace),
        _refits(outcome, workspace),
    ]


def _assumptions(outcome: str, workspace: Path) -> Section | None:
    table = read_table(workspace / "examine" / outcome / "sensitivity.parquet", Sensitivity)
    if table.is_empty():
        return None
    rows: Table = []
    for key, part in table.group_by(["scheme", "group", "analysis", "level"], maintain_order=True):
        scheme, group, analysis, level = key
        cells = {
            METRICS.get(row["metric"], row["metric"].replace("_", " ")): (
                row["note"]
                if row["estimate"] is None and row["note"]
                else number(row["estimate"]) + in_brackets(row["lower"], row["upper"])
            )
            for row in part.iter_rows(named=True)
        }
        first = part.row(0, named=True)
        rows.append(
            {
                "scheme": f"{scheme}{f': {group}' if group else ''}",
                "analysis": f"{analysis}: {level}" if level else str(analysis),
                **cells,
                "n": count(first["n"]),
                "events": count(first["events"]),
            }
        )
    return Section(
        "assumptions",
        "Would it hold otherwise?",
        ("The same predictions under other assumptions on what was not seen, or in other rows.",),
        (("Sensitivity", same_columns(rows)),),
        drawn(
            workspace / "examine" / outcome / "figures",
            {"sensitivity": "Observed over expected under each analysis"},
        ),
    )


def _new_centre(outcome: str, workspace: Path) -> Section | None:
    folder = workspace / "examine" / outcome
    table = read_table(folder / "recalibration.parquet", Recalibration)
    summary = read_json(folder / "summary.json")
    words = [
        sentence
        for scheme, found in (summary.get("schemes") or {}).items()
        for sentence in _recalibration_words(scheme, found.get("recalibration"))
    ]
    if table.is_empty():
        return None
    rows: Table = []
    for key, part in table.group_by(["scheme", "method", "measure"], maintain_order=True):
        scheme, method, measure = key
        cells = {
            "half of the centre" if row["patients"] is None else f"{row['patients']} patients": number(
                row["estimate"]
            )
            + (f" ({row['centres']} centres)" if row["patients"] is not None else "")
            for row in part.iter_rows(named=True)
        }
        rows.append(
            {"scheme": str(scheme), "update": str(method), "error": str(measure).replace("_", " "), **cells}
        )
    return Section(
        "recalibration",
        "In a new centre",
        (
            "What an update on some local patients gains: the intercept first; a failure of the slope is told apart.",
            *words,
        ),
        (("Error after an update, by number of local patients", same_columns(rows)),),
        drawn(
            folder / "figures",
            {"recalibration": "Error in a new centre against the number of local patients"},
        ),
    )


def _recalibration_words(scheme: str, found: Any) -> list[str]:
    if not found:
        return []
    intercept, slope = found["intercept"], found["slope"]
    needed, share, helps = intercept["local_patients"], slope["share_failing"], slope["helps_from"]
    close = (
        "comes close at no number of local patients tried"
        if needed is None
        else "needs no local patients"
        if needed == 0
        else f"needs {needed} local patients"
    )
    fails = "in an unknown share" if share is None else f"in {100 * share:.0f} %"
    updated = "helps at no number of patients tried" if helps is None else f"helps from {helps} patients on"
    return [
        f"{scheme}: the {intercept['method']} {close} ({intercept['rule']}). The slope fails {fails} of "
        f"{slope['centres']} centres, where 5 % would by chance; updating it too {updated}."
    ]


def _instability_words(found: Mapping[str, Any]) -> str:
    switched = "; ".join(f"{100 * value:.0f} % at {level}" for level, value in found["switched"].items())
    return (
        f"{found['refits']} refits on bootstrap samples of patients: a patient's risk moves by "
        f"{number(found['mean_absolute_error'])} on average, and lies on the other side of the threshold in {switched}."
    )


def _permutation_words(found: Mapping[str, Any]) -> str:
    return (
        f"Outcomes permuted {found['permutations']} times ({found['what']}): AUROC {number(found['observed'])} against "
        f"{number(found['null_mean'])} on average without any signal, p {number(found['p'])}."
    )


def _sets(outcome: str, workspace: Path) -> Section | None:
    folder = workspace / "examine" / outcome
    sets = read_table(folder / "conformal.parquet", LabelSets)
    abstaining = read_table(folder / "abstaining.parquet", Abstaining)
    if sets.is_empty():
        return None
    overall = sets.filter(pl.col("group").is_null())
    by_centre = sets.filter(pl.col("group").is_not_null() & pl.col("metric").str.starts_with("coverage"))
    return Section(
        "sets",
        "Label sets and abstaining",
        (
            "A set holds the labels that cannot be excluded at the wanted coverage: event, no event, both or none. The "
            "coverage is aimed at for patients like those it was calibrated on, and measured here, not proven: models of the "
            "other folds saw the tested patients. None is promised for a single centre, whose coverage stands below.",
        ),
        (
            ("Share and coverage of label sets", by_metric(overall, ("scheme", "level"))),
            ("Coverage by centre", by_metric(by_centre, ("scheme", "level", "group"))),
            ("What abstaining costs", by_metric(abstaining, ("scheme", "rule", "level"))),
        ),
        drawn(
            folder / "figures",
            {"label_sets": "Label sets", "abstaining": "What abstaining costs"},
        ),
    )


def _patterns(outcome: str, workspace: Path) -> Section | None:
    table = read_table(workspace / "examine" / outcome / "patterns.parquet", Patterns)
    if table["pattern"].n_unique() < 2:
        return None
    return Section(
        "patterns",
        "When a modality is missing",
        tables=(
            (
                "Figures by the modalities that a prediction has",
                by_metric(table, ("scheme", "group", "pattern")),
            ),
        ),
    )


def _differences(outcome: str, workspace: Path) -> Section | None:
    folder = workspace / "examine" / outcome
    table = read_table(folder / "subgroup_differences.parquet", SubgroupDifferences)
    if table.is_empty():
        return None
    rows: Table = [
        {
            "scheme": ": ".join(filter(None, (row["scheme"], row["group"]))),
            "level": f"{row['variable'].replace('_', ' ')}: {row['level']}",
            "against": row["others"],
            "figure": METRICS.get(row["metric"], row["metric"]),
            "difference (ratio for observed to expected)": number(row["estimate"])
            + in_brackets(row["lower"], row["upper"]),
            "p": number(row["p"]),
            "p, Holm": number(row["p_holm"]),
            "tests": str(row["tests"]),
        }
        for row in table.iter_rows(named=True)
    ]
    return Section(
        "differences",
        "Differences between subgroups",
        ("Within fold, with all levels tested counted (Holm).",),
        (("Each level against the others", rows),),
    )


def _refits(outcome: str, workspace: Path) -> Section | None:
    folder = workspace / "probe" / outcome
    summary = read_json(folder / "summary.json")
    told = {"instability": _instability_words, "permutation": _permutation_words}
    words = [worded(summary[name]) for name, worded in told.items() if summary.get(name)]
    figures = drawn(
        folder / "figures",
        {
            "instability": "Risks of refits on bootstrap samples of patients against the model's own",
            "calibration_instability": "Calibration of the refits",
            "permutation": "AUROC of the whole procedure with permuted outcomes, and as it is",
            "learning_curve": "Out-of-fold figures against the number of training events",
        },
    )
    return (
        Section("refits", "Had other patients been seen", tuple(words), (), figures)
        if words or figures
        else None
    )
