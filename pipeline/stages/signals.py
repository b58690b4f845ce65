"""Stage signals: what can be said of an outcome before anything is fitted; columns that give it away are refused."""

import argparse
from pathlib import Path
from typing import Any

from experiments.disclosure import smallest_published
from experiments.results import Splits
from experiments.signals.report import outcome_signals, verdicts
from experiments.signals.signal import Material, Signals
from experiments.validation.cell import CellData
from experiments.validation.proxies import ProxyLimits, refuse_proxies
from features.drift import treatment_by_year
from features.schema import ColumnDescriptions, Medications, Outcomes, PredictionTimes, Rows
from pipeline.cards.signals_page import render_signals
from pipeline.files import read_frame, read_table, replaced_folder, write_json, write_table, write_text
from pipeline.settings.load import load_parameters
from pipeline.settings.study import Study
from pipeline.stages.train import cell_data, choose_predictors


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the stage's arguments."""
    parser.add_argument("outcome")
    for name in ("assembled", "outcomes", "splits", "medications", "times", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)


def run(
    outcome: str, *, assembled: Path, outcomes: Path, splits: Path, medications: Path, times: Path, out: Path
) -> None:
    """Refuse outcome proxies, then write the signals, their page, and what train waits for."""
    study = load_parameters()
    asked = study.outcomes[outcome]
    events = read_table(outcomes / "outcomes.parquet", Outcomes)
    columns = read_table(assembled / "columns.parquet", ColumnDescriptions)
    data = cell_data(
        read_table(assembled / "rows.parquet", Rows),
        read_frame(assembled / "matrix.parquet"),
        events,
        horizons=asked.horizons,
        main=asked.main_horizon,
        causes=asked.causes,
        seen_after=asked.known_after,
    )
    cells = [cell for cell in study.cells if cell.outcome == outcome]
    learners = {
        name: choose_predictors(study.learners[name], columns, data.X.columns, name)
        for cell in cells
        for name in cell.learners
        if (study.learners[name].kind or name) != "base_rate"
    }
    judged = _refuse(study, outcome, data, learners)
    schemes = [scheme for cell in cells for scheme in cell.schemes]
    material = Material(
        study=study.study,
        outcome=outcome,
        rows=data.rows,
        status=data.status(),
        target=data.target,
        X=data.X,
        columns=columns,
        learners=learners,
        splits=read_table(splits / "splits.parquet", Splits),
        kinds={scheme: study.validation[scheme].kind for scheme in schemes},
        look_behind={name: values.get("look_behind_days") for name, values in study.feature_sets.items()},
        roles=study.roles,
        signed_off=asked.signed_off,
        proxy_limits=(
            f"AUROC or concordance above {asked.proxy_limit:g}, correlation with the follow-up above "
            f"{asked.follow_up_limit:g}"
        ),
        drift=treatment_by_year(
            read_table(times, PredictionTimes),
            read_table(medications, Medications),
            events,
            horizon=asked.main_horizon,
            time=study.cohort.time,
        ),
        smallest_cell=smallest_published(study.disclosure.level, study.disclosure.smallest_cell),
    )
    report = outcome_signals(material)
    content = {
        "outcome": outcome,
        "verdicts": verdicts(report.signals),
        "signals": report.signals.drop("schema_version", "study", "outcome").to_dicts(),
        "tables": report.tables,
    }
    with replaced_folder(out) as folder:
        write_table(report.signals, folder / "signals.parquet", Signals)
        write_json(content, folder / "signals.json")
        write_text(render_signals(study.title, outcome, asked.title, report), folder / "signals.html")
        # train depends on this file alone: an edited word on the page fits nothing again.
        write_json(judged, folder / "passed.json")


def _refuse(
    study: Study, outcome: str, data: CellData, learners: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Refuse proxies among the predictors of any learner; return what was judged, and how."""
    asked = study.outcomes[outcome]
    used = sorted({column for columns in learners.values() for column in columns})
    refuse_proxies(
        data.X.select(used),
        data.target,
        data.rows["position"].to_numpy(),
        asked.signed_off,
        outcome,
        limits=ProxyLimits(asked.proxy_limit, asked.follow_up_limit),
    )
    return {
        "outcome": outcome,
        "columns": used,
        "signed_off": sorted(asked.signed_off),
        "limits": {"proxy": asked.proxy_limit, "follow_up": asked.follow_up_limit},
    }
