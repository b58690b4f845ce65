"""What one tracked run holds, read from result files alone: parameters, metrics, tags, note and permitted files."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from experiments.genetics.run_metrics import genetic_metrics
from experiments.run_files import digest, result_bytes, result_frame
from experiments.run_metrics import metric_values, reported
from experiments.run_note import note
from features.errors import BadInput
from models.storage import fingerprint

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")  # CWE-1236: a spreadsheet would run such a cell
IDENTIFYING = ("patient_id", "prediction_id", "position", "sample_id")
LONGEST_VALUE = 500
_MODEL_FILE = re.compile(r"^[a-z0-9_]+\.(json|txt|ubj|npz|npy|skops)$")
FIGURES = ("calibration", "decision", "groups", "shap", "dependence")
PUBLIC_FIGURES = ("beeswarm",)  # row-level: one point per patient
COMPARED = ("metrics", "comparisons", "curves", "ladder", "heterogeneity")
EXAMINED = ("sensitivity", "recalibration", "conformal", "abstaining", "patterns", "subgroup_differences")
AUDITED = ("site", "harmonisation", "imputation", "new_centre", "missingness", "patterns")  # as audit_<name>
PROBED = ("instability", "permutation", "learning_curve")
EXAMINED_FIGURES = ("sensitivity", "recalibration", "label_sets", "abstaining", "subgroup_differences")
PROBED_FIGURES = ("instability", "calibration_instability", "permutation", "learning_curve")
AUDITED_FIGURES = ("site", "harmonisation", "imputation", "new_centre", "missingness")
GENETIC, GENETIC_FIGURES = (
    "genetic_",
    ("scores", "matches"),
)  # of stage genotypes, where a model uses its columns
CLOSER_FIGURES = {"examine": EXAMINED_FIGURES, "probe": PROBED_FIGURES, "audit": AUDITED_FIGURES}


@dataclass(frozen=True)
class Cell:
    """One outcome with one learner, and what the settings say of it.

    Attributes:
        outcome: its name.
        learner: its name.
        schemes: validation schemes by name, with their kinds.
        parameters: settings worth comparing between runs, flat.
        primary: scheme and metric declared beforehand, where this cell is the primary one.
        horizon: the outcome's main one, in days, whose figures are shown; 0 for a label; None where there is one alone.
        lead: whether stages examine, probe and audit looked closer at this cell.
    """

    outcome: str
    learner: str
    schemes: Mapping[str, str]
    parameters: Mapping[str, str]
    primary: tuple[str, str] | None
    horizon: float | None = None
    lead: bool = False

    @property
    def name(self) -> str:
        """The cell's name, unique within a study."""
        return f"{self.outcome} {self.learner}"


@dataclass(frozen=True)
class RunContents:
    """Everything of one run that is a function of the result files and settings.

    Attributes:
        cell: which cell.
        results: SHA-256 of the cell's results.
        card: SHA-256 of its card, which also changes with other cells of the outcome.
        parameters: name to text.
        metrics: legal name to value; interval bounds end in .lower and .upper.
        tags: name to text.
        note: Markdown.
        files: path inside the run to its bytes.
    """

    cell: Cell
    results: str
    card: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    note: str
    files: Mapping[str, bytes]


def run_contents(workspace: Path, cell: Cell, *, study: str, public: bool) -> RunContents:
    """Return what the run of one cell holds.

    Args:
        workspace: folder of the study's result files.
        cell: which cell.
        study: its name.
        public: whether row-level figures may leave the workspace.

    Raises:
        BadInput: a result file is missing, or one may not leave the workspace.
    """
    train = workspace / "train" / cell.outcome / cell.learner
    tables = _tables(workspace, cell)
    main = {name: _shown(tables[name], cell) for name in ("metrics", "comparisons")}
    final = json.loads(result_bytes(train / "final.json"))
    model = {path.name: path.read_bytes() for path in sorted((train / "final").glob("*"))}
    results = {
        **{f"tables/{name}.csv": csv_bytes(frame) for name, frame in tables.items()},
        "tables/metrics.json": _json_bytes(tables["metrics"]),
        "certificate.json": result_bytes(train / "certificate.json"),
        "model/final.json": result_bytes(train / "final.json"),
        **{f"model/{name}": content for name, content in model.items()},
        **_figures(workspace, cell, public=public),
        **_genetic_files(workspace, final),
    }
    cards = workspace / "cards" / cell.outcome
    card = {
        f"card/{cell.learner}.{kind}": result_bytes(cards / f"{cell.learner}.{kind}")
        for kind in ("html", "md")
    }
    refuse_unlisted({*results, *card}, learner=cell.learner, public=public)
    if fingerprint(model) != final.get("fingerprint"):
        raise BadInput(
            f"{train / 'final'} is not the model that was trained: its files do not have the fingerprint of final.json. "
            f"Remove {train} and run dvc repro."
        )
    predictions = {"predictions": result_bytes(train / "predictions.parquet")}
    return RunContents(
        cell=cell,
        results=digest({**results, **predictions}),
        card=digest(card),
        parameters={**cell.parameters, **_final_parameters(final)},
        metrics={**metric_values(main["metrics"], cell.schemes), **_genetic_metrics(workspace, final)},
        tags={
            "study": study,
            "outcome": cell.outcome,
            "learner": cell.learner,
            "primary": str(cell.primary is not None).lower(),
            **_interval_tags(main["metrics"]),
        },
        note=note(reported(main["metrics"], cell.schemes), main["comparisons"], cell.learner, cell.primary),
        files={**results, **card},
    )


def needed_files(workspace: Path, cell: Cell) -> list[Path]:
    """Return the files without which a cell cannot be tracked."""
    train, cards = workspace / "train" / cell.outcome / cell.learner, workspace / "cards" / cell.outcome
    return [
        *(
            train / name
            for name in ("final.json", "certificate.json", "predictions.parquet", "trials.parquet")
        ),
        *(workspace / "compare" / cell.outcome / f"{name}.parquet" for name in COMPARED),
        workspace / "explain" / cell.outcome / "shap.parquet",
        *(_closer(workspace, cell).values()),
        *(cards / f"{cell.learner}.{kind}" for kind in ("html", "md")),
    ]


def csv_bytes(frame: pl.DataFrame) -> bytes:
    """Return a frame as CSV whose text cells no spreadsheet takes for formulas; refuses identifying columns."""
    found = [name for name in frame.columns if name in IDENTIFYING]
    if found:
        raise BadInput(
            f"A table with the column {found[0]} may not leave the workspace; track aggregated tables."
        )
    texts = [name for name, dtype in frame.schema.items() if dtype in (pl.String, pl.Enum, pl.Categorical)]
    escaped = frame.with_columns(
        pl.when(
            pl.any_horizontal(pl.col(name).cast(pl.String).str.starts_with(start) for start in FORMULA_STARTS)
        )
        .then(pl.lit("'") + pl.col(name).cast(pl.String))
        .otherwise(pl.col(name).cast(pl.String))
        .alias(name)
        for name in texts
    )
    buffer = io.BytesIO()
    escaped.write_csv(buffer)
    return buffer.getvalue()


def refuse_unlisted(names: set[str], *, learner: str, public: bool) -> None:
    """Refuse any file that is not on the list of what may leave the workspace."""
    figures = (*FIGURES, *PUBLIC_FIGURES) if public else FIGURES
    allowed = {
        "certificate.json",
        "tables/metrics.json",
        *(
            f"tables/{name}.csv"
            for name in (*COMPARED, *EXAMINED, *PROBED, "shap", "trials", "genetic_scores")
        ),
        *(f"tables/audit_{name}.csv" for name in AUDITED),
        *(f"figures/{learner}_{name}.svg" for name in figures),
        *(f"figures/{stage}_{name}.svg" for stage, names in CLOSER_FIGURES.items() for name in names),
        *(f"figures/{GENETIC}{name}.svg" for name in GENETIC_FIGURES),
        *(f"card/{learner}.{kind}" for kind in ("html", "md")),
    }
    refused = sorted(
        name
        for name in names - allowed
        if not (name.startswith("model/") and _MODEL_FILE.match(name.removeprefix("model/")))
    )
    if refused:
        raise BadInput(
            f"{refused[0]} is not on the list of files that may be tracked; nothing of it was logged."
        )


def _tables(workspace: Path, cell: Cell) -> dict[str, pl.DataFrame]:
    compare, explain = workspace / "compare" / cell.outcome, workspace / "explain" / cell.outcome
    own = pl.col("learner") == cell.learner
    return {
        **{name: result_frame(compare / f"{name}.parquet").filter(own) for name in COMPARED},
        **{name: result_frame(path) for name, path in _closer(workspace, cell).items()},
        "shap": result_frame(explain / "shap.parquet").filter(own),
        "trials": result_frame(workspace / "train" / cell.outcome / cell.learner / "trials.parquet"),
    }


def _closer(workspace: Path, cell: Cell) -> dict[str, Path]:
    """Return the tables that stages examine, probe and audit wrote of a lead learner."""
    if not cell.lead:
        return {}
    folders = {stage: workspace / stage / cell.outcome for stage in ("examine", "probe", "audit")}
    return {
        **{name: folders["examine"] / f"{name}.parquet" for name in EXAMINED},
        **{name: folders["probe"] / f"{name}.parquet" for name in PROBED},
        **{f"audit_{name}": folders["audit"] / f"{name}.parquet" for name in AUDITED},
    }


def _shown(frame: pl.DataFrame, cell: Cell) -> pl.DataFrame:
    """Return the rows at the main horizon; those of the others stay in the tables."""
    return frame if cell.horizon is None else frame.filter(pl.col("horizon") == cell.horizon)


def _figures(workspace: Path, cell: Cell, *, public: bool) -> dict[str, bytes]:
    """Return the figures that there are: the base rate, for one, has no SHAP."""
    names = (*FIGURES, *PUBLIC_FIGURES) if public else FIGURES
    folders = [workspace / kind / cell.outcome / "figures" for kind in ("compare", "explain")]
    paths = [folder / f"{cell.learner}_{name}.svg" for folder in folders for name in names]
    found = {f"figures/{path.name}": path for path in paths}
    for stage, drawn in CLOSER_FIGURES.items() if cell.lead else ():
        folder = workspace / stage / cell.outcome / "figures"
        found |= {f"figures/{stage}_{name}.svg": folder / f"{name}.svg" for name in drawn}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


def _uses_genetics(workspace: Path, final: Mapping[str, Any]) -> bool:
    columns = final.get("columns") or ()
    return any(name.startswith(GENETIC) for name in columns) and (workspace / "genotypes").is_dir()


def _genetic_files(workspace: Path, final: Mapping[str, Any]) -> dict[str, bytes]:
    """Return scores by network and ancestry, small groups suppressed, of a model that uses them."""
    if not _uses_genetics(workspace, final):
        return {}
    folder = workspace / "genotypes"
    paths = {f"figures/{GENETIC}{name}.svg": folder / "figures" / f"{name}.svg" for name in GENETIC_FIGURES}
    return {
        "tables/genetic_scores.csv": csv_bytes(result_frame(folder / "summary.parquet")),
        **{name: path.read_bytes() for name, path in paths.items() if path.is_file()},
    }


def _genetic_metrics(workspace: Path, final: Mapping[str, Any]) -> dict[str, float]:
    if not _uses_genetics(workspace, final):
        return {}
    return genetic_metrics(json.loads(result_bytes(workspace / "genotypes" / "report.json")))


def _final_parameters(final: Mapping[str, Any]) -> dict[str, str]:
    chosen = {f"final.{key}": value for key, value in dict(final.get("parameters") or {}).items()}
    counts = {
        f"final.{key}": len(value) if isinstance(value, list) else value
        for key, value in final.items()
        if key in ("rows", "events", "columns")
    }
    return {key: shown(value) for key, value in {**chosen, **counts}.items()}


def shown(value: object) -> str:
    """Return a setting as short text."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _interval_tags(metrics: pl.DataFrame) -> dict[str, str]:
    combined = metrics.filter(
        pl.col("group").is_null() & pl.col("fold").is_null() & pl.col("subgroup").is_null()
    )
    combined = combined.filter(pl.col("lower").is_not_null())
    return {
        f"intervals.{scheme}": ", ".join(sorted(set(frame["interval_kind"].cast(pl.String))))
        for (scheme,), frame in combined.group_by("scheme", maintain_order=True)
    }


def _json_bytes(frame: pl.DataFrame) -> bytes:
    return json.dumps(
        frame.to_dicts(), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1
    ).encode()
