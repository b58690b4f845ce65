"""What the tracked run of one stratification holds: every test's figure, aggregated tables, figures, the frozen model and the card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from experiments.run_contents import Cell, RunContents, csv_bytes
from experiments.run_files import digest, result_bytes, result_frame
from experiments.run_metrics import fresh_name
from experiments.run_note import LEAST_SAID, NoteTable, fitted

OUTCOME = "patient strata"  # what stands in the place of an outcome; no outcome can be called so
# What may leave the workspace, by the stage that writes it; each patient's stratum, probabilities and scores may not.
TABLES: Mapping[str, tuple[str, ...]] = {
    "strata": (
        *(
            "selection",
            "tests",
            "draws",
            "stability",
            "replication",
            "loadings",
            "profile",
            "importance",
            "accuracy",
        ),
        *("panel", "places", "place_shares", "regions", "region_axes", "centroids"),
    ),
    "strata_outcomes": (
        *(
            "tests",
            "value",
            "incidence",
            "contrasts",
            "curves",
            "held_out",
            "medication",
            "associations",
            "compared",
        ),
    ),
}
MODEL_SUFFIX = ".json"


def strata_contents(workspace: Path, name: str, *, study: str, parameters: Mapping[str, str]) -> RunContents:
    """Return what the run of one stratification holds.

    Args:
        workspace: folder of the study's result files.
        name: of the stratification.
        study: its name.
        parameters: settings worth comparing between runs, flat.

    Raises:
        BadInput: a result file is missing.
    """
    folders = {stage: workspace / stage / name for stage in TABLES}
    tables = {
        _table_name(stage, table): result_frame(folders[stage] / f"{table}.parquet")
        for stage, names in TABLES.items()
        for table in names
    }
    summary = json.loads(result_bytes(folders["strata_outcomes"] / "summary.json"))
    tests = pl.concat([tables["tests"], tables["outcomes_tests"]])
    model = {
        f"model/{path.name}": path.read_bytes()
        for path in sorted((folders["strata"] / "model").glob(f"*{MODEL_SUFFIX}"))
    }
    results = {
        **{f"tables/{table}.csv": csv_bytes(frame) for table, frame in tables.items()},
        "summary.json": result_bytes(folders["strata_outcomes"] / "summary.json"),
        **model,
        **_figures(folders),
    }
    cards = workspace / "strata_cards" / name
    card = {f"card/{name}.{kind}": result_bytes(cards / f"card.{kind}") for kind in ("html", "md")}
    return RunContents(
        cell=Cell(OUTCOME, name, {}, parameters, None),
        results=digest({**results, "strata": result_bytes(folders["strata"] / "strata.parquet")}),
        card=digest(card),
        parameters=dict(parameters),
        metrics=figures_of_tests(tests, summary),
        tags={
            "study": study,
            "outcome": OUTCOME,
            "stratification": name,
            "claim": str(summary["claim"]),
            "primary": "false",
            **{f"test.{item['test']}": str(item["status"]) for item in summary["tests"]},
        },
        note=strata_note(tests, summary, name),
        files={**results, **card},
    )


def needed_strata_files(workspace: Path, name: str) -> list[Path]:
    """Return the files without which a stratification cannot be tracked."""
    return [
        *(
            workspace / stage / name / f"{table}.parquet"
            for stage, names in TABLES.items()
            for table in names
        ),
        workspace / "strata_outcomes" / name / "summary.json",
        *(workspace / "strata_cards" / name / f"card.{kind}" for kind in ("html", "md")),
    ]


def figures_of_tests(tests: pl.DataFrame, summary: Mapping[str, Any]) -> dict[str, float]:
    """Return every test's figures by legal metric names; bounds of intervals end in .lower and .upper."""
    found: dict[str, float] = {"k": float(summary["k"]), "claimed": float(bool(summary["claimed"]))}
    for row in tests.iter_rows(named=True):
        key = fresh_name(legal_name(f"{row['test']}.{row['figure']}"), found)
        for suffix, column in (("", "estimate"), (".lower", "lower"), (".upper", "upper")):
            if row[column] is not None:
                found[f"{key}{suffix}"] = float(row[column])
    return found


def strata_note(tests: pl.DataFrame, summary: Mapping[str, Any], name: str) -> str:
    """Return the Markdown note of a run: the claim, each test with its reason, each figure beside its threshold.

    Figures that a threshold decides on come first: where MLflow has no room for all, the others are left out before them.
    """
    results = [
        f"| {item['test']} | {str(item['status']).replace('_', ' ')} | {item['reason']} |"
        for item in summary["tests"]
    ]
    figures = [
        f"| {row['test']} | {row['figure']} | {_number(row['estimate'])} | {_number(row['threshold'])} | "
        f"{_word(row['passed'])} | {'' if row['n'] is None else row['n']} |"
        for row in tests.sort(pl.col("threshold").is_null(), maintain_order=True).iter_rows(named=True)
    ]
    tables = [
        NoteTable("| test | result | why |", results),
        NoteTable("| test | figure | estimate | threshold | passed | n |", figures),
    ]
    ending = f"Stratification card: artifacts, card/{name}.html. {LEAST_SAID}"
    return fitted([f"**Claim: {summary['claim']}.**"], tables, ending)


def _table_name(stage: str, table: str) -> str:
    return table if stage == "strata" else f"outcomes_{table}"


def _figures(folders: Mapping[str, Path]) -> dict[str, bytes]:
    """Return what the two stages drew: they draw single patients of public data alone."""
    paths = [path for folder in folders.values() for path in sorted((folder / "figures").glob("*.svg"))]
    return {f"figures/{path.name}": path.read_bytes() for path in paths}


def legal_name(text: str) -> str:
    """Return a name that MLflow takes for a metric; what a figure is of follows after a space."""
    plain = text.replace(", ", " ").replace(": ", " ")
    return "".join(letter if letter.isalnum() or letter in "._- /" else "_" for letter in plain)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _word(passed: bool | None) -> str:
    return "" if passed is None else "yes" if passed else "no"
